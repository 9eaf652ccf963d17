"""A patient's other vertebrae say of one what it is expected to be: their mean, drawn towards the mean of all.

With a correlation r of records of one patient, n others of mean m predict n m / (n + k), k = 1 / r - 1, and leave a
variance that is 1 + 1 / (n + k) times that within patients: the random intercept model, whatever n is. A column's own
regression takes the known others only, and the missing records of a patient are drawn in turn, each with those drawn
before it among its others. That is one draw of them all together: drawn apart they would not resemble each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cohort.domain.clock import FloatArray, IntArray
from cohort.estimate.imputation_records import PATIENT, Grains, Variable

LEAST_ALIKE, MOST_ALIKE = 0.01, 0.99  # bounds of the correlation within patients that is reckoned with
Columns = list[FloatArray]


def peers(columns: Columns, shrink: Sequence[float], grains: Grains, grain: int) -> Columns:
    """What the patient's other records predict of each record of complete columns, less the mean of all.

    shrink : k of each column. Nothing where no patient has several records.

    >>> pair = Grains.of(np.arange(3), np.array([0, 0, 1]), np.ones(3))
    >>> peers([np.array([1.0, 3.0, 2.0])], [1.0], pair, 0)[0].tolist()
    [0.5, -0.5, 0.0]
    """
    if not grains.several(grain):
        return []
    patient, size = grains.patient_of(grain), grains.size(PATIENT)
    others = np.bincount(patient, minlength=size)[patient] - 1.0
    result = []
    for values, k in zip(columns, shrink, strict=True):
        centred = values - values.mean()
        result.append((np.bincount(patient, centred, minlength=size)[patient] - centred) / (others + k))
    return result


def shrinkage(values: FloatArray, patient: IntArray) -> float:
    """1 / r - 1 for the correlation r of each known record of (n,) with the mean of its patient's others; at most 99.

    >>> round(shrinkage(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1])), 3)
    0.667
    """
    known = ~np.isnan(values)
    centred, patient = values[known] - values[known].mean(), patient[known]
    total, square, count = (np.bincount(patient, of) for of in (centred, centred**2, np.ones(len(centred))))
    several = count > 1
    spread = float(square[several].sum())
    if spread <= 0.0:
        return 1.0 / LEAST_ALIKE - 1.0
    alike = float(((total**2 - square)[several] / (count[several] - 1.0)).sum()) / spread
    return 1.0 / min(max(alike, LEAST_ALIKE), MOST_ALIKE) - 1.0


def shrinkages(one: Variable, grains: Grains) -> tuple[float, ...]:
    """Of each coded column of a variable."""
    patient, known = grains.patient_of(one.grain), one.known
    return tuple(shrinkage(np.where(known, part, np.nan), patient) for part in one.coded(one.values))


@dataclass(frozen=True)
class KnownPeers:
    """What is known of a column in each patient: coded columns less their means, summed (P, c), and counted (P,).

    patient : (R,) of each record.
    """

    patient: IntArray
    centre: FloatArray
    shrink: FloatArray
    total: FloatArray
    count: FloatArray

    @classmethod
    def of(cls, one: Variable, grains: Grains) -> KnownPeers:
        """Of the known records of a variable."""
        patient, size = grains.patient_of(one.grain)[one.known], grains.size(PATIENT)
        coded = np.column_stack(one.coded(one.values[one.known]))
        centre = coded.mean(axis=0)
        total = np.column_stack([np.bincount(patient, part, minlength=size) for part in (coded - centre).T]).astype(
            np.float64
        )
        count = np.bincount(patient, minlength=size).astype(np.float64)
        return cls(grains.patient_of(one.grain), centre, np.array(shrinkages(one, grains)), total, count)

    def beside(self, one: Variable, records: IntArray) -> tuple[FloatArray, FloatArray]:
        """For known records, what the patient's others predict (r, c), and the spread (r,) they leave."""
        whose = self.patient[records]
        own = np.column_stack(one.coded(one.values[records])) - self.centre
        return self.read(self.total[whose] - own, self.count[whose] - 1.0)

    def read(self, total: FloatArray, count: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What others of a sum (r, c) and number (r,) predict, and the spread left, in standard deviations within."""
        return total / (count[:, None] + self.shrink), np.sqrt(1.0 + 1.0 / (count + self.shrink[0]))


def turns_of(patient: IntArray) -> tuple[IntArray, ...]:
    """Places of records, patients (r,), in turns: the first of each patient, the second of each that has one, ...

    >>> [turn.tolist() for turn in turns_of(np.array([7, 3, 7]))]
    [[0, 1], [2]]
    """
    order = np.argsort(patient, kind="stable")
    turn = np.empty(len(order), dtype=np.int64)
    turn[order] = np.arange(len(order)) - np.searchsorted(patient[order], patient[order])
    return tuple(np.flatnonzero(turn == k) for k in range(int(turn.max(initial=0)) + 1))
