"""The board's end of a tunnel to the home agent: an IP protocol of its own, or message 4 on UDP 434 (RFC 3519)."""

from mip4.address import show
from mip4.compat import const
from mip4.const import PORT, PROTO_GRE, PROTO_IPIP, TUNNEL_DATA
from mip4.errors import Malformed
from mip4.tunnel import TUNNEL_DATA_HEADER, unwrap_gre, unwrap_tunnel_data, wrap_gre, wrap_tunnel_data
from port_esp32.sockets import raw, send, udp
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
        self._socket = raw(PROTO_GRE if self._gre else PROTO_IPIP, interface)
        self._to = ("0.0.0.0", 0)
        self._home_agent = b""

    def use(self, home_agent: int, on: bool) -> None:
        """on: whether what comes is ours to unwrap."""
        self._home_agent = home_agent.to_bytes(4, "big") if on else b""
        self._to = (show(home_agent), 0)

    def carry(self, view, start: int, end: int) -> None:
        """As the forwarder's tunnel. Raises OSError."""
        send(self._socket, view[wrap_gre(view, start) if self._gre else start : end], self._to)

    async def serve(self, runtime, forwarder) -> None:
        """The source of packets from the home agent."""
        while True:
            await readable(self._socket)
            for _ in range(_BATCH):
                try:
                    octets = self._socket.recvfrom(_LONGEST)[0]
                except OSError as error:
                    if not would_block(error):
                        raise
                    break
                if self._home_agent and octets[12:16] == self._home_agent:
                    self._take(octets, (octets[0] & 15) * 4, forwarder)

    def _take(self, octets: bytes, inner: int, forwarder) -> None:
        try:
            if self._gre:
                inner = unwrap_gre(octets, inner, len(octets))
        except Malformed:
            return
        forwarder.from_tunnel(octets, inner, octets[1])


class UdpPort:
    """UDP port 434 of the uplink: registrations both ways, and the tunnel whose packets are message 4."""

    def __init__(self, interface: str):
        """Raises KernelRefused."""
        self.socket = udp(PORT, interface)
        self._to = ("0.0.0.0", PORT)
        self._from = None  # whose packets are believed: (host, port)

    def use(self, home_agent: int, on: bool) -> None:
        """on: whether what comes is ours to unwrap."""
        self._to = (show(home_agent), PORT)
        self._from = self._to if on else None

    def carry(self, view, start: int, end: int) -> None:
        """As the forwarder's tunnel. Raises OSError."""
        send(self.socket, view[wrap_tunnel_data(view, start) : end], self._to)

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
            return
        forwarder.from_tunnel(octets, TUNNEL_DATA_HEADER, 0)
