"""Drugs change with time, and are given because bones break: use on the day, later use, and use on fixed days.

A drug needs time to act, and acts for a while after its end; a lag allows for both. A landmark asks only those who were
followed to a day, by what they took on it. Neither makes treated and untreated alike: a drug often follows a fracture,
so that a ratio above 1 may say who was treated, not what treatment did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.estimate.lagged import covered, cut, stretches, unite
from cohort.pipeline.factors import effects
from cohort.pipeline.factors.rows import ROWS, Factor
from cohort.pipeline.stages import Cohort
from cohort.tables.results import Estimates

DRUGS: Final[dict[str, tuple[str, ...]]] = {
    "anti_osteoporotic": ("antiresorptive", "anabolic"),
    "corticosteroids": ("corticosteroid",),
}
AFTER_DAYS: Final = 90


def drug_rows(
    factor: Factor,
    hazard: pd.DataFrame,
    *,
    lags: Sequence[int] = (0, 90, 180),
    landmarks: Sequence[int] = (90, 180, 365),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The adjusted hazard ratio of a drug: by use on the day, with each lag, and from landmarks on.

    hazard : as in `FactorRows`. A course that holds on the patient's first day at risk is taken to have begun long
    before.
    """
    parts = []
    said = {**factor.said, "adjusted_for": ", ".join(factor.adjusted_for)}
    for lag in lags:
        name = f"lag {lag} days" if lag else "current use"

        def fit(lag: int = lag) -> Estimates:
            rows = hazard if not lag else lagged_rows(hazard, factor.name, lag)
            return effects.cox(rows, factor.terms, confidence)

        parts.append(effects.of_term(fit, factor.name, "hazard_ratio").assign(analysis=name, **said))
    on = [day for day in landmarks if day < hazard["exit"].max()]
    if on:

        def stacked() -> Estimates:
            return estimate.landmark(hazard, factor.terms, event="cause", of=1, at=on, confidence=confidence, **ROWS)

        found = effects.of_term(stacked, factor.name, "hazard_ratio")
        stratum = found["stratum"] if "stratum" in found else pd.Series("", index=found.index)
        parts.append(found.assign(analysis="landmark " + stratum.astype(str), **said))
    return pd.concat(parts, ignore_index=True)


def lagged_rows(hazard: pd.DataFrame, name: str, lag: int) -> pd.DataFrame:
    """Rows of vertebrae with the use of a drug moved `lag` days later, split where it changes within them.

    A drug is the patient's, and begins for all vertebrae on one day: one that comes to be at risk later, or comes back
    once it has healed, finds it where it stands. Days on which no vertebra is at risk go on as the day before.

    >>> days = pd.DataFrame({"id": [1, 1, 2], "cluster": 7, "entry": [0, 30, 40], "exit": [30, 90, 90],
    ...                      "cause": [0, 0, 1], "drug": [0.0, 1.0, 1.0]})
    >>> lagged_rows(days, "drug", 20).drop(columns="cluster").to_numpy().tolist()[1:]
    [[1.0, 30.0, 50.0, 0.0, 0.0], [1.0, 50.0, 90.0, 0.0, 1.0], [2.0, 40.0, 50.0, 0.0, 0.0], [2.0, 50.0, 90.0, 1.0, 1.0]]
    """
    owner = pd.factorize(hazard["cluster"])[0].astype(np.int64)
    entry, exit_ = (hazard[side].to_numpy(dtype=np.float64) for side in ("entry", "exit"))
    used = hazard[name].to_numpy(dtype=np.float64)
    # Cut at every day on which a vertebra of the patient comes or goes, those of one patient lie one on the other.
    row, start, end = cut(owner, entry, exit_, np.tile(owner, 2), np.concatenate([entry, exit_]))
    days = pd.DataFrame({"owner": owner[row], "entry": start, "used": used[row] == 1})
    days = days.groupby(["owner", "entry"])["used"].max().reset_index()
    patient = days["owner"].to_numpy(dtype=np.int64)
    whose, begin, stop = stretches(patient, days["entry"].to_numpy(), days["used"].to_numpy())
    first = days.groupby("owner")["entry"].min().to_numpy()
    begin = np.where(begin == first[whose], -np.inf, begin)
    acting = unite(whose, begin + lag, stop + lag)

    row, start, end = cut(owner, entry, exit_, np.tile(acting[0], 2), np.concatenate(acting[1:]))
    last = np.append(row[1:] != row[:-1], True)[: len(row)]
    moved = hazard.take(row).reset_index(drop=True)
    acts = covered(owner[row], end, *acting).astype(np.float64)
    moved[name] = np.where(np.isnan(used[row]), np.nan, acts)
    moved["entry"], moved["exit"] = start.astype(np.int64), end.astype(np.int64)
    moved["cause"] = np.where(last, moved["cause"], 0)
    return moved


def starts(cohort: Cohort, factor: Factor, within: int = AFTER_DAYS) -> pd.DataFrame:
    """Courses that began during follow-up, and how many of them within some days after a refracture of any relation.

    One row: exposure, label, n_starts, n_patients, n_after_fracture, n_patients_after, within_days. A start is a first
    day after days without any such drug: neither the next dose nor a change to another drug of its kind is one. A
    course that begins on the day of the refracture comes after it. No row where the registry records no medication.
    """
    if not len(cohort.tables["medications"]):
        return pd.DataFrame()
    taken = atrisk.courses(cohort.tables, cohort.augmentations, cohort.study)
    taken = _joined(taken[taken["drug_class"].isin(DRUGS[factor.name])], cohort.study.exposures.grace_days)
    time = cohort.follow_up.loc[cohort.follow_up["in_main"], ["patient_id", "entry", "exit"]]
    taken = taken.merge(time, on="patient_id")
    began = taken[(taken["start"] > taken["entry"]) & (taken["start"] <= taken["exit"])]
    began = began[["patient_id", "start"]].sort_values("start", kind="stable")
    counted = cohort.sightings.loc[cohort.sightings["counted"] == "yes", ["patient_id", "date"]]
    counted = counted.dropna().drop_duplicates().sort_values("date", kind="stable")
    near = pd.merge_asof(
        began, counted.assign(found=counted["date"]), left_on="start", right_on="date", by="patient_id",
        tolerance=pd.Timedelta(days=within),
    )  # fmt: skip
    return pd.DataFrame(
        [
            {
                **factor.said,
                "n_starts": len(began),
                "n_patients": int(began["patient_id"].nunique()),
                "n_after_fracture": int(near["found"].notna().sum()) if len(near) else 0,
                "n_patients_after": int(near.loc[near["found"].notna(), "patient_id"].nunique()) if len(near) else 0,
                "within_days": np.int64(within),
            }
        ]
    )


def _joined(courses: pd.DataFrame, grace_days: int) -> pd.DataFrame:
    """patient_id and start of each stretch of use: courses joined where they touch, overlap or lie in grace."""
    courses = courses.sort_values(["patient_id", "start"], kind="stable")
    # A stop on the day of a start is touching: a course holds from the day after its start to its stop.
    until = courses.groupby("patient_id")["stop"].cummax().groupby(courses["patient_id"]).shift()
    begins = until.isna() | (courses["start"] > until + pd.Timedelta(days=grace_days))
    return courses.loc[begins, ["patient_id", "start"]]
