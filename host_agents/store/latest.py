"""What was written last of each session and address, and is not in the tables of a home agent's file yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Session = tuple[str, str]
Columns = tuple[Any, ...]  # of a binding, as of rows.py


@dataclass(slots=True, frozen=True)
class Bound:
    """A session's binding, and the nonce that its Identification came with."""

    home_address: int
    identification: bytes
    nonce: int | None
    columns: Columns


@dataclass(slots=True)
class Latest:
    """In the order in which it was written. None: nothing is to be there.

    identifications: (octets, nonce), of sessions whose binding does not have it. owners: (NAI, sub-NAI, released) of an
    address that was given back. holders: whose an address is that has changed hands; of others the table knows, where
    it speaks of a session that is not in `bindings`.
    """

    bindings: dict[Session, Bound | None] = field(default_factory=dict)
    identifications: dict[Session, tuple[bytes, int | None] | None] = field(default_factory=dict)
    owners: dict[int, tuple[str, str, int] | None] = field(default_factory=dict)
    holders: dict[int, Session | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.bindings) + len(self.identifications) + len(self.owners)

    def bind(self, nonce: int | None, *columns: Any) -> None:
        session, home_address = columns[:2], columns[2]
        former = self.bindings.pop(session, None)
        self.bindings[session] = Bound(home_address, columns[-2], nonce, columns)  # the last one: it will rest a while
        if self.identifications:
            self.identifications.pop(session, None)
        if former is not None and former.home_address == home_address:
            return
        if former is not None:
            self.holders[former.home_address] = None
        self.owners.pop(home_address, None)
        self.owners[home_address] = None
        self.holders[home_address] = session

    def unbind(self, nai: str, sub_nai: str, home_address: int, released: int) -> None:
        session = (nai, sub_nai)
        former = self.bindings.pop(session, None)
        if former is not None:
            self.identifications.setdefault(session, (former.identification, former.nonce))
        self.bindings[session] = None
        self.owners.pop(home_address, None)
        self.owners[home_address] = (nai, sub_nai, released)
        self.holders[home_address] = None

    def identify(self, nai: str, sub_nai: str, identification: bytes, nonce: int | None) -> None:
        self.identifications[nai, sub_nai] = (identification, nonce)

    def forget(self, nai: str, sub_nai: str) -> None:
        self.identifications[nai, sub_nai] = None

    def clear(self) -> None:
        for one in (self.bindings, self.identifications, self.owners, self.holders):
            one.clear()
