"""One SQLite file of ours: of one daemon at a time, 0600, of a kind and version we know, WAL, synchronous=FULL.

A lock file beside it, and not SQLite's exclusive mode, keeps a second daemon away: so a backup reads while we write.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from host_agents.runtime.errors import StoreFailed
from host_agents.store.upgrade import upgrade
from host_agents.store.whole_file import whole_file

VERSION = 3  # 2 differs from it in what a journal can have, and ours can have all of that
_PATIENCE = 1.0  # seconds; a killed predecessor may need a moment to be gone
_POLL = 0.02


class Database(sqlite3.Connection):
    """Usable from any one thread at a time; transactions are explicit. Its file is ours until close()."""

    lock: Lock | None = None

    def close(self) -> None:
        super().close()
        if self.lock is not None:
            self.lock.release()


class Lock:
    """Who has PATH.lock may write PATH; the kernel lets go when its holder is killed."""

    def __init__(self, path: str) -> None:
        """Raises StoreFailed: somebody else has it, or the folder cannot be written to."""
        try:
            self._file = os.open(path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailed(f"{path}: {error.strerror}") from error
        folder = os.stat(os.path.dirname(os.path.abspath(path)))
        if os.geteuid() == 0 != folder.st_uid:  # root came first, with a backup: the daemon's user is to have it too
            os.fchown(self._file, folder.st_uid, folder.st_gid)
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                os.lockf(self._file, os.F_TLOCK, 0)
                return
            except OSError as error:
                if time.monotonic() > until:
                    os.close(self._file)
                    raise StoreFailed(f"{path}: another daemon has it open") from error
                time.sleep(_POLL)

    def release(self) -> None:
        os.close(self._file)


def open_database(path: str, application_id: int, schema: str) -> Database:
    """Open or create `path`. application_id: 32 bits that tell a home agent's file from a foreign agent's.

    An earlier version's file is upgraded in one transaction, and what it was stays beside it. Raises StoreFailed with
    one clear line.
    """
    lock = Lock(path)
    try:
        # Created here because SQLite would make it by our umask; -wal and -shm take the file's own mode.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        os.chmod(path, 0o600)
    except OSError as error:
        lock.release()
        raise StoreFailed(f"{path}: {error.strerror}") from error
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE, factory=Database
        )
    except sqlite3.Error as error:
        lock.release()
        raise StoreFailed(f"{path}: {error}") from error
    connection.lock = lock
    try:
        _prepare(connection, path, application_id, schema)
    except sqlite3.Error as error:
        connection.close()
        raise StoreFailed(explain(path, error)) from error
    except (StoreFailed, OSError):
        connection.close()
        raise
    return connection


def version_of(connection: sqlite3.Connection, path: str, application_id: int) -> int:
    """0 for an empty file. Raises StoreFailed: not such a file, or a newer one; sqlite3.Error."""
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if kind != application_id and (kind or tables):
        raise StoreFailed(f"{path}: is another program's or another agent's file")
    if version > VERSION:
        raise StoreFailed(f"{path}: has version {version}, this Entourage knows versions up to {VERSION}")
    return int(version)


def explain(path: str, error: sqlite3.Error) -> str:
    """What SQLite says, in one line that says what to do."""
    reason = getattr(error, "sqlite_errorcode", None)
    if reason == sqlite3.SQLITE_BUSY:
        return f"{path}: another daemon has it open"
    if reason in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"{path}: is damaged ({error}); restore a backup or move it away"
    return f"{path}: {error}"


def _prepare(connection: sqlite3.Connection, path: str, application_id: int, schema: str) -> None:
    version = version_of(connection, path, application_id)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = OFF")  # some builds would overwrite all of a journal that is done with
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreFailed(f"{path}: is damaged ({' '.join(str(verdict).split())}); restore a backup or move it away")
    if version == VERSION:
        return
    if version > 0:
        _keep(connection, f"{path}.version{version}")
    connection.execute("BEGIN IMMEDIATE")
    if version == 1:
        upgrade(connection, schema)
    elif version == 0:
        for statement in schema.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {application_id}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _keep(connection: sqlite3.Connection, path: str) -> None:
    """A copy for whoever goes back to the program that wrote it."""
    try:
        with whole_file(Path(path), 0o600) as beside:
            connection.execute("VACUUM INTO ?", (str(beside),))
    except OSError as error:
        raise StoreFailed(f"{path}: {error.strerror}") from error
