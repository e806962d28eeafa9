"""Home addresses: which are free, whose each one was last, and which one a session gets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from mip4.address import show
from mip4.const import HA_PROHIBITED, HA_RESOURCES
from mip4.errors import Denied

Session = tuple[str, str]


class AddressPool:
    """The pool addresses of all home networks, and the reserved ones, which need not lie in a pool.

    An address that was given back remembers its last session, which gets it again if it is still free. A stranger gets
    one that nobody ever had, else the one given back longest ago; never one that is occupied, which somebody on the
    home link uses without a binding: mostly its last session, at home.
    """

    def __init__(
        self,
        ranges: Iterable[tuple[int, int]],
        reserved: Mapping[int, Session],
        never: Iterable[int],
        holder: Callable[[int], Session | None],
        owners: Iterable[tuple[int, Session]] = (),
    ) -> None:
        """never: of agents and gateways. holder: whose binding has an address now; nobody else keeps account of that.

        owners: (address, last session) of those given back, oldest first.
        """
        self._ranges = tuple(ranges)
        self._never = frozenset(never)
        self._holder = holder
        self._given_back: OrderedDict[int, Session] = OrderedDict()
        self._last: dict[Session, int] = {}
        self._occupied: set[int] = set()
        self._reserved: dict[int, Session] = {}
        self.reserve(reserved)
        for address, session in owners:
            self.give_back(address, session)
        self._range, self._candidate = 0, self._ranges[0][0] if self._ranges else 0

    def reserve(self, reserved: Mapping[int, Session]) -> None:
        """For these sessions, and no longer for others; who holds such an address keeps it until its binding ends."""
        for address in self._reserved:  # the search for unused ones has perhaps passed it by
            if address not in reserved and self._holder(address) is None and self._in_pool(address):
                self._given_back.setdefault(address, ("", ""))
        self._reserved = dict(reserved)
        self._reserved_for = {session: address for address, session in reserved.items()}

    def choose(self, session: Session, asked: int) -> int:
        """The address `session` may have. asked: the request's Home Address field, 0 for any.

        Raises Denied 129 for an address that is not its to have, 130 when no address is free.
        """
        if asked:
            return self._asked(session, asked)
        reserved = self._reserved_for.get(session)
        if reserved is not None:
            if self._holder(reserved) not in (None, session):
                raise Denied(HA_RESOURCES, f"{show(reserved)} is reserved but still another's")
            return reserved
        last = self._last.get(session)
        if last is not None and self._holder(last) is None:
            return last
        unused = self._never_used()
        if unused is not None:
            return unused
        for address in self._given_back:
            if address not in self._occupied:
                return address
        raise Denied(HA_RESOURCES, "no home address is free")

    def take(self, address: int, session: Session) -> None:
        """`session` is about to hold `address`. Raises ValueError if another does."""
        if self._holder(address) not in (None, session):
            raise ValueError(f"{show(address)} is held by another session")
        self._occupied.discard(address)
        former = self._given_back.pop(address, None)
        if former is not None:
            self._last.pop(former, None)

    def occupy(self, address: int, occupied: bool) -> None:
        """Whether somebody uses a pool address that no session holds."""
        if not occupied:
            self._occupied.discard(address)
        elif self._holder(address) is None and address not in self._reserved and self._in_pool(address):
            self._occupied.add(address)
            self._given_back.setdefault(address, ("", ""))  # so that it is found when it is free again

    def give_back(self, address: int, session: Session) -> None:
        """`session` held `address` and no longer needs it; it is remembered as its last one, if it is for everybody."""
        if address in self._reserved or not self._in_pool(address):
            return
        stale = self._last.pop(session, None)
        if stale is not None:
            self._given_back[stale] = ("", "")  # it remembers nobody now, but keeps its place in the queue
        self._given_back[address] = session
        self._last[session] = address

    def _asked(self, session: Session, asked: int) -> int:
        holder = self._holder(asked)
        reserved = self._reserved.get(asked)
        if holder == session or (reserved == session and holder is None):
            return asked
        its_own = asked not in self._occupied or self._last.get(session) == asked
        if holder is None and reserved is None and self._in_pool(asked) and its_own:
            return asked
        raise Denied(HA_PROHIBITED, f"{show(asked)} is not this session's home address")

    def _in_pool(self, address: int) -> bool:
        return address not in self._never and any(first <= address <= last for first, last in self._ranges)

    def _never_used(self) -> int | None:
        """The first address that nobody ever had. Addresses are never un-used, so the search goes on where it ended."""
        while self._range < len(self._ranges):
            if self._candidate > self._ranges[self._range][1]:
                self._range += 1
                self._candidate = self._ranges[self._range][0] if self._range < len(self._ranges) else 0
            elif self._is_used(self._candidate):
                self._candidate += 1
            else:
                return self._candidate
        return None

    def _is_used(self, address: int) -> bool:
        """Whether somebody has it, had it or is to have it."""
        if address in self._given_back or address in self._reserved or address in self._never:
            return True
        return self._holder(address) is not None
