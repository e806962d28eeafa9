"""The visitor list (RFC 5944 §1.6, §3.7.1): who is registered through us, and whose request is under way."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from host_agents.effects import Visitor
from host_agents.foreign_agent.request import Request

Session = tuple[str, str]

_PENDING = 4096  # requests under way, of all nodes
_PENDING_PER_SESSION = 5  # RFC 5944 §3.7.1 speaks of this many


class Full(Exception):
    """A table has no room. The message says which."""


@dataclass(slots=True, frozen=True, eq=False)
class Pending:
    """A relayed request whose reply is awaited (RFC 5944 §3.7.2.2). source … port: of its datagram; since: ms."""

    request: Request
    interface: str
    link_address: bytes
    source: int
    destination: int
    port: int
    since: int

    @property
    def session(self) -> Session:
        return self.request.session

    @property
    def low(self) -> int:
        """The word of the Identification that a reply copies."""
        return int(self.request.message.identification & 0xFFFFFFFF)


class VisitorTable:
    """Registered visitors by home address, pending requests by what a reply will say of them. Memory only."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._visitors: dict[int, Visitor] = {}
        self._home_address: dict[Session, int] = {}
        self._expiries: list[tuple[int, int]] = []
        self._pending: dict[Pending, None] = {}  # in the order they came
        self._by_low: dict[int, list[Pending]] = {}
        self._count: dict[Session, int] = {}

    def __iter__(self) -> Iterator[Visitor]:
        """Those that are there now, whatever becomes of them meanwhile."""
        return iter(list(self._visitors.values()))

    def __len__(self) -> int:
        return len(self._visitors)

    @property
    def full(self) -> bool:
        return len(self._visitors) >= self._capacity

    def pending(self) -> Iterator[Pending]:
        return iter(self._pending)

    def find(self, home_address: int) -> Visitor | None:
        return self._visitors.get(home_address)

    def find_session(self, session: Session) -> Visitor | None:
        home_address = self._home_address.get(session) if session[0] else None
        return None if home_address is None else self._visitors.get(home_address)

    def put(self, visitor: Visitor) -> None:
        """Insert or replace by home address. Raises Full."""
        if visitor.home_address not in self._visitors and self.full:
            raise Full(f"{self._capacity} visitors")
        self._visitors[visitor.home_address] = visitor
        if visitor.nai:
            self._home_address[visitor.nai, visitor.sub_nai] = visitor.home_address
        if visitor.expires is not None:
            heapq.heappush(self._expiries, (visitor.expires, visitor.home_address))

    def remove(self, home_address: int) -> Visitor | None:
        visitor = self._visitors.pop(home_address, None)
        if visitor is not None and self._home_address.get((visitor.nai, visitor.sub_nai)) == home_address:
            del self._home_address[visitor.nai, visitor.sub_nai]
        return visitor

    def next_expiry(self) -> int | None:
        """When the first visitor's lifetime ends, monotonic ms."""
        while self._expiries:
            expires, home_address = self._expiries[0]
            visitor = self._visitors.get(home_address)
            if visitor is not None and visitor.expires == expires:
                return expires
            heapq.heappop(self._expiries)
        return None

    def first_expired(self, now: int) -> Visitor | None:
        expiry = self.next_expiry()
        return None if expiry is None or expiry > now else self._visitors[self._expiries[0][1]]

    def await_reply(self, pending: Pending) -> None:
        """Raises Full when this session, or all of them together, have too many requests under way."""
        if len(self._pending) >= _PENDING:
            raise Full(f"{_PENDING} requests are pending")
        node = pending.request.node
        if self._count.get(node, 0) >= _PENDING_PER_SESSION:
            raise Full(f"{_PENDING_PER_SESSION} requests of this session are pending")
        self._pending[pending] = None
        self._by_low.setdefault(pending.low, []).append(pending)
        self._count[node] = self._count.get(node, 0) + 1

    def find_pending(self, low: int, session: Session, home_address: int) -> Pending | None:
        """The request that a reply answers: by the low word it copies, then by its session or home address.

        A home agent may know no sub-NAIs and send none back; then the low word decides, if it is unique. A reply that
        names another session answers none of ours.
        """
        candidates = self._by_low.get(low, [])
        for pending in candidates:
            if pending.session == session and (session[0] or pending.request.message.home_address == home_address):
                return pending
        nais = {pending.session[0] for pending in candidates}
        named = session in (("", ""), *((nai, "") for nai in nais))
        return candidates[0] if len(candidates) == 1 and named and "" not in nais else None

    def answered(self, pending: Pending) -> None:
        """Forget a pending request."""
        del self._pending[pending]
        same = self._by_low[pending.low]
        same.remove(pending)
        if not same:
            del self._by_low[pending.low]
        node = pending.request.node
        self._count[node] -= 1
        if not self._count[node]:
            del self._count[node]

    def first_pending(self) -> Pending | None:
        """The one that has waited longest."""
        return next(iter(self._pending), None)
