"""What a home agent's accounting has to know after a restart: in a file of its own, for which no registration waits."""

from __future__ import annotations

import asyncio

from host_agents.store.file_store import FileStore, PlainRows
from host_agents.store.protocol import RemoveAccount, Row, StoreAccount

_FILE = 0x454E5441  # "ENTA"
_SCHEMA = "CREATE TABLE account (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID"


class AccountStore(FileStore):
    """Records by Acct-Session-Id. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(path, loop, _FILE, _SCHEMA, _Rows)

    def load(self) -> list[bytes]:
        """As Store.load: all records."""
        return [record for (record,) in self.rows("SELECT record FROM account ORDER BY id")]


class _Rows(PlainRows):
    """The Writer of this file."""

    def put(self, row: Row) -> None:
        match row:
            case StoreAccount(account_id, record):
                self.connection.execute("REPLACE INTO account VALUES (?, ?)", (account_id, record))
            case RemoveAccount(account_id):
                self.connection.execute("DELETE FROM account WHERE id = ?", (account_id,))
            case _:
                raise ValueError(f"accounting does not keep {type(row).__name__}")
