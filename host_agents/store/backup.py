"""Copies of a home agent's state file: made while it is written to, put back while no daemon has it."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from host_agents.runtime.errors import StoreFailed
from host_agents.store.database import Lock, explain, version_of
from host_agents.store.sqlite import HOME_AGENT_FILE
from host_agents.store.whole_file import whole_file

# Which file an error is about, SQLite does not say; but we write to one only
_OF_THE_COPY = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC)


def back_up(state: Path, target: Path) -> None:
    """Copy what is durable now to `target`, 0600, in place of what was there; the daemon may run.

    All that was acknowledged before the call is in it. Raises StoreFailed; then `target` is what it was.
    """
    if target.exists() and not target.is_file():
        raise StoreFailed(f"{target}: is no file, and would be replaced")
    if target.exists() and state.exists() and target.samefile(state):
        raise StoreFailed(f"{target}: is the state file itself")
    try:
        with whole_file(target, 0o600) as part:
            _copy(state, part)
    except OSError as error:
        raise StoreFailed(f"{target}: {error.strerror}") from error


def restore(backup: Path, state: Path) -> Path | None:
    """Put `backup` in the place of `state`; return where the former state is now, if there was one.

    Raises StoreFailed: the backup is not whole, not ours or newer than we are; a daemon has the state open.
    """
    lock = Lock(str(state))
    former = state.with_name(state.name + ".replaced")
    try:
        with whole_file(
            state, 0o600, like=state.parent
        ) as new:  # the daemon's user owns the folder, and is to own this
            _copy(backup, new)
            there = state.exists()
            if there:
                _settle(state)
                former.unlink(missing_ok=True)
                os.link(state, former)
    except OSError as error:
        raise StoreFailed(f"{state}: {error.strerror}") from error
    finally:
        lock.release()
    return former if there else None


def _settle(state: Path) -> None:
    """Have the file say all of it, for a log that stayed behind would be taken for its successor's."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(state)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    for end in ("-wal", "-shm"):  # of a file too damaged for that
        log = state.with_name(state.name + end)
        if log.exists():
            os.replace(log, state.with_name(state.name + ".replaced" + end))


def _copy(source: Path, target: Path) -> None:
    """A whole copy in one file, which is empty yet. Raises StoreFailed about `source`, OSError about `target`."""
    try:
        with _opened(source) as whole, contextlib.closing(sqlite3.connect(target)) as copy:
            if version_of(whole, str(source), HOME_AGENT_FILE) == 0:
                raise StoreFailed(f"{source}: is empty")
            whole.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) in _OF_THE_COPY:
            raise OSError(errno.EIO, str(error)) from error
        raise StoreFailed(explain(str(source), error)) from error
    if verdict != "ok":
        raise StoreFailed(f"{source}: is damaged ({' '.join(str(verdict).split())})")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """For reading. Raises StoreFailed where nobody lets us, sqlite3.Error."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))  # SQLite only says that it cannot
    except OSError as error:
        raise StoreFailed(f"{path}: {error.strerror}") from error
    if path.is_dir():
        raise StoreFailed(f"{path}: is a directory")
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        yield connection
