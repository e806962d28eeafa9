"""The uplink's end of a tunnel to the home agent: an IP protocol of its own, or message 4 on UDP 434 (RFC 3519)."""

import errno
import socket

from mip4.const import PORT, PROTO_GRE, PROTO_IPIP
from mip4.errors import Malformed
from mip4.tunnel import (
    TUNNEL_DATA_HEADER,
    OuterHeader,
    packet_end,
    unwrap_gre,
    unwrap_tunnel_data,
    wrap_gre,
    wrap_tunnel_data,
)
from port_unix.netlink import error_name
from port_unix.sockets import (
    NOTHING,
    TUNNEL_DATA_ONLY,
    PacketSocket,
    UdpSocket,
    attach_filter,
    bind_to_device,
    packets_from,
    socket_address,
    write,
)
from runtime.errors import KernelRefused
from runtime.forwarder import ROOM
from runtime.sockets import readable, would_block

_SOCK_RAW = 3
_IPPROTO_IP = 0
_IP_TOS, _IP_TTL = 1, 2
_OUTER_TTL = 64
_REGISTRATION_TTL = 255  # RFC 3024 §3.2
_LONGEST = 2048  # the home agent sends nothing longer, since its device takes nothing longer
_AT_ONCE = 1 << 16  # octets that are read at once, so that a flood leaves room for timers
_BATCH = 32  # packets per turn, for the same reason


class IpInIp:
    """RFC 2003, on one interface. While it is open the kernel does not call the protocol unreachable."""

    protocol = PROTO_IPIP

    def __init__(self):
        """Raises KernelRefused."""
        self.socket = self._open()
        self._out = None  # connected, since only so a part of a buffer is sent without an object for it
        self._interface = ""
        self._tos = 0
        self._buffer = bytearray(ROOM + _AT_ONCE)
        self._place = memoryview(self._buffer)[ROOM:]

    def _open(self):
        try:
            sock = socket.socket(socket.AF_INET, _SOCK_RAW, self.protocol)
            attach_filter(sock, NOTHING)
            sock.setsockopt(_IPPROTO_IP, _IP_TTL, _OUTER_TTL)
        except OSError as error:
            raise KernelRefused("raw socket: %s" % error_name(error.errno))
        sock.setblocking(False)
        return sock

    def wrap(self, buffer: bytearray, start: int) -> int:
        """Put on what stands before the packet, behind the outer header; return where that begins."""
        return start

    def unwrap(self, buffer: bytearray, start: int, end: int) -> int:
        """Where the packet behind it begins. Raises Malformed."""
        return start

    def bind(self, interface: str) -> None:
        """Raises KernelRefused."""
        self._interface = interface
        bind_to_device(self.socket, interface)

    def use(self, home_agent: int, on: bool) -> None:
        """Raises OSError, KernelRefused."""
        attach_filter(self.socket, packets_from(home_agent) if on else NOTHING)
        if self._out is not None:  # another connect() would keep the source address of the first
            self._out.close()
            self._out = None
        if on:
            self._out, self._tos = self._open(), 0
            bind_to_device(self._out, self._interface)
            self._out.connect(socket_address(home_agent, 0))

    def carry(self, buffer: bytearray, start: int, end: int) -> None:
        """As the forwarder's tunnel. The kernel puts the outer header on. Raises OSError."""
        if self._out is None:
            raise OSError(errno.ENOTCONN)
        tos = buffer[start + 1]
        if tos != self._tos:
            self._out.setsockopt(_IPPROTO_IP, _IP_TOS, tos)
            self._tos = tos
        write(self._out, buffer, self.wrap(buffer, start), end)

    async def serve(self, forwarder) -> None:
        """The source of packets from the home agent."""
        while True:
            await readable(self.socket)
            self.bring(forwarder)

    def bring(self, forwarder) -> None:
        """What has come by now: packets one behind another, as readinto() puts them together. Raises OSError.

        Each says itself how long it is, so no object is made for any of them. One that is cut at the end of the buffer
        is lost.
        """
        buffer, at = self._buffer, ROOM
        end = ROOM + (self.socket.readinto(self._place) or 0)
        try:
            while at < end:
                until = packet_end(buffer, at, end)
                try:
                    inner = self.unwrap(buffer, at + (buffer[at] & 15) * 4, until)
                    forwarder.from_tunnel(buffer, inner, until, buffer[at + 1])
                except Malformed:
                    forwarder.drop("tunnel header")
                at = until
        except Malformed:
            forwarder.drop("queue")


