"""Follow-up that cannot be right: no time at risk, or a first augmentation long before the site's registry began."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.domain.clock import BEFORE_INDEX, NEVER, BoolArray, IntArray, to_days
from cohort.domain.follow_up import FollowUp, follow_up

LONG_BEFORE_DAYS = 365


def _follow_up(patients: pd.DataFrame, augmentations: pd.DataFrame) -> FollowUp:
    known = augmentations["date"].notna() | (augmentations["date_precision"] == "before_index")
    treated = augmentations[known]
    return follow_up(
        enrolled_on=to_days(patients["enrolled_on"]),
        follow_up_end=to_days(patients["follow_up_end"]),
        death=to_days(patients["death_date"]),
        patient=pd.Index(patients["patient_id"]).get_indexer(treated["patient_id"]).astype(np.int64),
        day=to_days(treated["date"], missing=BEFORE_INDEX),
        is_sacrum=(treated["level"] == "S1").to_numpy(),
    )


def without_time(patients: pd.DataFrame, augmentations: pd.DataFrame) -> BoolArray:
    """Patients with an entry whose follow-up ends on or before it. Shape (n_patients,)."""
    follow = _follow_up(patients, augmentations)
    result: BoolArray = (follow.entry != NEVER) & ~follow.has_time
    return result


def enrolled_on(patients: pd.DataFrame, augmentations: pd.DataFrame) -> BoolArray:
    """Patients without `enrolled_on` treated a year or more before their site began to enrol. Shape (n_patients,).

    The site begins with its earliest `enrolled_on`; at a site that records none, with the first augmentation of the
    next patient. Patients without a site count as one site.
    """
    first = _first_dated(patients, augmentations)
    enrolled = to_days(patients["enrolled_on"], missing=NEVER)
    site = pd.factorize(patients["site"].astype(object).where(patients["site"].notna(), ""))[0].astype(np.int64)
    if not len(patients):
        return np.zeros(0, dtype=bool)
    n_sites = int(site.max()) + 1
    began = np.full(n_sites, NEVER, dtype=np.int64)
    np.minimum.at(began, site, enrolled)
    # The next patient of the site, by first augmentation.
    order = np.lexsort((first, site))
    following = np.full(len(first), NEVER, dtype=np.int64)
    same_site = site[order][1:] == site[order][:-1]
    following[order[:-1]] = np.where(same_site, first[order][1:], NEVER)
    start = np.where(began[site] != NEVER, began[site], following)
    result: BoolArray = (enrolled == NEVER) & (first != NEVER) & (start != NEVER) & (start - first >= LONG_BEFORE_DAYS)
    return result


def _first_dated(patients: pd.DataFrame, augmentations: pd.DataFrame) -> IntArray:
    first = np.full(len(patients), NEVER, dtype=np.int64)
    dated = augmentations[augmentations["date"].notna()]
    place = pd.Index(patients["patient_id"]).get_indexer(dated["patient_id"])
    np.minimum.at(first, place, to_days(dated["date"]))
    return first
