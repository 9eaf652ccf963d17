"""Several procedures in one patient, handled in four ways side by side: what a figure is once the clock is chosen."""

from __future__ import annotations

from typing import Final

import pandas as pd

from cohort import atrisk, estimate
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline.occurrence import curve
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.results import CountingProcess, Estimates, Registry

POLICIES: Final = {
    "total": "One clock per patient from the first procedure, whatever is done later",
    "first_only": "The first procedure alone; follow-up ends at the next",
    "gap": "Every procedure a new clock, which the next one ends",
    "gap_merged": "Every procedure a new clock, staged sessions merged",
}
HORIZON_DAYS: Final = 365


def policies(registry: Registry, *, at: int = HORIZON_DAYS) -> Estimates:
    """First refracture of each relation under each policy for several procedures (docs/definitions.md, section 7).

    at : days since the origin of the clock at which the incidence is read.

    The frame has one row per policy and relation: policy, label, outcome, time, unit, n_patients, n_units, n_events (at
    any time), person_years, rate (per 100 unit-years) with rate_low and rate_high, estimate (cumulative incidence at
    `at`, death competing) with conf_low and conf_high. Intervals take the clocks of one patient together.

    >>> import cohort
    >>> found = policies(cohort.read("data/cases")).frame.set_index(["policy", "outcome"])
    >>> [int(found.loc[(policy, "same"), "n_units"]) for policy in ("total", "gap")]
    [2, 8]
    """
    return of_cohort(prepare(registry), at=at)


def of_cohort(cohort: Cohort, *, at: int = HORIZON_DAYS) -> Estimates:
    """The same of a registry that is classified already."""
    parts = [
        _row(cohort, policy, relation, _rows(cohort, policy, relation), at)
        for policy in POLICIES
        for relation in REFRACTURE_RELATIONS
    ]
    return Estimates(
        pd.concat(parts, ignore_index=True),
        {
            "method": "Aalen-Johansen of first events, death competing; rates by unit-time; clustered by patient",
            "study": cohort.study.digest,
        },
    )


def _rows(cohort: Cohort, policy: str, relation: str) -> CountingProcess:
    if policy == "total":
        return cohort.first_events(relation)
    return atrisk.procedure_rows(
        *cohort.stages, endpoint=relation, merge_staged=policy == "gap_merged", first_only=policy == "first_only"
    )


def _row(cohort: Cohort, policy: str, relation: str, process: CountingProcess, at: int) -> pd.DataFrame:
    frame, confidence = process.frame, cohort.study.models.confidence
    said = {
        "policy": policy,
        "label": POLICIES[policy],
        "outcome": relation,
        "time": at,
        "unit": process.unit,
        "n_patients": frame["cluster"].nunique(),
        "n_units": frame["id"].nunique(),
        "n_events": int((frame["cause"] == 1).sum()),
    }
    if frame.empty:
        return pd.DataFrame([said])
    sums = pd.DataFrame(
        {
            "patient_id": frame["patient_id"].to_numpy(),
            "days": (frame["exit"] - frame["entry"]).to_numpy(),
            "events": (frame["cause"] == 1).astype("int64").to_numpy(),
            "outcome": relation,
        }
    )
    rate = estimate.rate_by(
        sums, events="events", person_days="days", cluster="patient_id", by=["outcome"], per=100, confidence=confidence
    ).frame.iloc[0]  # fmt: skip
    incidence = curve(process, [at], confidence)
    found = incidence[incidence["outcome"] == relation].iloc[0]
    return pd.DataFrame(
        [
            {
                **said,
                "person_years": rate["person_years"],
                "rate": rate["estimate"],
                "rate_low": rate["conf_low"],
                "rate_high": rate["conf_high"],
                "estimate": found["estimate"],
                "conf_low": found["conf_low"],
                "conf_high": found["conf_high"],
            }
        ]
    )
