"""When each vertebra was looked at: what was seen bounds when a fracture happened, and when follow-up really ended.

A vertebra is looked at on a day when an imaging study of that day shows it, when it was measured, when a sighting
names it and when it was augmented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.atrisk.columns import augmentation_days, level_codes, places, rows_of
from cohort.domain import spine
from cohort.domain.clock import BEFORE_INDEX, MISSING, IntArray, to_days
from cohort.domain.treated import pack, running_or

SHOWN_BY = {"imaging_studies": ("first_level", "last_level"), "imaging": ("level", "level")}
NAMED_BY = {"fractures": ("level", "level"), "augmentations": ("level", "level")}


@dataclass(frozen=True)
class Anatomy:
    """Whose rows: ids of patients in the order of their table, and the vertebrae each has."""

    ids: pd.Index
    n_thoracic: IntArray
    n_lumbar: IntArray


@dataclass(frozen=True)
class Looks:
    """One element per patient and day, in that order; int64, shape (n,). mask : the vertebrae looked at that day."""

    patient: IntArray
    day: IntArray
    mask: IntArray

    @classmethod
    def of(cls, patient: IntArray, day: IntArray, mask: IntArray) -> Looks:
        """Merge the looks of one day; looks at nothing vanish."""
        seen = mask != 0
        patient, day, mask = patient[seen], day[seen], mask[seen]
        packed, first, inverse = np.unique(pack(patient, day), return_index=True, return_inverse=True)
        merged = np.zeros(len(packed), dtype=np.int64)
        np.bitwise_or.at(merged, inverse, mask)
        return cls(patient[first], day[first], merged)

    def __len__(self) -> int:
        return len(self.day)

    def within(self, entry: IntArray, exit_: IntArray, levels: IntArray) -> Looks:
        """Those in `(entry, exit]` of their patient, at vertebrae of `levels`; one element per patient each."""
        followed = (self.day > entry[self.patient]) & (self.day <= exit_[self.patient])
        mask = np.where(followed, self.mask & levels[self.patient], 0)
        return Looks(self.patient[mask != 0], self.day[mask != 0], mask[mask != 0])

    def still_to_come(self, patient: IntArray, day: IntArray) -> IntArray:
        """The vertebrae that will be looked at on or after each day, as sets of bits."""
        if not len(self):
            return np.zeros(len(day), dtype=np.int64)
        later = running_or(self.patient[::-1], self.mask[::-1])[::-1]
        index = np.searchsorted(pack(self.patient, self.day), pack(patient, day), side="left")
        inside = np.minimum(index, len(self) - 1)
        return np.where((index < len(self)) & (self.patient[inside] == patient), later[inside], 0)

    def last_before(self, patient: IntArray, place: IntArray, day: IntArray) -> IntArray:
        """The last day before each day on which the vertebra was looked at, MISSING if there is none."""
        result = np.full(len(day), MISSING, dtype=np.int64)
        for one in np.unique(place):  # at most as many as a spine has vertebrae
            asked = np.flatnonzero(place == one)
            there = np.flatnonzero(spine.holds(self.mask, np.full(len(self), one)))
            if not len(there):
                continue
            line = pack(self.patient[there], self.day[there])
            found = np.searchsorted(line, pack(patient[asked], day[asked]), side="left") - 1
            seen = there[np.maximum(found, 0)]
            mine = (found >= 0) & (self.patient[seen] == patient[asked])
            result[asked] = np.where(mine, self.day[seen], MISSING)
        return result


def looks(anatomy: Anatomy, tables: Mapping[str, pd.DataFrame], by: Mapping[str, tuple[str, str]]) -> Looks:
    """Every look that the named tables record; a study that does not say what it showed shows nothing.

    by : table = its columns of the first and the last level seen.
    """
    patient, day, mask = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
    for name, (upper, lower) in by.items():
        frame = tables[name]
        frame = frame[frame[upper].notna() & frame[lower].notna()]
        whose = rows_of(anatomy.ids, frame, name)
        first, last = (
            places(whose, level_codes(frame[end]), anatomy.n_thoracic, anatomy.n_lumbar, name) for end in (upper, lower)
        )
        when = augmentation_days(frame) if name == "augmentations" else to_days(frame["date"])
        dated = (when != BEFORE_INDEX) & (when != MISSING)
        patient.append(whose[dated])
        day.append(when[dated])
        mask.append(spine.range_mask(first, last)[dated])
    return Looks.of(np.concatenate(patient), np.concatenate(day), np.concatenate(mask))
