"""The board's end of a tunnel to the home agent: an IP protocol of its own, or message 4 on UDP 434 (RFC 3519)."""

import errno

from mip4.address import show
from mip4.compat import const
from mip4.const import PORT, PROTO_GRE, PROTO_IPIP, TUNNEL_DATA
from mip4.errors import Malformed
from mip4.tunnel import TUNNEL_DATA_HEADER, packet_end, unwrap_gre, unwrap_tunnel_data, wrap_gre, wrap_tunnel_data
from port_esp32.sockets import raw, send, udp
from runtime.forwarder import ROOM
from runtime.sockets import readable, would_block

_LONGEST = const(1600)  # octets; lwIP gives nothing longer than a frame of Wi-Fi
_BATCH = const(6)  # packets per turn: as many as a socket's queue has on MicroPython's images


class RawTunnel:
    """IP-in-IP (RFC 2003) or GRE (RFC 2784). While it is open lwIP does not call the protocol unreachable.

    lwIP writes the outer header: TOS and DF of the inner one do not come out (RFC 2003 §3.1 would have them).
    """

    def __init__(self, interface: str, kind: str):
        """Raises KernelRefused."""
        self._gre = kind == "gre"
        self._protocol = PROTO_GRE if self._gre else PROTO_IPIP
        self._interface = interface
        self._socket = raw(self._protocol, interface)
        self._out = None  # to one peer, and so without an address in each call
        self._home_agent = b""
        self._buffer = bytearray(ROOM + 2 * _LONGEST)
        self._place = memoryview(self._buffer)[ROOM:]

    def use(self, home_agent: int, on: bool) -> None:
        """on: whether what comes is ours to unwrap. Raises OSError, KernelRefused."""
        self._home_agent = home_agent.to_bytes(4, "big") if on else b""
        if self._out is not None:
            self._out.close()
            self._out = None
        if on:
            self._out = raw(self._protocol, self._interface)
            self._out.connect((show(home_agent), 0))

    def carry(self, buffer: bytearray, start: int, end: int) -> None:
        """As the forwarder's tunnel. Raises OSError."""
        if self._out is None:
            raise OSError(errno.ENOTCONN)
        at = wrap_gre(buffer, start) if self._gre else start
        # The stubs do not know of the place and the length
        if self._out.write(buffer, at, end - at) is None:  # pyright: ignore[reportCallIssue]
            raise OSError(errno.EAGAIN)

    async def serve(self, runtime, forwarder) -> None:
        """The source of packets from the home agent."""
        while True:
            await readable(self._socket)
            size = self._socket.readinto(self._place)
            if size:
                self._take(forwarder, ROOM + size)

    def _take(self, forwarder, end: int) -> None:
        """Outer packets, one behind another, as readinto() puts them together: each says itself how long it is.

        So no object is made for any of them. One that is cut at the end of the buffer is lost.
        """
        buffer, at = self._buffer, ROOM
        try:
            while at < end:
                until = packet_end(buffer, at, end)
                if self._home_agent and buffer[at + 12 : at + 16] == self._home_agent:
                    self._unwrap(forwarder, at, until)
                at = until
        except Malformed:
            forwarder.drop("queue")

    def _unwrap(self, forwarder, at: int, until: int) -> None:
        inner = at + (self._buffer[at] & 15) * 4
        try:
            if self._gre:
                inner = unwrap_gre(self._buffer, inner, until)
            forwarder.from_tunnel(self._buffer, inner, until, self._buffer[at + 1])
        except Malformed:
            forwarder.drop("tunnel header")


class UdpPort:
    """UDP port 434 of the uplink: registrations both ways, and the tunnel whose packets are message 4.

    It has to know who sent what, so there is recvfrom(), which makes an object of each datagram.
    """

    def __init__(self, interface: str):
        """Raises KernelRefused."""
        self.socket = udp(PORT, interface)
        self._to = ("0.0.0.0", PORT)
        self._from = None  # whose packets are believed: (host, port)

    def use(self, home_agent: int, on: bool) -> None:
        """on: whether what comes is ours to unwrap."""
        self._to = (show(home_agent), PORT)
        self._from = self._to if on else None

    def carry(self, buffer: bytearray, start: int, end: int) -> None:
        """As the forwarder's tunnel. Raises OSError."""
        send(self.socket, memoryview(buffer)[wrap_tunnel_data(buffer, start) : end], self._to)

    async def serve(self, runtime, forwarder, take) -> None:
        """The source of both: take(octets, host as text, port) gets every message that carries no packet."""
        while True:
            await readable(self.socket)
            for _ in range(_BATCH):
                try:
                    octets, source = self.socket.recvfrom(_LONGEST)
                except OSError as error:
                    if not would_block(error):
                        raise
                    break
                if octets[:1] != bytes((TUNNEL_DATA,)):
                    take(octets, source[0], source[1])
                elif source == self._from:
                    self._unwrap(octets, forwarder)

    def _unwrap(self, octets: bytes, forwarder) -> None:
        try:
            unwrap_tunnel_data(octets, 0, len(octets))
        except Malformed:
            forwarder.drop("tunnel header")
            return
        forwarder.from_tunnel(octets, TUNNEL_DATA_HEADER, len(octets), 0)
