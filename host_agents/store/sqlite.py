"""The agents' durable state in SQLite: bindings, Identifications and last owners; visitors.

An Identification is 64 unsigned bits and SQLite's integers are signed, so it is kept as its eight octets on the wire:
they compare in the same order as the numbers, and hex() shows them as a packet decoder would.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from host_agents.effects import (
    ForgetIdentification,
    MobilityBinding,
    RemoveBinding,
    RemoveVisitor,
    RenewBinding,
    StoreBinding,
    StoreIdentification,
    StoreVisitor,
    Visitor,
)
from host_agents.runtime.errors import StoreFailed
from host_agents.store.database import open_database
from host_agents.store.group_commit import GroupCommit, Writer
from host_agents.store.protocol import Done, HomeAgentRow, Owner, Row, Snapshot
from host_agents.store.renewals import RenewalJournal

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
CREATE TABLE renewals (number INTEGER PRIMARY KEY, records BLOB NOT NULL)
"""
_FOREIGN_AGENT_SCHEMA = """
CREATE TABLE visitor (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, home_address INTEGER PRIMARY KEY, home_agent INTEGER NOT NULL,
    care_of_address INTEGER NOT NULL, interface TEXT NOT NULL, link_address BLOB NOT NULL, lifetime INTEGER NOT NULL,
    expires INTEGER, flags INTEGER NOT NULL, revocation INTEGER, hands_in INTEGER NOT NULL, said INTEGER)
"""

_BINDING = (
    "nai, sub_nai, home_address, care_of_address, lifetime, expires, flags, identification, direct, revocation,"
    " udp_remote, udp_port, supplied, others"
)
_VISITOR = (
    "nai, sub_nai, home_address, home_agent, care_of_address, interface, link_address, lifetime, expires, flags,"
    " revocation, hands_in, said"
)
_COLUMNS = _BINDING.split(", ")
_SHARED = [_COLUMNS.index(one) for one in ("nai", "sub_nai", "care_of_address", "lifetime", "flags")]
_IDENTIFICATION = _COLUMNS.index("identification")
# Not REPLACE: it would push another session off the address instead of failing.
_PUT_BINDING = (
    f"INSERT INTO binding ({_BINDING}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    f" ON CONFLICT (nai, sub_nai) DO UPDATE SET {', '.join(f'{one} = excluded.{one}' for one in _COLUMNS[2:])}"
)
_PUT_VISITOR = f"REPLACE INTO visitor ({_VISITOR}) VALUES ({', '.join('?' * len(_VISITOR.split(', ')))})"
_binding_values = attrgetter(*_COLUMNS)
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

    def close(self) -> None:
        """As Store.close."""
        self._commit.close()
        self._connection.close()

    def _all(self, query: str) -> Iterator[Any]:
        try:
            yield from self._connection.execute(query)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path}: {error}") from error


class HomeAgentStore(_SqliteStore):
    """Bindings, last Identifications, last owners of free addresses. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(path, loop, HOME_AGENT_FILE, _HOME_AGENT_SCHEMA, _HomeAgentRows)

    def load(self) -> Snapshot:
        """As Store.load."""
        bindings = []
        once: dict[Any, Any] = {}  # values that many bindings share; a million would each have its own copy
        for *columns, identification, direct, revocation, udp_remote, udp_port, supplied, others in self._all(
            f"SELECT {_BINDING} FROM binding"
        ):
            wire = int.from_bytes(identification, "big")
            beside = _others_in(others, columns[:3])
            columns = [once.setdefault(value, value) if at in _SHARED else value for at, value in enumerate(columns)]
            values = [*columns, wire, bool(direct), revocation, udp_remote, udp_port, bool(supplied), beside]
            bindings.append(MobilityBinding(*values))
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
        return Snapshot(bindings, identifications, nonces, owners)


class ForeignAgentStore(_SqliteStore):
    """Visitors. Raises StoreFailed: the file cannot be used."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(path, loop, _FOREIGN_AGENT_FILE, _FOREIGN_AGENT_SCHEMA, _ForeignAgentRows)

    def load(self) -> list[Visitor]:
        """As Store.load."""
        rows = self._all(f"SELECT {_VISITOR} FROM visitor")
        return [Visitor(*[*columns, bool(hands_in), said]) for *columns, hands_in, said in rows]


class _HomeAgentRows:
    """The Writer of a home agent's file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Raises sqlite3.Error."""
        self._connection = connection
        self._renewals = RenewalJournal(connection)
        self._renewals.recover()

    def put(self, row: Row) -> None:
        if isinstance(row, RenewBinding):
            self._renewals.renew(row.binding)
        elif isinstance(row, HomeAgentRow):
            about = row.binding if isinstance(row, StoreBinding | RemoveBinding) else row
            self._renewals.settle((about.nai, about.sub_nai))
            _write(self._connection, row)
        else:
            raise ValueError(f"a home agent does not keep {type(row).__name__}")

    def finish(self) -> None:
        self._renewals.write()

    def ended(self, committed: bool) -> None:
        if committed:
            self._renewals.committed()
        else:
            self._renewals.rolled_back()


def _write(connection: sqlite3.Connection, row: HomeAgentRow) -> None:
    match row:
        case StoreBinding(binding, nonce):
            values, at = _binding_values(binding), _IDENTIFICATION
            wire, others = _octets(binding.identification), _others_text(binding.others)
            connection.execute(_PUT_BINDING, (*values[:at], wire, *values[at + 1 : -1], others))
            connection.execute("DELETE FROM owner WHERE address = ?", (binding.home_address,))
            _put_identification(connection, binding.nai, binding.sub_nai, binding.identification, nonce)
        case RemoveBinding(binding, released):
            key = (binding.nai, binding.sub_nai)
            connection.execute(
                "DELETE FROM binding WHERE nai = ? AND sub_nai = ? AND home_address = ?", (*key, binding.home_address)
            )
            connection.execute("REPLACE INTO owner VALUES (?, ?, ?, ?)", (binding.home_address, *key, released))
        case StoreIdentification(nai, sub_nai, identification, nonce):
            _put_identification(connection, nai, sub_nai, identification, nonce)
        case ForgetIdentification(nai, sub_nai):
            connection.execute("DELETE FROM identification WHERE nai = ? AND sub_nai = ?", (nai, sub_nai))


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


def _put_identification(
    connection: sqlite3.Connection, nai: str, sub_nai: str, identification: int, nonce: int | None
) -> None:
    row = (nai, sub_nai, _octets(identification), nonce)
    connection.execute("REPLACE INTO identification VALUES (?, ?, ?, ?)", row)


def _others_text(others: tuple[MobilityBinding, ...]) -> str:
    """Further care-of addresses are a part of their session's row, so that they come and go with it in one write."""
    return json.dumps([_binding_values(one)[3:-1] for one in others]) if others else ""


def _others_in(text: str, key: list[Any]) -> tuple[MobilityBinding, ...]:
    """key: NAI, sub-NAI and home address, which all bindings of a session share."""
    return tuple(MobilityBinding(*key, *values) for values in json.loads(text)) if text else ()


def _octets(identification: int) -> bytes:
    return identification.to_bytes(8, "big")
