"""Workbooks and Parquet as text: a date becomes its ISO form, and a number that is whole loses its `.0`."""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
from python_calamine import CalamineWorkbook

from cohort.domain.clock import IntArray
from cohort.domain.errors import RegistryError

Parts = tuple[tuple[str, ...], pd.DataFrame, IntArray]


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
    """The sheets of a workbook. Raises RegistryError when the file is none."""
    return tuple(_open(path).sheet_names)


def _open(path: Path) -> Any:
    try:
        return CalamineWorkbook.from_path(str(path))
    except Exception as error:  # calamine's own errors share no public base class
        raise RegistryError(
            f"{path.name} cannot be opened as a workbook (damaged, protected by a password, or another kind of file); "
            "save it again as .xlsx."
        ) from error


def read_sheet(path: Path, sheet: str) -> Parts:
    """Header, cells as text and row numbers of one sheet; wholly empty rows hold nothing and are passed over.

    The header is the first row that holds anything. Raises RegistryError for an empty sheet.
    """
    try:
        values = _open(path).get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    except RegistryError:
        raise
    except Exception as error:
        raise RegistryError(f"{path.name}, sheet {sheet}, cannot be read; save the workbook again as .xlsx.") from error
    cells = pd.DataFrame(values, dtype=object)
    # Each distinct cell is turned into text once; type and value together, since 1 == True == 1.0.
    for column in cells:
        cells[column] = np.array([as_text(value) for value in cells[column]], dtype=object)
    filled = (cells != "").to_numpy().any(axis=1) if len(cells) else np.empty(0, dtype=bool)
    if not filled.any():
        raise RegistryError(f"{path.name}, sheet {sheet}, is empty; a table without rows still needs its header.")
    first = int(np.argmax(filled))
    header = tuple(str(cell).strip() for cell in cells.iloc[first])
    body = np.flatnonzero(filled)[1:]
    frame = cells.iloc[body].reset_index(drop=True)
    frame.columns = pd.RangeIndex(len(header))
    return header, frame, body.astype(np.int64) + 1


def read_parquet(data: bytes, name: str) -> Parts:
    """Header, cells as text and row numbers (the header being row 1) of a Parquet file."""
    try:
        table = pa.parquet.read_table(io.BytesIO(data))
        header = tuple(str(column).strip() for column in table.column_names)
        columns = {k: _arrow_text(table.column(k)) for k in range(table.num_columns)}
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise RegistryError(f"{name} cannot be read as Parquet; write it again.") from error
    if not header:
        raise RegistryError(f"{name} has no columns; a table without rows still needs its header.")
    frame = pd.DataFrame(columns, columns=pd.RangeIndex(len(header)), index=pd.RangeIndex(table.num_rows), dtype=object)
    return header, frame, np.arange(table.num_rows, dtype=np.int64) + 2


def _arrow_text(column: Any) -> np.ndarray:
    """One Arrow column as text; distinct values are written once."""
    if not pa.types.is_nested(column.type):
        encoded = column.combine_chunks()
        if not pa.types.is_dictionary(column.type):
            encoded = encoded.dictionary_encode()
        words = np.array([*(as_text(value) for value in encoded.dictionary.to_pylist()), ""], dtype=object)
        codes = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
        return words[codes.astype(np.int64)]
    return np.array([as_text(value) for value in column.to_pylist()], dtype=object)
