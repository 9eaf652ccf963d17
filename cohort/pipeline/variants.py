"""The main figures under other choices: each variant re-runs the stages, so that nothing is patched afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from cohort.pipeline.occurrence import COMPOSITE, curve, first_events, incidence
from cohort.pipeline.stages import Cohort, prepare, under
from cohort.tables.results import Estimates

HORIZON_DAYS = 365


@dataclass(frozen=True)
class Variant:
    """One choice that differs from the main analysis."""

    name: str
    group: str
    label: str
    make: Callable[[Cohort], Cohort]
    is_main: bool = False


def variants(cohort: Cohort) -> Iterator[Variant]:
    """Every variant the report shows, the main analysis first."""
    study = cohort.study
    yield Variant("main", "main", "Main analysis", lambda c: c, is_main=True)
    yield Variant("without_implied", "implied", "Without implied fractures",
                  lambda c: under(c, study.with_("relation", implied=False)))  # fmt: skip
    for days in study.relation.staged_sensitivity:
        yield Variant(f"staged_{days}", "staged", f"Staged window {days} days",
                      lambda c, d=days: under(c, study.with_("relation", staged_days=d)))  # type: ignore[misc]  # fmt: skip
    yield Variant("without_unproven", "onset", "Without sightings whose onset is unproven",
                  lambda c: under(c, study.with_("at_risk", count_unproven=False)))  # fmt: skip
    yield Variant("unjudged", "tier", "Same level: no judging from imaging",
                  lambda c: under(c, study.with_("judgement", enabled=False)))  # fmt: skip
    yield Variant("radiographic", "tier", "Same level: radiographic",
                  lambda c: under(c, study.with_("judgement", tier="radiographic")))  # fmt: skip
    yield Variant("retreated", "tier", "Same level: treated again", lambda c: c)
    yield Variant("with_incomplete", "incomplete", "With patients who have a rejected row",
                  lambda c: under(c, study.with_("population", include_incomplete=True)))  # fmt: skip
    yield Variant("death_closes", "deaths", "Deaths after the end of follow-up compete too",
                  lambda c: under(c, study.with_("at_risk", death_closes=True)))  # fmt: skip
    if len(cohort.tables["imaging"]) or len(cohort.tables["imaging_studies"]):
        yield Variant("last_imaging", "looks", "Followed to the last imaging (upper bound)",
                      lambda c: under(c, study.with_("at_risk", exit_at="last_imaging")))  # fmt: skip
    for side, label in (("earliest", "earliest"), ("latest", "latest")):
        yield Variant(f"dates_{side}", "dates", f"Dates known to the month or year: {label} day",
                      lambda c, s=side: with_dates(c, s))  # type: ignore[misc]  # fmt: skip


def sensitivity(cohort: Cohort) -> Estimates:
    """One-year incidence of every relation under every variant."""
    parts = []
    for variant in variants(cohort):
        changed = variant.make(cohort)
        if variant.name == "retreated":
            frame = curve(first_events(changed, "retreated"), [HORIZON_DAYS], changed.study.models.confidence)
            frame = frame[frame["outcome"] == "retreated"].assign(outcome="same")
        else:
            frame = incidence(changed, [HORIZON_DAYS]).frame
            wanted = (frame["curve"] != COMPOSITE) | (frame["outcome"] == "any")
            frame = frame[wanted & frame["outcome"].isin(["same", "adjacent", "remote", "any"])]
        parts.append(
            frame.assign(variant=variant.name, label=variant.label, group=variant.group, is_main=variant.is_main)
        )
    return Estimates(
        pd.concat(parts, ignore_index=True), {"method": "Aalen-Johansen at one year, stages re-run per variant"}
    )


def with_dates(cohort: Cohort, side: str) -> Cohort:
    """The registry with dates known to the month or year set to the earliest or latest day of their period.

    A fracture stays after the last film without it and on or before death, where these fall inside the period.
    """
    death = cohort.tables["patients"].set_index("patient_id")["death_date"]
    tables = dict(cohort.tables)
    for name in ("augmentations", "fractures"):
        frame = tables[name]
        if frame.empty:
            continue
        frame = frame.copy()
        for precision, freq in (("month", "M"), ("year", "Y")):
            rows = frame["date_precision"] == precision
            if not rows.any():
                continue
            period = frame.loc[rows, "date"].dt.to_period(freq)
            start, end = period.dt.start_time, period.dt.end_time.dt.normalize()
            day = start if side == "earliest" else end
            if "last_clear_date" in frame:
                after = frame.loc[rows, "last_clear_date"] + pd.Timedelta(days=1)
                day = day.mask((after > day) & (after <= end), after)
            died = frame.loc[rows, "patient_id"].map(death)
            frame.loc[rows, "date"] = day.mask((died < day) & (died >= start), died)
        tables[name] = frame
    return prepare(replace(cohort.registry, tables=tables))
