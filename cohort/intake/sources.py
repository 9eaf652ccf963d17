"""A source is a folder of tables or one workbook; every cell is read as text, and every row keeps its number.

The row number is the one a person sees when the file is opened: the header is row 1, blank lines are counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import SourceTable, StudyDefinition
from cohort.intake import text_files, workbooks
from cohort.tables.schema import CANONICAL, REQUIRED_TABLES

TEXT: Final = (".csv", ".tsv", ".tab", ".txt")
WORKBOOK: Final = (".xlsx", ".xlsm")
PARQUET: Final = (".parquet", ".pq")
_FOR_LATER: Final = (".db", ".sqlite", ".sqlite3", ".duckdb", ".mdb", ".accdb")
_OTHER_TABLES: Final = (".xls", ".xlsb", ".ods", ".json", ".sav", ".dta", ".sas7bdat", ".rds")
_OURS: Final = ("rejected.csv", "accounting.csv", "warnings.csv", "defects.csv", "truth.csv", "data_dictionary.csv")


@dataclass(frozen=True)
class RawTable:
    """One table as written.

    cells : one object column of text per column of the source, positional names 0..k-1; "" where a cell is empty.
    header : the k written column names. rows : int64, shape (n,), row numbers.
    ragged : rows that cannot be laid under the header.
    """

    name: str
    source: str
    header: tuple[str, ...]
    cells: pd.DataFrame
    rows: IntArray
    ragged: tuple[text_files.Ragged, ...] = ()


@dataclass
class Sources:
    """Everything read: the raw tables by name, what `inputs` says of them, and the files that no table uses."""

    tables: dict[str, RawTable] = field(default_factory=dict)
    inputs: list[tuple[object, ...]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    path: Path
    sheet: str | None = None

    @property
    def label(self) -> str:
        return self.path.name if self.sheet is None else f"{self.path.name}!{self.sheet}"


def check_source(source: str | Path) -> Path:
    """The path of a source that can be read.

    Raises RegistryError for a database or web address (not read yet), a path that does not exist, or one lone table.
    """
    text = str(source)
    if "://" in text:
        raise RegistryError(
            "Databases and web addresses cannot be read yet; export the tables as CSV or Parquet into a folder."
        )
    path = Path(source)
    if "\x00" in text or not path.exists():
        raise RegistryError(f"{path.name} does not exist; give a folder of tables or a workbook.")
    if path.is_dir():
        return path
    if path.suffix.lower() in _FOR_LATER:
        raise RegistryError(
            f"{path.name} is a database, which cannot be read yet; export its tables as CSV or Parquet."
        )
    if path.suffix.lower() not in WORKBOOK:
        raise RegistryError(
            f"{path.name} is neither a folder of tables nor an .xlsx workbook; put the tables patients, augmentations "
            "and fractures into one folder and give that."
        )
    return path


def load(source: Path, study: StudyDefinition) -> Sources:
    """Read every canonical table that the source holds.

    Raises RegistryError when a required table is missing, a file is no table or lies outside the folder.
    """
    unknown = [name for name in study.tables if name not in CANONICAL]
    if unknown:
        raise DefinitionError(
            f"The study file has a section [tables.{unknown[0]}], but there is no such table; tables are "
            f"{', '.join(CANONICAL)}."
        )
    sheets: dict[Path, tuple[str, ...]] = {}
    places = _in_folder(source, study, sheets) if source.is_dir() else _in_workbook(source, study, sheets)
    missing = [name for name in REQUIRED_TABLES if name not in places]
    if missing:
        raise RegistryError(_missing_table(source, missing[0], sheets))
    sources = Sources()
    for name, place in places.items():
        raw, entry = _read(name, place, study.tables.get(name, SourceTable()))
        sources.tables[name] = raw
        sources.inputs.append(entry)
    sources.unused = _unused(source, places, sheets)
    return sources


def _in_folder(folder: Path, study: StudyDefinition, sheets: dict[Path, tuple[str, ...]]) -> dict[str, _Place]:
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name)
    if not files:
        raise RegistryError(f"The folder {folder.name} is empty; it must hold at least {', '.join(REQUIRED_TABLES)}.")
    places: dict[str, _Place] = {}
    for name in CANONICAL:
        spec = study.tables.get(name, SourceTable())
        if spec.file is not None:
            path = folder / spec.file
            refuse_outside(folder, path)
            if not path.is_file():
                raise RegistryError(f"Table {name}: the file {spec.file} named in the study file is not in the folder.")
            places[name] = _Place(path, _sheet(path, name, spec, sheets, required=True))
            continue
        named = [
            path for path in files if path.stem.lower() == name and path.suffix.lower() in TEXT + WORKBOOK + PARQUET
        ]
        if not named:
            # No file of its own: a sheet of that name in some workbook of the folder.
            books = [path for path in files if path.suffix.lower() in WORKBOOK and not path.name.startswith("~$")]
            wanted = (spec.sheet or name).strip().lower()
            for path in books:
                refuse_outside(folder, path)
            named = [path for path in books if wanted in (s.strip().lower() for s in _sheets(path, sheets))]
        if len(named) > 1:
            raise RegistryError(
                f"Table {name} could be any of {', '.join(path.name for path in named)}; "
                f"say which in study.toml: [tables.{name}] file = ..."
            )
        if named:
            refuse_outside(folder, named[0])
            places[name] = _Place(named[0], _sheet(named[0], name, spec, sheets, required=True))
    return places


def _in_workbook(path: Path, study: StudyDefinition, sheets: dict[Path, tuple[str, ...]]) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    for name in CANONICAL:
        spec = study.tables.get(name, SourceTable())
        if spec.file is not None and spec.file != path.name:
            raise RegistryError(
                f"The study file takes table {name} from {spec.file}, but the source is the workbook {path.name}; "
                "give the folder as the source."
            )
        wanted = (spec.sheet or name).strip().lower()
        found = [sheet for sheet in _sheets(path, sheets) if sheet.strip().lower() == wanted]
        if found:
            places[name] = _Place(path, found[0])
        elif spec.sheet is not None:
            raise RegistryError(f"{path.name} has no sheet {spec.sheet}, which the study file names for table {name}.")
    return places


def _sheet(
    path: Path, name: str, spec: SourceTable, sheets: dict[Path, tuple[str, ...]], *, required: bool
) -> str | None:
    """The sheet of a table in a workbook: the declared one, the one of the table's name, else the only one."""
    if path.suffix.lower() not in WORKBOOK:
        return None
    there = _sheets(path, sheets)
    wanted = (spec.sheet or name).strip().lower()
    found = [sheet for sheet in there if sheet.strip().lower() == wanted]
    if found:
        return found[0]
    if spec.sheet is None and len(there) == 1:
        return there[0]
    raise RegistryError(
        f"{path.name} has no sheet {spec.sheet or name} for table {name}; name the sheet in study.toml: "
        f"[tables.{name}] sheet = ..."
    )


