"""PostgreSQL: every cell as text by the server's own cast, in a session that the server keeps from writing.

No message repeats what the server or libpq says: their words name users, and quote what they were given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped]

from cohort.domain.errors import RegistryError
from cohort.intake.addresses import PostgresAddress
from cohort.intake.databases import LONGEST_CELL, Parts, parts, quoted
from cohort.intake.ledger import ObjectArray


@contextmanager
def connect(address: PostgresAddress) -> Iterator[PostgresDatabase]:
    """Open a database for reading, all tables as of one moment.

    Raises RegistryError when the driver is not installed, or the server cannot be reached or refuses.
    """
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise RegistryError(
            "Reading PostgreSQL needs a driver that is not installed: pip install 'vertebral-cohort[sql]'."
        ) from error
    fault = None
    try:
        connection = dbapi.connect(address.connection)
    except dbapi.Error as error:
        fault = _why_refused(str(error), address)
    # Outside of the handler, so that the driver's words are not in the chain either.
    if fault is not None:
        raise RegistryError(fault)
    try:
        yield PostgresDatabase(connection, dbapi.Error, address)
    finally:
        connection.close()


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    element: str | None
    collates: bool
    key: int | None


class PostgresDatabase:
    """A `databases.Database`."""

    def __init__(self, connection: Any, error: type[Exception], address: PostgresAddress) -> None:
        self._connection = connection
        self._error = error
        self._schema = address.schema
        self.name = address.name or "the database"
        if not address.name:
            self.name = str(self._rows("its name", "SELECT current_database()::text")[0][0])
        self._ids: dict[str, int] = {}

    def table_names(self) -> tuple[str, ...]:
        """Tables and views of the schema, or of the search path; partitions are read through their table."""
        if self._schema is not None:
            known = self._rows("the schemas", "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", self._schema)
            if not known:
                raise RegistryError(
                    f"The database {self.name} has no schema {self._schema}; correct ?schema= in the URL."
                )
        found = self._rows("the list of its tables", _TABLES, self._schema or "")
        self._ids = {str(name): int(oid) for oid, name in found}
        return tuple(self._ids)

    def read(self, table: str) -> Parts:
        """Header, cells as text and row numbers of one table or view."""
        what = f"table {table}"
        # The name comes from the catalogue, never from the study file, and still nothing is spliced but quoted names.
        oid = self._ids[table]
        columns = [_Column(*row) for row in self._rows(what, _COLUMNS, oid)]
        source = f"{quoted(self._rows(what, _SCHEMA_OF, oid)[0][0])}.{quoted(table)}"
        cells = self._fetch(what, _query(source, columns)) if columns else []
        return parts(f"{self.name}!{table}", [column.name for column in columns], [cells])

    def _rows(self, what: str, query: str, *parameters: str | int) -> list[tuple[Any, ...]]:
        fault = None
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, parameters or None)
                return list(cursor.fetchall())
        except (self._error, pa.ArrowException) as error:
            fault = _why_failed(str(error))
        raise RegistryError(f"{self.name}: {what} cannot be read: {fault}.")

    def _fetch(self, what: str, query: str) -> list[ObjectArray]:
        fault = None
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                # The driver fetches in batches of 16 MB; Arrow keeps them at a byte a character.
                table = cursor.fetch_arrow_table()
            return [column.fill_null("").to_pandas().to_numpy(dtype=object) for column in table.columns]
        except (self._error, pa.ArrowException, OSError, UnicodeError) as error:
            fault = _why_failed(str(error))
        raise RegistryError(f"{self.name}: {what} cannot be read: {fault}.")


def _query(source: str, columns: Sequence[_Column]) -> str:
    """Every column as text; ordered by the primary key, else by all columns as text, byte by byte."""
    cells = ", ".join(
        f"left({_text(f't.{quoted(c.name)}', c.type, c.element)}, {LONGEST_CELL + 1}) AS c{k}"
        for k, c in enumerate(columns)
    )
    keys = sorted((c for c in columns if c.key is not None), key=lambda c: c.key or 0)
    if keys:
        order = ", ".join(f"t.{quoted(c.name)}" + (' COLLATE "C"' if c.collates else "") for c in keys)
        return f"SELECT {cells} FROM {source} AS t ORDER BY {order}"
    order = ", ".join(f'c{k} COLLATE "C"' for k in range(len(columns)))
    return f"SELECT * FROM (SELECT {cells} FROM {source} AS t) AS cells ORDER BY {order}"


def _text(cell: str, type: str, element: str | None = None) -> str:
    """SQL for one cell as text: as `workbooks.as_text` writes the same value of a workbook."""
    if element is not None:
        part = f"coalesce({_text('u.part', element)}, '')"
        return (
            f"(SELECT string_agg({part}, ';' ORDER BY u.place) FROM unnest({cell}) WITH ORDINALITY AS u(part, place))"
        )
    match type:
        case "float4" | "float8":
            return f"nullif(({cell})::text, 'NaN')"
        case "numeric" | "money":
            return f"regexp_replace(nullif(({cell})::numeric::text, 'NaN'), '[.]0+$', '')"
        case "timestamp" | "timestamptz":
            # With a time zone: the day and hour on the server's own clock, as a person who looks there sees them.
            return f"regexp_replace(date_trunc('second', ({cell})::timestamp)::text, ' 00:00:00$', '')"
        case _:
            return f"({cell})::text"


_TABLES: Final = """
    SELECT c.oid::bigint, c.relname::text
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND CASE WHEN $1 = '' THEN pg_catalog.pg_table_is_visible(c.oid) AND n.nspname !~ '^pg_'
               AND n.nspname <> 'information_schema' ELSE n.nspname = $1 END
    ORDER BY c.relname::text COLLATE "C"
