"""A sighting counts when it is a refracture at risk; otherwise the first reason that applies is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cohort.domain import outcomes, spine
from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER, BoolArray, IntArray, to_days
from cohort.domain.follow_up import FollowUp
from cohort.domain.treated import key_of, pack
from cohort.refracture.numbered import Patients

REASON = {name: code for code, name in enumerate(outcomes.NOT_COUNTED)}


def first_reason(applies: Mapping[str, BoolArray], n: int) -> IntArray:
    """Code in outcomes.NOT_COUNTED of the first reason that applies to each sighting, -1 where it counts.

    >>> first_reason({"staged": np.array([True, False]), "repeat": np.array([True, False])}, 2).tolist()
    [1, -1]
    """
    reason = np.full(n, -1, dtype=np.int64)
    for name in reversed(outcomes.NOT_COUNTED):
        if name in applies:
            reason[applies[name]] = REASON[name]
    return reason


def outside_follow_up(follow_up: FollowUp, patient: IntArray, day: IntArray) -> dict[str, BoolArray]:
    """Sightings on or before entry, and after exit."""
    return {"not_after_entry": day <= follow_up.entry[patient], "after_exit": day > follow_up.exit[patient]}


def excluded(levels: pd.DataFrame, patients: Patients, patient: IntArray, place: IntArray, day: IntArray) -> BoolArray:
    """Whether each sighting lies at a level on one of its excluded days (from, to]; a missing bound is open."""
    if levels.empty or not len(day):
        return np.zeros(len(day), dtype=bool)
    owner = patients.number(levels, "excluded_levels")
    key = key_of(owner, patients.place(levels, "excluded_levels", owner)[0])
    after, until = to_days(levels["from"]), to_days(levels["to"])
    after = np.where(after == MISSING, BEFORE_INDEX, after)
    until = np.where(until == MISSING, NEVER, until)

    packed = pack(key_of(patient, place), day)
    order = np.argsort(packed, kind="stable")
    first = np.searchsorted(packed[order], pack(key, after), side="right")
    stop = np.maximum(np.searchsorted(packed[order], pack(key, until), side="right"), first)
    opens = np.bincount(first, minlength=len(day) + 1) - np.bincount(stop, minlength=len(day) + 1)
    result = np.zeros(len(day), dtype=bool)
    result[order] = np.cumsum(opens)[:-1] > 0
    return result


def outside_levels(at_risk: IntArray, patient: IntArray, place: IntArray) -> BoolArray:
    """Whether each sighting lies outside the patient's vertebrae at risk (a set of bits per patient)."""
    return ~spine.holds(at_risk[patient], place)


def onset_unproven(
    *,
    recorded: BoolArray,
    counted: BoolArray,
    unjudged: BoolArray,
    last_clear: IntArray,
    own_augmentation: IntArray,
    entry: IntArray,
    onset_clear_days: int,
) -> BoolArray:
    """Recorded, counted, unjudged sightings without a clear film near enough to prove a later onset.

    own_augmentation : day of the latest augmentation of that level before the sighting, BEFORE_INDEX or MISSING where
        there is no dated one. entry : of the patient. A film that lists every old deformity makes a refracture of each.
    """
    dated = (own_augmentation != BEFORE_INDEX) & (own_augmentation != MISSING)
    clear_needed = np.where(dated, own_augmentation, entry - onset_clear_days)
    proven = (last_clear != MISSING) & (last_clear >= clear_needed)
    return recorded & counted & unjudged & ~proven
