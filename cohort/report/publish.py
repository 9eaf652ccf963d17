"""A report appears whole or not at all, and never over something that is not a report.

It is written into a temporary folder beside its place, flushed to disk, and swapped in under a lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cohort.domain.errors import OutputError
from cohort.report.provenance import MADE_BY

WAIT_SECONDS: Final = 10.0
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def publish(
    out: Path, write: Callable[[Path], None], *, force: bool = False, wait_seconds: float = WAIT_SECONDS
) -> Path:
    """Fill a temporary folder by `write` and put it at `out`.

    Raises OutputError when `out` is taken and may not be replaced, when another run holds the lock for longer than
    `wait_seconds`, or when the folder cannot be written. Whatever goes wrong, what stood at `out` still stands there.
    """
    out = Path(os.path.realpath(out))
    refuse_if_taken(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with locked(out, wait_seconds):
            # Another run may have published while this one waited.
            refuse_if_taken(out, force=force)
            _clear_leftovers(out)
            fresh = out.with_name(f".{out.name}.new-{os.getpid()}")
            try:
                fresh.mkdir()
                write(fresh)
                _flush(fresh)
                _swap(fresh, out)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"The report could not be written to {out}: {error.strerror or error}. What stood there is unchanged."
        ) from error
    return out


def refuse_if_taken(out: Path, *, force: bool) -> None:
    """Raise OutputError unless `out` is free, empty, or (with force) a report of ours."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file, not a folder. Give the report a folder of its own.")
    if not any(out.iterdir()):
        return
    if not force:
        raise OutputError(f"{out} is not empty. Choose another folder, or replace the report in it with --force.")
    if not is_report(out):
        raise OutputError(
            f"{out} holds files but no manifest.json of an earlier report, so --force does not replace it. "
            "Choose another folder, or empty this one yourself."
        )


def is_report(folder: Path) -> bool:
    """Whether a folder holds a report written by this software."""
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("made_by") == MADE_BY


@contextlib.contextmanager
def locked(out: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock beside `out`; released by the system if this process dies.

    Raises OutputError when another run holds it for longer than `wait_seconds`.
    """
    path = out.with_name(f".{out.name}.lock")
    deadline = time.monotonic() + wait_seconds
    handle = -1
    while True:
        if handle < 0:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                os.close(handle)
                raise
            if time.monotonic() >= deadline:
                os.close(handle)
                raise OutputError(
                    f"Another run is writing a report to {out} and did not finish within {wait_seconds:g} seconds. "
                    "Try again when it is done."
                ) from None
            time.sleep(min(0.05, max(wait_seconds, 0.001)))
            continue
        # The holder before us removes the file as it leaves: a lock on a removed file locks nobody out.
        if _same_file(handle, path):
            break
        os.close(handle)
        handle = -1
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _clear_leftovers(out: Path) -> None:
    """Remove what a run that was killed left behind; the lock says that none is alive."""
    for prefix in (f".{out.name}.new-", f".{out.name}.old-"):
        for stale in sorted(out.parent.glob(f"{_escaped(prefix)}*")):
            if stale.name[len(prefix) :].isdigit():
                shutil.rmtree(stale, ignore_errors=True)


def _escaped(text: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def _flush(folder: Path) -> None:
    """Everything below the folder to disk, files before the folders that name them."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _flush_one(Path(parent) / name, os.O_RDONLY)
        _flush_one(Path(parent), os.O_RDONLY | os.O_DIRECTORY)


def _flush_one(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(fresh: Path, out: Path) -> None:
    """Put the new folder in place; where the system can, in one step that no reader can fall between."""
    if not out.exists():
        os.rename(fresh, out)
    elif _exchange(fresh, out):
        pass  # `fresh` is now the earlier report, and the caller removes it
    else:
        old = out.with_name(f".{out.name}.old-{os.getpid()}")
        os.rename(out, old)
        try:
            os.rename(fresh, out)
        except OSError:
            os.rename(old, out)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _flush_one(out.parent, os.O_RDONLY | os.O_DIRECTORY)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step (Linux renameat2); False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return bool(done == 0)
