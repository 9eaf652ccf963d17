"""Whose a value is: rows lie in units (vertebrae), units in clusters (patients), and a value is drawn once for each.

A column that never changes within a patient is the patient's, one that never changes within a unit the unit's; only
what changes is a row's own. At a coarser grain a column is read as its mean (rows by the time they last, units alike),
at a finer one it is repeated. Splitting a row therefore changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.design import column
from cohort.estimate.missing_patterns import not_assessable_of
from cohort.estimate.tableone import NOT_ASSESSABLE

ROW, UNIT, PATIENT = range(3)
GRAINS = ("row", "unit", "patient")
BY_CHANCE = 0.01  # likelihood of agreement within patients by chance above which it is no proof


@dataclass(frozen=True)
class Grains:
    """Rows in units in patients.

    unit : (n,) unit of each row; patient : (U,) patient of each unit, codes without gaps; part : (n,) share of each row
    in the mean of its unit.
    """

    unit: IntArray
    patient: IntArray
    part: FloatArray

    @classmethod
    def of(cls, unit: IntArray, patient: IntArray, lasting: FloatArray) -> Grains:
        """From codes of n rows and the time that each lasts."""
        unit = np.unique(unit, return_inverse=True)[1]
        patient = np.unique(patient, return_inverse=True)[1]
        of_unit = np.zeros(int(unit.max(initial=-1)) + 1, dtype=np.int64)
        of_unit[unit] = patient
        if (of_unit[unit] != patient).any():
            raise EstimationError("Some ids have rows in several clusters; a unit belongs to one patient.")
        return cls(unit, of_unit, lasting / np.bincount(unit, lasting)[unit])

    def size(self, grain: int) -> int:
        """How many records there are."""
        return (len(self.unit), len(self.patient), int(self.patient.max(initial=-1)) + 1)[grain]

    def several(self, grain: int) -> bool:
        """Whether some patient has several records."""
        return self.size(grain) > self.size(PATIENT)

    def of_row(self, grain: int) -> IntArray:
        """(n,) the record of each row."""
        return (np.arange(len(self.unit)), self.unit, self.patient[self.unit])[grain]

    def patient_of(self, grain: int) -> IntArray:
        """The patient of each record."""
        return (self.patient[self.unit], self.patient, np.arange(self.size(PATIENT)))[grain]

    def carried(self, values: FloatArray, grain: int, to: int) -> FloatArray:
        """Values of records at another grain: repeated, or their mean.

        >>> some = Grains.of(np.array([0, 0, 1]), np.array([0, 0, 0]), np.array([1.0, 3.0, 5.0]))
        >>> some.carried(np.array([0.0, 4.0, 5.0]), ROW, PATIENT).tolist()
        [4.0]
        """
        if grain == ROW and to > ROW:
            values, grain = np.bincount(self.unit, self.part * values).astype(np.float64), UNIT
        if grain == UNIT and to == PATIENT:
            return np.asarray(np.bincount(self.patient, values) / np.bincount(self.patient))
        if grain == PATIENT and to < PATIENT:
            return values[self.patient if to == UNIT else self.of_row(PATIENT)]
        return values[self.unit] if grain == UNIT and to == ROW else values

    def summed(self, values: FloatArray, to: int) -> FloatArray:
        """Sums of row values (n,) over records."""
        return np.bincount(self.of_row(to), values, minlength=self.size(to)).astype(np.float64)


@dataclass(frozen=True)
class Variable:
    """A column as one value per record: a number, or a code of `labels`, of which all occur; missing where unknown.

    kind : "number", "binary" (two categories, or 0/1) or "category".
    """

    name: str
    kind: str
    grain: int
    values: FloatArray
    labels: tuple[Any, ...] = ()
    ordered: bool = False

    @property
    def known(self) -> BoolArray:
        """(R,) records with a value."""
        result: BoolArray = ~np.isnan(self.values)
        return result

    def coded(self, values: FloatArray) -> list[FloatArray]:
        """Complete values (R,) as predictors: a number itself, a 0/1 column per category but the first."""
        if self.kind == "number":
            return [values]
        return [(values == code).astype(np.float64) for code in range(1, len(self.labels))]


def without_not_assessable(series: pd.Series) -> pd.Series:
    """Not assessable as missing; a categorical loses the category."""
    if isinstance(series.dtype, pd.CategoricalDtype) and NOT_ASSESSABLE in series.cat.categories:
        return series.cat.remove_categories([NOT_ASSESSABLE])
    return series


def n_not_assessable(series: pd.Series) -> int:
    """How many rows of a categorical say so."""
    return int(not_assessable_of(series).sum()) if isinstance(series.dtype, pd.CategoricalDtype) else 0


def variable(df: pd.DataFrame, name: str, grains: Grains, per_patient: Sequence[str] | None, role: str) -> Variable:
    """Read a column at the grain whose it is; refuses text, and a column in which nothing could be drawn."""
    values, labels, ordered = _read(column(df, name, role), name)
    known = values[~np.isnan(values)]
    if not len(known):
        raise EstimationError(
            f"Column '{name}' ({role}) is missing in all {len(values)} rows: nothing is known to impute it from. Leave "
            "it out."
        )
    incomplete = len(known) < len(values)
    if incomplete and len(np.unique(known)) < 2:
        raise EstimationError(
            f"Column '{name}' ({role}) has one value only where it is known ({_label(known[0], labels)}): how often it "
            "would have another cannot be told. Leave it out, or fill it in and say so."
        )
    grain = _grain(values, name, grains, per_patient)
    records = np.full(grains.size(grain), np.nan)
    there = np.flatnonzero(~np.isnan(values))
    records[grains.of_row(grain)[there]] = values[there]
    if labels:
        present = np.unique(known)
        records = np.where(np.isnan(records), np.nan, np.searchsorted(present, records).astype(np.float64))
        labels = tuple(labels[int(code)] for code in present)
        return Variable(name, "binary" if len(labels) == 2 else "category", grain, records, labels, ordered)
    if set(np.unique(known)) == {0.0, 1.0}:
        return Variable(name, "binary", grain, records, (0.0, 1.0))
    return Variable(name, "number", grain, records)


def _read(series: pd.Series, name: str) -> tuple[FloatArray, tuple[Any, ...], bool]:
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.float64)
        return np.where(codes < 0, np.nan, codes), tuple(series.cat.categories), bool(series.cat.ordered)
    if not (pd.api.types.is_bool_dtype(series) or pd.api.types.is_numeric_dtype(series)):
        raise EstimationError(
            f"Column '{name}' holds {series.dtype} values; make it a number or a list of categories (pd.Categorical)."
        )
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        raise EstimationError(f"Column '{name}' is infinite in {int(np.isinf(values).sum())} rows.")
    return values, (), False


def _label(value: float, labels: tuple[Any, ...]) -> str:
    return f"'{labels[int(value)]}'" if labels else f"{value:g}"


def _grain(values: FloatArray, name: str, grains: Grains, per_patient: Sequence[str] | None) -> int:
    known = ~np.isnan(values)
    if per_patient is not None and name in per_patient:
        low, high = _range(values[known], grains.of_row(PATIENT)[known], grains.size(PATIENT))
        several = int((low < high).sum())
        if several:
            raise EstimationError(
                f"Column '{name}' is named in per_patient, but has several values in {several} patients."
            )
        return PATIENT
    # Missing counts as a value here: what is known in one row of a unit only was not known in the others.
    low, high = _range(np.where(known, values, -np.inf), grains.unit, grains.size(UNIT))
    if (low < high).any():
        return ROW
    if not grains.several(UNIT) or (per_patient is not None and not known.all()):
        return UNIT
    return _detected(np.where(np.isinf(low), np.nan, low), name, grains.patient)


def _detected(values: FloatArray, name: str, patient: IntArray) -> int:
    """Whether values of units (U,) are the unit's or the patient's; refuses to guess."""
    known, several = ~np.isnan(values), np.bincount(patient)
    low, high = _range(values[known], patient[known], len(several))
    if (low < high).any():
        return UNIT
    seen = np.bincount(patient[known], minlength=len(several))
    partly = int(((seen > 0) & (seen < several)).sum())
    share = np.unique(values[known], return_counts=True)[1] / known.sum()
    pairs = int((several[seen == several] - 1).sum())
    complete = bool(known.all())
    # A complete column is a predictor only, and one that is the same throughout a patient is nothing else there.
    if complete or (not partly and float((share**2).sum()) ** pairs < BY_CHANCE):
        return PATIENT
    why = f"known for only some units of {partly} patients" if partly else "that may be chance"
    raise EstimationError(
        f"Column '{name}' is the same in all units of each patient where it is known, but {why}: is it the patient's, "
        "or does each vertebra have its own? Say so with per_patient=[...], the list of all columns that are the "
        "patient's (empty: none is)."
    )


def _range(values: FloatArray, group: IntArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Least and greatest value of each group; a group without any has its least above its greatest."""
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return low, high
