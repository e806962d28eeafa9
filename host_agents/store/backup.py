"""Copies of a home agent's state file: made while it is written to, put back while no daemon has it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from host_agents.runtime.errors import StoreFailed
from host_agents.store.database import Lock, explain, version_of
from host_agents.store.sqlite import HOME_AGENT_FILE


def back_up(state: Path, target: Path) -> None:
    """Copy what is durable now to `target`, 0600, in place of what was there; the daemon may run.

    All that was acknowledged before the call is in it. Raises StoreFailed; then `target` is what it was.
    """
    if target.exists() and not target.is_file():
        raise StoreFailed(f"{target}: is no file, and would be replaced")
    if target.exists() and state.exists() and target.samefile(state):
        raise StoreFailed(f"{target}: is the state file itself")
    part = target.with_name(target.name + ".part")
    try:
        _copy(state, part)
        os.replace(part, target)
        _flush(target.parent)
    except OSError as error:
        raise StoreFailed(f"{target}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def restore(backup: Path, state: Path) -> Path | None:
    """Put `backup` in the place of `state`; return where the former state is now, if there was one.

    Raises StoreFailed: the backup is not whole, not ours or newer than we are; a daemon has the state open.
    """
    lock = Lock(str(state))
    new = state.with_name(state.name + ".restoring")
    former = state.with_name(state.name + ".replaced")
    try:
        _copy(backup, new)
        if os.geteuid() == 0:  # the daemon's user owns the folder, and is to own this
            owner = state.parent.stat()
            os.chown(new, owner.st_uid, owner.st_gid)
        there = state.exists()
        if there:
            _settle(state)
            former.unlink(missing_ok=True)
            os.link(state, former)
        os.replace(new, state)
        _flush(state.parent)
    except OSError as error:
        raise StoreFailed(f"{state}: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)
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
    """A whole copy in one file, on the disk. Raises StoreFailed about `source`, OSError about `target`."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        with _opened(source) as whole, contextlib.closing(sqlite3.connect(target)) as copy:
            if version_of(whole, str(source), HOME_AGENT_FILE) == 0:
                raise StoreFailed(f"{source}: is empty")
            whole.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StoreFailed(explain(str(source), error)) from error
    if verdict != "ok":
        raise StoreFailed(f"{source}: is damaged ({' '.join(str(verdict).split())})")
    _flush(target)


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


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
