"""What was treated before a given day: the treated set of every patient as it grows, session by session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohort.domain import spine
from cohort.domain.clock import BEFORE_INDEX, BoolArray, IntArray

_DAY_SPAN = 40_000_000  # wider than any day, so that (key, day) packs into one sortable int64
_DAY_SHIFT = 20_000_000


def pack(key: IntArray, day: IntArray) -> IntArray:
    """One sortable int64 of a key (patient, or patient and position) and a day."""
    return np.asarray(key, dtype=np.int64) * _DAY_SPAN + np.asarray(day, dtype=np.int64) + _DAY_SHIFT


def key_of(patient: IntArray, place: IntArray) -> IntArray:
    """One int64 for a vertebra: its patient and its position."""
    return np.asarray(patient, dtype=np.int64) * 32 + np.asarray(place, dtype=np.int64)


@dataclass(frozen=True)
class TreatedHistory:
    """Treated vertebrae, one per patient, position and day, in the order patient, day, position.

    patient, place, day, indication, row : int64, shape (n,). `day` is BEFORE_INDEX where the augmentation has
    no date; `indication` is the code in `outcomes.INDICATIONS`; `row` is the caller's row that stands for it.
    """

    patient: IntArray
    place: IntArray
    day: IntArray
    indication: IntArray
    row: IntArray
    _patient_day: IntArray
    _treated: IntArray
    _vertebra_order: IntArray
    _vertebra_day: IntArray

    @classmethod
    def of(
        cls, patient: IntArray, place: IntArray, day: IntArray, indication: IntArray, row: IntArray
    ) -> TreatedHistory:
        """Build from rows that are already unique per patient, position and day, in any order."""
        order = np.argsort(pack(patient, day) * 32 + place, kind="stable")
        patient, place, day, indication, row = (a[order] for a in (patient, place, day, indication, row))
        vertebra_day = pack(key_of(patient, place), day)
        vertebra_order = np.argsort(vertebra_day, kind="stable")
        return cls(
            patient,
            place,
            day,
            indication,
            row,
            pack(patient, day),
            running_or(patient, spine.bit(place)),
            vertebra_order,
            vertebra_day[vertebra_order],
        )

    def mask_before(self, patient: IntArray, day: IntArray) -> IntArray:
        """The treated set *A* of each patient before each day: levels augmented strictly earlier."""
        index = np.searchsorted(self._patient_day, pack(patient, day), side="left") - 1
        return np.where(
            self._of_patient(index, patient), self._treated[np.maximum(index, 0)] if len(self.day) else 0, 0
        )

    def latest(self, patient: IntArray, place: IntArray, day: IntArray) -> IntArray:
        """Index into this history of the latest augmentation of each vertebra before each day, -1 if there is none."""
        key = key_of(patient, place)
        index = np.searchsorted(self._vertebra_day, pack(key, day), side="left") - 1
        if not len(self.day):
            return np.full(np.shape(patient), -1, dtype=np.int64)
        entry = self._vertebra_order[np.maximum(index, 0)]
        found = (index >= 0) & (self.patient[entry] == patient) & (self.place[entry] == place)
        return np.where(found, entry, -1)

    def first_from(self, patient: IntArray, place: IntArray, day: IntArray) -> IntArray:
        """Index into this history of the first augmentation of each vertebra on or after each day, -1 if none."""
        if not len(self.day):
            return np.full(np.shape(patient), -1, dtype=np.int64)
        index = np.searchsorted(self._vertebra_day, pack(key_of(patient, place), day), side="left")
        entry = self._vertebra_order[np.minimum(index, len(self.day) - 1)]
        found = (index < len(self.day)) & (self.patient[entry] == patient) & (self.place[entry] == place)
        return np.where(found, entry, -1)

    def sessions(self) -> tuple[IntArray, IntArray]:
        """Patient and day of every dated session, unique, in order."""
        dated = np.flatnonzero(self.day != BEFORE_INDEX)
        pairs = self._patient_day[dated]
        starts = np.ones(len(pairs), dtype=bool)
        starts[1:] = pairs[1:] != pairs[:-1]
        first = dated[starts]
        return self.patient[first], self.day[first]

    def _of_patient(self, index: IntArray, patient: IntArray) -> BoolArray:
        if not len(self.day):
            return np.zeros(np.shape(patient), dtype=bool)
        found: BoolArray = (index >= 0) & (self.patient[np.maximum(index, 0)] == patient)
        return found


def running_or(group: IntArray, bits: IntArray) -> IntArray:
    """Running OR of sets within sorted groups; doubles its reach each pass, so passes grow with log(sessions)."""
    result = bits.copy()
    n, step = len(bits), 1
    while step < n:
        same = group[step:] == group[:-step]
        if not same.any():
            break
        result[step:] |= np.where(same, result[:-step], 0)
        step *= 2
    return result