def _sheets(path: Path, known: dict[Path, tuple[str, ...]]) -> tuple[str, ...]:
    if path not in known:
        known[path] = workbooks.sheet_names(path)
    return known[path]


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


def _read(name: str, place: _Place, spec: SourceTable) -> tuple[RawTable, tuple[object, ...]]:
    path = place.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path.name} cannot be read: {error.strerror}.") from error
    if not data:
        raise RegistryError(f"{path.name} is empty; a table without rows still needs its header line.")
    encoding = delimiter = ""
    ragged: tuple[text_files.Ragged, ...] = ()
    if path.suffix.lower() in TEXT:
        known = {*CANONICAL[name].names, *spec.rename}
        parsed = text_files.read(data, path.name, encoding=spec.encoding, delimiter=spec.delimiter, known=known)
        encoding, delimiter, ragged = parsed.encoding, parsed.delimiter, parsed.ragged
        header, cells, rows = parsed.header, parsed.cells, parsed.rows
    elif place.sheet is not None:
        header, cells, rows = workbooks.read_sheet(path, place.sheet)
    else:
        header, cells, rows = workbooks.read_parquet(data, path.name)
    n = len(cells) + len(ragged)
    entry = (name, path.name, place.sheet or "", len(data), hashlib.sha256(data).hexdigest(), encoding, delimiter, n)
    return RawTable(name, place.label, header, cells, np.asarray(rows, dtype=np.int64), ragged), entry


def _missing_table(source: Path, name: str, sheets: Mapping[Path, tuple[str, ...]]) -> str:
    if source.is_dir():
        there = sorted(path.name for path in source.iterdir() if path.is_file())[:12]
        holds = f"it holds {', '.join(there)}"
    else:
        holds = f"its sheets are {', '.join(sheets.get(source, ()))}"
    return (
        f"{source.name} has no table {name} ({holds}). Add {name}.csv (a header is enough for a table without rows), "
        f"or name the file in study.toml: [tables.{name}] file = ..."
    )


def _unused(source: Path, places: Mapping[str, _Place], sheets: Mapping[Path, tuple[str, ...]]) -> list[str]:
    used = {place.label for place in places.values()}
    read_files = {place.path.name for place in places.values()}
    unused: list[str] = []
    if source.is_dir():
        data = TEXT + WORKBOOK + PARQUET + _FOR_LATER + _OTHER_TABLES
        for path in sorted(source.iterdir(), key=lambda path: path.name):
            skip = path.name in read_files or path.name in _OURS or path.name in ("truth.json", "manifest.json")
            if path.is_file() and path.suffix.lower() in data and not skip and not path.name.startswith((".", "~$")):
                unused.append(path.name)
    for path, names in sheets.items():
        if path.name in read_files:
            unused.extend(f"{path.name}!{sheet}" for sheet in names if f"{path.name}!{sheet}" not in used)
    return unused
