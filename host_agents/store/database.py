"""One SQLite file of ours: of one daemon at a time, 0600, of a kind and version we know, WAL, synchronous=FULL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence

from host_agents.runtime.errors import StoreFailed

_BUSY_MS = 1000  # a killed predecessor may need a moment to be gone


def open_database(path: str, application_id: int, schema: str, changes: Sequence[str] = ()) -> sqlite3.Connection:
    """Open or create `path`. application_id: 32 bits that tell a home agent's file from a foreign agent's.

    schema: of version 1. changes: the statement that makes each version into the next; a file of ours is brought to
    the last one.

    Usable from any one thread at a time, transactions are explicit. Raises StoreFailed with one clear line.
    """
    try:
        # Created here because SQLite would make it by our umask; -wal and -shm take the file's own mode.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        os.chmod(path, 0o600)
    except OSError as error:
        raise StoreFailed(f"{path}: {error.strerror}") from error
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000)
    except sqlite3.Error as error:
        raise StoreFailed(f"{path}: {error}") from error
    try:
        _prepare(connection, path, application_id, [schema, *changes])
    except sqlite3.Error as error:
        connection.close()
        raise StoreFailed(_explain(path, error)) from error
    except StoreFailed:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str, application_id: int, versions: Sequence[str]) -> None:
    # Exclusive from the first access on: a second daemon is refused, and the kernel lets go when we are killed.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if kind != application_id and (kind or tables):
        raise StoreFailed(f"{path}: is another program's or another agent's file")
    if version > len(versions):
        raise StoreFailed(f"{path}: has version {version}, this Entourage knows versions up to {len(versions)}")
    if version < len(versions):
        for statement in ";".join(versions[version:]).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute(f"PRAGMA user_version = {len(versions)}")
    connection.execute("COMMIT")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreFailed(f"{path}: is damaged ({' '.join(str(verdict).split())}); restore a backup or move it away")


def _explain(path: str, error: sqlite3.Error) -> str:
    reason = getattr(error, "sqlite_errorcode", None)
    if reason == sqlite3.SQLITE_BUSY:
        return f"{path}: another daemon has it open"
    if reason in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"{path}: is damaged ({error}); restore a backup or move it away"
    return f"{path}: {error}"
