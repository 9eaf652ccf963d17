"""Two rows of one level and day, or both before the registry began, are one treated vertebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.domain import outcomes, spine
from cohort.domain.clock import BEFORE_INDEX, MISSING, BoolArray, IntArray, to_days
from cohort.domain.treated import TreatedHistory, pack
from cohort.refracture.numbered import Patients, codes, order_with_ties, texts

FOR_FRACTURE = outcomes.INDICATIONS.index("fracture")


@dataclass(frozen=True)
class Treatments:
    """Treated vertebrae in the order patient id as text, day (before_index first), spine.

    frame : the canonical augmentations that stand for them, one row each, in the same order.
    patient, place, code, day, indication : int64, shape (n,); `day` is BEFORE_INDEX where there is none, and a missing
        indication is a fracture. `history` has the same rows in the same order.
    """

    frame: pd.DataFrame
    patient: IntArray
    place: IntArray
    code: IntArray
    day: IntArray
    indication: IntArray
    history: TreatedHistory

    @property
    def dated(self) -> BoolArray:
        """Whether the treatment is a dated session."""
        result: BoolArray = self.day != BEFORE_INDEX
        return result

    @property
    def is_sacrum(self) -> BoolArray:
        """Cement in S1: part of the treated set, but it starts no follow-up."""
        result: BoolArray = self.code == spine.SACRUM_CODE
        return result


def treatments(augmentations: pd.DataFrame, patients: Patients) -> Treatments:
    """One treated vertebra per patient, level and day: of several rows the one whose id sorts first as text."""
    patient = patients.number(augmentations, "augmentations")
    place, code = patients.place(augmentations, "augmentations", patient)
    day = to_days(augmentations["date"])
    undated = (augmentations["date_precision"] == "before_index").to_numpy(dtype=bool) | (day == MISSING)
    day = np.where(undated, BEFORE_INDEX, day)

    order = order_with_ties(pack(patient, day) * 32 + place, texts(augmentations["augmentation_id"]))
    patient, place, code, day = patient[order], place[order], code[order], day[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(patient) != 0) | (np.diff(day) != 0) | (np.diff(place) != 0)
    patient, place, code, day = patient[first], place[first], code[first], day[first]

    rows = order[first]
    as_it_is = len(rows) == len(augmentations) and bool((rows == np.arange(len(rows))).all())
    frame = (augmentations if as_it_is else augmentations.iloc[rows]).reset_index(drop=True)
    indication = codes(frame["indication"], outcomes.INDICATIONS)
    indication = np.where(indication < 0, FOR_FRACTURE, indication)
    history = TreatedHistory.of(patient, place, day, indication, np.arange(len(patient), dtype=np.int64))
    return Treatments(frame, patient, place, code, day, indication, history)
