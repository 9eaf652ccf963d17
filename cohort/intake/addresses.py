"""What SOURCE may be: a path, or the URL of a database; a password or user name of it is never shown.

A database is read from `sqlite:///file` or `postgresql://user@host/database`. The password comes from PGPASSWORD, a
`.pgpass` file or a service file, as for every program that speaks to PostgreSQL; one in the URL is refused, since
shells, process lists and logs keep it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from cohort.domain.errors import UsageError

CONNECT_TIMEOUT_S: Final = 10
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_POSTGRES: Final = re.compile(
    r"(?:(?P<user>[^:@/?#]*)@)?(?P<hosts>[^@/?#]*)(?:/(?P<database>[^@/?#]*))?(?:\?(?P<query>[^#]*))?"
)
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::[0-9]{1,5})?")
_PARAMETERS: Final = (
    "host", "hostaddr", "port", "dbname", "user", "passfile", "service", "sslmode", "sslcert", "sslkey", "sslrootcert",
    "sslcrl", "sslcrldir", "ssl_min_protocol_version", "channel_binding", "gssencmode", "krbsrvname",
    "connect_timeout", "keepalives", "keepalives_idle", "target_session_attrs", "application_name",
)  # fmt: skip
# The server itself refuses to write, all tables are read as of one moment, and text is written in one way.
_SESSION: Final = (
    "default_transaction_read_only=on",
    r"default_transaction_isolation=repeatable\ read",
    r"datestyle=ISO,\ YMD",
    "intervalstyle=postgres",
    "extra_float_digits=1",
    "bytea_output=hex",
)


@dataclass(frozen=True)
class PostgresAddress:
    """A PostgreSQL database.

    name : the database, "" where only the service file or the server knows it. server : host and port, for messages.
    schema : where the tables lie, if not on the search path. connection : what libpq is given; never shown.
    """

    name: str
    server: str
    schema: str | None
    connection: str = field(repr=False)


def parse(source: str | Path) -> Path | PostgresAddress:
    """The path of a folder or file, or the address of a server.

    Raises UsageError, which repeats nothing of the URL, when it is not one that can be read.

    >>> parse("sqlite:///registry.db").name
    'registry.db'
    >>> parse("postgresql://reader@db.example.org/registry?schema=spine")
    PostgresAddress(name='registry', server='db.example.org', schema='spine')
    """
    url = _URL.fullmatch(str(source))
    if url is None:
        return Path(source)
    scheme, rest = url[1].lower(), url[2]
    if scheme == "sqlite":
        return _sqlite(rest)
    if scheme in ("postgresql", "postgres"):
        return _postgres(rest)
    raise UsageError(
        "A source by URL is sqlite:///FILE or postgresql://USER@HOST:PORT/DATABASE; of anything else, export the "
        "tables as CSV or Parquet into a folder."
    )


def shown(source: str | Path) -> str:
    """A source as a message may name it: what could hold the words of an address, well written or not, is left out.

    >>> shown("data/registry"), shown("host=db password=secret"), shown("postgresql:/me:secret@db/registry")
    ('The source data/registry', 'The source', 'The source')
    """
    text = str(source)
    return "The source" if re.search("[@=?]|:/", text) else f"The source {text}"


def _sqlite(rest: str) -> Path:
    if not rest.startswith("/") or len(rest) < 2 or "?" in rest:
        raise UsageError(
            "An SQLite file is named as sqlite:///FILE (three slashes, four for an absolute path), without parameters."
        )
    return Path(rest[1:])


def _postgres(rest: str) -> PostgresAddress:
    parts = _POSTGRES.fullmatch(rest)
    if parts is None or not all(_HOST.fullmatch(host) for host in parts["hosts"].split(",")):
        if re.search(":.*@", rest, re.DOTALL):
            raise _password_in_url()
        raise UsageError(
            "The URL is not one of PostgreSQL: write postgresql://USER@HOST:PORT/DATABASE, with special characters in "
            "a name percent-encoded."
        )
    given = _parameters(parts["query"] or "")
    schema = given.pop("schema", None)
    hosts = unquote(parts["hosts"]) or given.get("host", "") or given.get("hostaddr", "")
    own = {
        "connect_timeout": os.environ.get("PGCONNECT_TIMEOUT") or str(CONNECT_TIMEOUT_S),
        "application_name": "cohort",
        **given,
        "client_encoding": "UTF8",
        "options": " ".join(f"-c {setting}" for setting in _SESSION),
    }
    user = "" if parts["user"] is None else f"{parts['user']}@"
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in own.items())
    return PostgresAddress(
        unquote(parts["database"] or "") or given.get("dbname", ""),
        hosts or "of the service file or of this machine",
        schema or None,
        f"postgresql://{user}{parts['hosts']}/{parts['database'] or ''}?{query}",
    )


def _parameters(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if unquote(name).lower() in ("password", "sslpassword"):
            raise _password_in_url()
        if name not in ("schema", *_PARAMETERS):
            raise UsageError(
                "The URL has a parameter that is not read here; there are schema and these of PostgreSQL: "
                f"{', '.join(sorted(_PARAMETERS))}."
            )
        given[name] = unquote(value)
    return given


def _password_in_url() -> UsageError:
    return UsageError(
        "A password must not stand in the URL, where shells and logs would keep it. Take it out, and give it in the "
        "environment variable PGPASSWORD, in a .pgpass file (PGPASSFILE) or in a service file (?service=NAME)."
    )
