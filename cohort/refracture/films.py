"""All imaging rows of one level and day are one film: least heights, greatest kyphosis, `yes` before `no`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from cohort.domain import outcomes
from cohort.domain.clock import FloatArray, IntArray, to_days
from cohort.domain.treated import key_of, pack
from cohort.refracture.lookup import Line
from cohort.refracture.numbered import Patients, codes, numbers

AnyArray = TypeVar("AnyArray", FloatArray, IntArray)

# How much each state of a finding tells, so that the greatest of a day wins.
MISSING_FINDING, NOT_ASSESSABLE, NO, YES = range(4)
_NO_WORD = np.iinfo(np.int64).max
_TELLS = np.array([NO, NOT_ASSESSABLE, YES, MISSING_FINDING])  # by code in outcomes.FINDING; the last serves -1


@dataclass(frozen=True)
class Films:
    """One element per level and day imaged, in the order patient, position, day; shape (n,).

    anterior_mm, kyphosis_deg : NaN where not measured. edema, cleft : MISSING_FINDING to YES of this module.
    modality, posture : codes, equal for equal words, -1 where not recorded; of several on one day the first as text.
    """

    line: Line
    patient: IntArray
    place: IntArray
    code: IntArray
    day: IntArray
    anterior_mm: FloatArray
    kyphosis_deg: FloatArray
    edema: IntArray
    cleft: IntArray
    modality: IntArray
    posture: IntArray

    def __len__(self) -> int:
        return len(self.day)


def tells(finding: pd.Series) -> IntArray:
    """A finding by how much it tells: MISSING_FINDING, NOT_ASSESSABLE, NO or YES.

    >>> tells(pd.Series(["yes", None, "no"])).tolist()
    [3, 0, 2]
    """
    return tells_of(codes(finding, outcomes.FINDING))


def tells_of(code: IntArray) -> IntArray:
    """The same from codes in outcomes.FINDING, -1 where missing."""
    return _TELLS[code]


def films(imaging: pd.DataFrame, patients: Patients) -> Films:
    """Merge the canonical imaging table by patient, level and day."""
    patient = patients.number(imaging, "imaging")
    place, code = patients.place(imaging, "imaging", patient)
    day = to_days(imaging["date"])
    packed = pack(key_of(patient, place), day)
    order = np.argsort(packed, kind="stable")
    packed = packed[order]
    first = np.flatnonzero(np.append(True, packed[1:] != packed[:-1])) if len(order) else np.empty(0, dtype=np.int64)

    def merged(values: AnyArray, how: np.ufunc) -> AnyArray:
        result: AnyArray = how.reduceat(values[order], first) if len(first) else values
        return result

    head = order[first]
    modality = pd.factorize(imaging["modality"], sort=True)[0]
    return Films(
        line=Line.of(key_of(patient, place)[head], day[head]),
        patient=patient[head],
        place=place[head],
        code=code[head],
        day=day[head],
        anterior_mm=merged(numbers(imaging["anterior_mm"]), np.fmin),
        kyphosis_deg=merged(numbers(imaging["kyphosis_deg"]), np.fmax),
        edema=merged(tells(imaging["edema"]), np.maximum),
        cleft=merged(tells(imaging["cleft"]), np.maximum),
        modality=_first_word(merged(_last_if_missing(modality), np.minimum)),
        posture=_first_word(merged(_last_if_missing(codes(imaging["posture"], ("standing", "supine"))), np.minimum)),
    )


def _last_if_missing(code: IntArray) -> IntArray:
    return np.where(code < 0, _NO_WORD, code).astype(np.int64)


def _first_word(code: IntArray) -> IntArray:
    return np.where(code == _NO_WORD, -1, code).astype(np.int64)
