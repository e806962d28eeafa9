"""The agents' durable state in SQLite: bindings, Identifications and last owners; visitors.

A home agent's rows pass a journal on their way (journal.py); a foreign agent's few go to their table at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from host_agents.effects import (
    RemoveVisitor,
    StoreVisitor,
    Visitor,
)
from host_agents.runtime.errors import StoreFailed
from host_agents.store.database import open_database
from host_agents.store.group_commit import GroupCommit, Writer
from host_agents.store.journal import Journal
from host_agents.store.protocol import Done, Owner, Row, Snapshot
from host_agents.store.rows import COLUMNS, bindings

HOME_AGENT_FILE = 0x454E5448  # "ENTH"
_FOREIGN_AGENT_FILE = 0x454E5446  # "ENTF"

_HOME_AGENT_SCHEMA = """
CREATE TABLE binding (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, home_address INTEGER NOT NULL UNIQUE, care_of_address INTEGER NOT NULL,
    lifetime INTEGER NOT NULL, expires INTEGER, flags INTEGER NOT NULL, identification BLOB NOT NULL,
    direct INTEGER NOT NULL, revocation INTEGER, udp_remote INTEGER NOT NULL, udp_port INTEGER NOT NULL,
    supplied INTEGER NOT NULL, others TEXT NOT NULL,
    PRIMARY KEY (nai, sub_nai)) WITHOUT ROWID;
CREATE TABLE identification (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, identification BLOB NOT NULL, nonce INTEGER,
    PRIMARY KEY (nai, sub_nai)) WITHOUT ROWID;
CREATE TABLE owner (
    address INTEGER PRIMARY KEY, nai TEXT NOT NULL, sub_nai TEXT NOT NULL, released INTEGER NOT NULL);
CREATE TABLE journal (number INTEGER PRIMARY KEY, records BLOB NOT NULL)
"""
_FOREIGN_AGENT_SCHEMA = """
CREATE TABLE visitor (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, home_address INTEGER PRIMARY KEY, home_agent INTEGER NOT NULL,
    care_of_address INTEGER NOT NULL, interface TEXT NOT NULL, link_address BLOB NOT NULL, lifetime INTEGER NOT NULL,
    expires INTEGER, flags INTEGER NOT NULL, revocation INTEGER, hands_in INTEGER NOT NULL, said INTEGER)
"""

_VISITOR = (
    "nai, sub_nai, home_address, home_agent, care_of_address, interface, link_address, lifetime, expires, flags,"
    " revocation, hands_in, said"
)
_PUT_VISITOR = f"REPLACE INTO visitor ({_VISITOR}) VALUES ({', '.join('?' * len(_VISITOR.split(', ')))})"
_visitor_values = attrgetter(*_VISITOR.split(", "))


class _SqliteStore:
    """What both stores share: one file, and the thread that writes it."""

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

    def _all(self, query: str) -> Iterator[Any]:
        try:
            yield from self._connection.execute(query)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: {error}") from error


class HomeAgentStore(_SqliteStore):
    """Bindings, last Identifications, last owners of free addresses. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(path, loop, HOME_AGENT_FILE, _HOME_AGENT_SCHEMA, _journalled)

    def load(self) -> Snapshot:
        """As Store.load."""
        restored = list(bindings(self._all(f"SELECT {', '.join(COLUMNS)} FROM binding")))
        identifications, nonces = {}, {}
        for nai, sub_nai, identification, nonce in self._all(
            "SELECT nai, sub_nai, identification, nonce FROM identification AS last WHERE nonce IS NOT NULL"
            " OR NOT EXISTS (SELECT 1 FROM binding WHERE nai = last.nai AND sub_nai = last.sub_nai"
            " AND identification = last.identification)"
        ):
            identifications[nai, sub_nai] = int.from_bytes(identification, "big")
            if nonce is not None:
                nonces[nai, sub_nai] = nonce
        owners = {row[0]: Owner(*row[1:]) for row in self._all("SELECT address, nai, sub_nai, released FROM owner")}
        return Snapshot(restored, identifications, nonces, owners)


def _journalled(connection: sqlite3.Connection) -> Journal:
    journal = Journal(connection)
    journal.recover()
    return journal


class ForeignAgentStore(_SqliteStore):
    """Visitors. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(path, loop, _FOREIGN_AGENT_FILE, _FOREIGN_AGENT_SCHEMA, _ForeignAgentRows)

    def load(self) -> list[Visitor]:
        """As Store.load."""
        rows = self._all(f"SELECT {_VISITOR} FROM visitor")
        return [Visitor(*[*columns, bool(hands_in), said]) for *columns, hands_in, said in rows]


class _ForeignAgentRows:
    """The Writer of a foreign agent's file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, row: Row) -> None:
        match row:
            case StoreVisitor(visitor):
                values = _visitor_values(visitor)
                self._connection.execute(_PUT_VISITOR, values)
            case RemoveVisitor(visitor):
                self._connection.execute(
                    "DELETE FROM visitor WHERE nai = ? AND sub_nai = ? AND home_address = ?",
                    (visitor.nai, visitor.sub_nai, visitor.home_address),
                )
            case _:
                raise ValueError(f"a foreign agent does not keep {type(row).__name__}")

    def finish(self) -> None:
        """Rows are all there is."""

    def ended(self, committed: bool) -> None:
        """Nothing but the database remembers."""

    def close(self) -> None:
        """Nor is there anything to be put in order."""
