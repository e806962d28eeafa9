"""What a home agent makes durable is written to a journal first, and goes to its place in the tables later.

A row of a large table is a page somewhere, and one for each of its indexes; the journal takes dozens of rows to a page,
in one statement for all of a commit. They are folded into the tables when the journal has become long (folding.py), and
altogether when the file is opened or closed.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from host_agents.effects import StoreBinding
from host_agents.store.folding import Folding
from host_agents.store.latest import HOME_ADDRESS, Latest
from host_agents.store.protocol import Row
from host_agents.store.rows import BIND, FORGET, IDENTIFY, RENEW, UNBIND, Record, record

FOLD_FROM = 50_000  # rows in the journal
FOLD_AT_ONCE = 500  # sessions, so that nobody waits long for his own commit

_APPEND = "INSERT INTO journal (records) VALUES (?)"
_HOLDERS = "SELECT home_address, nai, sub_nai FROM binding WHERE home_address IN (SELECT value FROM json_each(?))"


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
            RENEW: self._latest.renew,
        }
        self._written = 0  # rows in the journal
        self._records: list[Record] = []  # of this transaction
        self._given: list[int] = []  # places in it of bindings that may have a new address
        self._folding: Folding | None = None
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
        Folding(self._latest, self._written, 0).put(self._connection, sys.maxsize)
        self._connection.execute("DELETE FROM journal")
        self._connection.execute("COMMIT")
        self._latest.clear()
        self._folding = None
        self._written = 0

    def close(self) -> None:
        """As Writer.close."""
        self.fold()

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
        entry = self._connection.execute(_APPEND, (self._encode(self._records),))
        if self._folding is None and self._written >= FOLD_FROM:
            self._folding = Folding(self._latest, self._written, entry.lastrowid or 0)
        if self._folding is not None:
            self._folding.put(self._connection, FOLD_AT_ONCE + len(self._records))
            if self._folding.is_last:
                self._connection.execute("DELETE FROM journal WHERE number < ?", (self._folding.number,))

    def ended(self, committed: bool) -> None:
        if committed and self._records:
            if self._folding is not None:
                self._folding.committed()
                if self._folding.is_last:
                    self._written -= self._folding.written
                    self._folding = None
            for one in self._records:
                self._does[one[0]](one)
            self._written += len(self._records)
        self._records.clear()
        self._given.clear()

    def _check(self) -> None:
        """The table's UNIQUE would see an address given twice when it is folded: too late, it is acknowledged then."""
        latest, asked = self._latest, [self._records[at][HOME_ADDRESS] for at in self._given]
        unknown = [home_address for home_address in asked if home_address not in latest.holders]
        holders = dict.fromkeys(asked) | {one: latest.holders[one] for one in asked if one in latest.holders}
        for home_address, *names in self._connection.execute(_HOLDERS, (json.dumps(unknown),)) if unknown else ():
            session = (names[0], names[1])
            holders[home_address] = None if session in latest.bindings else session
        for one in self._records:
            if one[0] == UNBIND:
                holders[one[3]] = None
            elif one[0] == BIND:
                session, home_address = one[2:4], one[HOME_ADDRESS]
                if holders.get(home_address) not in (None, session):
                    raise sqlite3.IntegrityError("a home address of two sessions")
                holders[home_address] = session
