"""Where applications on the node have their home addresses: a small IPv4 and UDP in Python, above the forwarder.

The platform's own network stack need not know of the home addresses, and on a board cannot.
"""

import asyncio
import errno

from mip4.address import parse, show
from mip4.compat import const
from mip4.const import ANY, PROTO_ICMP, PROTO_UDP
from mip4.errors import MipError
from mip4.ip import Datagram, Packet, checksum
from runtime.icmp import UNREACHABLE, error_about

_TTL = const(64)
_QUEUE = const(16)  # datagrams that wait for one socket
_SOCKETS = const(16)
_FIRST_PORT = const(49152)  # of those that nobody asked for (RFC 6335 §6)
_HEADERS = const(28)
_ECHO, _ECHO_REPLY, _PORT_UNREACHABLE = 8, 0, 3  # RFC 792


class DatagramSocket:
    """A UDP socket of one application. address: "A.B.C.D" of its session, None while it has none; port: int."""

    def __init__(self, link: "Applications", name: str, port: int):
        self.port = port
        self._link = link
        self._name = name
        self._arrived = []
        self._event = asyncio.Event()

    @property
    def address(self):
        address = self._link.address_of(self._name)
        return show(address) if address else None

    def sendto(self, octets: bytes, to: tuple) -> int:
        """to: ("A.B.C.D", port). Raises OSError: ENOTCONN without a home address, EINVAL for what is too long."""
        self._link.send(self._name, self.port, octets, to)
        return len(octets)

    async def recvfrom(self) -> tuple:
        """The next datagram: (octets, ("A.B.C.D", port)). Awaits it."""
        while not self._arrived:
            self._event.clear()
            await self._event.wait()
        return self._arrived.pop(0)

    def take(self, datagram: Datagram) -> None:
        """One that has come; dropped when nobody fetches them."""
        if len(self._arrived) < _QUEUE:
            self._arrived.append((datagram.payload, (show(datagram.source), datagram.source_port)))
            self._event.set()

    def close(self) -> None:
        self._link.close(self.port, self._name)


class Applications:
    """The forwarder's link on which the sessions of applications are, and of the node itself.

    It answers to pings, and says which ports nobody listens on.
    """

    def __init__(self, forwarder):
        self._forwarder = forwarder
        self._addresses = {}  # sub-NAI -> home address
        self._sockets = {}  # (sub-NAI, port) -> DatagramSocket

    def settle(self, sessions: list) -> None:
        """Which session has which address. sessions: as in the node's status, dictionaries."""
        self._addresses = {
            one["sub_nai"]: parse(one["home_address"])
            for one in sessions
            if not one["downlink"] and one["home_address"]
        }

    def address_of(self, name: str) -> int:
        """ANY while it has none."""
        return self._addresses.get(name, ANY)

    def open(self, name: str, port: int = 0) -> DatagramSocket:
        """A socket of the application `name`; port 0: any. Raises OSError: EADDRINUSE, ENOMEM."""
        if len(self._sockets) >= _SOCKETS:
            raise OSError(errno.ENOMEM)
        if not port:
            port = _FIRST_PORT
            while (name, port) in self._sockets:
                port += 1
        if (name, port) in self._sockets:
            raise OSError(errno.EADDRINUSE)
        self._sockets[name, port] = DatagramSocket(self, name, port)
        return self._sockets[name, port]

    def close(self, port: int, name: str) -> None:
        self._sockets.pop((name, port), None)

    def send(self, name: str, port: int, octets: bytes, to: tuple) -> None:
        """Raises OSError, as DatagramSocket.sendto() does."""
        source = self.address_of(name)
        if not source:
            raise OSError(errno.ENOTCONN)
        if len(octets) + _HEADERS > self._forwarder.mtu:
            raise OSError(errno.EINVAL)
        packet = Datagram(source, port, parse(to[0]), to[1], octets).packet(_TTL)
        self._put(packet.encode())

    def deliver(self, buffer: bytearray, start: int, end: int, link_address: bytes) -> None:
        """As the forwarder's link."""
        try:
            packet = Packet.decode(bytes(memoryview(buffer)[start:end]))
            if packet.protocol == PROTO_UDP:
                self._datagram(Datagram.decode(packet), packet)
            elif packet.protocol == PROTO_ICMP and packet.payload[:1] == bytes((_ECHO,)):
                self._echo(packet)
        except MipError:  # what is damaged, or came in pieces, is lost, as on any link
            pass

    def _datagram(self, datagram: Datagram, packet: Packet) -> None:
        for (name, port), sock in self._sockets.items():
            if port == datagram.destination_port and self.address_of(name) == datagram.destination:
                sock.take(datagram)
                return
        ours = datagram.destination.to_bytes(4, "big")
        message = error_about(packet.encode(), ours, UNREACHABLE, _PORT_UNREACHABLE, 0)
        if message:
            self._put(message)

    def _echo(self, packet: Packet) -> None:
        if checksum(packet.payload) != 0:
            return
        reply = bytes((_ECHO_REPLY, 0, 0, 0)) + packet.payload[4:]
        reply = reply[:2] + checksum(reply).to_bytes(2, "big") + reply[4:]
        packet = Packet(packet.destination, packet.source, PROTO_ICMP, _TTL, reply)
        self._put(packet.encode())

    def _put(self, packet: bytes) -> None:
        self._forwarder.from_device(self, packet, 0, len(packet), b"")
