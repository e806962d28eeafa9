"""The encapsulating delivery style: visitors hand in packets inside packets to their foreign agent (RFC 3024 §2, §5.2).

Only so can a visitor have broadcasts and multicasts tunnelled home, and choose for each packet whether it goes there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from host_agents.datapath import ip_in_ip
from host_agents.datapath.inner import Inner
from host_agents.datapath.raw_carrier import BATCH
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.watching import watch_again
from mip4.const import PROTO_IPIP
from mip4.errors import Malformed

HandedIn = Callable[[str, int, Inner, int], None]


class Delivery:
    """One socket for each visited link that has such visitors; it hears of what is addressed to this machine there.

    handed_in(link, outer source, inner, outer TOS). dropped(reason).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, handed_in: HandedIn, dropped: Callable[[str], None]) -> None:
        self._loop = loop
        self._handed_in = handed_in
        self._dropped = dropped
        self._sockets: dict[str, tuple[int, socket.socket]] = {}
        self._buffer = bytearray(65536)
        self._view = memoryview(self._buffer)

    def listen(self, link: str) -> None:
        """Raises KernelRefused: no such interface, no privilege. Needed again for a link that was made anew."""
        try:
            index = socket.if_nametoindex(link)
            if link in self._sockets and self._sockets[link][0] == index:
                return
            self._forget(link)
            sock = _bound_to(link)
        except OSError as error:
            raise KernelRefused(f"encapsulating delivery on {link}", error) from error
        self._sockets[link] = (index, sock)
        self._loop.add_reader(sock, self._drain, link, sock)

    def close(self) -> None:
        for link in list(self._sockets):
            self._forget(link)

    def _forget(self, link: str) -> None:
        if link in self._sockets:
            _, sock = self._sockets.pop(link)
            self._loop.remove_reader(sock)
            sock.close()

    def _drain(self, link: str, sock: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                size = sock.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError:  # the link went down
                watch_again(self._loop, sock, self._drain, link, sock)
                return
            outer = self._view[:size]
            try:
                inner = ip_in_ip.unwrap(outer)
            except Malformed as error:
                self._dropped(str(error))
                continue
            self._handed_in(link, int.from_bytes(outer[12:16], "big"), inner, outer[1])


def _bound_to(link: str) -> socket.socket:
    """Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTO_IPIP)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
    except OSError:
        sock.close()
        raise
    return sock
