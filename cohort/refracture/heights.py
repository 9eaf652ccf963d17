"""What each film after a treatment shows of the treated vertebra, against the first post-operative measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.study import JudgementRules

_KEYS: Final = ["patient_id", "level"]
_MEASURES: Final = {"anterior_mm": "anterior_mm_after", "kyphosis_deg": "kyphosis_deg_after"}
COLUMNS: Final = (
    "patient_id", "augmentation_id", "level", "date", "days_since", "anterior_loss", "anterior_loss_mm",
    "kyphosis_change_deg",
)  # fmt: skip


def film_changes(tables: Mapping[str, pd.DataFrame], rules: JudgementRules) -> pd.DataFrame:
    """One row per film of a treated vertebra after its latest dated augmentation, ordered by patient, level, date.

    Several rows of one level and day are one film: the least height, the greatest kyphosis. A film on the day of a
    treatment belongs to the treatment before. The baseline is the treatment's own column (`anterior_mm_after`,
    `kyphosis_deg_after`), else the first film within `rules.baseline_days` that measures it, and a film is not compared
    with itself.

    Returns COLUMNS: days_since the treatment; anterior_loss as a fraction of the baseline height, anterior_loss_mm and
    kyphosis_change_deg (film less baseline), NaN where either is unknown.
    """
    treated = tables["augmentations"]
    treated = treated.loc[treated["date"].notna(), ["augmentation_id", *_KEYS, "date", *_MEASURES.values()]]
    treated = treated.assign(level=treated["level"].astype(str)).sort_values(["date", "augmentation_id"], kind="stable")
    treated = treated.drop_duplicates([*_KEYS, "date"], keep="first").rename(columns={"date": "treated_on"})
    films = tables["imaging"]
    films = films.loc[films["level"].notna() & films["date"].notna(), [*_KEYS, "date", *_MEASURES]]
    by_day = films.assign(level=films["level"].astype(str)).groupby([*_KEYS, "date"], observed=True)
    found = by_day.agg({"anterior_mm": "min", "kyphosis_deg": "max"}).reset_index().sort_values("date", kind="stable")
    found = pd.merge_asof(
        found, treated, left_on="date", right_on="treated_on", by=_KEYS, allow_exact_matches=False
    ).dropna(subset="treated_on")  # fmt: skip
    found = found.sort_values([*_KEYS, "date"], kind="stable", ignore_index=True)
    found["days_since"] = (found["date"] - found["treated_on"]).dt.days
    tall = _baseline(found, "anterior_mm", rules)
    tall = tall.where(tall > 0)
    found["anterior_loss_mm"] = tall - found["anterior_mm"]
    found["anterior_loss"] = found["anterior_loss_mm"] / tall
    found["kyphosis_change_deg"] = found["kyphosis_deg"] - _baseline(found, "kyphosis_deg", rules)
    return found[list(COLUMNS)]


def _baseline(found: pd.DataFrame, measure: str, rules: JudgementRules) -> pd.Series:
    group = found["augmentation_id"]
    early = found[measure].where(found["days_since"] <= rules.baseline_days)
    first = early.groupby(group).transform("first")
    first_on = found["days_since"].where(early.notna()).groupby(group).transform("min")
    from_film = first.where(found["days_since"] > first_on)
    written = found[_MEASURES[measure]].astype(np.float64)
    return written.fillna(from_film)
