"""How large a source may be: what lies beyond is a mistake or an attack, and is refused with a sentence.

Memory is bounded by these: reading takes about ten bytes of memory per byte of text, and 60 per cell of a workbook.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cohort.domain.errors import RegistryError

MAX_FILE_BYTES: Final = 2 << 30  # a million patients with everything in it are a fifth of this
MAX_COLUMNS: Final = 5_000  # the widest registries repeat forty columns twenty times
MAX_SHEET_CELLS: Final = 20_000_000  # calamine holds the whole rectangle, empty cells too
MAX_PARQUET_CELLS: Final = 500_000_000  # a constant column costs no bytes in the file
MAX_UNPACKED_BYTES: Final = 2 << 30  # of a workbook; deflate packs a thousand to one
MAX_SHARED_TEXT: Final = 1 << 30  # bytes; the cells of a workbook name shared texts, and reading copies each of them
MAX_MEMBERS: Final = 10_000  # files inside a workbook


def check_size(path: Path) -> None:
    """Raise RegistryError for a file that is too large to be read at once, or that is no regular file."""
    if not path.is_file():
        raise RegistryError(f"{path.name} is not a file that can be read.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise RegistryError(
            f"{path.name} is larger than {MAX_FILE_BYTES >> 30} GiB; split the registry by site or period, or take out "
            "columns that no table uses."
        )


def check_width(name: str, columns: int) -> None:
    """Raise RegistryError for a table of more columns than any registry has."""
    if columns > MAX_COLUMNS:
        raise RegistryError(
            f"{name} has {columns:,} columns, and at most {MAX_COLUMNS:,} are read; take out what is no part of the "
            "registry. If rows and columns are exchanged, or the delimiter is another, correct that."
        )


def check_cells(name: str, rows: int, columns: int, most: int) -> None:
    """Raise RegistryError for a table of more cells than are read at once."""
    if rows * columns > most:
        raise RegistryError(
            f"{name} has {rows:,} rows by {columns:,} columns, and at most {most:,} cells are read at once; split it, "
            "or take out columns that no table uses."
        )
