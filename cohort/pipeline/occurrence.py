"""How often and when: cumulative incidence with death competing, simple proportions, and rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.domain.clock import DAYS_PER_YEAR
from cohort.domain.errors import EstimationError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline.stages import Cohort
from cohort.tables.results import CountingProcess, Estimates

CURVE_END_DAYS = 760
RISK_TABLE_DAYS = tuple(round(DAYS_PER_YEAR / 12 * month) for month in (0, 3, 6, 9, 12, 15, 18, 21, 24))
NEAR_LEVELS = 3
PER_RELATION, COMPOSITE = "per_relation", "composite"


def first_events(cohort: Cohort, endpoint: str) -> CountingProcess:
    """Patient rows to the first refracture of one relation, or of any (composite), death competing.

    Raises EstimationError when nobody is at risk.
    """
    process = cohort.first_events(endpoint)
    if process.frame.empty:
        raise EstimationError(
            "No patient gives time at risk with a known first treatment, so there is nothing to estimate. "
            "`cohort normalize` shows which rows were rejected; the flow shows why patients were left out."
        )
    return process


def incidence(cohort: Cohort, at: Sequence[int] | None = None) -> Estimates:
    """Aalen-Johansen cumulative incidence at the study's windows (or at every event day when `at` is empty).

    One curve per relation (other relations do not censor, death competes), and one composite curve of the first
    refracture of any kind, whose row `any` adds its refracture causes.
    """
    times = list(cohort.study.models.windows_days if at is None else at)
    parts = [_relation(cohort, relation, times) for relation in REFRACTURE_RELATIONS]
    parts.append(_composite(cohort, times))
    frame = pd.concat(parts, ignore_index=True)
    settings: dict[str, Any] = {
        "method": "Aalen-Johansen, death competing; origin: first dated augmentation; clustered by patient",
        "confidence": cohort.study.models.confidence,
        "conf_type": "log-log",
        "study": cohort.study.digest,
    }
    return Estimates(frame, settings)


def curves(cohort: Cohort) -> Estimates:
    """The curves of `incidence` at every event day of the first two years, with the events each rests on."""
    every = incidence(cohort, at=())
    frame = every.frame[every.frame["time"] <= CURVE_END_DAYS].reset_index(drop=True)
    total = frame.groupby(["curve", "outcome"])["n_events"].transform("max")
    return Estimates(frame.assign(n_events_total=total), every.settings)


def numbers_at_risk(cohort: Cohort) -> pd.DataFrame:
    """Patients at risk at the ticks below each curve: entered before, and neither ended nor fractured by, that day."""
    rows = []
    for endpoint in (*REFRACTURE_RELATIONS, COMPOSITE):
        frame = first_events(cohort, endpoint).frame
        entry, exit_ = frame["entry"].to_numpy(), frame["exit"].to_numpy()
        rows += [(endpoint, day, int(((entry <= day) & (exit_ > day)).sum())) for day in RISK_TABLE_DAYS]
    return pd.DataFrame(rows, columns=["curve", "time", "n_risk"])


def proportions(cohort: Cohort) -> Estimates:
    """Simple proportions among patients followed to the window or broken before it: no censoring, no competing death.

    Who died or was lost before the window without the event is in neither numerator nor denominator, which is why these
    stand beside the incidence and never replace it.
    """
    rows = []
    for endpoint in (*REFRACTURE_RELATIONS, COMPOSITE):
        process = first_events(cohort, endpoint)
        frame = process.frame
        event = frame["cause"].isin([k for k, name in enumerate(process.causes, 1) if name != "death"])
        for window in cohort.study.models.windows_days:
            at_start = frame["entry"] == 0
            broke = at_start & event & (frame["exit"] <= window)
            followed = at_start & (broke | (frame["exit"] >= window))
            rows.append(("any" if endpoint == COMPOSITE else endpoint, window, int(broke.sum()), int(followed.sum())))
    frame = pd.DataFrame(rows, columns=["outcome", "time", "n_events", "n_patients"])
    intervals = [
        estimate.proportion(e, n).frame.iloc[0] if n else None
        for e, n in zip(frame["n_events"], frame["n_patients"], strict=True)
    ]
    for name in ("estimate", "conf_low", "conf_high"):
        frame[name] = [np.nan if row is None else float(row[name]) for row in intervals]
    return Estimates(frame, {"method": "simple proportion of patients followed to the window, Wilson interval"})


def rates(cohort: Cohort) -> Estimates:
    """Counted refractures per 1,000 vertebra-years by level and role, and per 100 patient-years by relation.

    Intervals allow for several vertebrae and events per patient. The variant without_healed repeats the rates without
    days on which only kind `new` could count; within_three and imaged give the remote levels within three of a treated
    one, and those imaged at least once, since treated and adjacent levels are looked at more than others.
    """
    person_time = _main_person_time(cohort)
    parts = [
        _vertebra_rates(person_time, by, variant, healed)
        for by in (["role"], ["level", "role"])
        for variant, healed in (("main", False), ("without_healed", True))
    ]
    for variant, chosen in (("within_three", {"remote_within": NEAR_LEVELS}), ("imaged", {"remote_imaged": True})):
        remote = _main_person_time(cohort, **chosen)
        parts.append(_vertebra_rates(remote[remote["role"] == "remote"], ["role"], variant, False))
    parts.append(_patient_rates(cohort, person_time))
    frame = pd.concat(parts, ignore_index=True)
    return Estimates(
        frame.assign(role=frame["role"].astype("object")),
        {"method": "events / person-time; log-scale interval clustered by patient, exact Poisson where events are few"},
    )


def _relation(cohort: Cohort, relation: str, times: list[int]) -> pd.DataFrame:
    process = first_events(cohort, relation)
    frame = curve(process, times, cohort.study.models.confidence)
    return frame[frame["outcome"] == relation].assign(curve=PER_RELATION)


def _composite(cohort: Cohort, times: list[int]) -> pd.DataFrame:
    process = first_events(cohort, COMPOSITE)
    level = cohort.study.models.confidence
    by_cause = curve(process, times, level)
    # "Any" is a coarser naming of the same causes, not a sum of estimates: its interval comes from its own curve.
    death = process.causes.index("death") + 1
    frame = process.frame.assign(cause=process.frame["cause"].map(lambda c: 0 if c == 0 else 2 if c == death else 1))
    merged = CountingProcess(frame, process.unit, ("any", "death"), process.origin)
    any_kind = curve(merged, times, level)
    return pd.concat([by_cause, any_kind[any_kind["outcome"] == "any"]], ignore_index=True).assign(curve=COMPOSITE)


def curve(process: CountingProcess, times: list[int], confidence: float) -> pd.DataFrame:
    """Aalen-Johansen of a counting process, with causes by name; every event day when `times` is empty."""
    fitted = estimate.aalen_johansen(
        process.frame,
        exit="exit",
        cause="cause",
        entry="entry",
        id="id",
        cluster="cluster",
        at=times or None,
        causes_named=process.causes,
        confidence=confidence,
    )
    return fitted.frame.assign(n_patients=process.frame["id"].nunique())


def _main_person_time(cohort: Cohort, **chosen: Any) -> pd.DataFrame:
    """Person-time of the main population by patient, level and role; `chosen` narrows the remote vertebrae."""
    person_time = atrisk.person_time_by_patient(*cohort.stages, **chosen)
    main = cohort.follow_up.loc[cohort.follow_up["in_main"], "patient_id"]
    return person_time[person_time["patient_id"].isin(main)]


def _vertebra_rates(person_time: pd.DataFrame, by: list[str], variant: str, without_healed: bool) -> pd.DataFrame:
    days = person_time["vertebra_days"] - (person_time["healed_days"] if without_healed else 0)
    sums = (
        person_time.assign(days=days)
        .groupby(["patient_id", *by], observed=True, sort=False)[["days", "events"]]
        .sum()
        .reset_index()
    )
    if without_healed:
        # A level whose only days are healed ones has no rate without them, even with an event.
        sums = sums[sums.groupby(by, observed=True)["days"].transform("sum") > 0]
    fitted = estimate.rate_by(sums, events="events", person_days="days", cluster="patient_id", by=by, per=1000).frame
    level = fitted["level"].astype("object") if "level" in by else ""
    return fitted.assign(level=level, unit="vertebra", measure="per 1,000 vertebra-years", variant=variant)


def _patient_rates(cohort: Cohort, person_time: pd.DataFrame) -> pd.DataFrame:
    follow_up = cohort.follow_up[cohort.follow_up["in_main"]]
    time = (follow_up["exit_day"] - follow_up["entry_day"]).to_numpy()
    role_of: dict[str, tuple[str, ...]] = {
        "same": ("treated",),
        "adjacent": ("adjacent",),
        "remote": ("remote",),
        "any": ("treated", "adjacent", "remote"),
    }
    parts = []
    for outcome, roles in role_of.items():
        events = person_time[person_time["role"].isin(roles)].groupby("patient_id")["events"].sum()
        parts.append(
            pd.DataFrame(
                {
                    "patient_id": follow_up["patient_id"].to_numpy(),
                    "relation": outcome,
                    "days": time,
                    "events": follow_up["patient_id"].map(events).fillna(0).to_numpy(),
                }
            )
        )
    sums = pd.concat(parts, ignore_index=True)
    fitted = estimate.rate_by(
        sums, events="events", person_days="days", cluster="patient_id", by=["relation"], per=100
    ).frame
    fitted = fitted.assign(outcome=fitted["relation"].astype("object")).drop(columns="relation")
    return fitted.assign(level="", unit="patient", measure="per 100 patient-years", variant="main")
