"""What somebody takes out of the kernel's routing is put back: rtnetlink(7) says when.

systemd-networkd removes rules, routes and neighbours that are not of its making when it configures a link anew.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Callable
from functools import partial

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.facts import Fact, taken_away
from host_agents.runtime.kernel_events import KernelEvents
from host_agents.runtime.rtnetlink import DEL_ADDRESS, DEL_NEIGHBOUR, DEL_ROUTE, DEL_RULE, NEW_LINK
from host_agents.runtime.socket_filter import ACCEPT, IF_EQUAL, LOAD_HALF, REJECT

# RTMGRP_LINK, RTMGRP_NEIGH, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE
_GROUPS = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7

# A router learns of neighbours all day long; only what goes is let through, and what becomes of links. The kind is in
# the machine's order.
_KIND_AT = 4
_ADDRESS, _LINK = (kind.to_bytes(2, sys.byteorder) for kind in (DEL_ADDRESS, NEW_LINK))
_TAKEN = [kind.to_bytes(2, sys.byteorder) for kind in (DEL_NEIGHBOUR, DEL_ROUTE, DEL_RULE)]
_KINDS = [_ADDRESS, _LINK, *_TAKEN]
_FILTER = (
    (LOAD_HALF, 0, 0, _KIND_AT),
    *((IF_EQUAL, len(_KINDS) - at, 0, int.from_bytes(kind, "big")) for at, kind in enumerate(_KINDS)),
    REJECT,
    ACCEPT,
)
_FLAGS_AT, _IFF_UP = 24, 1  # struct ifinfomsg


class Upkeep:
    """mend: called with each fact of ours that is no longer there, whoever took it; returns whether it put it back.

    restore: called when some may have gone unheard. With the last address of a link, or when it is shut, the kernel
    drops its routes, and says nothing. Both may raise KernelRefused. tell: called with a line for the operator.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        mend: Callable[[Fact], bool],
        restore: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._mend = mend
        self._restore = restore
        self._tell = tell
        self._events = KernelEvents(loop, _GROUPS, self._heard, _FILTER)

    def open(self) -> None:
        """As KernelEvents.open."""
        self._events.open()

    def close(self) -> None:
        self._events.close()

    def _heard(self, messages: list[bytes]) -> None:
        for octets in messages:
            if octets[_KIND_AT : _KIND_AT + 2] in _TAKEN:
                self._carefully(partial(self._put_back, octets))
        if any(map(_leaves_open, messages)):  # once for all of them
            self._carefully(self._restore)

    def _put_back(self, octets: bytes) -> None:
        """Raises KernelRefused."""
        fact = taken_away(octets)
        if fact is not None and self._mend(fact):
            self._tell(f"somebody took {fact} away: it is put back")

    def _carefully(self, do: Callable[[], None]) -> None:
        """What the kernel refuses is the operator's to know."""
        try:
            do()
        except KernelRefused as error:
            self._tell(str(error))


def _leaves_open(octets: bytes) -> bool:
    """Whether anything may have gone with what this is about; empty: it was lost."""
    kind = octets[_KIND_AT : _KIND_AT + 2]
    return kind in (b"", _ADDRESS) or (kind == _LINK and _has_come_up(octets))


def _has_come_up(octets: bytes) -> bool:
    """Whether this is about a link that was shut until now."""
    flags, changed = struct.unpack_from("=II", octets, _FLAGS_AT)
    return bool(flags & changed & _IFF_UP)
