"""What every database has in common as a source: named tables of text whose rows are put into one order and numbered.

A database keeps no order of rows, so they are read by primary key, else by all columns as text, and numbered as if
exported under a header: the first row is row 2. Numbers follow the content alone: the same rows give the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import pandas as pd

from cohort.domain.clock import IntArray
from cohort.domain.errors import RegistryError
from cohort.intake.ledger import ObjectArray

LONGEST_CELL: Final = 32_767  # characters; what a cell of Excel can hold
BATCH_ROWS: Final = 50_000
_NOTHING: Final = np.empty(0, dtype=object)
Parts = tuple[tuple[str, ...], pd.DataFrame, IntArray]


class Database(Protocol):
    """A database that is open for reading only. name : as inputs and messages show it."""

    name: str

    def table_names(self) -> tuple[str, ...]:
        """Tables and views, in the order of their names."""

    def read(self, table: str) -> Parts:
        """Header, cells as text ("" for NULL) and row numbers of one table of `table_names`."""


def parts(name: str, header: Sequence[str], batches: Sequence[Sequence[ObjectArray]]) -> Parts:
    """Lay fetched batches of columns under the header.

    name : table as messages show it. batches : each one object array of text per column.
    Raises RegistryError when the table has no columns or a cell is too long to be a value of a registry.
    """
    if not header:
        raise RegistryError(f"{name} has no columns; a table without rows still needs its columns.")
    columns = [np.concatenate([batch[k] for batch in batches] or [_NOTHING]) for k in range(len(header))]
    for title, column in zip(header, columns, strict=True):
        if len(column) and max(map(len, column)) > LONGEST_CELL:
            raise RegistryError(
                f"{name}: the column {title} holds a value of more than {LONGEST_CELL:,} characters, which is no value "
                "of a registry (a document or an image?). Make a view without this column and name it in study.toml: "
                "[tables.<table>] sheet = ..."
            )
    n = len(columns[0])
    cells = pd.DataFrame(dict(enumerate(columns)), columns=pd.RangeIndex(len(header)), index=pd.RangeIndex(n))
    return tuple(title.strip() for title in header), cells, np.arange(n, dtype=np.int64) + 2


def digest(header: Sequence[str], cells: pd.DataFrame) -> str:
    r"""SHA-256 of a table's content as read: column by column its name, then its cells, each followed by \0, in UTF-8.

    >>> digest(["a"], pd.DataFrame({0: ["1", "2"]})) == hashlib.sha256(b"a\x001\x002\x00").hexdigest()
    True
    """
    content = hashlib.sha256()
    for place, title in enumerate(header):
        content.update("\0".join([title, *cells[place], ""]).encode("utf-8", "surrogatepass"))
    return content.hexdigest()


def quoted(name: str) -> str:
    """A name as standard SQL quotes it, whatever it holds.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'
