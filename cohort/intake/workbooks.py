"""Workbooks and Parquet as text: a date becomes its ISO form, and a number that is whole loses its `.0`."""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
from python_calamine import CalamineWorkbook

from cohort.domain.clock import BoolArray
from cohort.domain.errors import RegistryError
from cohort.intake.grid import Grid, Remark
from cohort.intake.limits import MAX_PARQUET_CELLS, check_cells, check_size, check_width
from cohort.intake.workbook_scan import SheetFacts, not_a_workbook, scan


def as_text(value: Any) -> str:
    """One cell as the text that a person would have typed.

    >>> as_text(12.0), as_text(date(2021, 3, 4)), as_text(True), as_text(0.5)
    ('12', '2021-03-04', 'true', '0.5')
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case bool() | np.bool_():
            return "true" if value else "false"
        case datetime():
            if pd.isna(value):
                return ""
            midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
            return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="seconds")
        case Decimal():
            return str(value) if not value.is_finite() else f"{value.normalize():f}"
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case float() | np.floating():
            number = float(value)
            if not np.isfinite(number):
                return "" if np.isnan(number) else str(number)
            return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
        case list() | tuple() | np.ndarray():
            return ";".join(as_text(one) for one in value)
        case _:
            return str(value)


def sheet_names(path: Path) -> tuple[str, ...]:
    """The sheets of a workbook. Raises RegistryError when the file is none, or is larger than any registry."""
    _facts(path)
    return tuple(_open(path).sheet_names)


def _facts(path: Path) -> dict[str, SheetFacts]:
    """What the XML says of each sheet; looked at before anything else opens the file, and once."""
    check_size(path)
    seen = path.stat()
    return _scanned(path.resolve(), seen.st_mtime_ns, seen.st_size)


@lru_cache(maxsize=16)
def _scanned(path: Path, changed: int, size: int) -> dict[str, SheetFacts]:
    return scan(path)


def _open(path: Path) -> Any:
    try:
        return CalamineWorkbook.from_path(str(path))
    except Exception as error:  # calamine's own errors share no public base class
        raise RegistryError(not_a_workbook(path.name)) from error


def read_sheet(path: Path, sheet: str, *, header_row: int | None = None) -> Grid:
    """One sheet; wholly empty rows hold nothing and are passed over.

    header_row : row number of the column names, by default the first row that holds anything.
    Raises RegistryError for an empty sheet, or one whose header has merged cells.
    """
    facts = _facts(path).get(sheet, SheetFacts())
    where = f"{path.name}, sheet {sheet},"
    try:
        opened = _open(path).get_sheet_by_name(sheet)
        values = opened.to_python(skip_empty_area=False)
        merged = opened.merged_cell_ranges or []
    except RegistryError:
        raise
    except Exception as error:
        raise RegistryError(f"{where} cannot be read; save the workbook again as .xlsx.") from error
    cells = pd.DataFrame(values, dtype=object)
    for column in cells:
        cells[column] = np.array([as_text(value) for value in cells[column]], dtype=object)
    remarks: list[Remark] = []
    for (row, column), text in facts.without_value.items():
        # Read as empty by calamine: an error, or a formula that no spreadsheet ever computed.
        if row < len(cells) and column < cells.shape[1]:
            cells.iloc[row, column] = text
    if facts.without_value:
        remarks.append(("cells_not_computed", "", {"n": f"{len(facts.without_value):,}"}))
    if facts.formulas:
        remarks.append(("formulas_read", "", {"n": f"{facts.formulas:,}"}))
    filled: BoolArray = np.asarray((cells.to_numpy(dtype=object) != "").any(axis=1), dtype=bool)
    if not filled.any():
        raise RegistryError(f"{where} is empty; a table without rows still needs its header.")
    first = int(np.argmax(filled)) if header_row is None else header_row - 1
    if first >= len(filled) or not filled[first]:
        raise RegistryError(f"{where} has nothing in row {header_row}, which the study file names as its header_row.")
    for (top, left), (bottom, right) in merged:
        if top <= first <= bottom:
            raise RegistryError(
                f"{where} has merged cells in its header ({_cell(top, left)}:{_cell(bottom, right)}), so columns have "
                "no name of their own. Unmerge them and name every column in one row; if that is a title above the "
                "header, give the header's row in study.toml: [tables.<table>] header_row = ..."
            )
    header = tuple(str(cell).strip() for cell in cells.iloc[first])
    body = np.flatnonzero(filled)
    body = body[body > first]
    frame = cells.iloc[body].reset_index(drop=True)
    frame.columns = pd.RangeIndex(len(header))
    return Grid(header, frame, body.astype(np.int64) + 1, remarks=tuple(remarks))


def _cell(row: int, column: int) -> str:
    """The name of a cell.

    >>> _cell(0, 0), _cell(9, 27)
    ('A1', 'AB10')
    """
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def read_parquet(data: bytes, name: str) -> Grid:
    """A Parquet file; its header counts as row 1. Raises RegistryError when it is none, or larger than any registry."""
    try:
        file = pa.parquet.ParquetFile(io.BytesIO(data))
        check_width(name, file.metadata.num_columns)
        check_cells(name, file.metadata.num_rows, file.metadata.num_columns, MAX_PARQUET_CELLS)
        table = file.read()
        header = tuple(str(column).strip() for column in table.column_names)
        columns = {k: _arrow_text(table.column(k)) for k in range(table.num_columns)}
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise RegistryError(f"{name} cannot be read as Parquet; write it again.") from error
    if not header:
        raise RegistryError(f"{name} has no columns; a table without rows still needs its header line.")
    frame = pd.DataFrame(columns, columns=pd.RangeIndex(len(header)), index=pd.RangeIndex(table.num_rows), dtype=object)
    return Grid(header, frame, np.arange(table.num_rows, dtype=np.int64) + 2)


def _arrow_text(column: Any) -> np.ndarray:
    """One Arrow column as text; distinct values are written once."""
    if pa.types.is_nested(column.type):
        return np.array([as_text(value) for value in column.to_pylist()], dtype=object)
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        encoded = encoded.dictionary_encode()
    try:
        written = [as_text(value) for value in encoded.dictionary.to_pylist()]
    except (OverflowError, ValueError):
        # Days that Python's calendar does not have: written by Arrow, and left to the check of dates.
        written = [as_text(value) for value in encoded.dictionary.cast(pa.string()).to_pylist()]
    words = np.array([*written, ""], dtype=object)
    codes = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    return words[codes.astype(np.int64)]
