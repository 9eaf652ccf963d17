"""Estimates leave as one tidy frame: the canonical columns that apply, in their order, then a note in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import FloatArray
from cohort.domain.errors import EstimationError
from cohort.tables.results import ESTIMATE_COLUMNS, Estimates

FEW_EVENTS = 10
FEW_CLUSTERS = 20


def estimates(columns: Mapping[str, Any], settings: Mapping[str, Any], extra: Iterable[str] = ("note",)) -> Estimates:
    """A frame of the columns given, canonical ones first and in canonical order."""
    frame = pd.DataFrame(dict(columns))
    ordered = [name for name in ESTIMATE_COLUMNS if name in frame.columns]
    ordered += [name for name in frame.columns if name not in ordered and name not in extra]
    ordered += [name for name in extra if name in frame.columns]
    return Estimates(frame[ordered], {**settings, "package_version": _version()})


@cache
def _version() -> str:
    try:
        return metadata.version("vertebral-cohort")
    except metadata.PackageNotFoundError:
        return "not installed"


def quantile(confidence: float) -> float:
    """The normal quantile of a two-sided interval.

    >>> round(quantile(0.95), 4)
    1.96
    """
    if not 0.0 < confidence < 1.0:
        raise EstimationError(f"The confidence level must lie between 0 and 1, and is {confidence}.")
    return float(stats.norm.ppf(0.5 + confidence / 2.0))


def wald(coef: FloatArray, std_error: FloatArray, confidence: float) -> dict[str, FloatArray]:
    """Ratios with their limits, z and p; where there is no standard error, none of these but the ratio."""
    z = quantile(confidence)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        usable = np.isfinite(std_error) & (std_error > 0)
        se = np.where(usable, std_error, np.nan)
        statistic = coef / se
        return {
            "estimate": np.exp(coef),
            "conf_low": np.exp(coef - z * se),
            "conf_high": np.exp(coef + z * se),
            "coef": coef,
            "std_error": se,
            "statistic": statistic,
            "p_value": 2.0 * stats.norm.sf(np.abs(statistic)),
        }


def robust_notes(n_events: float, n_clusters: int, n_clusters_with_event: int, clustered: bool) -> list[str]:
    """What must be read beside an estimate from little data."""
    said: list[str] = []
    if n_events < FEW_EVENTS:
        said.append(f"only {n_events:g} {'event' if n_events == 1 else 'events'}")
    if clustered and n_clusters == 1:
        said.append("one cluster: no robust standard error")
    elif clustered and n_clusters_with_event < FEW_CLUSTERS:
        said.append(
            f"events in only {n_clusters_with_event} {'cluster' if n_clusters_with_event == 1 else 'clusters'}: "
            "the robust standard error tends to be too small"
        )
    return said
