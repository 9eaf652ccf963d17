"""The command line called as a stranger would, and a real PostgreSQL server wherever its binaries are found."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cohort import cli

PASSWORD = "correct-horse-battery-staple"
READER, READER_PASSWORD = "registry_reader", "xyzzy-plugh-1976"
_DEBIAN = Path("/usr/lib/postgresql")
_MISSING = (
    "NO POSTGRESQL SERVER WAS TESTED: initdb, postgres and psql are neither under /usr/lib/postgresql nor on PATH; "
    "install Debian's package postgresql"
)


@dataclass(frozen=True)
class Server:
    """A server on a loopback port; `owner` may do all, READER (with READER_PASSWORD) may read what it is granted."""

    psql: str
    port: int
    owner: str = "registry_owner"

    def url(self, database: str, user: str = READER) -> str:
        """The address of a database, as a person would give it: without a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def run(self, database: str, script: str, **files: str) -> str:
        """Run SQL as the owner; stops at the first error."""
        words = [self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        done = subprocess.run(
            [*words, "-U", self.owner, "-d", database],
            input=script,
            env={**os.environ, "PGPASSWORD": PASSWORD, "PGCLIENTENCODING": "UTF8"},
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def database(self, name: str, script: str, *, options: str = "") -> str:
        """Make a database anew, fill it as the owner, let READER read all of it; gives its address."""
        quoted = '"' + name.replace('"', '""') + '"'
        self.run("postgres", f"DROP DATABASE IF EXISTS {quoted};\nCREATE DATABASE {quoted} {options};")
        self.run(name, script)
        self.run(name, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER};")
        return self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server a session, with password authentication; skips, and says so, where there are no binaries."""
    binaries = {name: _binary(name) for name in ("initdb", "postgres", "psql")}
    if None in binaries.values():
        pytest.skip(_MISSING)
    # PostgreSQL refuses to run as root; pytest's own folders are closed to anybody else.
    who = _unprivileged() if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="cohort-postgres-"))
    process = None
    try:
        (folder / "password").write_text(PASSWORD)
        if who:
            os.chown(folder, who["user"], who["group"])
            os.chown(folder / "password", who["user"], who["group"])
        server = Server(str(binaries["psql"]), _free_port())
        settings = ["--encoding=UTF8", "--locale=C", "--no-sync", "--auth=scram-sha-256", f"--username={server.owner}"]
        made = subprocess.run(
            [str(binaries["initdb"]), "-D", str(folder / "data"), f"--pwfile={folder / 'password'}", *settings],
            capture_output=True, text=True, cwd=folder, **who,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        log = folder / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [str(binaries["postgres"]), "-D", str(folder / "data"), "-p", str(server.port),
                 "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"],
                stdout=said, stderr=said, cwd=folder, **who,
            )  # fmt: skip
        _wait(process, server.port, log)
        server.run("postgres", f"CREATE ROLE {READER} LOGIN PASSWORD '{READER_PASSWORD}';")
        yield server
    finally:
        if process is not None:
            process.terminate()
            process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def as_reader(monkeypatch: pytest.MonkeyPatch) -> str:
    """The password of READER where libpq looks for it; no other variable of PostgreSQL is set."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGPASSWORD", READER_PASSWORD)
    return READER_PASSWORD


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run `cohort ...`; gives the exit code, standard output and standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cohort", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return run


def _binary(name: str) -> str | None:
    newest_first = sorted(_DEBIAN.glob("*/bin"), key=lambda path: -float(path.parent.name))
    return next((str(path / name) for path in newest_first if (path / name).is_file()), shutil.which(name))


def _unprivileged() -> dict[str, object]:
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")
        if "ready to accept connections" in log.read_text(errors="replace"):
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not start on port {port}: {log.read_text(errors='replace')}")
