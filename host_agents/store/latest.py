"""What was written last of each session and address, and is not in the tables of a home agent's file yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from host_agents.store.rows import BIND, COLUMNS, Record

Session = tuple[str, str]

HOME_ADDRESS, IDENTIFICATION = (2 + COLUMNS.index(one) for one in ("home_address", "identification"))  # in a BIND


@dataclass(slots=True)
class Latest:
    """Records as rows.py has them.

    bindings: the BIND or UNBIND of a session. renewals: its RENEW, where it came after that. The later one's
    Identification is the session's last. identifications: (octets, nonce), where that is another; None: nothing is to
    be there. owners: (NAI, sub-NAI, released) of an address that was given back; None as before.
    holders: whose the addresses of `bindings` are; of others the table knows, where it speaks of a session that is not
    in `bindings`.
    """

    bindings: dict[Session, Record] = field(default_factory=dict)
    renewals: dict[Session, Record] = field(default_factory=dict)
    identifications: dict[Session, tuple[bytes, int | None] | None] = field(default_factory=dict)
    owners: dict[int, tuple[str, str, int] | None] = field(default_factory=dict)
    holders: dict[int, Session] = field(default_factory=dict)

    def sessions(self) -> Iterator[Session]:
        """In the tables' order, so that a share of them is on few pages."""
        names: dict[str, set[str]] = {}
        for nai, sub_nai in chain(self.bindings, self.renewals, self.identifications):
            names.setdefault(nai, set()).add(sub_nai)
        return ((nai, sub_nai) for nai in sorted(names) for sub_nai in sorted(names[nai]))

    def bind(self, record: Record) -> None:
        session, home_address = record[2:4], record[HOME_ADDRESS]
        self.settled(session)
        self.bindings[session] = record
        self.owners[home_address] = None
        self.holders[home_address] = session

    def renew(self, record: Record) -> None:
        session = record[1:3]
        self.renewals[session] = record
        if self.identifications:
            self.identifications.pop(session, None)

    def unbind(self, record: Record) -> None:
        _, nai, sub_nai, home_address, released = record
        session = (nai, sub_nai)
        bound, renewal = self.bindings.get(session), self.renewals.get(session)
        last = self.identifications.get(session)
        self.settled(session)
        if last is not None:
            self.identifications[session] = last
        elif renewal is not None:
            self.identifications[session] = (renewal[-1], None)
        elif bound is not None and bound[0] == BIND:
            self.identifications[session] = (bound[IDENTIFICATION], bound[1])
        self.bindings[session] = record
        self.owners[home_address] = (nai, sub_nai, released)

    def identify(self, record: Record) -> None:
        _, nai, sub_nai, identification, nonce = record
        self.identifications[nai, sub_nai] = (identification, nonce)

    def forget(self, record: Record) -> None:
        self.identifications[record[1:3]] = None

    def settled(self, session: Session) -> None:
        """What is known of it is in the tables, or is over."""
        bound = self.bindings.pop(session, None)
        if bound is not None and bound[0] == BIND and self.holders.get(bound[HOME_ADDRESS]) == session:
            del self.holders[bound[HOME_ADDRESS]]
        self.renewals.pop(session, None)
        self.identifications.pop(session, None)

    def clear(self) -> None:
        for one in (self.bindings, self.renewals, self.identifications, self.owners, self.holders):
            one.clear()
