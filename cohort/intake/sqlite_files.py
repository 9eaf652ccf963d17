"""SQLite files, read-only: nothing is created or written, and the file's own schema is not trusted."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from cohort.domain.errors import RegistryError
from cohort.intake.databases import BATCH_ROWS, LONGEST_CELL, Parts, parts, quoted
from cohort.intake.ledger import ObjectArray
from cohort.intake.workbooks import as_text

SUFFIXES: Final = (".db", ".sqlite", ".sqlite3")
_MAGIC: Final = b"SQLite format 3\x00"
_LONGEST_QUERY_S: Final = 600.0
_LONGEST_ROW_BYTES: Final = 1 << 26
_MIDNIGHT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]00:00(?::00(?:\.0+)?)?")
# A query may look up rows, and nothing else: no recursion without end, no other file, no setting.
_ALLOWED: Final = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION)


def is_sqlite(path: Path) -> bool:
    """Whether a file begins as an SQLite database does, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextmanager
def connect(path: Path) -> Iterator[SqliteDatabase]:
    """Open a file for reading, all tables as of one moment.

    Raises RegistryError when it is no SQLite database, or one that cannot be read without writing to it.
    """
    if not is_sqlite(path):
        raise RegistryError(
            f"{path.name} cannot be opened as an SQLite database (damaged, encrypted, or another kind of file); "
            "save it again, or export its tables as CSV."
        )
    with closing(_guarded(path)) as connection:
        yield SqliteDatabase(path.name, connection)


class SqliteDatabase:
    """A `databases.Database`."""

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        self.name = name
        self._connection = connection

    def table_names(self) -> tuple[str, ...]:
        """Tables and views; virtual tables, whose content their module makes, are left out."""
        rows = self._all(
            "the list of its tables",
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_' "
            "AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
        )
        return tuple(name for (name,) in rows)

    def read(self, table: str) -> Parts:
        """Header, cells as text and row numbers of one table or view.

        A number is written as Python writes it, a binary value as hexadecimal digits. Columns declared BOOLEAN give
        true and false, and midnights of columns declared as dates or times give plain dates.
        """
        described = self._all(f"table {table}", f"PRAGMA table_xinfo({quoted(table)})")
        columns = [(name, declared, key) for _, name, declared, _, _, key, hidden in described if hidden != 1]
        names = [quoted(name) for name, _, _ in columns]
        keys = [name for key, name in sorted((key, n) for n, (_, _, key) in zip(names, columns, strict=True)) if key]
        # Of a value beyond the limit only as much is fetched as shows that it is. Counted in bytes: SQLite's functions
        # of text stop at a NUL, and what follows it would be lost.
        most = 4 * LONGEST_CELL
        bounded = "CASE WHEN length(CAST({0} AS BLOB)) > {1} THEN substr(CAST({0} AS BLOB), 1, {1}) ELSE {0} END"
        selected = ", ".join(bounded.format(name, most) for name in names)
        order = ", ".join(keys or [f"CAST({name} AS TEXT)" for name in names])
        texts = [_Texts(str(declared or "").upper()) for _, declared, _ in columns]
        batches: list[list[ObjectArray]] = []
        if columns:
            query = f"SELECT {selected} FROM {quoted(table)} ORDER BY {order}"
            for rows in self._batches(f"table {table}", query):
                batches.append([text.of(cells) for text, cells in zip(texts, zip(*rows, strict=True), strict=True)])
        return parts(f"{self.name}!{table}", [name for name, _, _ in columns], batches)

    def _all(self, what: str, query: str) -> list[tuple[Any, ...]]:
        return [row for rows in self._batches(what, query) for row in rows]

    def _batches(self, what: str, query: str) -> Iterator[list[tuple[Any, ...]]]:
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(query)
                while rows := cursor.fetchmany(BATCH_ROWS):
                    yield rows
        except sqlite3.Error as error:
            raise RegistryError(f"{self.name}: {what} cannot be read: {_why(error)}.") from error


