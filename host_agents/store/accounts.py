"""What a home agent's accounting has to know after a restart: in a file of its own, for which no registration waits."""

from __future__ import annotations

import asyncio
import sqlite3

from host_agents.runtime.errors import StoreFailed
from host_agents.store.database import open_database
from host_agents.store.group_commit import GroupCommit
from host_agents.store.protocol import Done, RemoveAccount, Row, StoreAccount

_FILE = 0x454E5441  # "ENTA"
_SCHEMA = "CREATE TABLE account (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID"


class AccountStore:
    """Records by Acct-Session-Id. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._connection = open_database(path, _FILE, _SCHEMA)
        self._commit = GroupCommit(self._connection, _Rows(self._connection), loop, path)

    def load(self) -> list[bytes]:
        """All records, before the first submit. Raises StoreFailed."""
        try:
            return [record for (record,) in self._connection.execute("SELECT record FROM account ORDER BY id")]
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: {error}") from error

    def submit(self, rows: list[StoreAccount | RemoveAccount], done: Done) -> None:
        """As Store.submit."""
        self._commit.submit(rows, done)

    def close(self) -> None:
        """As Store.close."""
        self._commit.close()


class _Rows:
    """The Writer of this file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, row: Row) -> None:
        match row:
            case StoreAccount(account_id, record):
                self._connection.execute("REPLACE INTO account VALUES (?, ?)", (account_id, record))
            case RemoveAccount(account_id):
                self._connection.execute("DELETE FROM account WHERE id = ?", (account_id,))
            case _:
                raise ValueError(f"accounting does not keep {type(row).__name__}")

    def finish(self) -> None:
        """Rows are all there is."""

    def ended(self, committed: bool) -> None:
        """Nothing but the database remembers."""

    def close(self) -> None:
        """Nor is there anything to be put in order."""
