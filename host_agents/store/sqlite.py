"""The agents' durable state in SQLite: bindings, Identifications and last owners; visitors.

A home agent's rows pass a journal on their way (journal.py); a foreign agent's few go to their table at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from operator import attrgetter

from host_agents.effects import RemoveVisitor, StoreVisitor, Visitor
from host_agents.store.file_store import FileStore, PlainRows
from host_agents.store.journal import Journal
from host_agents.store.protocol import Owner, Row, Snapshot
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


class HomeAgentStore(FileStore):
    """Bindings, last Identifications, last owners of free addresses. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(path, loop, HOME_AGENT_FILE, _HOME_AGENT_SCHEMA, _journalled)

    def load(self) -> Snapshot:
        """As Store.load."""
        restored = list(bindings(self.rows(f"SELECT {', '.join(COLUMNS)} FROM binding")))
        identifications, nonces = {}, {}
        for nai, sub_nai, identification, nonce in self.rows(
            "SELECT nai, sub_nai, identification, nonce FROM identification AS last WHERE nonce IS NOT NULL"
            " OR NOT EXISTS (SELECT 1 FROM binding WHERE nai = last.nai AND sub_nai = last.sub_nai"
            " AND identification = last.identification)"
        ):
            identifications[nai, sub_nai] = int.from_bytes(identification, "big")
            if nonce is not None:
                nonces[nai, sub_nai] = nonce
        owners = {row[0]: Owner(*row[1:]) for row in self.rows("SELECT address, nai, sub_nai, released FROM owner")}
        return Snapshot(restored, identifications, nonces, owners)


def _journalled(connection: sqlite3.Connection) -> Journal:
    journal = Journal(connection)
    journal.recover()
    return journal


class ForeignAgentStore(FileStore):
    """Visitors. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(path, loop, _FOREIGN_AGENT_FILE, _FOREIGN_AGENT_SCHEMA, _ForeignAgentRows)

    def load(self) -> list[Visitor]:
        """As Store.load."""
        rows = self.rows(f"SELECT {_VISITOR} FROM visitor")
        return [Visitor(*[*columns, bool(hands_in), said]) for *columns, hands_in, said in rows]


class _ForeignAgentRows(PlainRows):
    """The Writer of a foreign agent's file."""

    def put(self, row: Row) -> None:
        match row:
            case StoreVisitor(visitor):
                self.connection.execute(_PUT_VISITOR, _visitor_values(visitor))
            case RemoveVisitor(visitor):
                self.connection.execute(
                    "DELETE FROM visitor WHERE nai = ? AND sub_nai = ? AND home_address = ?",
                    (visitor.nai, visitor.sub_nai, visitor.home_address),
                )
            case _:
                raise ValueError(f"a foreign agent does not keep {type(row).__name__}")
