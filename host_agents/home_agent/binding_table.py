"""The mobility binding table: (NAI, sub-NAI) -> mobility binding (RFC 5944 §1.6, §3.8). Memory only."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from host_agents.effects import MobilityBinding
from host_agents.home_agent.simultaneous import ends_at

Session = tuple[str, str]


class MobilityBindingTable:
    """Find by session or by home address, count by NAI, expire without scanning.

    Its capacity is the address pool's: every binding holds one address, and no address has two.
    """

    def __init__(self) -> None:
        self._by_session: dict[Session, MobilityBinding] = {}
        self._by_home_address: dict[int, Session] = {}
        self._count: dict[str, int] = {}
        self._expiries: list[tuple[int, Session]] = []

    def __len__(self) -> int:
        return len(self._by_session)

    def __iter__(self) -> Iterator[MobilityBinding]:
        return iter(self._by_session.values())

    def find(self, session: Session) -> MobilityBinding | None:
        return self._by_session.get(session)

    def find_home_address(self, home_address: int) -> MobilityBinding | None:
        session = self._by_home_address.get(home_address)
        return None if session is None else self._by_session[session]

    def sessions_of(self, nai: str) -> int:
        return self._count.get(nai, 0)

    def put(self, binding: MobilityBinding) -> None:
        """Insert or replace. Raises ValueError if another session has the home address."""
        session = (binding.nai, binding.sub_nai)
        if self._by_home_address.get(binding.home_address, session) != session:
            raise ValueError("a home address of two sessions")
        self.remove(session)
        self._by_session[session] = binding
        self._by_home_address[binding.home_address] = session
        self._count[binding.nai] = self._count.get(binding.nai, 0) + 1
        expires = ends_at(binding)
        if expires is not None:
            heapq.heappush(self._expiries, (expires, session))

    def remove(self, session: Session) -> MobilityBinding | None:
        """The binding that was there, if any."""
        binding = self._by_session.pop(session, None)
        if binding is not None:
            del self._by_home_address[binding.home_address]
            self._count[binding.nai] -= 1
            if not self._count[binding.nai]:
                del self._count[binding.nai]
        return binding

    def next_expiry(self) -> int | None:
        """When the first care-of address is over, clock ms. What was renewed or removed meanwhile is passed over."""
        while self._expiries:
            expires, session = self._expiries[0]
            binding = self._by_session.get(session)
            if binding is not None and ends_at(binding) == expires:
                return expires
            heapq.heappop(self._expiries)
        return None

    def first_expired(self, clock: int) -> MobilityBinding | None:
        """A binding with a care-of address that is over at `clock`, if there is one."""
        expiry = self.next_expiry()
        return None if expiry is None or expiry > clock else self._by_session[self._expiries[0][1]]
