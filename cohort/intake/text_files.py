"""Delimited text: encoding and delimiter are detected and reported, and a ragged row is named, never swallowed."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.errors import RegistryError
from cohort.domain.safe_text import HARMFUL, MARKED, unguarded, visible
from cohort.intake import lines
from cohort.intake.grid import Grid, Ragged, Remark, matches
from cohort.intake.limits import check_width
from cohort.intake.words import Words

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
_HIGH_BYTES: Final = re.compile(rb"[\x80-\xff]+")
_HARMFUL: Final = re.compile(f"[{HARMFUL}]")
_HARMFUL_BYTES: Final = bytes(code for code in range(128) if _HARMFUL.match(chr(code)))
_MARKED: Final = re.compile(MARKED.removeprefix("^"))
_ANYTHING: Final = re.compile(r"\S")
_PIECE: Final = 1 << 20  # bytes
_SEP_LINE: Final = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE)


def read(
    data: bytes,
    name: str,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_row: int | None = None,
    known: Collection[str] = (),
) -> Grid:
    """Read one delimited file.

    header_row : row number of the column names; rows above it are no data. known : column names to be expected, by
    which the delimiter is told.
    Raises RegistryError when the file is no text, has no header, or cannot be decoded as declared.
    """
    text, encoding, guessed = decode(data, name, encoding)
    if "\x00" in text:
        raise RegistryError(f"{name} holds characters that no text has; save it again as CSV UTF-8.")
    remarks: list[Remark] = [("encoding_guessed", "", {"encoding": encoding})] if guessed else []
    if _may_harm(data, text):
        text, count = _HARMFUL.subn(lambda m: visible(m[0]), text)
        if count:
            remarks.append(("control_characters", "", {"n": f"{count:,}"}))
    lines_before_header = 0
    if declared := _SEP_LINE.match(text):
        first_line = io.StringIO(text, newline="").readline()
        if _SEP_LINE.fullmatch(first_line):
            delimiter = delimiter or declared[1]
            text = text[len(first_line) :]
            lines_before_header = 1
    if header_row is not None:
        text, lines_before_header = _below(text, header_row, lines_before_header, name)
    first = _first_line(text)
    if not first:
        raise RegistryError(f"{name} is empty; a table without rows still needs its header line.")
    delimiter = delimiter or detect_delimiter(text, known)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise RegistryError(f"{name}: the declared delimiter must be one character, for instance ; or a tab.")
    check_width(name, first.count(delimiter) + 1)
    parts = _read_lines(text, delimiter, lines_before_header)
    header, cells, rows, ragged = parts or _read_records(text, delimiter, name, lines_before_header)
    if "'" in text and _MARKED.search(text):
        header, cells = tuple(map(unguarded, header)), [_without_marks(column) for column in cells]
    categories = {place: column.categorical() for place, column in enumerate(cells)}
    frame = pd.DataFrame(categories, index=pd.RangeIndex(len(rows)), columns=pd.RangeIndex(len(header)))
    return Grid(header, frame, rows, ragged, encoding, delimiter, tuple(remarks))


def _below(text: str, header_row: int, already: int, name: str) -> tuple[str, int]:
    """The text from its row `header_row` on, and how many rows lie above it."""
    lines = io.StringIO(text, newline="")
    above = sum(len(lines.readline()) for _ in range(header_row - 1 - already))
    if not text[above:].strip() or not io.StringIO(text[above:]).readline().strip():
        raise RegistryError(f"{name} has nothing in row {header_row}, which the study file names as its header_row.")
    return text[above:], max(header_row - 1, already)


def _may_harm(data: bytes, text: str) -> bool:
    """Whether a control character may be there: told from the bytes, which costs next to nothing."""
    if _number_of(data, _HARMFUL_BYTES):
        return True
    return not data.isascii() and _HARMFUL.search(text) is not None


def _number_of(data: bytes, some: bytes) -> int:
    """How many bytes are among some."""
    marked = bytes(code in some for code in range(256))
    # Piece by piece: memory that is used again costs a third of as much that is new.
    return sum(data[k : k + _PIECE].translate(marked).count(1) for k in range(0, len(data), _PIECE))


def _without_marks(column: Words) -> Words:
    """The cells without the apostrophe that marks a formula as text."""
    marked = np.flatnonzero(matches(column.texts, MARKED))
    if not len(marked):
        return column
    texts = column.texts.copy()
    texts[marked] = [unguarded(text) for text in texts[marked]]
    return column.written(texts)


def decode(data: bytes, name: str, declared: str | None = None) -> tuple[str, str, bool]:
    """The text of a file, its encoding, and whether that is a guess.

    As declared, else by its mark, else UTF-8, else a guess: GB18030 or Windows-1252.
    Raises RegistryError when the bytes are no text.

    >>> decode("Größe".encode("cp1252"), "a.csv"), decode("腰椎,手术日期".encode("gbk"), "a.csv")
    (('Größe', 'cp1252', True), ('腰椎,手术日期', 'gb18030', True))
    """
    if declared is not None:
        try:
            return data.decode(declared).removeprefix("\ufeff"), declared, False
        except (LookupError, UnicodeError, ValueError) as error:
            raise RegistryError(
                f"{name} cannot be read in the declared encoding {declared}; correct the study file."
            ) from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16"), "utf-16", False
        except UnicodeError as error:
            raise RegistryError(
                f"{name} begins like a UTF-16 text but is damaged; save it again as CSV UTF-8."
            ) from error
    if data.startswith(_SIGNATURES) or b"\x00" in data or _number_of(data, _CONTROLS) > 0.01 * len(data):
        raise RegistryError(
            f"{name} is not a text file (a workbook or another binary file under this name?); "
            "save it as CSV, or give it its own extension."
        )
    try:
        encoding = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
        return data.decode(encoding), encoding, False
    except UnicodeError:
        pass
    for encoding in ("gb18030", "cp1252") if _is_chinese(data) else ("cp1252",):
        try:
            return data.decode(encoding), encoding, True
        except UnicodeError:
            continue
    return data.decode("latin-1"), "latin-1", True


def _is_chinese(data: bytes) -> bool:
    """Whether bytes that are not UTF-8 are GB18030 rather than Windows-1252.

    Chinese characters are pairs of high bytes, the frequent ones with a first byte of B0-D7. Western accents mostly
    stand alone, and where two meet, the first is a small letter (DF-FF).
    """
    runs = _HIGH_BYTES.findall(data[: 1 << 20])
    pairs = [run[k : k + 2] for run in runs if len(run) % 2 == 0 for k in range(0, len(run), 2)]
    even = sum(len(run) % 2 == 0 for run in runs)
    frequent = sum(0xB0 <= pair[0] <= 0xD7 and pair[1] >= 0xA1 for pair in pairs)
    return even >= 0.95 * len(runs) and frequent >= 0.6 * len(pairs)


def detect_delimiter(text: str, known: Collection[str] = ()) -> str:
    """The delimiter that finds most of the expected names in the header, else most cells.

    >>> detect_delimiter("patient_id;date,level;x", {"patient_id"})
    ';'
    """
    line = _first_line(text)
    expected = {_folded(one) for one in known}

    def score(delimiter: str) -> tuple[int, int]:
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        return sum(_folded(cell) in expected for cell in cells), len(cells)

    return max(DELIMITERS, key=score)


def _first_line(text: str) -> str:
    """The first line that is not blank, without its end; "" where there is none."""
    return text[slice(*_header(text))]


def _header(text: str) -> tuple[int, int]:
    """Where the first line that is not blank begins and ends."""
    anything = _ANYTHING.search(text)
    if anything is None:
        return 0, 0
    end = text.find("\n", anything.start())
    return text.rfind("\n", 0, anything.start()) + 1, len(text) if end < 0 else end


def _folded(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


_Parts = tuple[tuple[str, ...], list[Words], np.ndarray, tuple[Ragged, ...]]


def _read_lines(text: str, delimiter: str, offset: int) -> _Parts | None:
    """The file line by line; None where a line is not one whole record (a quoted cell that holds a line end).

    Lines without quotes and of the right width are read by Arrow all at once, the others by the csv module.
    """
    if "\r" in text:
        if text.count("\r") != text.count("\r\n"):
            return None
        text = text.replace("\r\n", "\n")
    start, end = _header(text)
    top = text.count("\n", 0, start)
    title = _one_record_each([text[start:end]], delimiter)
    header = tuple(cell.strip() for cell in title[0]) if title else ()
    if not any(header) or not delimiter.isascii():
        return None
    width = len(header)
    try:
        # In UTF-8 no byte of another character looks like a line end, a quote or a delimiter.
        body = memoryview(text[end + 1 :].encode("utf-8"))
    except UnicodeEncodeError:
        return None
    starts, ends = lines.found(body)
    longest = int((ends - starts).max(initial=0))
    plain = lines.count(body, starts, delimiter, longest) == width - 1
    if '"' in text:
        plain &= lines.count(body, starts, '"', longest) == 0
    if width == 1:
        plain &= ends - starts > 1
    odd = np.flatnonzero(~plain)
    records = _one_record_each(
        [str(body[a:b], "utf-8").removesuffix("\n") for a, b in zip(starts[odd], ends[odd], strict=True)], delimiter
    )
    if records is None:
        return None
    columns = lines.split(lines.without(body, starts, ends, odd), len(plain) - len(odd), delimiter, width, longest)
    if columns is None:
        return None
    row = np.arange(len(plain), dtype=np.int64) + top + 2 + offset
    whole, ragged = [], []
    for k, record in zip(odd, records, strict=True):
        if len(record) == width:
            whole.append((k, record))
        elif not _is_blank(record, width):
            ragged.append(Ragged(int(row[k]), tuple(record), "ragged", delimiter.join(record)))
    if whole:
        at = np.concatenate([np.flatnonzero(plain), [k for k, _ in whole]])
        order = np.argsort(at, kind="stable")
        more = _columns([record for _, record in whole], width)
        columns = [a.followed_by(b).at(order) for a, b in zip(columns, more, strict=True)]
        return header, columns, row[at[order]], tuple(ragged)
    return header, columns, row[plain], tuple(ragged)


def _one_record_each(lines: Sequence[str], delimiter: str) -> list[list[str]] | None:
    """The cells of lines each of which is a record by itself; None where quotes do not pair up within a line."""
    try:
        records = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return records if len(records) == len(lines) else None


def _columns(records: Sequence[Sequence[str]], width: int) -> list[Words]:
    """Records of one width, column by column."""
    if not records:
        return [Words.of(np.empty(0, dtype=object)) for _ in range(width)]
    return [Words.of(np.array(column, dtype=object)) for column in zip(*records, strict=True)]


def _is_blank(record: Sequence[str], width: int) -> bool:
    return not record or (len(record) == 1 and not record[0].strip() and width > 1)


def _read_records(text: str, delimiter: str, name: str, offset: int) -> _Parts:
    """The file record by record, where cells hold line ends or quotes do not pair up."""
    records = _records(text, delimiter)
    row, header_cells, broken = next(((r, c, b) for r, c, b in records if b or not _is_blank(c, 2)), (0, [], False))
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
    return header, _columns(cells, len(header)), np.array(rows, dtype=np.int64), tuple(ragged)


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
        yield row, [] if _is_blank(record, width) and not broken else record, broken
