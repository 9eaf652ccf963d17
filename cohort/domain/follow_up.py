"""When a patient is followed: entry, exit and the origin of the clock (docs/definitions.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER, BoolArray, IntArray


@dataclass(frozen=True)
class FollowUp:
    """Days per patient, int64, shape (n_patients,); time at risk is `(entry, exit]`.

    entry is NEVER where the patient has no follow-up at all; origin (the first dated augmentation) is MISSING
    for patients with a vertebra treated before the registry began, whose first treatment has no date.
    """

    entry: IntArray
    exit: IntArray
    origin: IntArray

    @property
    def has_time(self) -> BoolArray:
        """Whether the patient gives any time at risk."""
        result: BoolArray = self.exit > self.entry
        return result


def follow_up(
    *,
    enrolled_on: IntArray,
    follow_up_end: IntArray,
    death: IntArray,
    patient: IntArray,
    day: IntArray,
    is_sacrum: BoolArray,
) -> FollowUp:
    """Entry, exit and origin of each patient.

    enrolled_on, follow_up_end, death : one day per patient, MISSING where not given.
    patient, day, is_sacrum : one element per augmentation; day is BEFORE_INDEX where it has no date.

    >>> one = np.array([5]); none = np.array([MISSING]); end = np.array([100])
    >>> follow_up(enrolled_on=none, follow_up_end=end, death=none, patient=np.array([0]), day=np.array([10]),
    ...           is_sacrum=np.array([False])).entry.tolist()
    [10]
    """
    n = len(follow_up_end)
    counts = ~is_sacrum
    dated = counts & (day != BEFORE_INDEX)
    first_dated = np.full(n, NEVER, dtype=np.int64)
    np.minimum.at(first_dated, patient[dated], day[dated])
    undated = np.zeros(n, dtype=bool)
    undated[patient[counts & (day == BEFORE_INDEX)]] = True

    enrolled = enrolled_on != MISSING
    entry = np.where(enrolled & (first_dated != NEVER), np.maximum(enrolled_on, first_dated), first_dated)
    entry = np.where(undated & enrolled, enrolled_on, entry)
    exit_ = np.where(death != MISSING, np.minimum(death, follow_up_end), follow_up_end)
    origin = np.where(undated | (first_dated == NEVER), MISSING, first_dated)
    return FollowUp(entry.astype(np.int64), exit_.astype(np.int64), origin.astype(np.int64))
