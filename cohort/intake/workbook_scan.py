"""What a workbook's own XML says before it is opened: how far it unpacks, how far its sheets reach, what has no value.

Sizes that the file declares are not believed: every member is unpacked, in pieces, and counted.
"""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from cohort.domain.errors import RegistryError
from cohort.intake.limits import MAX_MEMBERS, MAX_SHARED_TEXT, MAX_SHEET_CELLS, MAX_UNPACKED_BYTES, check_width
from cohort.intake.shared_texts import SharedTexts
from cohort.intake.shared_texts import total as total_of_texts

_CHUNK: Final = 1 << 20
_TAIL: Final = 1 << 20  # the longest cell that is still seen whole where a piece ends within it
# Bounded repetitions, so that no content makes the search slow.
_REFERENCE: Final = re.compile(rb"""<(?:\w{1,20}:)?c\s(?:[^>]{0,200}?\s)?r=["']([A-Za-z]{1,4})([0-9]{1,10})["']""")
_COLUMNS: Final = re.compile(rb'<c r="([A-Z]{1,4})')
_ROWS: Final = re.compile(rb'<c r="[A-Z]{1,4}([0-9]{1,10})"')
_UNUSUAL: Final = re.compile(rb"<c[\n\r\t]|:c[ \n\r\t]")
_CELL_ENDS: Final = re.compile(rb"</(?:\w{1,20}:)?c>")
_VALUE: Final = re.compile(rb"<(?:\w+:)?v(?:\s[^>]*)?>([^<]*)</", re.DOTALL)
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>([^<]*)</)", re.DOTALL)
_PLACE: Final = re.compile(rb"""\br=["']([A-Za-z]{1,4})([0-9]{1,10})["']""")
_SHEET: Final = re.compile(rb"<(?:\w+:)?sheet\s([^>]*)>")
_RELATION: Final = re.compile(rb"<(?:\w+:)?Relationship\s([^>]*)>")
_ATTRIBUTE: Final = re.compile(rb"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


@dataclass
class SheetFacts:
    """One sheet as its XML has it.

    rows, columns : how far the cells reach, from A1. cells : how many there are.
    without_value : place (row, column from 0) and text of cells that a spreadsheet shows but holds no value for: errors
    (#N/A), and formulas that were never computed. formulas : how many formulas have a value.
    """

    rows: int = 0
    columns: int = 0
    cells: int = 0
    formulas: int = 0
    without_value: dict[tuple[int, int], str] = field(default_factory=dict)


def scan(path: Path) -> dict[str, SheetFacts]:
    """The facts of every sheet by its name.

    Raises RegistryError when the file is no workbook, or unpacks or reaches farther than any registry does.
    """
    parts: dict[str, SheetFacts] = {}
    texts: dict[str, SharedTexts] = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise RegistryError(_bomb(path.name, f"holds {len(members):,} files"))
            _check_size(path.name, file, members)
            for member in members:
                # Any member may be named as a sheet, so all are looked at as if they were one.
                facts, tail = SheetFacts(), b""
                part = _name(member.filename)
                texts[part] = SharedTexts()
                for piece in _unpacked(file, member):
                    tail = _look(tail + piece, facts)
                    texts[part].feed(piece)
                _look(tail, facts, last=True)
                parts[part] = facts
            by_name = {_name(member.filename): member for member in members}
            sheets = _sheets(file, by_name)
            _check_texts(path.name, file, by_name, texts)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError) as error:
        raise RegistryError(not_a_workbook(path.name)) from error
    by_sheet = {sheet: parts.get(part, SheetFacts()) for sheet, part in sheets.items()}
    for name, facts in {**parts, **by_sheet}.items():
        _check_extent(f"{path.name}, sheet {name}", facts)
    return by_sheet


def _check_size(name: str, file: BinaryIO, members: list[zipfile.ZipInfo]) -> None:
    """Unpacking alone is ten times as quick as looking, so that what is too large is refused before it is looked at."""
    total = 0
    for member in members:
        for piece in _unpacked(file, member):
            total += len(piece)
            if total > MAX_UNPACKED_BYTES:
                raise RegistryError(_bomb(name, f"unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB"))


def _check_texts(name: str, file: BinaryIO, members: dict[str, zipfile.ZipInfo], texts: dict[str, SharedTexts]) -> None:
    unpacked = {part: partial(_unpacked, file, members[part]) for part in texts}
    if total_of_texts(texts, unpacked, MAX_SHARED_TEXT) > MAX_SHARED_TEXT:
        raise RegistryError(
            f"{name} holds more than {MAX_SHARED_TEXT >> 30} GiB of text, in cells that repeat long texts; take out "
            "the columns of free text, or save the sheets as CSV."
        )


