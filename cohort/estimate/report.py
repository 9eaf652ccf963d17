"""Estimates leave as one tidy frame: the canonical columns that apply, in their order, then a note in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.clock import FloatArray
from cohort.domain.errors import EstimationError
from cohort.tables.results import ESTIMATE_COLUMNS, Estimates

CurveCorrection = Literal["auto", "none"]
FEW_EVENTS = 10
FEW_CLUSTERS = 20
T_LIMITS = "t, with as many degrees of freedom as clusters with the event less one, where a cluster may hold several"
ONE_CLUSTER = "events in only 1 cluster: no interval from one"


def estimates(columns: Mapping[str, Any], settings: Mapping[str, Any], extra: Iterable[str] = ("note",)) -> Estimates:
    """A frame of the columns given, canonical ones first and in canonical order."""
    ordered = [name for name in ESTIMATE_COLUMNS if name in columns]
    ordered += [name for name in columns if name not in ordered and name not in extra]
    ordered += [name for name in extra if name in columns]
    frame = pd.DataFrame({name: columns[name] for name in ordered})
    return Estimates(frame, {**settings, "package_version": _version()})


@cache
def _version() -> str:
    try:
        return metadata.version("vertebral-cohort")
    except metadata.PackageNotFoundError:
        return "not installed"


def curve_estimates(columns: Mapping[str, Any], settings: Mapping[str, Any]) -> Estimates:
    """The frame of curves, with words in the settings for what their limits come from.

    `df` among the columns: the degrees of freedom of each row's limits, NaN where they are normal. It stays in the
    frame where limits were taken from it, and nowhere else.
    """
    kept = dict(columns)
    df = np.asarray(kept.pop("df", []), dtype=np.float64)
    beta = settings.get("conf_type") == "beta"
    said = "beta" if beta else "normal" if np.isnan(df).all() else T_LIMITS
    used = (df >= 1) & ~np.isnan(np.asarray(kept.get("conf_low", []), dtype=np.float64))
    if used.any():
        kept["df"] = np.where(used, df, np.nan)
    return estimates(kept, {**settings, "limits": said})


@overload
def quantile(confidence: float, df: None = None) -> float: ...


@overload
def quantile(confidence: float, df: FloatArray) -> FloatArray: ...


def quantile(confidence: float, df: FloatArray | None = None) -> float | FloatArray:
    """The quantile of a two-sided interval: normal, or of t with `df` degrees of freedom; none below one of them.

    >>> round(quantile(0.95), 4), quantile(0.95, np.array([0.0, 4.0])).round(4).tolist()
    (1.96, [nan, 2.7764])
    """
    if not 0.0 < confidence < 1.0:
        raise EstimationError(f"The confidence level must lie between 0 and 1, and is {confidence}.")
    if df is None:
        return float(stats.norm.ppf(0.5 + confidence / 2.0))
    return np.asarray(stats.t.ppf(0.5 + confidence / 2.0, np.where(df >= 1, df, np.nan)), dtype=np.float64)


def two_sided(statistic: FloatArray, df: FloatArray | None = None) -> FloatArray:
    """The two-sided p-value of z, or of t with `df` degrees of freedom.

    >>> two_sided(np.array([1.96])).round(3).tolist(), two_sided(np.array([2.7764]), np.array([4.0])).round(3).tolist()
    ([0.05], [0.05])
    """
    size = np.abs(statistic)
    tail = stats.norm.sf(size) if df is None else stats.t.sf(size, np.where(df >= 1, df, np.nan))
    return np.asarray(2.0 * tail, dtype=np.float64)


def wald(
    coef: FloatArray, std_error: FloatArray, confidence: float, df: FloatArray | None = None
) -> dict[str, FloatArray]:
    """Ratios with their limits, z and p; where there is no standard error, none of these but the ratio.

    df : (p,) degrees of freedom; limits and p are then those of t, and `df` is among the columns.
    """
    z: float | FloatArray = quantile(confidence)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        usable = np.isfinite(std_error) & (std_error > 0)
        freedom: dict[str, FloatArray] = {}
        if df is not None:
            usable &= df > 0
            freedom["df"] = np.where(usable, df, np.nan)
            z = np.asarray(stats.t.ppf(0.5 + confidence / 2.0, freedom["df"]))
        se = np.where(usable, std_error, np.nan)
        statistic = coef / se
        tail = np.asarray(stats.t.sf(np.abs(statistic), freedom["df"]) if freedom else stats.norm.sf(np.abs(statistic)))
        return {
            "estimate": np.exp(coef),
            "conf_low": np.exp(coef - z * se),
            "conf_high": np.exp(coef + z * se),
            "coef": coef,
            "std_error": se,
            "statistic": statistic,
            **freedom,
            "p_value": 2.0 * tail,
        }


def corrected(ratios: Mapping[str, FloatArray], plain: FloatArray) -> dict[str, FloatArray]:
    """Ratios whose limits come from a corrected standard error, with the plain one as `std_error` and it beside.

    `std_error` means the same in every row of a table, corrected or not; where there is no corrected one it is missing.

    >>> corrected(wald(np.zeros(1), np.full(1, 0.5), 0.95), np.full(1, 0.4))["corrected_std_error"].tolist()
    [0.5]
    """
    used = ratios["std_error"]
    return {**ratios, "std_error": np.where(np.isnan(used), np.nan, plain), "corrected_std_error": used}


def robust_notes(
    n_events: float,
    n_clusters: int,
    n_clusters_with_event: float,
    clustered: bool,
    corrected: str = "",
    df: float = math.nan,
) -> list[str]:
    """What must be read beside an estimate from little data; `corrected` names what was done about few clusters.

    df : degrees of freedom of t where the limits come from it, from all clusters with the event at any time.
    """
    if df >= 1:
        corrected = "limits from t"  # without the degrees of freedom: they give away a count that a report may hide
    said: list[str] = []
    if n_events < FEW_EVENTS:
        said.append(f"only {n_events:g} {'event' if n_events == 1 else 'events'}")
    if clustered and n_clusters == 1:
        said.append("one cluster: no robust standard error")
    elif df < 1:
        said += [ONE_CLUSTER] if df == 0 else []
    elif clustered and corrected and np.isnan(df) and n_clusters_with_event < 2:
        said.append("events in only 1 cluster: no standard error between clusters, and no interval")
    elif clustered and n_clusters_with_event < FEW_CLUSTERS:
        said.append(
            f"events in only {n_clusters_with_event:g} {'cluster' if n_clusters_with_event == 1 else 'clusters'}: "
            + (corrected or "the robust standard error tends to be too small")
        )
    return said


def beyond(limits: Mapping[str, FloatArray], j: int) -> list[str]:
    """Words for a finite estimate whose upper limit is not."""
    endless = np.isfinite(limits["coef"][j]) and np.isinf(limits["conf_high"][j])
    return ["the standard error is so large that the interval has no upper limit"] if endless else []
