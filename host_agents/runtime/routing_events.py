"""Somebody takes away what we have put into the kernel's routing: rtnetlink(7) says what.

systemd-networkd does, when it configures a link anew: rules and routes that are not of its making, unless its
ManageForeign… settings say otherwise, and neighbours in any case.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.routing import Fact, taken_away
from host_agents.runtime.rtnetlink import DEL_ADDRESS, DEL_NEIGHBOUR, DEL_ROUTE, DEL_RULE
from host_agents.runtime.socket_filter import attach
from host_agents.runtime.watching import watch_again

_GROUPS = 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7  # RTMGRP_NEIGH, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE
_BATCH = 64

# A router learns of neighbours all day long; only what goes is let through. The kind is in the machine's order.
_LD_H, _IF_EQUAL, _RETURN, _KIND_AT = 0x28, 0x15, 0x06, 4
_ADDRESS = DEL_ADDRESS.to_bytes(2, sys.byteorder)
_KINDS = [_ADDRESS, *(kind.to_bytes(2, sys.byteorder) for kind in (DEL_NEIGHBOUR, DEL_ROUTE, DEL_RULE))]
_FILTER = (
    (_LD_H, 0, 0, _KIND_AT),
    *((_IF_EQUAL, len(_KINDS) - at, 0, int.from_bytes(kind, "big")) for at, kind in enumerate(_KINDS)),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
)


class RoutingEvents:
    """taken: called with each fact of ours that is no longer there, whoever took it.

    missed: some may have gone unheard. With the last address of a link the kernel drops its routes, and says nothing.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, taken: Callable[[Fact], None], missed: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._taken = taken
        self._missed = missed

    def open(self) -> None:
        """Of the network namespace we are in. Raises KernelRefused."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
            self._socket.setblocking(False)
            attach(self._socket, _FILTER)
            self._socket.bind((0, _GROUPS))
        except OSError as error:
            raise KernelRefused("listen for routing events", str(error.strerror)) from error
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
                self._missed()
                continue
            if octets[_KIND_AT : _KIND_AT + 2] == _ADDRESS:
                self._missed()
            elif (fact := taken_away(octets)) is not None:
                self._taken(fact)
