"""An encapsulation with an IP protocol of its own: the kernel does outer headers, fragments and reassembly."""

from __future__ import annotations

import asyncio
import socket
import struct

from host_agents.datapath.carrier import Exit, TunnelError
from host_agents.datapath.encapsulations import Encapsulation
from host_agents.datapath.inner import Inner
from host_agents.datapath.ip_in_ip import TTL
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import DROP_ALL, Instruction, attach
from host_agents.runtime.watching import watch_again
from mip4.address import show
from mip4.errors import Malformed

BATCH = 64  # packets per wake-up, so that registrations get their turn
_QUEUE = 4 << 20  # octets that may wait for us; the kernel silently takes less

# linux/in.h, linux/errqueue.h; Python has no names for these
IP_MTU_DISCOVER, PMTUDISC_DONT, PMTUDISC_DO = 10, 0, 2
_IP_RECVERR = 11
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_FROM_ICMP = 2


class RawCarrier:
    """A Carrier over raw sockets on one local address. Until open(), nothing is held."""

    def __init__(self, encapsulation: Encapsulation, local: int, loop: asyncio.AbstractEventLoop, exit_: Exit) -> None:
        self.name = encapsulation.name
        self.takes = encapsulation.takes
        self._encapsulation = encapsulation
        self._local = local
        self._loop = loop
        self._exit = exit_
        self._sockets: list[socket.socket] = []
        self._buffer = bytearray(65536)
        self._view = memoryview(self._buffer)

    def open(self) -> None:
        """Raises KernelRefused: no privilege, or the address is not this machine's."""
        try:
            # One socket receives, sends what must not be fragmented, and hears of errors; both would hear each twice.
            self._whole = self._raw(PMTUDISC_DO, deaf=False)
            self._whole.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            self._fragmenting = self._raw(PMTUDISC_DONT, deaf=True)
        except OSError as error:
            self.close()
            raise KernelRefused(f"{self.name} sockets on {show(self._local)}", error) from error
        self._loop.add_reader(self._whole, self._drain)

    def close(self) -> None:
        while self._sockets:
            sock = self._sockets.pop()
            self._loop.remove_reader(sock)
            sock.close()

    def hear(self, program: tuple[Instruction, ...]) -> None:
        """Receive from now on only what it accepts of the packets, outer header first. Raises OSError."""
        attach(self._whole, program)

    def overhead(self, inner: Inner) -> int:
        """As Carrier.overhead."""
        head, rest, _ = self._encapsulation.wrap(inner, self._local)
        return 20 + len(head) + len(rest) - len(inner.packet)

    def send(self, inner: Inner, remote: str, port: int) -> None:
        """As Carrier.send."""
        try:
            self._put(inner, remote)
        except OSError:
            if not self._relay_errors():
                raise
            self._put(inner, remote)  # it was an earlier packet's error, told only now

    def _put(self, inner: Inner, remote: str) -> None:
        head, rest, ttl = self._encapsulation.wrap(inner, self._local)
        sock = self._whole if inner.dont_fragment else self._fragmenting
        if not head and not inner.tos and ttl == TTL:  # as nearly every packet: the socket does the rest unasked
            sock.sendto(rest, (remote, 0))
            return
        ancillary = [] if ttl == TTL else [(socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=i", ttl))]
        if inner.tos:
            ancillary.append((socket.IPPROTO_IP, socket.IP_TOS, struct.pack("=i", inner.tos)))
        sock.sendmsg((head, rest), ancillary, 0, (remote, 0))

    def _drain(self) -> None:
        for count in range(BATCH):
            try:
                size = self._whole.recv_into(self._buffer)
            except BlockingIOError:
                if count == 0:  # woken, but by an error
                    self._take_errors()
                return
            except OSError:
                self._take_errors()
                continue
            self._arrived(self._view[:size])

    def _take_errors(self) -> None:
        self._relay_errors()
        watch_again(self._loop, self._whole, self._drain)

    def _arrived(self, outer: memoryview) -> None:
        source, tos = int.from_bytes(outer[12:16], "big"), outer[1]  # before unwrap() works in place
        try:
            inner = self._encapsulation.unwrap(outer)
        except Malformed as error:
            self._exit.dropped(str(error))
            return
        self._exit.arrived(self, inner, source, 0, tos)

    def _relay_errors(self) -> bool:
        """Hand on what ICMP said of packets of ours; whether there was anything."""
        some = False
        for _ in range(BATCH):
            try:
                quoted, ancillary, _, destination = self._whole.recvmsg(2048, 128, socket.MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, octets in ancillary:
                if level == socket.IPPROTO_IP and kind == _IP_RECVERR:
                    _, origin, icmp_type, code, _, _ = _EXTENDED_ERROR.unpack_from(octets)
                    if origin == _FROM_ICMP:
                        some = True
                        inner = self._encapsulation.quoted(memoryview(quoted))
                        remote = int.from_bytes(socket.inet_aton(destination[0]), "big")
                        self._exit.failed(self, TunnelError(inner, remote, 0, icmp_type, code))
        return some

    def _raw(self, discovery: int, deaf: bool) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, self._encapsulation.protocol)
        self._sockets.append(sock)
        sock.setblocking(False)
        if deaf:
            attach(sock, DROP_ALL)
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, discovery)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, TTL)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
        sock.bind((show(self._local), 0))
        return sock
