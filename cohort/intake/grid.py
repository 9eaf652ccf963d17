"""A table as read from any source: text cells under a header, every row with its number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from cohort.domain.clock import BoolArray, IntArray
from cohort.domain.safe_text import HARMFUL, visible
from cohort.intake.ledger import ObjectArray

Remark = tuple[str, str, dict[str, str]]
"""A check, the column it is about ("" for the whole table), and the words of its sentence."""


@dataclass(frozen=True)
class Ragged:
    """A row that cannot be laid under the header: its number, its cells as far as they go, and the check it fails."""

    row: int
    cells: tuple[str, ...]
    check: str
    text: str = ""


@dataclass(frozen=True)
class Grid:
    """One table as written, and how it was read.

    header : the k written column names. cells : one column of text per column, as objects or as categories, positional
    names 0..k-1; "" where a cell is empty. rows : int64, shape (n,), the numbers that a person sees. encoding,
    delimiter : of a text file.
    """

    header: tuple[str, ...]
    cells: pd.DataFrame
    rows: IntArray
    ragged: tuple[Ragged, ...] = ()
    encoding: str = ""
    delimiter: str = ""
    remarks: tuple[Remark, ...] = ()


def matches(cells: ObjectArray, pattern: str) -> BoolArray:
    """Cells in which a pattern is found. Shape (n,)."""
    found = pc.match_substring_regex(pa.array(cells, type=pa.string()), pattern)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def harmless(grid: Grid) -> Grid:
    r"""The grid with every control character in a visible form (`\x1b`), and a remark if there was any.

    >>> shown = harmless(Grid(("a",), pd.DataFrame({0: ["x", "\x1b[2J"]}), np.array([2, 3])))
    >>> print(shown.cells[0][1], shown.remarks[0][0])
    \x1b[2J control_characters
    """
    changed = 0
    columns: dict[int, ObjectArray] = {}
    for place in range(len(grid.header)):
        cells: ObjectArray = grid.cells[place].to_numpy(dtype=object)
        try:
            hits = np.flatnonzero(matches(cells, f"[{HARMFUL}]"))
        except (pa.ArrowException, UnicodeError):
            # A lone half of a character pair has no form in UTF-8.
            texts = [visible(text).encode("utf-8", "backslashreplace").decode() for text in cells]
            hits = np.flatnonzero(np.array(texts, dtype=object) != cells)
        if len(hits):
            cells = cells.copy()
            cells[hits] = [visible(text).encode("utf-8", "backslashreplace").decode() for text in cells[hits]]
            columns[place] = cells
            changed += len(hits)
    header = tuple(visible(name).encode("utf-8", "backslashreplace").decode() for name in grid.header)
    if not changed and header == grid.header:
        return grid
    frame = grid.cells.assign(**{}) if not columns else grid.cells.copy(deep=False)
    for place, cells in columns.items():
        frame[place] = cells
    count = changed + sum(a != b for a, b in zip(header, grid.header, strict=True))
    remark: Remark = ("control_characters", "", {"n": f"{count:,}"})
    return replace(grid, header=header, cells=frame, remarks=(*grid.remarks, remark))
