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

    hazard : as in `FactorRows`. A course that holds at entry is taken to have begun long before.
    """
    parts = []
    said = {**factor.said, "adjusted_for": ", ".join(factor.adjusted_for)}
    for lag in lags:
        name = f"lag {lag} days" if lag else "current use"

        def fit(lag: int = lag) -> Estimates:
            rows = hazard if not lag else _lagged(hazard, factor.name, lag)
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


def _lagged(hazard: pd.DataFrame, name: str, lag: int) -> pd.DataFrame:
    return estimate.lagged(
        hazard, name, lag_days=lag, id="id", entry="entry", exit="exit", event="cause", prevalent="established"
    )


def starts(cohort: Cohort, factor: Factor, within: int = AFTER_DAYS) -> pd.DataFrame:
    """Courses that began during follow-up, and how many of them within some days after a refracture of any relation.

    One row: exposure, label, n_starts, n_patients, n_after_fracture, within_days. A course that begins on the day of
    the refracture comes after it.
    """
    taken = atrisk.courses(cohort.tables, cohort.augmentations, cohort.study)
    taken = taken[taken["drug_class"].isin(DRUGS[factor.name])]
    time = cohort.follow_up.loc[cohort.follow_up["in_main"], ["patient_id", "entry", "exit"]]
    taken = taken.merge(time, on="patient_id")
    began = taken[(taken["start"] > taken["entry"]) & (taken["start"] <= taken["exit"])]
    began = began[["patient_id", "start"]].drop_duplicates().sort_values("start", kind="stable")
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