class _Texts(dict[Any, str]):
    """The values of one column and their texts; each distinct value is written once, and its text held once."""

    def __init__(self, declared: str) -> None:
        super().__init__()
        self._write: Callable[[Any], str] = as_text
        if declared.startswith("BOOL"):
            self._write = _truth
        elif "DATE" in declared or "TIME" in declared:
            self._write = _day

    def __missing__(self, value: Any) -> str:
        text = self[value] = f"\\x{value.hex()}" if isinstance(value, bytes) else self._write(value)
        return text

    def of(self, cells: Sequence[Any]) -> ObjectArray:
        return np.array([*map(self.__getitem__, cells)], dtype=object)


def _truth(value: Any) -> str:
    return as_text(bool(value)) if isinstance(value, int | float) and value in (0, 1) else as_text(value)


def _day(value: Any) -> str:
    text = as_text(value)
    midnight = _MIDNIGHT.fullmatch(text)
    return midnight[1] if midnight else text


def _guarded(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?{_mode(path)}", uri=True, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise RegistryError(f"{path.name} cannot be opened; can this user read the file?") from error
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_ROW_BYTES)
        # A log without the index that a running program keeps would have one made beside it; so it is refused instead.
        if not path.with_name(f"{path.name}-shm").exists():
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").close()
        # Sorting in memory leaves no patient's row in a temporary file.
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "temp_store = MEMORY", "query_only = ON"):
            connection.execute(f"PRAGMA {pragma}").close()
        connection.execute("BEGIN").close()
        connection.execute("SELECT count(*) FROM sqlite_master").close()
        end = time.monotonic() + _LONGEST_QUERY_S
        connection.set_progress_handler(lambda: int(time.monotonic() > end), 100_000)
        connection.set_authorizer(_authorize)
    except sqlite3.Error as error:
        connection.close()
        raise RegistryError(f"{path.name} cannot be read: {_why(error)}.") from error
    return connection


def _authorize(action: int, subject: str | None, *_: object) -> int:
    own = action == sqlite3.SQLITE_PRAGMA and subject == "table_xinfo"
    return sqlite3.SQLITE_OK if own or action in _ALLOWED else sqlite3.SQLITE_DENY


def _mode(path: Path) -> str:
    """Read-only; and where a write-ahead log is declared but nobody has the file open, without making one."""
    with path.open("rb") as file:
        logs_ahead = file.read(20)[18:] == b"\x02\x02"
    log = path.with_name(f"{path.name}-wal")
    return "mode=ro&immutable=1" if logs_ahead and not log.exists() else "mode=ro"


def _why(error: sqlite3.Error) -> str:
    """What a person can do about an error of SQLite; its own words may quote the file's content."""
    text = str(error).lower()
    return next((sentence for words, sentence in _REASONS if any(word in text for word in words)), _DAMAGED)


_DAMAGED: Final = "it is damaged; run SQLite's integrity check, or restore it from a backup"
_REASONS: Final = (
    (("decode to utf-8",),
     "it holds text that is not UTF-8; write that text again in UTF-8, or export the table as CSV"),
    (("too big", "string or blob"),
     "a row is too long for a registry (a document or an image?); make a view without it"),
    (("interrupted",), "its query does not end in reasonable time; export the table as CSV"),
    (("not authorized", "unsafe use", "prohibited"),
     "its view does more than look up rows; make it a table, or export it as CSV"),
    (("no such", "ambiguous column", "syntax"), "its view does not fit the tables of the file; correct the view"),
    (("locked", "busy"), "another program is writing to it; close that program and start again"),
    (("unable to open", "readonly", "disk i/o"),
     "another program has left it unfinished (a -journal or -wal file lies beside it); open and close it with that "
     "program, and start again"),
    (("not a database", "encrypted"), "it is encrypted or no SQLite database"),
)  # fmt: skip
