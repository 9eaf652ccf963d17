"""Fractures that come back: how many to expect by a day, how much time they cost, and what goes with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.domain.errors import EstimationError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline.occurrence import COMPOSITE, CURVE_END_DAYS, RISK_TABLE_DAYS, first_events
from cohort.pipeline.risk import Model, coded, models
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.results import Estimates, Registry

CLOCKS: Final = {
    "andersen_gill": "Any episode (Andersen-Gill)",
    "pwp_total": "The next episode, days since the first treatment (PWP total)",
    "pwp_gap": "The next episode, days since the last one (PWP gap)",
    "marginal": "Each episode, all at risk of it from the start (marginal)",
}
# Few patients have later episodes: both PWP clocks pool them with the third, the marginal one leaves them out.
MAX_ORDER: Final = 3
ROWS: Final[dict[str, Any]] = {"exit": "exit", "entry": "entry", "id": "id", "cluster": "cluster"}


def mean_counts(registry: Registry) -> Estimates:
    """Mean number of refracture episodes per patient by each window of the study, death competing (Ghosh-Lin).

    One row per relation ("any" for all together) and window; an episode is a day with a counted refracture.
    `n_clusters_with_event` counts the patients with one by then. Raises EstimationError when nobody is at risk.

    >>> import cohort
    >>> found = mean_counts(cohort.read("data/cases")).frame
    >>> sorted(found["outcome"].unique())
    ['adjacent', 'any', 'remote', 'same']
    """
    return counts_of(prepare(registry))


def counts_of(cohort: Cohort) -> Estimates:
    """The same of a registry that is classified already."""
    windows = list(cohort.study.models.windows_days)
    return _each_relation(cohort, lambda rows: windows)


def count_curves(cohort: Cohort) -> Estimates:
    """The counts of `mean_counts` at every day of the first two years with an episode.

    `n_events_total` and `n_clusters_total` are the episodes of each curve and the patients with one by its end.
    """

    def days(rows: pd.DataFrame) -> list[int]:
        return sorted(set(rows.loc[(rows["cause"] == 1) & (rows["exit"] <= CURVE_END_DAYS), "exit"]))

    every = _each_relation(cohort, days)
    if every.frame.empty:
        return every
    of_curve = every.frame.groupby("outcome")
    totals = {"n_events_total": "n_events", "n_clusters_total": "n_clusters_with_event"}
    return Estimates(
        every.frame.assign(**{total: of_curve[name].transform("max") for total, name in totals.items()}),
        every.settings,
    )


def numbers_followed(cohort: Cohort) -> pd.DataFrame:
    """Patients followed beyond the ticks below the curves, whatever happened to them before: curve, time, n_risk."""
    rows = atrisk.recurrent_rows(*cohort.stages, endpoint=COMPOSITE).frame
    entry, exit_ = rows["entry"].to_numpy(), rows["exit"].to_numpy()
    counts = [(COMPOSITE, day, int(((entry <= day) & (exit_ > day)).sum())) for day in RISK_TABLE_DAYS]
    return pd.DataFrame(counts, columns=["curve", "time", "n_risk"])


def _each_relation(cohort: Cohort, days: Callable[[pd.DataFrame], Sequence[float]]) -> Estimates:
    """Counts of each relation and of all together, at the days that `days` takes from the rows of each."""
    first_events(cohort, COMPOSITE)  # says so where nobody is at risk
    parts = []
    settings: dict[str, Any] = {}
    for endpoint in (*REFRACTURE_RELATIONS, COMPOSITE):
        rows = atrisk.recurrent_rows(*cohort.stages, endpoint=endpoint).frame
        at = days(rows)
        if not len(at):
            continue
        fitted = estimate.mean_cumulative_count(
            rows,
            cause="cause",
            at=at,
            confidence=cohort.study.models.confidence,
            outcome="any" if endpoint == COMPOSITE else endpoint,
            **ROWS,
        )
        first = np.sort(rows[rows["cause"] == 1].groupby("id")["exit"].min().to_numpy())
        with_one = np.searchsorted(first, fitted.frame["time"].to_numpy(), side="right")
        parts.append(fitted.frame.assign(n_clusters_with_event=with_one))
        settings = dict(fitted.settings)
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return Estimates(frame, {**settings, "study": cohort.study.digest})


def time_lost(cohort: Cohort) -> Estimates:
    """Days free of refracture and alive, and days lost to each cause, of those up to the horizon of the study."""
    process = first_events(cohort, COMPOSITE)
    return estimate.time_lost(
        process.frame,
        cause="cause",
        horizon=cohort.study.models.horizon_days,
        causes_named=process.causes,
        confidence=cohort.study.models.confidence,
        **ROWS,
    )


def recurrent_hazards(cohort: Cohort) -> Estimates:
    """Hazard ratios of refracture episodes of any relation under each clock, exposures as known at entry.

    One row per clock and exposure, each from the model of that exposure with its own adjustment set: clock,
    clock_label, exposure, label, adjusted_for, and the columns of `cox`. settings["reads"] says by clock what its ratio
    compares, settings["death"] what a death does to all of them.
    """
    process = atrisk.recurrent_rows(*cohort.stages, endpoint=COMPOSITE)
    baseline = coded(atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study))
    rows = process.frame.merge(baseline.drop(columns=["id", "cluster"], errors="ignore"), on="patient_id", how="left")
    parts = []
    reads: dict[str, str] = {}
    death = ""
    for clock, clock_label in CLOCKS.items():
        for model in _one_each(models(cohort)):
            said: dict[str, Any] = {
                "outcome": "any",
                "model": model.name,
                "clock": clock,
                "clock_label": clock_label,
                "exposure": model.exposure.name,
                "label": model.exposure.label,
                "adjusted_for": ", ".join(model.adjusted_for),
            }
            try:
                fitted = estimate.recurrent(
                    rows,
                    [model.exposure.name, *model.adjusted_for],
                    event="cause",
                    of=1,
                    clock=clock,  # type: ignore[arg-type]
                    max_order=None if clock == "andersen_gill" else MAX_ORDER,
                    confidence=cohort.study.models.confidence,
                    **ROWS,
                )
            except EstimationError as error:
                parts.append(pd.DataFrame([{**said, "term": model.exposure.name, "note": str(error)}]))
                continue
            reads[clock], death = fitted.settings["reads"], fitted.settings["death"]
            parts.append(fitted.frame[fitted.frame["term"] == model.exposure.name].assign(**said))
    return Estimates(
        pd.concat(parts, ignore_index=True),
        {
            "method": "recurrent-event Cox models, Efron ties, robust by patient; deaths end the time at risk",
            "max_order": MAX_ORDER,
            "reads": reads,
            "death": death,
        },
    )


def _one_each(fitted: Sequence[Model]) -> list[Model]:
    """Of each exposure the adjusted model, or the crude one where there is no other."""
    adjusted = {model.exposure for model in fitted if model.adjusted_for}
    return [model for model in fitted if model.adjusted_for or model.exposure not in adjusted]
