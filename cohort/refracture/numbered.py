"""Tables as arrays: patients numbered in the order of their ids as text, levels as positions, dates as days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain import spine
from cohort.domain.clock import BoolArray, FloatArray, IntArray, to_days
from cohort.domain.errors import RegistryError
from cohort.tables.schema import CANONICAL, empty

ObjectArray = npt.NDArray[np.object_]


def table(tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """One canonical table with all its columns; a table or column that the source lacks is empty."""
    schema = CANONICAL[name]
    frame = tables.get(name)
    if frame is None:
        return empty(schema)
    absent = [column for column in schema.names if column not in frame.columns]
    if not absent:
        return frame
    none = empty(schema)[absent].reindex(frame.index)
    return frame.assign(**{column: none[column] for column in absent})


def codes(column: pd.Series, vocabulary: tuple[str, ...]) -> IntArray:
    """Place of each value in its vocabulary, -1 where missing.

    >>> codes(pd.Series(["yes", None]), ("no", "yes")).tolist()
    [1, -1]
    """
    dtype = pd.CategoricalDtype(list(vocabulary), ordered=True)
    return np.asarray(pd.Categorical(column, dtype=dtype).codes, dtype=np.int64)


def words(code: IntArray, vocabulary: tuple[str, ...]) -> pd.Categorical:
    """The ordered categorical of these codes; -1 is missing."""
    dtype = pd.CategoricalDtype(list(vocabulary), ordered=True)
    return pd.Categorical.from_codes(cast("Sequence[int]", code), dtype=dtype)


def yes_no(condition: BoolArray, known: BoolArray | None = None) -> pd.Categorical:
    """yes and no; missing where it is not known."""
    code = condition.astype(np.int64)
    return words(code if known is None else np.where(known, code, -1), ("no", "yes"))


def texts(column: pd.Series) -> ObjectArray:
    """Ids as text, shape (n,)."""
    return np.asarray(column.astype(str), dtype=object)


def numbers(column: pd.Series) -> FloatArray:
    """A measure as float64, NaN where missing."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


@dataclass(frozen=True)
class Patients:
    """One element per patient, in the order of the ids as text; a patient's number is the place here.

    n_thoracic and n_lumbar are 12 and 5 where not recorded; days are MISSING where not recorded.
    """

    ids: ObjectArray
    n_thoracic: IntArray
    n_lumbar: IntArray
    enrolled_on: IntArray
    follow_up_end: IntArray
    death: IntArray
    _index: pd.Index[str]

    @classmethod
    def of(cls, patients: pd.DataFrame) -> Patients:
        """Number the patients of the canonical table.

        Raises RegistryError if an id appears twice.
        """
        index = pd.Index(texts(patients["patient_id"]))
        if not index.is_unique:
            raise RegistryError(
                f"patients: {int(index.duplicated().sum())} rows repeat a patient_id; keep one row per patient."
            )
        if not index.is_monotonic_increasing:
            order = np.argsort(index.to_numpy(), kind="stable")
            patients, index = patients.iloc[order], index[order]
        return cls(
            index.to_numpy(),
            numbers(patients["n_thoracic"].fillna(12)).astype(np.int64),
            numbers(patients["n_lumbar"].fillna(5)).astype(np.int64),
            to_days(patients["enrolled_on"]),
            to_days(patients["follow_up_end"]),
            to_days(patients["death_date"]),
            index,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def number(self, frame: pd.DataFrame, name: str) -> IntArray:
        """The patient's number in each row of a table.

        Raises RegistryError with the rows whose patient has no row in `patients`.
        """
        number = self._index.get_indexer(pd.Index(texts(frame["patient_id"]))).astype(np.int64)
        _refuse(frame, number < 0, name, "patient_id", "has no row in patients", "Add the patient, or remove the row.")
        return number

    def place(self, frame: pd.DataFrame, name: str, patient: IntArray) -> tuple[IntArray, IntArray]:
        """Position in the patient's own row, and level code, of the `level` of each row.

        Raises RegistryError with the rows whose level the patient does not have.
        """
        code = codes(frame["level"], spine.LEVELS)
        place = spine.position(code, self.n_thoracic[patient], self.n_lumbar[patient])
        place = np.where(code < 0, -1, place)
        _refuse(
            frame,
            place < 0,
            name,
            "level",
            "is not a vertebra of this patient's spine",
            "Give n_thoracic or n_lumbar in patients, or correct the level.",
        )
        return place, code

    def row_mask(self, patient: IntArray) -> IntArray:
        """Every vertebra of these patients as a set of bits."""
        return spine.row_mask(self.n_thoracic[patient], self.n_lumbar[patient])


def _refuse(frame: pd.DataFrame, wrong: BoolArray, name: str, column: str, what: str, remedy: str) -> None:
    if not wrong.any():
        return
    rows = frame["source_row"].to_numpy() if "source_row" in frame.columns else np.arange(2, len(frame) + 2)
    shown = ", ".join(str(row) for row in rows[wrong][:3])
    more = int(wrong.sum()) - 3
    rest = f" and {more} more" if more > 0 else ""
    raise RegistryError(
        f"{name}, row {shown}{rest}: {column} {what}. {remedy} `cohort normalize` sets such rows aside with a reason."
    )


def order_with_ties(key: IntArray, ids: ObjectArray) -> IntArray:
    """Order by an integer key, then by id as text.

    Texts are compared only where the keys tie, since comparing millions of them costs more than all else.

    >>> order_with_ties(np.array([1, 0, 1]), np.array(["b", "c", "a"], dtype=object)).tolist()
    [1, 2, 0]
    """
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    tied = ordered[1:] == ordered[:-1]
    if tied.any():
        places = np.flatnonzero(np.append(False, tied) | np.append(tied, False))
        members = order[places]
        text_rank = np.unique(ids[members], return_inverse=True)[1]
        order[places] = members[np.lexsort((text_rank, ordered[places]))]
    return order
