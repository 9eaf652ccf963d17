"""The account of one table: every source row is open until its first failing check, and every note keeps its row.

Rows that one source row makes (columns that repeat across a sheet) share its number: they are rejected together.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, IntArray
from cohort.intake.checks import CHECKS
from cohort.tables.results import REJECTED_COLUMNS, WARNING_COLUMNS

ObjectArray = npt.NDArray[np.object_]


class Cells(Protocol):
    """A column as written, of which only the cells of some rows are asked for."""

    def __getitem__(self, index: IntArray, /) -> ObjectArray: ...


class Ledger:
    """Failures and notes on the n rows of one table.

    table, source : name of the table, and its file (or workbook!sheet).
    rows : int64, shape (n,), the row numbers that a person sees; equal for rows that one source row makes.
    of : int64, shape (n,), the place of each row's source row; `shared` says whether any has more than one.
    """

    def __init__(self, table: str, source: str, rows: IntArray) -> None:
        n = len(rows)
        self.table = table
        self.source = source
        self.rows = rows
        self.of, numbers = pd.factorize(rows)
        self.shared = len(numbers) < n
        self.check: ObjectArray = np.full(n, "", dtype=object)
        self._column: ObjectArray = np.full(n, "", dtype=object)
        self._value: ObjectArray = np.full(n, "", dtype=object)
        self._reason: ObjectArray = np.full(n, "", dtype=object)
        self._open: BoolArray = np.ones(n, dtype=bool)
        self._notes: list[tuple[IntArray, str, str, ObjectArray, ObjectArray]] = []

    @property
    def open(self) -> BoolArray:
        """Rows that no check has rejected yet."""
        return self._open.copy()

    @property
    def n_sources(self) -> int:
        """Source rows, of which `n_accepted` are open."""
        return int(self.of.max()) + 1 if len(self.of) else 0

    @property
    def n_accepted(self) -> int:
        """Source rows that no check has rejected yet."""
        return len(np.unique(self.of[self.open])) if self.shared else int(self.open.sum())

    def record(
        self,
        mask: BoolArray,
        check: str,
        column: str = "",
        written: Cells | None = None,
        *,
        first_row: IntArray | None = None,
        **words: Any,
    ) -> None:
        """Apply one check to the rows of the mask that are still open.

        first_row : the row that was kept instead, shape (n,), for sentences that name it.
        """
        index = np.flatnonzero(mask & (self.open | (CHECKS[check].outcome == "warn")))
        if not len(index):
            return
        sentence = self._sentences(check, column, index, first_row, words)
        value = written[index] if written is not None else np.full(len(index), "", dtype=object)
        if CHECKS[check].outcome == "reject":
            if self.shared:
                # The first row that fails gives the reason to all that come of its source row.
                failed, first = np.unique(self.of[index], return_index=True)
                place = np.full(self.n_sources, -1, dtype=np.int64)
                place[failed] = first
                index = np.flatnonzero(self.open & (place[self.of] >= 0))
                sentence, value = sentence[place[self.of[index]]], value[place[self.of[index]]]
            self.check[index] = check
            self._open[index] = False
            self._column[index] = column
            self._value[index] = value
            self._reason[index] = sentence
        else:
            hidden = np.full(len(index), "", dtype=object) if column == "patient_id" else value
            self._notes.append((index, check, column, hidden, sentence))

    def _sentences(
        self, check: str, column: str, index: IntArray, first_row: IntArray | None, words: dict[str, Any]
    ) -> ObjectArray:
        template = CHECKS[check].sentence
        if first_row is None:
            same = template.format(table=self.table, column=column, **words)
            return np.full(len(index), same, dtype=object)
        texts = [template.format(table=self.table, column=column, first_row=k, **words) for k in first_row[index]]
        return np.array(texts, dtype=object)

    def rejected(self) -> pd.DataFrame:
        """One row per rejected source row, in the order of the file."""
        index = np.flatnonzero(~self.open)
        if self.shared:
            index = index[np.unique(self.of[index], return_index=True)[1]]
        frame = pd.DataFrame(
            {
                "table": self.table,
                "source": self.source,
                "row": self.rows[index],
                "column": self._column[index],
                "value": self._value[index],
                "reason": self._reason[index],
            },
            columns=list(REJECTED_COLUMNS),
        )
        return frame.sort_values("row", kind="stable", ignore_index=True)

    def notes(self) -> pd.DataFrame:
        """One row per blanked value and warning; blanks of rows rejected in the end are left out."""
        parts = []
        for index, check, column, value, sentence in self._notes:
            keep = self.open[index] if CHECKS[check].outcome == "blank" else np.ones(len(index), dtype=bool)
            parts.append(
                pd.DataFrame(
                    {
                        "table": self.table,
                        "source": self.source,
                        "row": self.rows[index[keep]],
                        "column": column,
                        "value": value[keep],
                        "check": check,
                        "outcome": CHECKS[check].outcome,
                        "sentence": sentence[keep],
                    },
                    columns=list(WARNING_COLUMNS),
                )
            )
        parts = [part for part in parts if len(part)]
        if not parts:
            return pd.DataFrame(columns=list(WARNING_COLUMNS))
        whole = pd.concat(parts, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)
        return whole.drop_duplicates(ignore_index=True) if self.shared else whole
