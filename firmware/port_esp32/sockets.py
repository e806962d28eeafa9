"""Sockets of one interface, as MicroPython for ESP32 has them on lwIP: addresses are tuples, and options are few."""

import asyncio
import errno
import socket

from mip4.compat import const
from runtime.errors import KernelRefused

_AGAIN_MS = const(20)
_PATIENCE = const(50)  # attempts: after a second the engine has asked again, or has given up
_WAITING = const(32)  # messages: one for each session, and some
# No buffers left, the queue is full, and what lwIP says while the station changes its access point: wait, do not
# reconnect. All of them pass.
_PASSING = (errno.ENOMEM, errno.ETIMEDOUT, errno.EAGAIN, errno.EHOSTUNREACH)


def udp(port: int, interface: str):
    """Non-blocking. Raises KernelRefused."""
    return _opened(socket.SOCK_DGRAM, 0, port, interface)


def raw(protocol: int, interface: str):
    """Whole packets come in, payloads go out: lwIP puts the IP header on. Raises KernelRefused."""
    return _opened(socket.SOCK_RAW, protocol, 0, interface)


def _opened(kind: int, protocol: int, port: int, interface: str):
    what = "UDP port %d" % port if port else "raw protocol %d" % protocol
    try:
        sock = socket.socket(socket.AF_INET, kind, protocol)
        sock.setblocking(False)
        # Two interfaces, and no word of which one a packet came by: each socket hears one
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface)
        if port:
            sock.bind(("0.0.0.0", port))
    except OSError as error:
        raise KernelRefused("%s on %s: errno %d" % (what, interface, error.errno))
    return sock


def send(sock, octets, to: tuple) -> None:
    """Raises OSError; ValueError for nothing at all, with which lwIP's sendto would never come back."""
    if not len(octets):
        raise ValueError("an empty datagram")
    sock.sendto(octets, to)


class Outbox:
    """Messages of ours on their way, in their order: one that finds no room is tried again a little later."""

    def __init__(self):
        self._waiting = []  # [socket, octets, address, attempts left]
        self._filled = asyncio.Event()

    def send(self, sock, octets: bytes, to: tuple) -> None:
        """Raises OSError for what does not pass, and when too many wait already."""
        if not self._waiting and self._sent(sock, octets, to):
            return
        if len(self._waiting) >= _WAITING:
            raise OSError(errno.ENOMEM)
        self._waiting.append([sock, octets, to, _PATIENCE])
        self._filled.set()

    def clear(self) -> None:
        """What has not left this link means nothing on the next."""
        self._waiting = []

    async def serve(self, runtime) -> None:
        """The source that tries again; it tells nothing."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                await asyncio.sleep_ms(_AGAIN_MS)
                self._try_again()

    def _try_again(self) -> None:
        while self._waiting:
            sock, octets, to, left = self._waiting[0]
            try:
                if not self._sent(sock, octets, to) and left:
                    self._waiting[0][3] = left - 1
                    return
            except OSError:  # of a link that is gone: the engine asks again in its time
                pass
            self._waiting.pop(0)

    def _sent(self, sock, octets: bytes, to: tuple) -> bool:
        try:
            send(sock, octets, to)
        except OSError as error:
            if error.errno in _PASSING:
                return False
            raise
        return True