def _unpacked(file: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content of one member in pieces of bounded size, until its own end and whatever size it declares."""
    file.seek(member.header_offset)
    head = file.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("no local header")
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
    if member.flag_bits & 1:
        raise zipfile.BadZipFile("encrypted")
    left = member.compress_size
    if member.compress_type == zipfile.ZIP_STORED:
        while left > 0 and (piece := file.read(min(_CHUNK, left))):
            left -= len(piece)
            yield piece
        return
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise zipfile.BadZipFile("another compression")
    inflate = zlib.decompressobj(-15)
    waiting = b""
    while not inflate.eof:
        if not waiting:
            waiting = file.read(min(_CHUNK, left))
            left -= len(waiting)
            if not waiting:
                break
        piece = inflate.decompress(waiting, _CHUNK)
        waiting = inflate.unconsumed_tail
        if piece:
            yield piece


def _look(data: bytes, facts: SheetFacts, *, last: bool = False) -> bytes:
    """Take up what a piece of a sheet says; returns the tail that belongs to the next."""
    end = len(data) if last else max(data.rfind(b"</c>") + 4, data.rfind(b":c>") + 3, len(data) - _TAIL)
    if not last and end <= 4:
        return data
    piece, rest = data[:end], data[end:]
    letters, numbers = _COLUMNS.findall(piece), _ROWS.findall(piece)
    if len(numbers) < piece.count(b"<c ") or _UNUSUAL.search(piece):
        # Slower: attributes in any order, any prefix.
        places = _REFERENCE.findall(piece)
        letters, numbers = [letter for letter, _ in places], [number for _, number in places]
    facts.cells += len(numbers)
    facts.columns = max((facts.columns, *map(_number, set(letters))))
    facts.rows = max((facts.rows, *map(int, set(numbers))))
    if b"<f" in piece or b":f" in piece or b'"e"' in piece or b"'e'" in piece:
        _take_up_without_value(piece, facts)
    return rest


def _take_up_without_value(piece: bytes, facts: SheetFacts) -> None:
    for cell in _CELL_ENDS.split(piece)[:-1]:
        start = max(cell.rfind(b"<c "), cell.rfind(b":c "))
        attributes, _, content = cell[max(start, 0) :].partition(b">")
        formula = _FORMULA.search(content)
        is_error = b't="e"' in attributes or b"t='e'" in attributes
        if formula is None and not is_error:
            continue
        place = _PLACE.search(attributes)
        value = _VALUE.search(content)
        text = html.unescape(value[1].decode("utf-8", "replace")).strip() if value else ""
        if text and not is_error:
            facts.formulas += 1
        elif place is not None:
            # A formula that another cell shares has no words of its own.
            words = formula[1] if formula is not None and formula[1] is not None else b""
            written = text or "=" + html.unescape(words.decode("utf-8", "replace"))
            facts.without_value[int(place[2]) - 1, _number(place[1]) - 1] = written[:200]


def _number(letters: bytes) -> int:
    """The number of a column, A being 1.

    >>> _number(b"A"), _number(b"XFD")
    (1, 16384)
    """
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _check_extent(where: str, facts: SheetFacts) -> None:
    if facts.rows * facts.columns > MAX_SHEET_CELLS:
        raise RegistryError(
            f"{where}, reaches to row {facts.rows:,} and column {facts.columns:,}, with {facts.cells:,} cells in it; a "
            f"rectangle of at most {MAX_SHEET_CELLS:,} is read at once. Delete stray cells far from the table, or save "
            "the sheet as CSV."
        )
    check_width(where, facts.columns)


def _sheets(file: BinaryIO, members: dict[str, zipfile.ZipInfo]) -> dict[str, str]:
    """Name of each sheet, and the member that holds it: by way of the workbook, which the package itself names."""

    def content(name: str) -> bytes:
        pieces = _unpacked(file, members[name]) if name in members else iter(())
        return b"".join(islice(pieces, 8))

    root = _relations(content("_rels/.rels"), "")
    book = next((target for target, kind in root.values() if kind.endswith("/officeDocument")), "xl/workbook.xml")
    folder, name = posixpath.split(book)
    targets = _relations(content(f"{folder}/_rels/{name}.rels".lstrip("/")), folder)
    sheets = {}
    for sheet in _SHEET.findall(content(book)):
        given = _attributes(sheet)
        relation = next((value for key, value in given.items() if key.endswith(":id")), "")
        sheets[given.get("name", "")] = targets.get(relation, ("", ""))[0]
    return sheets


def _relations(data: bytes, folder: str) -> dict[str, tuple[str, str]]:
    """Target (as the name of a member) and type of each relation, by its id."""
    found = {}
    for relation in _RELATION.findall(data):
        given = _attributes(relation)
        target = posixpath.normpath(posixpath.join("/", folder, given.get("Target", "")))
        found[given.get("Id", "")] = (_name(target), given.get("Type", ""))
    return found


def _name(member: str) -> str:
    """The name of a member as it is compared."""
    return member.replace("\\", "/").lstrip("/").lower()


def _attributes(element: bytes) -> dict[str, str]:
    return {
        name.decode("utf-8", "replace"): html.unescape((double or single).decode("utf-8", "replace"))
        for name, double, single in _ATTRIBUTE.findall(element)
    }


def not_a_workbook(file: str) -> str:
    """The sentence for a file that no reader of workbooks opens."""
    return (
        f"{file} cannot be opened as a workbook (damaged, protected by a password, or another kind of file); "
        "save it again as .xlsx."
    )


def _bomb(file: str, what: str) -> str:
    return f"{file} {what}, which no registry does (damaged, or made to harm?); save the tables as CSV."
