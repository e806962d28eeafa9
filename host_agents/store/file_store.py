"""What all stores share: one file of SQLite's, and the thread that writes it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from host_agents.runtime.errors import StoreFailed
from host_agents.store.database import open_database
from host_agents.store.group_commit import GroupCommit, Writer
from host_agents.store.protocol import Done, Row


class FileStore:
    """application_id, schema: as of open_database(). writer: makes what rows are to the database.

    Raises StoreFailed: the file cannot be used.
    """

    def __init__(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        application_id: int,
        schema: str,
        writer: Callable[[sqlite3.Connection], Writer],
    ) -> None:
        self._path = path
        self._connection = open_database(path, application_id, schema)
        try:
            self._commit = GroupCommit(self._connection, writer(self._connection), loop, path)
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreFailed(f"{path}: {error}") from error

    @property
    def commits(self) -> int:
        """Transactions that reached the disk since the file was opened."""
        return self._commit.commits

    def submit(self, rows: Sequence[Row], done: Done) -> None:
        """As Store.submit."""
        self._commit.submit(rows, done)

    @property
    def waiting(self) -> int:
        """As Store.waiting."""
        return self._commit.waiting

    def close(self) -> None:
        """As Store.close."""
        self._commit.close()

    def rows(self, query: str) -> Iterator[Any]:
        """To be called before the first submit. Raises StoreFailed."""
        try:
            yield from self._connection.execute(query)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: {error}") from error


class PlainRows:
    """A Writer whose rows go to their table at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def put(self, row: Row) -> None:
        """As Writer.put."""
        raise NotImplementedError

    def finish(self) -> None:
        """Rows are all there is."""

    def ended(self, committed: bool) -> None:
        """Nothing but the database remembers."""

    def close(self) -> None:
        """Nor is there anything to be put in order."""
