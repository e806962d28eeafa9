"""Renewals are written one after another and folded into the table of bindings later.

A renewal changes four numbers of a row somewhere in a large table, a page each; a journal takes hundreds to a page. All
renewals of a commit are one row of the journal. Whatever else is written of a session settles it first: its last
renewal goes into the table, and the journal says so, for what comes later counts.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable
from itertools import islice

from host_agents.effects import MobilityBinding

Session = tuple[str, str]

FOLD_FROM = 50_000  # records in the journal
FOLD_AT_ONCE = 500  # sessions, so that nobody waits long for his own commit
_RECORD = struct.Struct(">IHqQq")  # home address, lifetime, expires, Identification, revocation
_NONE = -1  # as expires or revocation
_SETTLED = -2  # as expires: what stands before this is in the table


class RenewalJournal:
    """Used by one thread at a time; every call but recover() within a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unfolded: dict[Session, MobilityBinding] = {}  # its last renewal
        self._records: list[bytes] = []  # of this transaction
        self._undo: list[tuple[Session, MobilityBinding | None]] = []
        self._written = 0  # records, since the journal was empty

    def recover(self) -> None:
        """Fold what a former run left. Raises sqlite3.Error."""
        last: dict[int, tuple[int, ...]] = {}
        for (records,) in self._connection.execute("SELECT records FROM renewals ORDER BY number"):
            for record in _RECORD.iter_unpack(records):
                last.pop(record[0], None)
                if record[2] != _SETTLED:
                    last[record[0]] = record
        self._connection.execute("BEGIN IMMEDIATE")
        self._fold(last.values())
        self._connection.execute("DELETE FROM renewals")
        self._connection.execute("COMMIT")

    def renew(self, binding: MobilityBinding) -> None:
        """What the table has of this session differs from `binding` in what a renewal changes. Raises struct.error."""
        self._records.append(_RECORD.pack(*_fields(binding)))
        self._put((binding.nai, binding.sub_nai), binding)

    def settle(self, session: Session) -> None:
        """Something else is about to be written of `session`."""
        binding = self._unfolded.get(session)
        if binding is not None:
            self._fold([_fields(binding)])
            self._records.append(_RECORD.pack(binding.home_address, 0, _SETTLED, 0, 0))
            self._put(session, None)

    def write(self) -> None:
        """What this transaction renewed and settled; and, of a journal that has become long, a share of the folding."""
        if self._written >= FOLD_FROM:
            sessions = list(islice(self._unfolded, FOLD_AT_ONCE + len(self._records)))
            self._fold([_fields(self._unfolded[session]) for session in sessions])
            for session in sessions:
                self._put(session, None)
        if self._unfolded and self._records:
            self._connection.execute("INSERT INTO renewals (records) VALUES (?)", (b"".join(self._records),))
        elif self._written and not self._unfolded:
            self._connection.execute("DELETE FROM renewals")

    def committed(self) -> None:
        """The transaction is on the disk."""
        self._written = self._written + len(self._records) if self._unfolded else 0
        self._records.clear()
        self._undo.clear()

    def rolled_back(self) -> None:
        """The transaction never was."""
        for session, binding in reversed(self._undo):
            self._unfolded.pop(session, None)
            if binding is not None:
                self._unfolded[session] = binding
        self._records.clear()
        self._undo.clear()

    def _put(self, session: Session, binding: MobilityBinding | None) -> None:
        self._undo.append((session, self._unfolded.pop(session, None)))
        if binding is not None:
            self._unfolded[session] = binding  # at the end of the row: who has just renewed will not do so soon

    def _fold(self, renewed: Iterable[tuple[int, ...]]) -> None:
        """renewed: as _RECORD has them."""
        rows = [
            (
                lifetime,
                None if expires == _NONE else expires,
                identification.to_bytes(8, "big"),
                None if revocation == _NONE else revocation,
                home_address,
            )
            for home_address, lifetime, expires, identification, revocation in renewed
        ]
        self._connection.executemany(
            "UPDATE binding SET lifetime = ?, expires = ?, identification = ?, revocation = ? WHERE home_address = ?",
            rows,
        )
        self._connection.executemany(
            "UPDATE identification SET identification = ? WHERE (nai, sub_nai) ="
            " (SELECT nai, sub_nai FROM binding WHERE home_address = ?)",
            [(row[2], row[4]) for row in rows],
        )


def _fields(binding: MobilityBinding) -> tuple[int, ...]:
    """As _RECORD has them."""
    return (
        binding.home_address,
        binding.lifetime,
        _NONE if binding.expires is None else binding.expires,
        binding.identification,
        _NONE if binding.revocation is None else binding.revocation,
    )
