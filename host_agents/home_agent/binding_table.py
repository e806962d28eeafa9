"""The mobility binding table: (NAI, sub-NAI) -> mobility binding (RFC 5944 §1.6, §3.8). Memory only."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator

from host_agents.effects import MobilityBinding
from host_agents.home_agent.simultaneous import ends_at

Session = tuple[str, str]


class MobilityBindingTable:
    """Find by session or by home address, count by NAI, expire without scanning.

    Its capacity is the address pool's: every binding holds one address, and no address has two. It is made for a
    million: a dictionary per NAI needs no key but the sub-NAI, and a renewal touches no queue.
    """

    def __init__(self) -> None:
        self._by_nai: dict[str, dict[str, MobilityBinding]] = {}
        self._by_home_address: dict[int, MobilityBinding] = {}
        # When to look at an address: what expires by then is over, what was renewed meanwhile is looked at again. Who
        # gives an address back and takes it again adds nothing.
        self._due: dict[int, int] = {}
        self._expiries: list[int] = []  # time << 32 | address, an entry for each in _due and some that are stale

    def __len__(self) -> int:
        return len(self._by_home_address)

    def __iter__(self) -> Iterator[MobilityBinding]:
        """Those that are there now, each as it is when its turn comes, unless it has gone: whoever asks may take long.

        Their addresses are remembered as octets: a list of a million objects takes four times as long to make, and then
        again to be looked through by the garbage collector, and to be given up.
        """
        find = self._by_home_address.get
        return (binding for one in self.home_addresses() if (binding := find(one)) is not None)

    def home_addresses(self) -> array[int]:
        return array("I", self._by_home_address)

    def find(self, session: Session) -> MobilityBinding | None:
        sessions = self._by_nai.get(session[0])
        return None if sessions is None else sessions.get(session[1])

    def find_home_address(self, home_address: int) -> MobilityBinding | None:
        return self._by_home_address.get(home_address)

    def holder(self, home_address: int) -> Session | None:
        """Whose binding has the home address."""
        binding = self._by_home_address.get(home_address)
        return None if binding is None else (binding.nai, binding.sub_nai)

    def of(self, nai: str) -> list[MobilityBinding]:
        """All of a NAI, as they are now."""
        return list(self._by_nai.get(nai, {}).values())

    def sessions_of(self, nai: str) -> int:
        return len(self._by_nai.get(nai, ()))

    def put(self, binding: MobilityBinding) -> None:
        """Insert or replace. Raises ValueError if another session has the home address."""
        home_address, session = binding.home_address, (binding.nai, binding.sub_nai)
        if self.holder(home_address) not in (None, session):
            raise ValueError("a home address of two sessions")
        former = self.find(session)
        if former is not None and former.home_address != home_address:
            self.remove(session)
        self._by_nai.setdefault(binding.nai, {})
        self.renew(binding)

    def renew(self, binding: MobilityBinding) -> None:
        """Replace the binding that this session has at this home address."""
        home_address = binding.home_address
        self._by_nai[binding.nai][binding.sub_nai] = self._by_home_address[home_address] = binding
        expires = ends_at(binding)
        if expires is not None:
            due = self._due.get(home_address)
            if due is None or expires < due:
                self._look_at(home_address, expires)

    def remove(self, session: Session) -> MobilityBinding | None:
        """The binding that was there, if any."""
        binding = self.find(session)
        if binding is not None:
            sessions = self._by_nai[session[0]]
            del sessions[session[1]], self._by_home_address[binding.home_address]
            if not sessions:
                del self._by_nai[session[0]]
        return binding

    def next_look(self) -> int | None:
        """Before, clock ms, no care-of address is over. Then one is, or was renewed meanwhile."""
        return self._expiries[0] >> 32 if self._expiries else None

    def expired(self, clock: int, most: int) -> list[MobilityBinding]:
        """Bindings with a care-of address that is over at `clock`, among the `most` to be looked at first.

        They have to be removed, or put without it: nobody looks at them again.
        """
        found = []
        for _ in range(most):
            if not self._expiries or self._expiries[0] >> 32 > clock:
                break
            due, home_address = divmod(heapq.heappop(self._expiries), 1 << 32)
            if self._due.get(home_address) != due:
                continue
            del self._due[home_address]
            binding = self._by_home_address.get(home_address)
            expires = None if binding is None else ends_at(binding)
            if binding is None or expires is None:
                continue
            if expires > clock:
                self._look_at(home_address, expires)
            else:
                found.append(binding)
        return found

    def _look_at(self, home_address: int, due: int) -> None:
        self._due[home_address] = due
        heapq.heappush(self._expiries, due << 32 | home_address)
