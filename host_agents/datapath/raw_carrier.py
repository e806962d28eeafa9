"""The sockets under an IP-in-IP tunnel: the kernel does outer headers, fragments, reassembly and path MTUs."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from host_agents.datapath.ip_in_ip import Inner
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import DROP_ALL, attach
from mip4.address import show
from mip4.const import PROTO_ICMP, PROTO_IPIP

_TTL = 64
_QUEUE = 4 << 20  # octets that may wait for us; the kernel silently takes less

# linux/in.h, linux/errqueue.h; Python has no names for these
_IP_MTU_DISCOVER, _PMTUDISC_DONT, _PMTUDISC_DO = 10, 0, 2
_IP_RECVERR = 11
_IP_MTU = 14
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_FROM_ICMP = 2


@dataclass(slots=True)
class TunnelError:
    """An ICMP error about an outer packet of ours. quoted: what follows its outer header. remote: its tunnel end."""

    quoted: memoryview
    remote: int
    kind: int
    code: int


class TunnelSockets:
    """Raw sockets of protocol 4 and ICMP on one local address. Until open(), nothing is held."""

    def __init__(self, local: int) -> None:
        self._local = local
        self._sockets: list[socket.socket] = []

    def open(self) -> None:
        """Raises KernelRefused: no privilege, or the address is not this machine's."""
        try:
            # One socket receives, sends what must not be fragmented, and hears of errors; both would hear each twice.
            self._whole = self._raw(PROTO_IPIP, _PMTUDISC_DO, deaf=False)
            self._whole.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            self._fragmenting = self._raw(PROTO_IPIP, _PMTUDISC_DONT, deaf=True)
            self._icmp = self._keep(socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTO_ICMP))
            attach(self._icmp, DROP_ALL)
            self._probe = self._keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            attach(self._probe, DROP_ALL)
            self._probe.bind((show(self._local), 0))
        except OSError as error:
            self.close()
            raise KernelRefused(f"tunnel sockets on {show(self._local)}", str(error.strerror)) from error

    def close(self) -> None:
        while self._sockets:
            self._sockets.pop().close()

    def fileno(self) -> int:
        """Of the socket that receives; it turns readable for errors too."""
        return self._whole.fileno()

    def send(self, inner: Inner, remote: str) -> None:
        """One packet into the tunnel, TOS and DF copied (RFC 2003 §3.1). Raises OSError; EMSGSIZE: DF and too long."""
        sock = self._whole if inner.dont_fragment else self._fragmenting
        if inner.tos == 0:
            sock.sendto(inner.packet, (remote, 0))
        else:
            tos = [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("=i", inner.tos))]
            sock.sendmsg([inner.packet], tos, 0, (remote, 0))

    def receive_into(self, buffer: bytearray) -> int:
        """One outer packet, reassembled, header included; its size. Raises OSError, also for a pending error()."""
        return self._whole.recv_into(buffer)

    def errors(self, at_most: int) -> Iterator[TunnelError]:
        """ICMP errors that arrived about what we sent."""
        for _ in range(at_most):
            try:
                quoted, ancillary, _, destination = self._whole.recvmsg(2048, 128, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, octets in ancillary:
                if level == socket.IPPROTO_IP and kind == _IP_RECVERR:
                    _, origin, icmp_type, code, _, _ = _EXTENDED_ERROR.unpack_from(octets)
                    if origin == _FROM_ICMP:
                        (remote,) = struct.unpack("!I", socket.inet_aton(destination[0]))
                        yield TunnelError(memoryview(quoted), remote, icmp_type, code)

    def path_mtu(self, remote: str) -> int:
        """What the kernel knows of the path to the tunnel's other end. Raises OSError: no route."""
        self._probe.connect((remote, 9))  # sends nothing
        return self._probe.getsockopt(socket.IPPROTO_IP, _IP_MTU)

    def tell(self, message: bytes, destination: int) -> None:
        """Send an ICMP message, from the address that the routing table chooses. Raises OSError."""
        self._icmp.sendto(message, (show(destination), 0))

    def _raw(self, protocol: int, discovery: int, deaf: bool) -> socket.socket:
        sock = self._keep(socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol))
        if deaf:
            attach(sock, DROP_ALL)
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, discovery)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, _TTL)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
        sock.bind((show(self._local), 0))
        return sock

    def _keep(self, sock: socket.socket) -> socket.socket:
        sock.setblocking(False)
        self._sockets.append(sock)
        return sock