"""
_SCHEMA_OF: Final = """
    SELECT n.nspname::text
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid::bigint = $1
"""
# A domain is read as the type that it narrows.
_COLUMNS: Final = """
    WITH RECURSIVE plain(attnum, type) AS (
        SELECT attnum, atttypid FROM pg_catalog.pg_attribute
        WHERE attrelid::bigint = $1 AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT p.attnum, t.typbasetype FROM plain AS p JOIN pg_catalog.pg_type AS t ON t.oid = p.type
        WHERE t.typtype = 'd'
    )
    SELECT a.attname::text, t.typname::text, e.typname::text, a.attcollation <> 0,
        array_position(i.indkey::int2[], a.attnum)
    FROM plain AS p
    JOIN pg_catalog.pg_type AS t ON t.oid = p.type AND t.typtype <> 'd'
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid::bigint = $1 AND a.attnum = p.attnum
    LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
    ORDER BY a.attnum
"""


def _why_refused(said: str, address: PostgresAddress) -> str:
    """The sentence for a connection that was not made, by what libpq says; other languages get the last one."""
    text = said.lower()
    reason = next((sentence for words, sentence in _REFUSALS if any(word in text for word in words)), _OTHER_REFUSAL)
    return f"The server {address.server}: " + reason.format(database=address.name or "of this name")


def _why_failed(said: str) -> str:
    """The sentence for a query that failed, by its SQLSTATE."""
    state = re.search(r"SQLSTATE: ([0-9A-Z]{5})", said)
    code = state[1] if state else ""
    reason = next((sentence for start, sentence in _FAILURES if code and code.startswith(start)), None)
    if reason is None:
        reason = "the server refused or the connection broke" + (f" (PostgreSQL error {code})" if code else "")
    return reason


_OTHER_REFUSAL: Final = "the connection was refused; check host, port, database, user and password"
_REFUSALS: Final = (
    (("password authentication failed", "no password supplied", "authentication failed", 'role "'),
     "user or password was not accepted. The password is taken from PGPASSWORD, a .pgpass file (PGPASSFILE) or a "
     "service file"),
    (("pg_hba.conf",), "it lets this user or machine in to no such database (pg_hba.conf); ask its administrator"),
    (("permission denied",), "this user may not connect to the database {database}; ask its administrator"),
    (('database "',), "there is no database {database}; correct the URL"),
    (("definition of service", "service file"),
     "the service file does not define this service; correct ?service= or PGSERVICEFILE"),
    (("could not translate host name",), "the name of the host is not known; correct the URL"),
    (("timeout", "refused", "no route", "unreachable", "is the server running"),
     "it cannot be reached; check host and port, and whether the server runs and the network lets you through"),
    (("ssl", "certificate"), "no encrypted connection could be agreed on; check sslmode and the certificates"),
    (("too many", "remaining connection slots"), "it has no free connection; try again later"),
    (("starting up", "shutting down", "recovery"), "it is starting or stopping; try again later"),
)  # fmt: skip
_FAILURES: Final = (
    ("42501", "this user has no permission to; ask for GRANT SELECT on it"),
    ("42P01", "it is gone since the tables were listed; start again"),
    ("22P05", "it holds text that has no form in UTF-8; correct it, or export the table as CSV"),
    ("22021", "it holds text that is invalid in the database's encoding; correct it, or export the table as CSV"),
    ("57014", "the server's time limit for a query was passed; ask for a longer statement_timeout"),
    ("57P", "the server was shut down meanwhile; start again"),
    ("08", "the connection broke; start again"),
    ("53", "the server is out of memory, disk or connections; try again later"),
)  # fmt: skip
