"""What was written last of each session and address, and is not in the tables of a home agent's file yet."""

from __future__ import annotations

from dataclasses import dataclass, field

from host_agents.store.rows import COLUMNS, Record

Session = tuple[str, str]

IDENTIFICATION = 2 + COLUMNS.index("identification")  # in a record of a binding


@dataclass(slots=True)
class Latest:
    """In the order in which it was written. None: nothing is to be there.

    bindings: as rows.py records them, nonce and columns; their Identification is the session's last one.
    identifications: (octets, nonce), where that is another. owners: (NAI, sub-NAI, released) of an
    address that was given back. holders: whose an address is that has changed hands; of others the table knows, where
    it speaks of a session that is not in `bindings`.
    """

    bindings: dict[Session, Record | None] = field(default_factory=dict)
    identifications: dict[Session, tuple[bytes, int | None] | None] = field(default_factory=dict)
    owners: dict[int, tuple[str, str, int] | None] = field(default_factory=dict)
    holders: dict[int, Session | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.bindings) + len(self.identifications) + len(self.owners)

    def bind(self, record: Record) -> None:
        session, home_address = record[2:4], record[4]
        former = self.bindings.pop(session, None)
        self.bindings[session] = record  # the last one: it will rest a while
        if self.identifications:
            self.identifications.pop(session, None)
        if former is not None and former[4] == home_address:
            return
        if former is not None:
            self.holders[former[4]] = None
        self.owners.pop(home_address, None)
        self.owners[home_address] = None
        self.holders[home_address] = session

    def unbind(self, record: Record) -> None:
        _, nai, sub_nai, home_address, released = record
        session = (nai, sub_nai)
        former = self.bindings.pop(session, None)
        if former is not None:
            self.identifications.setdefault(session, (former[IDENTIFICATION], former[1]))
        self.bindings[session] = None
        self.owners.pop(home_address, None)
        self.owners[home_address] = (nai, sub_nai, released)
        self.holders[home_address] = None

    def identify(self, record: Record) -> None:
        _, nai, sub_nai, identification, nonce = record
        self.identifications[nai, sub_nai] = (identification, nonce)

    def forget(self, record: Record) -> None:
        self.identifications[record[1:3]] = None

    def clear(self) -> None:
        for one in (self.bindings, self.identifications, self.owners, self.holders):
            one.clear()
