"""A round in which all that a home agent's journal has goes to its place in the tables, a share with each commit.

The sessions come in the tables' order, so that a share of them is on few pages.
"""

from __future__ import annotations

import sqlite3
from itertools import islice

from host_agents.store.latest import IDENTIFICATION, Latest, Session
from host_agents.store.rows import BIND, COLUMNS, UNBIND

# Whose the address was has given it back, or has moved: that is in memory still, and is folded in its turn.
_PUT_BINDING = f"REPLACE INTO binding ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_RENEW_BINDING = """
UPDATE binding SET lifetime = ?3, expires = ?4, revocation = ?5, identification = ?6 WHERE nai = ?1 AND sub_nai = ?2
"""
_REMOVE_BINDING = "DELETE FROM binding WHERE nai = ? AND sub_nai = ?"
_PUT_IDENTIFICATION = "REPLACE INTO identification VALUES (?, ?, ?, ?)"
_REMOVE_IDENTIFICATION = "DELETE FROM identification WHERE nai = ? AND sub_nai = ?"
_PUT_OWNER = "REPLACE INTO owner VALUES (?, ?, ?, ?)"
_REMOVE_OWNER = "DELETE FROM owner WHERE address = ?"


class Folding:
    """written: rows in the journal as the round begins. number: of its first entry that the round does not cover."""

    def __init__(self, latest: Latest, written: int, number: int) -> None:
        self.written = written
        self.number = number
        self.is_last = False
        self._all_shared = False
        self._latest = latest
        self._sessions = latest.sessions()
        self._share: list[Session] = []
        self._owners: list[int] = []

    def put(self, connection: sqlite3.Connection, most: int) -> None:
        """A share of `most` sessions, within a transaction; the same again if the one before was not committed.

        is_last: with this one the tables have all. Raises sqlite3.Error.
        """
        if not self._share:
            self._share = list(islice(self._sessions, most))
            self._all_shared = len(self._share) < most  # of now: one that is put again may be put with more
        self._owners = list(islice(self._latest.owners, most))
        self.is_last = self._all_shared and len(self._owners) == len(self._latest.owners)
        latest, share = self._latest, self._share
        written = [latest.bindings[one] for one in share if one in latest.bindings]
        bound = [one[2:] for one in written if one[0] == BIND]
        renewals = [latest.renewals[one][1:] for one in share if one in latest.renewals]
        last = [(*one[2:4], one[IDENTIFICATION], one[1]) for one in written if one[0] == BIND]
        last += [(*one[:2], one[-1], None) for one in renewals]
        told = [(one, latest.identifications[one]) for one in share if one in latest.identifications]
        owners = [(one, latest.owners[one]) for one in self._owners]
        for statement, rows in (
            (_PUT_BINDING, bound),
            (_RENEW_BINDING, renewals),  # those of what was just put among them
            (_REMOVE_BINDING, [one[1:3] for one in written if one[0] == UNBIND]),
            # A session's Identification goes with its binding: else an older one would follow it.
            (_PUT_IDENTIFICATION, last),
            (_PUT_IDENTIFICATION, [(*session, *one) for session, one in told if one is not None]),
            (_REMOVE_IDENTIFICATION, [session for session, one in told if one is None]),
            (_PUT_OWNER, [(address, *one) for address, one in owners if one is not None]),
            (_REMOVE_OWNER, [(address,) for address, one in owners if one is None]),
        ):
            connection.executemany(statement, rows)

    def committed(self) -> None:
        """What was put is in the tables now."""
        for session in self._share:
            self._latest.settled(session)
        for address in self._owners:
            del self._latest.owners[address]
        self._share, self._owners = [], []
