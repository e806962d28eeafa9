"""What a home agent makes durable is written to a journal first, and goes to its place in the tables later.

A row of a large table is a page somewhere, and one for each of its indexes; the journal takes dozens of rows to a page,
in one statement for all of a commit. They are folded into the tables in shares, when the journal has become long, and
altogether when the file is opened or closed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec

from host_agents.effects import StoreBinding
from host_agents.store.latest import IDENTIFICATION, Latest, Session
from host_agents.store.protocol import Row
from host_agents.store.rows import BIND, COLUMNS, FORGET, IDENTIFY, UNBIND, Record, record

FOLD_FROM = 50_000  # rows in the journal
FOLD_AT_ONCE = 500  # of each table, so that nobody waits long for his own commit

_APPEND = "INSERT INTO journal (records) VALUES (?)"
_HOLDERS = "SELECT home_address, nai, sub_nai FROM binding WHERE home_address IN (SELECT value FROM json_each(?))"
# Whose the address was has given it back, or has moved: that is in memory still, and is folded in its turn.
_PUT_BINDING = f"REPLACE INTO binding ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_REMOVE_BINDING = "DELETE FROM binding WHERE nai = ? AND sub_nai = ?"
_PUT_IDENTIFICATION = "REPLACE INTO identification VALUES (?, ?, ?, ?)"
_REMOVE_IDENTIFICATION = "DELETE FROM identification WHERE nai = ? AND sub_nai = ?"
_PUT_OWNER = "REPLACE INTO owner VALUES (?, ?, ?, ?)"
_REMOVE_OWNER = "DELETE FROM owner WHERE address = ?"


class Journal:
    """The Writer of a home agent's file. Used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._latest = Latest()
        self._does: dict[int, Callable[[Record], None]] = {
            BIND: self._latest.bind,
            UNBIND: self._latest.unbind,
            IDENTIFY: self._latest.identify,
            FORGET: self._latest.forget,
        }
        self._written = 0  # rows in the journal
        self._records: list[Record] = []  # of this transaction
        self._given: list[int] = []  # places in it of bindings that may have a new address
        self._folded: list[tuple[dict[Any, Any], Any]] = []  # in it: a table of Latest, a key
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode

    def recover(self) -> None:
        """Fold what a former run left. Raises sqlite3.Error, also where the journal makes no sense."""
        try:
            for (records,) in self._connection.execute("SELECT records FROM journal ORDER BY number"):
                for one in self._decode(records):
                    self._does[one[0]](one)
            self.fold()
        except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
            raise sqlite3.DatabaseError(f"the journal is damaged: {error}") from error

    def fold(self) -> None:
        """All of it, between transactions. Raises sqlite3.Error."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._fold(len(self._latest))
        self._connection.execute("DELETE FROM journal")
        self._connection.execute("COMMIT")
        self._latest.clear()
        self._folded.clear()
        self._written = 0

    def put(self, row: Row) -> None:
        """Raises KeyError, OverflowError for what is no row of a home agent's."""
        if type(row) is StoreBinding:
            self._given.append(len(self._records))
        self._records.append(record(row))

    def finish(self) -> None:
        """Raises sqlite3.IntegrityError for a home address that is another session's."""
        if not self._records:
            return
        if self._given:
            self._check()
        number = self._connection.execute(_APPEND, (self._encode(self._records),)).lastrowid
        if self._written >= FOLD_FROM:
            self._fold(FOLD_AT_ONCE + len(self._records))
            if len(self._folded) == len(self._latest):
                self._connection.execute("DELETE FROM journal WHERE number < ?", (number,))

    def ended(self, committed: bool) -> None:
        if committed:
            if self._folded and len(self._folded) == len(self._latest):
                self._latest.clear()
                self._written = 0
            for table, key in self._folded:
                table.pop(key, None)
            for one in self._records:
                self._does[one[0]](one)
            self._written += len(self._records)
        self._records.clear()
        self._given.clear()
        self._folded.clear()

    def _check(self) -> None:
        """The table's UNIQUE would see an address given twice when it is folded: too late, it is acknowledged then."""
        latest, asked = self._latest, [self._records[at][4] for at in self._given]
        unknown = [home_address for home_address in asked if home_address not in latest.holders]
        holders = dict.fromkeys(asked) | {one: latest.holders[one] for one in asked if one in latest.holders}
        for home_address, *names in self._connection.execute(_HOLDERS, (json.dumps(unknown),)) if unknown else ():
            session = (names[0], names[1])
            holders[home_address] = None if session in latest.bindings else session
        for one in self._records:
            if one[0] == UNBIND:
                holders[one[3]] = None
            elif one[0] == BIND:
                session, home_address = one[2:4], one[4]
                if holders.get(home_address) not in (None, session):
                    raise sqlite3.IntegrityError("a home address of two sessions")
                holders[home_address] = session

    def _fold(self, most: int) -> None:
        """At most so many rows of each table, those first that were written longest ago. A session's Identification

        goes with its binding: else an older one would follow it.
        """
        latest = self._latest
        sessions = list(islice(latest.bindings, most))
        bound = [one for one in map(latest.bindings.__getitem__, sessions) if one is not None]
        gone = [session for session in sessions if latest.bindings[session] is None]
        alone = [one for one in islice(latest.identifications, most) if one not in latest.bindings]
        named = [*(one for one in sessions if one in latest.identifications), *alone]
        owners = list(islice(latest.owners, most))
        last = [(*one[2:4], one[IDENTIFICATION], one[1]) for one in bound]
        told = {session: latest.identifications[session] for session in named}
        for statement, rows in (
            (_PUT_BINDING, sorted((one[2:] for one in bound), key=_key)),
            (_REMOVE_BINDING, sorted(gone)),
            (_PUT_IDENTIFICATION, sorted(last, key=_key)),
            (_PUT_IDENTIFICATION, sorted((*session, *one) for session, one in told.items() if one is not None)),
            (_REMOVE_IDENTIFICATION, [session for session, one in told.items() if one is None]),
            (_PUT_OWNER, [(address, *one) for address in owners if (one := latest.owners[address]) is not None]),
            (_REMOVE_OWNER, [(address,) for address in owners if latest.owners[address] is None]),
        ):
            self._connection.executemany(statement, rows)
        self._folded += [(latest.bindings, one) for one in sessions]
        self._folded += [(latest.identifications, one) for one in named]
        self._folded += [(latest.owners, one) for one in owners]


def _key(row: Record) -> Session:
    return row[0], row[1]
