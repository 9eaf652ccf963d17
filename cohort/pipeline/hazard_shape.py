"""Whether hazard ratios hold over time, and what is left of "adjacent" once each patient is her own control."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.domain.errors import EstimationError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline.risk import ROLE_OF, coded, models
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.results import Estimates, Registry

CUTS: Final = (90, 365)
NOT_CONTROLLED: Final = (
    "what differs between vertebrae of one patient: an earlier deformity of the vertebra, whether films show it (a "
    "level next to the cement is imaged more often) and, in the first model, its level"
)
WITHIN: Final[tuple[Literal["adjacent", "remote"], ...]] = ("adjacent", "remote")
ROWS: Final[dict[str, Any]] = {"exit": "exit", "entry": "entry", "id": "id", "cluster": "cluster"}


def proportionality(cohort: Cohort) -> Estimates:
    """For the adjusted model of each exposure and relation: the test of proportional hazards of the exposure.

    One row per relation and exposure: outcome, exposure, label, term, statistic, df, p_value, n_events, note.
    """

    def tested(rows: pd.DataFrame, terms: list[str]) -> Estimates:
        return estimate.ph_test(rows, terms, event="cause", of=1, **ROWS)

    return _each_adjusted(cohort, tested)


def by_interval(cohort: Cohort, cuts: Sequence[int] = CUTS) -> Estimates:
    """For the adjusted model of each exposure and relation: its hazard ratio up to each cut and after the last.

    Rows of measure "hazard_ratio", one per interval (interval_start, interval_end in days since the first
    augmentation), then one of measure "equality_over_intervals" with the test that they are the same.
    """
    confidence = cohort.study.models.confidence

    def ratios(rows: pd.DataFrame, terms: list[str]) -> Estimates:
        return estimate.hazard_ratio_by_interval(
            rows, terms, cuts=cuts, event="cause", of=1, confidence=confidence, **ROWS
        )

    return _each_adjusted(cohort, ratios)


def _each_adjusted(cohort: Cohort, fit: Callable[[pd.DataFrame, list[str]], Estimates]) -> Estimates:
    """The exposure's own rows of each adjusted model; one that cannot be fitted says why."""
    parts = []
    settings: dict[str, Any] = {}
    for outcome in REFRACTURE_RELATIONS:
        rows = coded(atrisk.vertebra_rows(*cohort.stages, role=ROLE_OF[outcome]).frame)  # type: ignore[arg-type]
        for model in models(cohort):
            if not model.adjusted_for:
                continue
            exposure = model.exposure.name
            said = {"outcome": outcome, "exposure": exposure, "label": model.exposure.label}
            try:
                fitted = fit(rows, [exposure, *model.adjusted_for])
            except EstimationError as error:
                parts.append(pd.DataFrame([{**said, "term": exposure, "note": str(error)}]))
                continue
            settings = dict(fitted.settings)
            parts.append(fitted.frame[fitted.frame["term"] == exposure].assign(**said))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    kept: dict[str, Any] = {name: settings[name] for name in ("method", "cuts", "transform") if name in settings}
    return Estimates(frame, {**kept, "study": cohort.study.digest})


def within_patients(registry: Registry) -> Estimates:
    """Adjacent against remote vertebrae of the same patient: Cox stratified by patient.

    Rows: "crude" (role alone) and "level" (role beside the level of the vertebra). `settings` say in words what a
    comparison within patients controls and what it does not.

    >>> import cohort
    >>> found = within_patients(cohort.read("data/cases")).frame
    >>> found["model"].tolist()
    ['crude', 'level']
    """
    return within(prepare(registry))


def within(cohort: Cohort) -> Estimates:
    """The same of a registry that is classified already."""
    parts = [
        atrisk.vertebra_rows(*cohort.stages, role=role).frame.assign(adjacent=float(role == "adjacent"))
        for role in WITHIN
    ]
    rows = pd.concat(parts, ignore_index=True)
    # A vertebra keeps its identity when a later treatment makes a remote one adjacent.
    rows = rows.assign(
        unit=rows.groupby(["cluster", "level"], observed=True).ngroup(),
        level=pd.Categorical(rows["level"].astype(str), list(dict.fromkeys(rows["level"].astype(str)))),
    )
    rows = rows.sort_values(["unit", "entry"], kind="stable", ignore_index=True)
    fitted = {"crude": ["adjacent"], "level": ["adjacent", "level"]}
    found = [
        estimate.within_patient(
            rows,
            terms,
            exit="exit",
            event="cause",
            of=1,
            entry="entry",
            id="unit",
            cluster="cluster",
            confidence=cohort.study.models.confidence,
            outcome="adjacent against remote",
            model=name,
        )
        for name, terms in fitted.items()
    ]
    frame = pd.concat([result.frame[result.frame["term"] == "adjacent"] for result in found], ignore_index=True)
    settings = {**found[0].settings, "not_controlled": NOT_CONTROLLED}
    return Estimates(frame.assign(n_events=frame["n_events"].astype(np.float64)), settings)