class Gre(IpInIp):
    """RFC 2784: the same, with a header more before the packet."""

    protocol = PROTO_GRE

    def wrap(self, buffer: bytearray, start: int) -> int:
        return wrap_gre(buffer, start)

    def unwrap(self, buffer: bytearray, start: int, end: int) -> int:
        return unwrap_gre(buffer, start, end)


class HandingIn:
    """Packets for an agent that tunnels what comes inside a packet for itself (RFC 3024 §5.2). frames: PacketSocket."""

    def __init__(self, frames: PacketSocket, agent: int, link_address: bytes):
        self._frames = frames
        self._agent = agent
        self._link_address = link_address
        self._headers = {}  # home address, octets -> OuterHeader

    def carry(self, buffer: bytearray, start: int, end: int) -> None:
        """As the forwarder's tunnel. Whoever is inside is outside too. Raises OSError."""
        source = bytes(buffer[start + 12 : start + 16])
        if source not in self._headers:
            if len(self._headers) >= _BATCH:
                self._headers.clear()
            self._headers[source] = OuterHeader(int.from_bytes(source, "big"), self._agent)
        at = self._headers[source].wrap(buffer, start, end)
        self._frames.send_from(buffer, at, end, self._link_address)


class UdpTunnel:
    """UDP port 434 of one interface: message 4 both ways, and registrations sent straight to the home agent."""

    def __init__(self):
        """Raises KernelRefused."""
        # A registration reply to an address of ours must find a socket too, or the kernel says "port unreachable"
        self._udp = UdpSocket(PORT, NOTHING)
        self.socket = self._udp.socket
        self._remote = b""
        self._tos = 0

    def bind(self, interface: str) -> None:
        """Raises KernelRefused."""
        self._udp.bind(interface)
        self.socket.setsockopt(_IPPROTO_IP, _IP_TTL, _REGISTRATION_TTL)

    def use(self, home_agent: int, on: bool) -> None:
        """Raises OSError."""
        self._remote = socket_address(home_agent, PORT)
        attach_filter(self.socket, TUNNEL_DATA_ONLY if on else NOTHING)

    def register(self, destination: int, datagram: bytes) -> None:
        """Raises OSError."""
        self.socket.sendto(datagram, socket_address(destination, PORT))  # pyright: ignore[reportArgumentType]

    def carry(self, buffer: bytearray, start: int, end: int) -> None:
        """As the forwarder's tunnel. Raises OSError."""
        tos = buffer[start + 1]
        if tos != self._tos:
            self.socket.setsockopt(_IPPROTO_IP, _IP_TOS, tos)
            self._tos = tos
        self.socket.sendto(memoryview(buffer)[wrap_tunnel_data(buffer, start) : end], self._remote)  # pyright: ignore[reportArgumentType]

    async def serve(self, forwarder) -> None:
        """The source of packets from the home agent."""
        while True:
            await readable(self.socket)
            for _ in range(_BATCH):
                try:
                    octets, source = self.socket.recvfrom(_LONGEST)
                except OSError as error:
                    if not would_block(error):
                        raise
                    break
                if source[:8] != self._remote[:8]:
                    continue
                try:
                    unwrap_tunnel_data(octets, 0, len(octets))
                except Malformed:
                    forwarder.drop("tunnel header")
                    continue
                forwarder.from_tunnel(octets, TUNNEL_DATA_HEADER, len(octets), 0)
