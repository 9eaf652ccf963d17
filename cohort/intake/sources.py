"""A source is a folder of tables, one workbook or one database; every cell is read as text, every row keeps its number.

The row number is the one a person sees when the file is opened: the header is row 1, blank lines are counted. How rows
of a database are numbered is said in `databases`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import SourceTable, StudyDefinition
from cohort.intake import addresses, databases, limits, places, text_files, workbooks
from cohort.intake.addresses import PostgresAddress
from cohort.intake.grid import Grid, Ragged, Remark, harmless
from cohort.intake.places import Place
from cohort.tables.schema import CANONICAL


@dataclass(frozen=True)
class RawTable:
    """One table as written.

    cells : one column of text (objects or categories) per column of the source, positional names 0..k-1; "" where a
    cell is empty.
    header : the k written column names. rows : int64, shape (n,), row numbers.
    ragged : rows that cannot be laid under the header. remarks : on the file or sheet, given to one of the tables that
    share it.
    """

    name: str
    source: str
    header: tuple[str, ...]
    cells: pd.DataFrame
    rows: IntArray
    ragged: tuple[Ragged, ...] = ()
    remarks: tuple[Remark, ...] = ()


@dataclass
class Sources:
    """Everything read: the raw tables by name, what `inputs` says of them, and the files that no table uses."""

    tables: dict[str, RawTable] = field(default_factory=dict)
    inputs: list[tuple[object, ...]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def check_source(source: str | Path) -> Path | PostgresAddress:
    """The path or address of a source that can be read.

    Raises RegistryError for a path that does not exist, or one lone table; UsageError for a URL that cannot be read.
    """
    place = addresses.parse(source)
    if isinstance(place, PostgresAddress):
        return place
    if "\x00" in str(place) or not place.exists():
        raise RegistryError(
            f"{addresses.shown(source)} does not exist; give a folder of tables, a workbook or a database."
        )
    if not place.is_dir() and place.suffix.lower() not in places.BOOK:
        raise RegistryError(
            f"{place.name} is neither a folder of tables nor a workbook (.xlsx) nor an SQLite file (.db, .sqlite); put "
            "the tables patients, augmentations and fractures into one folder and give that."
        )
    return place


def load(source: Path | PostgresAddress, study: StudyDefinition) -> Sources:
    """Read every canonical table that the source holds.

    Raises RegistryError when a required table is missing, a file is no table or lies outside the folder, or a database
    cannot be read.
    """
    sources = Sources()
    with ExitStack() as stack:
        shelf = places.Shelf(stack)
        found = places.find(source, study, shelf)
        read: dict[tuple[object, ...], tuple[Grid, tuple[object, ...]]] = {}
        for name, place in found.items():
            spec = study.tables.get(name, SourceTable())
            # A sheet that several tables share is read once.
            key = (place.label, spec.encoding, spec.delimiter, spec.header_row)
            if key not in read:
                sharing = [other for other, its_place in found.items() if its_place.label == place.label]
                known = {column for other in sharing for column in _known(other, study)}
                read[key] = _read(name, place, spec, known)
                remarks = read[key][0].remarks
            else:
                remarks = ()
            grid, entry = read[key]
            sources.tables[name] = RawTable(name, place.label, grid.header, grid.cells, grid.rows, grid.ragged, remarks)
            sources.inputs.append((name, *entry))
        sources.unused = places.unused(source, found, shelf)
    return sources


def _known(name: str, study: StudyDefinition) -> tuple[str, ...]:
    return (*CANONICAL[name].names, *study.tables.get(name, SourceTable()).rename)


def _read(name: str, place: Place, spec: SourceTable, known: Collection[str]) -> tuple[Grid, tuple[object, ...]]:
    """One table as written, and what `inputs` says of it after its name."""
    database = None if place.book is None else place.book.database
    columnar = place.book is None and place.path is not None and place.path.suffix.lower() in places.PARQUET
    if spec.header_row is not None and (database is not None or columnar):
        raise DefinitionError(
            f"The study file gives table {name} a header_row, but {place.file} names its columns itself; "
            "take the setting out."
        )
    if database is not None:
        grid = Grid(*database.read(place.sheet))
        size = place.path.stat().st_size if place.path is not None else None
        digest = databases.digest(grid.header, grid.cells)
    else:
        assert place.path is not None
        data = _bytes(place.path)
        size, digest = len(data), hashlib.sha256(data).hexdigest()
        if place.book is not None:
            grid = workbooks.read_sheet(place.path, place.sheet, header_row=spec.header_row)
        elif columnar:
            grid = workbooks.read_parquet(data, place.file)
        else:
            grid = text_files.read(
                data,
                place.file,
                encoding=spec.encoding,
                delimiter=spec.delimiter,
                header_row=spec.header_row,
                known=known,
            )
    if not grid.encoding:
        grid = harmless(grid)  # a text file has been looked at as a whole
    limits.check_width(place.label, len(grid.header))
    rows = len(grid.cells) + len(grid.ragged)
    return grid, (place.file, place.sheet, size, digest, grid.encoding, grid.delimiter, rows)


def _bytes(path: Path) -> bytes:
    limits.check_size(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path.name} cannot be read: {error.strerror}.") from error
    if not data:
        raise RegistryError(f"{path.name} is empty; a table without rows still needs its header line.")
    return data
