"""The UDP socket of an agent: requests in, replies out, and what ICMP says of them (RFC 5944 §1.8)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable

from host_agents.runtime.datagrams import BATCH, LONGEST, OF_THIS_ONE, Inbox, Outbox
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.watching import watch_again, watch_no_more
from mip4.address import show
from mip4.const import TUNNEL_DATA

_ERRORS = 32  # at once
_RECEIVE_BUFFER = 4 << 20
_IP_PKTINFO, _IP_RECVERR, _IP_RECVTOS = 8, 11, 13
_IP_MTU_DISCOVER, _PMTUDISC_DONT, _PMTUDISC_DO = 10, 0, 2
_ORIGIN_ICMP = 2
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err of ip(7)
_UNREACHABLE = 3

Datagram = tuple[bytes, int, int]  # payload, source, port
Arrived = Callable[[list[Datagram]], None]
Undelivered = Callable[[bytes, int], None]
Tunnelled = Callable[[memoryview, int, int, int], None]
TunnelFailed = Callable[[memoryview, int, int, int, int], None]


class AgentSocket:
    """Bound to the agent's own address, so that two agents on one router do not meet.

    arrived(datagrams): called on the event loop, with what came together, at least one. undelivered(payload, code): a
    datagram of ours that met an ICMP destination unreachable with this code; None where nobody wants to know.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, arrived: Arrived, undelivered: Undelivered | None = None
    ) -> None:
        self._loop = loop
        self._arrived = arrived
        self._undelivered = undelivered
        self._tunnelled: Tunnelled | None = None
        self._tunnel_failed: TunnelFailed | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._inbox, self._outbox = Inbox(), Outbox()
        self.port = 0

    def open(self, address: int, port: int) -> None:
        """Raises KernelRefused."""
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if self._undelivered is not None:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        try:
            self._socket.bind((show(address), port))
        except OSError as error:
            raise KernelRefused(f"listen on {show(address)}:{port}", error) from error
        self.port = port
        self._loop.add_reader(self._socket, self._drain)

    def carry(self, tunnelled: Tunnelled, failed: TunnelFailed) -> None:
        """Packets pass here too (RFC 3519), in datagrams that begin with octet 4. As UdpPort.carry."""
        self._tunnelled, self._tunnel_failed = tunnelled, failed
        for option in (_IP_RECVERR, _IP_RECVTOS):
            self._socket.setsockopt(socket.IPPROTO_IP, option, 1)
        self._discover(_PMTUDISC_DO)

    def read_no_more(self) -> None:
        """What comes from now on is left where it is; what is sent still leaves."""
        watch_no_more(self._loop, self._socket)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._flush()
        self._socket.close()

    def send(self, datagram: bytes, destination: int, port: int, index: int = 0) -> None:
        """With all others of this turn of the event loop.

        A datagram that cannot leave is lost, as on any link: its sender asks again. index: of the interface that it has
        to leave by, whatever the routes say; 0: they say.
        """
        if index or len(datagram) > LONGEST:
            self._send_alone(datagram, destination, port, index)
            return
        waiting = len(self._outbox)
        if waiting == BATCH:
            self._flush()
        elif not waiting:
            self._loop.call_soon(self._flush)
        self._outbox.put(datagram, destination, port)

    def _flush(self) -> None:
        if len(self._outbox):
            for error, datagram, destination, port in self._outbox.send(self._socket.fileno()):
                if error == errno.EMSGSIZE:  # of messages the path's limit is no concern
                    self._send_in_pieces(datagram, (show(destination), port))

    def _send_alone(self, datagram: bytes, destination: int, port: int, index: int) -> None:
        way = [(socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i8x", index))] if index else []
        for _ in range(2):
            try:
                self._socket.sendmsg((datagram,), way, 0, (show(destination), port))
                return
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    self._send_in_pieces(datagram, (show(destination), port))
                if error.errno in OF_THIS_ONE:
                    return

    def send_tunnelled(self, head: bytes, packet: memoryview, remote: tuple[str, int], tos: int, whole: bool) -> None:
        """As UdpPort.send_tunnelled."""
        ancillary = [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("=i", tos))] if tos else []
        # Back to whole at once: ICMP about those is told to a socket only while it sets DF.
        if not whole:
            self._discover(_PMTUDISC_DONT)
        try:
            self._socket.sendmsg((head, packet), ancillary, 0, remote)
        except OSError:
            if not self._drain_errors():
                raise
            self._socket.sendmsg((head, packet), ancillary, 0, remote)
        finally:
            if not whole:
                self._discover(_PMTUDISC_DO)

    def _send_in_pieces(self, datagram: bytes, remote: tuple[str, int]) -> None:
        self._discover(_PMTUDISC_DONT)
        with contextlib.suppress(OSError):
            self._socket.sendto(datagram, remote)
        self._discover(_PMTUDISC_DO)

    def _discover(self, how: int) -> None:
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, how)

    def _drain(self) -> None:
        """One batch a turn, so that a flood leaves room for timers, and the first are committed meanwhile."""
        try:
            self._inbox.receive(self._socket.fileno())
        except OSError:
            self._drain_errors()
            watch_again(self._loop, self._socket, self._drain)
            return
        messages = []
        for payload, source, port, tos in self._inbox:
            if self._tunnelled is not None and payload and payload[0] == TUNNEL_DATA:
                self._tunnelled(payload, source, port, tos)
            else:
                messages.append((bytes(payload), source, port))
        if messages:
            self._arrived(messages)

    def _drain_errors(self) -> bool:
        """Messages of the error queue carry back the datagram that failed (ip(7), IP_RECVERR); whether ICMP did one."""
        some = False
        for _ in range(_ERRORS):
            try:
                payload, ancillary, _, (remote, port) = self._socket.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, octets in ancillary:
                if (level, kind) != (socket.IPPROTO_IP, _IP_RECVERR):
                    continue
                _, origin, icmp_type, icmp_code, *_ = _EXTENDED_ERROR.unpack_from(octets)
                if origin != _ORIGIN_ICMP:
                    continue
                some = True
                if self._tunnel_failed is not None and payload[:1] == bytes((TUNNEL_DATA,)):
                    address = int.from_bytes(socket.inet_aton(remote), "big")
                    self._tunnel_failed(memoryview(payload), address, port, icmp_type, icmp_code)
                elif self._undelivered is not None and icmp_type == _UNREACHABLE:
                    self._undelivered(payload, icmp_code)
        return some
