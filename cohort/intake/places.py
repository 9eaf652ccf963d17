"""Where each table of a registry lies: a file, sheet or table of its name, or what the study file says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import SourceTable, StudyDefinition
from cohort.intake import postgres, sqlite_files, workbooks
from cohort.intake.addresses import PostgresAddress
from cohort.intake.databases import Database
from cohort.tables.schema import CANONICAL, REQUIRED_TABLES

TEXT: Final = (".csv", ".tsv", ".tab", ".txt")
WORKBOOK: Final = (".xlsx", ".xlsm")
PARQUET: Final = (".parquet", ".pq")
BOOK: Final = WORKBOOK + sqlite_files.SUFFIXES
_OTHER_TABLES: Final = (
    ".duckdb", ".mdb", ".accdb", ".xls", ".xlsb", ".ods", ".json", ".sav", ".dta", ".sas7bdat", ".rds",
)  # fmt: skip
_OURS: Final = (
    "rejected.csv", "accounting.csv", "warnings.csv", "defects.csv", "truth.csv", "data_dictionary.csv", "truth.json",
    "manifest.json",
)  # fmt: skip


@dataclass(frozen=True)
class Book:
    """What holds several tables: a workbook (without `database`), an SQLite file, or a server (without `path`)."""

    name: str
    tables: tuple[str, ...]
    path: Path | None = None
    database: Database | None = None


@dataclass(frozen=True)
class Place:
    """Where one table lies: a file of its own, or a sheet or table of a book."""

    file: str
    path: Path | None
    book: Book | None = None
    sheet: str = ""

    @property
    def label(self) -> str:
        """The place as accounts and messages name it."""
        return f"{self.file}!{self.sheet}" if self.book else self.file


class Shelf:
    """The books of a source; each is opened once, and stays open as long as `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._files: dict[Path, Book] = {}

    def server(self, address: PostgresAddress) -> Book:
        """The database of a server."""
        database = self._stack.enter_context(postgres.connect(address))
        return Book(database.name, database.table_names(), None, database)

    def file(self, path: Path) -> Book:
        """A workbook or SQLite file."""
        if path not in self._files:
            if path.suffix.lower() in WORKBOOK:
                self._files[path] = Book(path.name, workbooks.sheet_names(path), path)
            else:
                database = self._stack.enter_context(sqlite_files.connect(path))
                self._files[path] = Book(path.name, database.table_names(), path, database)
        return self._files[path]

    def files(self) -> tuple[Book, ...]:
        """The files opened so far."""
        return tuple(self._files.values())


def find(source: Path | PostgresAddress, study: StudyDefinition, shelf: Shelf) -> dict[str, Place]:
    """The place of every canonical table that the source holds.

    Raises RegistryError when a required table is missing, could be any of several, or lies outside the folder, and
    DefinitionError when the study file names a table that does not exist.
    """
    unknown = [name for name in study.tables if name not in CANONICAL]
    if unknown:
        raise DefinitionError(
            f"The study file has a section [tables.{unknown[0]}], but there is no such table; tables are "
            f"{', '.join(CANONICAL)}."
        )
    if isinstance(source, Path) and source.is_dir():
        places = _in_folder(source, study, shelf)
        there = ", ".join(sorted(path.name for path in source.iterdir() if path.is_file())[:12])
        name, holds = source.name, f"it holds {there}"
    else:
        book = shelf.file(source) if isinstance(source, Path) else shelf.server(source)
        places = _in_book(book, study)
        kind = "sheets" if book.database is None else "tables"
        name, holds = book.name, f"its {kind} are {', '.join(book.tables[:12]) or 'none'}"
    missing = next((name for name in REQUIRED_TABLES if name not in places), None)
    if missing is not None:
        setting = "file" if isinstance(source, Path) and source.is_dir() else "sheet"
        raise RegistryError(
            f"{name} has no table {missing} ({holds}). Add {missing} (a header is enough for a table without rows), "
            f"or name the {setting} in the study file: [tables.{missing}] {setting} = ..."
        )
    return places


def unused(source: Path | PostgresAddress, places: Mapping[str, Place], shelf: Shelf) -> list[str]:
    """Files of the folder, and sheets or tables of its books, that no table uses.

    A server often serves others too: its other tables are none of the registry's business.
    """
    used = {place.label for place in places.values()}
    read_files = {place.file for place in places.values()}
    found: list[str] = []
    if isinstance(source, Path) and source.is_dir():
        data = TEXT + BOOK + PARQUET + _OTHER_TABLES
        for path in sorted(source.iterdir(), key=lambda path: path.name):
            skip = path.name in read_files or path.name in _OURS or path.name.startswith((".", "~$"))
            if path.is_file() and path.suffix.lower() in data and not skip:
                found.append(path.name)
    for book in shelf.files():
        if book.name in read_files:
            labels = [f"{book.name}!{sheet}" for sheet in book.tables]
            found.extend(label for label in labels if label not in used)
    return found


def refuse_outside(folder: Path, path: Path) -> None:
    """Refuse what leaves the folder, by `..`, by an absolute path or by a symbolic link."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        raise RegistryError(
            f"{path.name} lies outside the source folder (an absolute path, '..' or a symbolic link); "
            "copy the file into the folder."
        )


def _in_folder(folder: Path, study: StudyDefinition, shelf: Shelf) -> dict[str, Place]:
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name)
    if not files:
        raise RegistryError(f"The folder {folder.name} is empty; it must hold at least {', '.join(REQUIRED_TABLES)}.")
    places: dict[str, Place] = {}
    for name in CANONICAL:
        spec = study.tables.get(name, SourceTable())
        if spec.file is not None:
            path = folder / spec.file
            refuse_outside(folder, path)
            if not path.is_file():
                raise RegistryError(f"Table {name}: the file {spec.file} named in the study file is not in the folder.")
            places[name] = _in_file(path, name, spec, shelf)
            continue
        named = [path for path in files if path.stem.lower() == name and path.suffix.lower() in TEXT + BOOK + PARQUET]
        if not named:
            # No file of its own: a sheet or table of that name in some book of the folder.
            books = [path for path in files if _is_book(path)]
            for path in books:
                refuse_outside(folder, path)
            named = [path for path in books if _named(shelf.file(path), spec.sheet or name) is not None]
        if len(named) > 1:
            raise RegistryError(
                f"Table {name} could be any of {', '.join(path.name for path in named)}; "
                f"say which in study.toml: [tables.{name}] file = ..."
            )
        if named:
            refuse_outside(folder, named[0])
            places[name] = _in_file(named[0], name, spec, shelf)
    return places


def _is_book(path: Path) -> bool:
    """Whether a file that nobody named may hold tables: Excel's lock files and other programs' .db files do not."""
    suffix = path.suffix.lower()
    if path.name.startswith(("~$", ".")):
        return False
    return suffix in WORKBOOK or (suffix in sqlite_files.SUFFIXES and sqlite_files.is_sqlite(path))


def _in_file(path: Path, name: str, spec: SourceTable, shelf: Shelf) -> Place:
    """A table in one file of the folder; of a book the declared sheet, else that of its name, else the only one."""
    if path.suffix.lower() not in BOOK:
        return Place(path.name, path)
    book = shelf.file(path)
    sheet = _named(book, spec.sheet or name)
    if sheet is None and spec.sheet is None and len(book.tables) == 1:
        sheet = book.tables[0]
    if sheet is None:
        raise _no_such_sheet(book, name, spec)
    return Place(book.name, path, book, sheet)


def _in_book(book: Book, study: StudyDefinition) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for name in CANONICAL:
        spec = study.tables.get(name, SourceTable())
        if spec.file is not None and spec.file != book.name:
            raise RegistryError(
                f"The study file takes table {name} from the file {spec.file}, but the source is {book.name}; "
                "give the folder as the source, or take the setting out."
            )
        sheet = _named(book, spec.sheet or name)
        if sheet is not None:
            places[name] = Place(book.name, book.path, book, sheet)
        elif spec.sheet is not None:
            raise _no_such_sheet(book, name, spec)
    return places


def _named(book: Book, wanted: str) -> str | None:
    """The sheet or table of a name: written exactly so, else the only one but for case and outer blanks."""
    if wanted in book.tables:
        return wanted
    alike = [sheet for sheet in book.tables if sheet.strip().lower() == wanted.strip().lower()]
    if len(alike) > 1:
        raise RegistryError(
            f"{book.name} has the tables {' and '.join(alike)}, and either could be {wanted}; name one of them exactly "
            "in study.toml: [tables.<table>] sheet = ..."
        )
    return alike[0] if alike else None


def _no_such_sheet(book: Book, name: str, spec: SourceTable) -> RegistryError:
    kind = "sheet" if book.database is None else "table"
    return RegistryError(
        f"{book.name} has no {kind} {spec.sheet or name} for table {name}; name the {kind} in the study file: "
        f"[tables.{name}] sheet = ..."
    )
