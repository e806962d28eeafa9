"""The uplink's end of a tunnel to the home agent: an IP protocol of its own, or message 4 on UDP 434 (RFC 3519)."""

import socket

from mip4.const import PORT, PROTO_GRE, PROTO_IPIP
from mip4.errors import Malformed
from mip4.tunnel import (
    TUNNEL_DATA_HEADER,
    OuterHeader,
    unwrap_gre,
    unwrap_tunnel_data,
    wrap_gre,
    wrap_tunnel_data,
)
from port_unix.netlink import error_name
from port_unix.sockets import (
    EVERYTHING,
    NOTHING,
    TUNNEL_DATA_ONLY,
    PacketSocket,
    UdpSocket,
    attach_filter,
    bind_to_device,
    socket_address,
)
from runtime.errors import KernelRefused
from runtime.sockets import readable, would_block

_SOCK_RAW = 3
_IPPROTO_IP = 0
_IP_TOS, _IP_TTL = 1, 2
_OUTER_TTL = 64
_REGISTRATION_TTL = 255  # RFC 3024 §3.2
_LONGEST = 2048  # the home agent sends nothing longer, since its device takes nothing longer
_BATCH = 32  # packets per turn, so that a flood leaves room for timers


class _RawTunnel:
    """An IP protocol of one interface. While it is open the kernel does not call the protocol unreachable.

    A subclass says which it is, and puts on and takes off what stands between the outer header and the packet.
    """

    def __init__(self):
        """Raises KernelRefused."""
        try:
            self.socket = socket.socket(socket.AF_INET, _SOCK_RAW, self.protocol)
            attach_filter(self.socket, NOTHING)
            self.socket.setsockopt(_IPPROTO_IP, _IP_TTL, _OUTER_TTL)
        except OSError as error:
            raise KernelRefused("raw socket: %s" % error_name(error.errno))
        self.socket.setblocking(False)
        self._remote = b""
        self._home_agent = b""
        self._tos = 0

    def bind(self, interface: str) -> None:
        """Raises KernelRefused."""
        bind_to_device(self.socket, interface)

    def use(self, home_agent: int, on: bool) -> None:
        """Raises OSError."""
        self._home_agent = home_agent.to_bytes(4, "big")
        self._remote = socket_address(home_agent, 0)
        attach_filter(self.socket, EVERYTHING if on else NOTHING)

    def carry(self, view, start: int, end: int) -> None:
        """As the forwarder's tunnel. The kernel puts the outer header on."""
        tos = view[start + 1]
        if tos != self._tos:
            self.socket.setsockopt(_IPPROTO_IP, _IP_TOS, tos)
            self._tos = tos
        self.socket.sendto(view[self.wrap(view, start) : end], self._remote)

    async def serve(self, forwarder) -> None:
        """The source of packets from the home agent."""
        while True:
            await readable(self.socket)
            for _ in range(_BATCH):
                try:
                    octets = self.socket.recv(_LONGEST)
                except OSError as error:
                    if not would_block(error):
                        raise
                    break
                if octets[12:16] != self._home_agent:
                    continue
                try:
                    inner = self.unwrap(octets, (octets[0] & 15) * 4)
                except Malformed:
                    continue
                forwarder.from_tunnel(octets, inner, octets[1])


class IpInIp(_RawTunnel):
    """RFC 2003."""

    protocol = PROTO_IPIP

    def wrap(self, view, start: int) -> int:
        return start

    def unwrap(self, octets: bytes, start: int) -> int:
        return start


class Gre(_RawTunnel):
    """RFC 2784."""

    protocol = PROTO_GRE

    def wrap(self, view, start: int) -> int:
        return wrap_gre(view, start)

    def unwrap(self, octets: bytes, start: int) -> int:
        """Raises Malformed."""
        return unwrap_gre(octets, start, len(octets))


class HandingIn:
    """Packets for an agent that tunnels what comes inside a packet for itself (RFC 3024 §5.2). frames: PacketSocket."""

    def __init__(self, frames: PacketSocket, agent: int, link_address: bytes):
        self._frames = frames
        self._agent = agent
        self._link_address = link_address
        self._headers = {}  # home address, octets -> OuterHeader

    def carry(self, view, start: int, end: int) -> None:
        """As the forwarder's tunnel. Whoever is inside is outside too. Raises OSError."""
        source = bytes(view[start + 12 : start + 16])
        if source not in self._headers:
            if len(self._headers) >= _BATCH:
                self._headers.clear()
            self._headers[source] = OuterHeader(int.from_bytes(source, "big"), self._agent)
        at = self._headers[source].wrap(view, start, end)
        self._frames.send_from(view, at, end, self._link_address)


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
        self.socket.sendto(datagram, socket_address(destination, PORT))

    def carry(self, view, start: int, end: int) -> None:
        """As the forwarder's tunnel."""
        tos = view[start + 1]
        if tos != self._tos:
            self.socket.setsockopt(_IPPROTO_IP, _IP_TOS, tos)
            self._tos = tos
        self.socket.sendto(view[wrap_tunnel_data(view, start) : end], self._remote)

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
                    continue
                forwarder.from_tunnel(octets, TUNNEL_DATA_HEADER, 0)
