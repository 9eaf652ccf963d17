"""Delimited text: encoding and delimiter are detected and reported, and a ragged row is named, never swallowed."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]

from cohort.domain.clock import IntArray
from cohort.domain.errors import RegistryError

DELIMITERS: Final = (",", ";", "\t", "|")
_SIGNATURES: Final = (
    b"PK\x03\x04",
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"\x1f\x8b",
    b"PAR1",
    b"\xd0\xcf\x11\xe0",
    b"SQLite",
)
_CONTROLS: Final = bytes([*range(1, 9), *range(14, 27), *range(28, 32)])
_LONGEST_RECORD: Final = 100  # lines; a quote left open would otherwise take the rest of the file with it
_SEP_LINE: Final = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Ragged:
    """A row that cannot be laid under the header: its number, its cells as far as they go, and the check it fails."""

    row: int
    cells: tuple[str, ...]
    check: str
    text: str = ""


@dataclass(frozen=True)
class TextTable:
    """Header, cells (positional column names) and row numbers of one text file, and how it was read."""

    header: tuple[str, ...]
    cells: pd.DataFrame
    rows: IntArray
    ragged: tuple[Ragged, ...]
    encoding: str
    delimiter: str


def read(
    data: bytes, name: str, *, encoding: str | None = None, delimiter: str | None = None, known: Collection[str] = ()
) -> TextTable:
    """Read one delimited file.

    known : column names to be expected, by which the delimiter is told.
    Raises RegistryError when the file is no text, has no header, or cannot be decoded as declared.
    """
    text, encoding = decode(data, name, encoding)
    if "\x00" in text:
        raise RegistryError(f"{name} holds characters that no text has; save it again as CSV UTF-8.")
    lines_before_header = 0
    if declared := _SEP_LINE.match(text):
        first_line = io.StringIO(text, newline="").readline()
        if _SEP_LINE.fullmatch(first_line):
            delimiter = delimiter or declared[1]
            text = text[len(first_line) :]
            lines_before_header = 1
    if not text.strip():
        raise RegistryError(f"{name} is empty; a table without rows still needs its header line.")
    delimiter = delimiter or detect_delimiter(text, known)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise RegistryError(f"{name}: the declared delimiter must be one character, for instance ; or a tab.")
    fast = _read_plain(text, delimiter, lines_before_header)
    header, cells, rows, ragged = fast or _read_quoted(text, delimiter, name, lines_before_header)
    return TextTable(header, cells, rows, ragged, encoding, delimiter)


def decode(data: bytes, name: str, declared: str | None = None) -> tuple[str, str]:
    """The text of a file and its encoding: as declared, else by its mark, else UTF-8, else Windows-1252.

    Raises RegistryError when the bytes are no text.

    >>> decode("Größe".encode("cp1252"), "a.csv")
    ('Größe', 'cp1252')
    """
    if declared is not None:
        try:
            return data.decode(declared).removeprefix("\ufeff"), declared
        except (LookupError, UnicodeError, ValueError) as error:
            raise RegistryError(
                f"{name} cannot be read in the declared encoding {declared}; correct the study file."
            ) from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16"), "utf-16"
        except UnicodeError as error:
            raise RegistryError(
                f"{name} begins like a UTF-16 text but is damaged; save it again as CSV UTF-8."
            ) from error
    if data.startswith(_SIGNATURES) or b"\x00" in data or len(data.translate(None, _CONTROLS)) < 0.99 * len(data):
        raise RegistryError(
            f"{name} is not a text file (a workbook or another binary file under this name?); "
            "save it as CSV, or give it its own extension."
        )
    for encoding in ("utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8", "cp1252"):
        try:
            return data.decode(encoding), encoding
        except UnicodeError:
            continue
    return data.decode("latin-1"), "latin-1"


def detect_delimiter(text: str, known: Collection[str] = ()) -> str:
    """The delimiter that finds most of the expected names in the header, else most cells.

    >>> detect_delimiter("patient_id;date,level;x", {"patient_id"})
    ';'
    """
    line = next((line for line in io.StringIO(text) if line.strip()), "")
    expected = {_folded(one) for one in known}

    def score(delimiter: str) -> tuple[int, int]:
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        return sum(_folded(cell) in expected for cell in cells), len(cells)

    return max(DELIMITERS, key=score)


def _folded(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


_Parts = tuple[tuple[str, ...], pd.DataFrame, IntArray, tuple[Ragged, ...]]


def _read_plain(text: str, delimiter: str, offset: int) -> _Parts | None:
    """The whole file at once; None unless every line is one complete row (no quotes, blank or ragged lines)."""
    if '"' in text or text.count("\r") != text.count("\r\n") or len(text) < 2:
        return None
    end = text.find("\n")
    if end < 0 or not text[:end].strip():
        return None
    header = tuple(cell.strip() for cell in text[:end].rstrip("\r").split(delimiter))
    n_lines = text.count("\n") + (not text.endswith("\n"))
    names = [str(k) for k in range(len(header))]
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(text.encode("utf-8")),
            read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, UnicodeEncodeError, ValueError):
        return None
    if table.num_rows != n_lines - 1:
        return None
    cells = table.to_pandas()
    cells.columns = pd.RangeIndex(len(header))
    return header, cells, np.arange(len(cells), dtype=np.int64) + 2 + offset, ()


def _read_quoted(text: str, delimiter: str, name: str, offset: int) -> _Parts:
    records = _records(text, delimiter)
    row, header_cells, broken = next(((r, c, b) for r, c, b in records if c or b), (0, [], False))
    header = tuple(cell.strip() for cell in header_cells)
    if broken or not any(header):
        raise RegistryError(f"{name} has no header line that can be read; its first row must hold the column names.")
    rows: list[int] = []
    cells: list[list[str]] = []
    ragged: list[Ragged] = []
    for row, record, broken in records:
        if broken or (record and len(record) != len(header)):
            check = "broken_quotes" if broken else "ragged"
            ragged.append(Ragged(row + offset, tuple(record), check, delimiter.join(record)))
        elif record:
            rows.append(row + offset)
            cells.append(record)
    frame = pd.DataFrame(cells, columns=pd.RangeIndex(len(header)), dtype=object)
    return header, frame, np.array(rows, dtype=np.int64), tuple(ragged)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str], bool]]:
    """Row number, cells and whether the quotes are broken, record by record; a blank line has no cells.

    Where quotes do not pair up, only the line on which the record begins is given up: reading resumes on the next.
    """
    lines = list(io.StringIO(text, newline=""))
    position = start = 0

    def feed() -> Iterator[str]:
        nonlocal position
        while position < len(lines) and position < start + _LONGEST_RECORD:
            position += 1
            yield lines[position - 1]

    def reader() -> Iterator[list[str]]:
        return csv.reader(feed(), delimiter=delimiter, strict=True)

    width = 0
    row = 0
    records = reader()
    while position < len(lines):
        start = position
        row += 1
        try:
            record = next(records)
            spans = position - start > 1
            broken = spans and bool(width) and len(record) != width
        except StopIteration:
            records = reader()
            row -= 1
            continue
        except csv.Error:
            record, broken = [], True
        if broken:
            record = lines[start].rstrip("\r\n").split(delimiter)
            position = start + 1
            records = reader()
        width = width or len(record)
        blank = not record or (len(record) == 1 and not record[0].strip() and width > 1)
        yield row, [] if blank and not broken else record, broken
