"""The UDP socket of an agent: requests in, replies out, and what ICMP says of them (RFC 5944 §1.8)."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable

from host_agents.runtime.errors import KernelRefused
from mip4.address import parse, show

_BATCH = 64  # datagrams per wake-up, so that a flood leaves room for timers
_RECEIVE_BUFFER = 4 << 20
_IP_RECVERR = 11
_ORIGIN_ICMP = 2
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err of ip(7)
_UNREACHABLE = 3

Arrived = Callable[[bytes, int, int], None]
Undelivered = Callable[[bytes, int], None]


class AgentSocket:
    """Bound to the agent's own address, so that two agents on one router do not meet.

    arrived(payload, source, port): called on the event loop. undelivered(payload, code): a datagram of ours that met
    an ICMP destination unreachable with this code; None where nobody wants to know.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, arrived: Arrived, undelivered: Undelivered | None = None
    ) -> None:
        self._loop = loop
        self._arrived = arrived
        self._undelivered = undelivered
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def open(self, address: int, port: int) -> None:
        """Raises KernelRefused."""
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if self._undelivered is not None:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        try:
            self._socket.bind((show(address), port))
        except OSError as error:
            raise KernelRefused(f"listen on {show(address)}:{port}", str(error.strerror)) from error
        self._loop.add_reader(self._socket, self._drain)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def send(self, datagram: bytes, destination: int, port: int) -> None:
        """A datagram that cannot leave is lost, as on any link: its sender asks again."""
        for _ in range(2):
            try:
                self._socket.sendto(datagram, (show(destination), port))
                return
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.ENETUNREACH, errno.EPERM):
                    return
                # What an earlier datagram met with is told on the next call; it says nothing of this one.

    def _drain(self) -> None:
        for _ in range(_BATCH):
            try:
                payload, (source, port) = self._socket.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:
                self._drain_errors()
                return
            self._arrived(payload, parse(source), port)

    def _drain_errors(self) -> None:
        """Messages of the error queue carry back the datagram that failed (ip(7), IP_RECVERR)."""
        for _ in range(_BATCH):
            try:
                payload, ancillary, _, _ = self._socket.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, octets in ancillary:
                if (level, kind) != (socket.IPPROTO_IP, _IP_RECVERR) or self._undelivered is None:
                    continue
                _, origin, icmp_type, icmp_code, *_ = _EXTENDED_ERROR.unpack_from(octets)
                if origin == _ORIGIN_ICMP and icmp_type == _UNREACHABLE:
                    self._undelivered(payload, icmp_code)
