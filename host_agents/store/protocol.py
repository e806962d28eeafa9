"""What a daemon asks of its durable state, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from host_agents.effects import (
    ForgetIdentification,
    MobilityBinding,
    RemoveBinding,
    RemoveVisitor,
    RenewBinding,
    StoreBinding,
    StoreIdentification,
    StoreVisitor,
)
from host_agents.runtime.errors import StoreFailed


@dataclass(slots=True, frozen=True)
class StoreAccount:
    """Insert or replace what is known of a session under its Acct-Session-Id. record: octets that the store keeps."""

    account_id: str
    record: bytes


@dataclass(slots=True, frozen=True)
class RemoveAccount:
    """The accounting server knows how it ended."""

    account_id: str


HomeAgentRow = StoreBinding | RenewBinding | RemoveBinding | StoreIdentification | ForgetIdentification
ForeignAgentRow = StoreVisitor | RemoveVisitor
AccountRow = StoreAccount | RemoveAccount
Row = HomeAgentRow | ForeignAgentRow | AccountRow
Done = Callable[[StoreFailed | None], None]
Loaded = TypeVar("Loaded", covariant=True)


@dataclass(slots=True, frozen=True)
class Owner:
    """Who held a free address last. released: clock ms."""

    nai: str
    sub_nai: str
    released: int


@dataclass(slots=True, frozen=True)
class Snapshot:
    """A home agent's durable state. owners: home address -> Owner.

    identifications: (nai, sub_nai) -> 64 bits, of sessions whose binding does not say it already, and of all that use
    nonces. nonces: (nai, sub_nai) -> 32 bits, of those.
    """

    bindings: list[MobilityBinding]
    identifications: dict[tuple[str, str], int]
    nonces: dict[tuple[str, str], int]
    owners: dict[int, Owner]


class Store(Protocol[Loaded]):
    """Durable state: a home agent's loads a Snapshot, a foreign agent's list[Visitor], accounting's list[bytes]."""

    def load(self) -> Loaded:
        """What the last run made durable; to be called before the first submit. Raises StoreFailed."""
        ...

    def submit(self, rows: Sequence[Row], done: Done) -> None:
        """Make `rows` durable, all or none, after every earlier submission.

        done: called on the event loop in order of submission, with None once the rows are on the disk, or why not.
        """
        ...

    @property
    def waiting(self) -> int:
        """Submissions whose `done` has not been called yet."""
        ...

    def close(self) -> None:
        """Commit what waits and let go of the database; of that, `done` is told failures only.

        Blocks for it, though not for ever. Raises StoreFailed when the disk hangs.
        """
        ...
