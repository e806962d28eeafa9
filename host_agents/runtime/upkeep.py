"""What somebody takes out of the kernel's routing is put back: rtnetlink(7) says when.

systemd-networkd removes rules, routes and neighbours that are not of its making when it configures a link anew.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.routing import Fact, taken_away
from host_agents.runtime.rtnetlink import DEL_ADDRESS, DEL_NEIGHBOUR, DEL_ROUTE, DEL_RULE, NEW_LINK
from host_agents.runtime.socket_filter import attach
from host_agents.runtime.watching import watch_again

# RTMGRP_LINK, RTMGRP_NEIGH, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE
_GROUPS = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7
_BATCH = 64

# A router learns of neighbours all day long; only what goes is let through, and what becomes of links. The kind is in
# the machine's order.
_LD_H, _IF_EQUAL, _RETURN, _KIND_AT = 0x28, 0x15, 0x06, 4
_ADDRESS, _LINK = (kind.to_bytes(2, sys.byteorder) for kind in (DEL_ADDRESS, NEW_LINK))
_KINDS = [_ADDRESS, _LINK, *(kind.to_bytes(2, sys.byteorder) for kind in (DEL_NEIGHBOUR, DEL_ROUTE, DEL_RULE))]
_FILTER = (
    (_LD_H, 0, 0, _KIND_AT),
    *((_IF_EQUAL, len(_KINDS) - at, 0, int.from_bytes(kind, "big")) for at, kind in enumerate(_KINDS)),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
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
        self._loop = loop
        self._mend = mend
        self._restore = restore
        self._tell = tell

    def open(self) -> None:
        """Of the network namespace we are in. Raises KernelRefused."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
            self._socket.setblocking(False)
            attach(self._socket, _FILTER)
            self._socket.bind((0, _GROUPS))
        except OSError as error:
            raise KernelRefused("listen for changes of the routing", str(error.strerror)) from error
        self._loop.add_reader(self._socket, self._drain)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _drain(self) -> None:
        for _ in range(_BATCH):
            try:
                octets = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:  # more than the socket has room for
                watch_again(self._loop, self._socket, self._drain)
                octets = b""
            try:
                self._heard(octets)
            except KernelRefused as error:
                self._tell(str(error))

    def _heard(self, octets: bytes) -> None:
        """Raises KernelRefused."""
        kind = octets[_KIND_AT : _KIND_AT + 2]
        if kind == _LINK and not _has_come_up(octets):
            return
        if kind in (b"", _ADDRESS, _LINK):
            self._restore()
            return
        fact = taken_away(octets)
        if fact is not None and self._mend(fact):
            self._tell(f"somebody took {fact} away: it is put back")


def _has_come_up(octets: bytes) -> bool:
    """Whether this is about a link that was shut until now."""
    flags, changed = struct.unpack_from("=II", octets, _FLAGS_AT)
    return bool(flags & changed & _IFF_UP)
