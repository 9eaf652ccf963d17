"""Every table-like thing of a source, with its header and its first rows."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cohort.domain.errors import RegistryError
from cohort.intake import limits, places, text_files, workbooks
from cohort.intake.addresses import PostgresAddress
from cohort.intake.grid import Grid, harmless
from cohort.intake.proposal.headers import TABLE_NAMES, known_headers

ROWS: Final = 5_000


@dataclass(frozen=True)
class Sheet:
    """One file, sheet or database table. file : as the study file names it, "" for the source itself."""

    file: str
    sheet: str
    label: str
    grid: Grid


def sheets(source: Path | PostgresAddress) -> tuple[list[Sheet], list[str]]:
    """What can be read, and a sentence on each thing that cannot."""
    found: list[Sheet] = []
    refused: list[str] = []
    with ExitStack() as stack:
        shelf = places.Shelf(stack)
        if isinstance(source, PostgresAddress):
            _book(shelf.server(source), "", found, refused)
        elif not source.is_dir():
            _book(shelf.file(source), "", found, refused)
        else:
            for path in sorted(source.iterdir(), key=lambda path: path.name):
                if not path.is_file() or path.name.startswith((".", "~$")):
                    continue
                try:
                    places.refuse_outside(source, path)
                    _file(path, shelf, found, refused)
                except RegistryError as error:
                    refused.append(str(error))
    return found, refused


def _file(path: Path, shelf: places.Shelf, found: list[Sheet], refused: list[str]) -> None:
    suffix = path.suffix.lower()
    if suffix in places.BOOK:
        _book(shelf.file(path), path.name, found, refused)
    elif suffix in places.TEXT + places.PARQUET:
        limits.check_size(path)
        data = path.read_bytes()
        if suffix in places.PARQUET:
            grid = harmless(workbooks.read_parquet(data, path.name))
        else:
            known = {header for table in TABLE_NAMES for header in known_headers(table)}
            grid = text_files.read(data, path.name, known=known)
        found.append(Sheet(path.name, "", path.name, _top(grid)))


def _book(book: places.Book, file: str, found: list[Sheet], refused: list[str]) -> None:
    for name in book.tables:
        try:
            if book.database is not None:
                grid = Grid(*book.database.read(name))
            else:
                assert book.path is not None
                grid = workbooks.read_sheet(book.path, name)
            found.append(Sheet(file, name, f"{book.name}!{name}", _top(harmless(grid))))
        except RegistryError as error:
            refused.append(str(error))


def _top(grid: Grid) -> Grid:
    return Grid(grid.header, grid.cells.head(ROWS), grid.rows[:ROWS], grid.ragged, grid.encoding, grid.delimiter)
