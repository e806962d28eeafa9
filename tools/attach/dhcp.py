"""A DHCP client (RFC 2131 §4.4) without I/O: told of time and packets, it says what to send and what it has been given.

No daemon of the machine's can do this: they all want an interface with link addresses, and a serial line has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mip4.address import parse, show
from mip4.cursor import Cursor, pack
from mip4.errors import MipError
from mip4.ip import Datagram, Packet
from mobile_node.dhcp import ACK, DISCOVER, NAK, OFFER, RELEASE, REQUEST

_SERVER, _CLIENT = 67, 68
_EVERYBODY = 0xFFFFFFFF
_COOKIE = 0x63825363
_REPLY = 2  # op
_ASKED, _TYPE, _SERVER_ID, _WANTED, _HOST_NAME, _END = 50, 53, 54, 55, 12, 255
_MASK, _ROUTER, _DNS, _MTU, _LEASE, _ROUTES = 1, 3, 6, 26, 51, 121
_FIRST_RETRY, _LAST_RETRY = 1.0, 16.0  # seconds
_TRIES = 4  # requests for an offer that nobody answers any more
_USUAL_MTU = 1480  # what a tunnel over Ethernet leaves
_SMALLEST_MTU = 68  # RFC 791


@dataclass(slots=True, frozen=True)
class Lease:
    """Addresses dotted. routes: (prefix, gateway), gateway "" where the prefix is on the line. seconds: it lasts."""

    address: str
    gateway: str
    routes: tuple[tuple[str, str], ...]
    dns: tuple[str, ...]
    mtu: int
    seconds: int


@dataclass(slots=True)
class DhcpClient:
    """link_address: six octets, made up. dice: a number of 32 bits. now, deadline: seconds of a clock that only rises.

    lease: what there is now, None before and after. The lease of a session that moves is renewed like any other.
    """

    link_address: bytes
    host_name: str
    dice: Callable[[], int]
    lease: Lease | None = None
    deadline: float = 0.0
    _server: int = 0
    _offered: int = 0
    _transaction: int = 0
    _retry: float = _FIRST_RETRY
    _tries: int = 0
    _ends: float = 0.0

    def wake(self, now: float) -> list[bytes]:
        """At the deadline, or later: the IPv4 packets to send."""
        if self.lease is not None and now >= self._ends:
            self._begin_anew()
        if self.lease is None and self._offered and self._tries >= _TRIES:
            self._begin_anew()
        if not self._tries:
            self._transaction = self.dice()
            self._retry = _FIRST_RETRY
        self._tries += 1
        self.deadline, self._retry = now + self._retry, min(2 * self._retry, _LAST_RETRY)
        if self.lease is not None:
            self.deadline = min(self.deadline, self._ends)
            return [self._message(REQUEST, parse(self.lease.address), self._server, b"")]
        if not self._offered:
            return [self._message(DISCOVER, 0, _EVERYBODY, b"")]
        asked = _option(_ASKED, pack("I", self._offered)) + _option(_SERVER_ID, pack("I", self._server))
        return [self._message(REQUEST, 0, _EVERYBODY, asked)]

    def receive(self, packet: bytes, now: float) -> bool:
        """An IPv4 packet from the line. True if it was DHCP, and is dealt with; `lease` may be another one then."""
        try:
            datagram = Datagram.decode(Packet.decode(packet))
            if (datagram.source_port, datagram.destination_port) != (_SERVER, _CLIENT):
                return False
            self._take(Cursor(datagram.payload), now)
        except MipError:
            return False
        return True

    def release(self) -> list[bytes]:
        """Give the address back: the packets to send."""
        if self.lease is None:
            return []
        address, self.lease = parse(self.lease.address), None
        return [self._message(RELEASE, address, self._server, _option(_SERVER_ID, pack("I", self._server)))]

    def _take(self, cursor: Cursor, now: float) -> None:
        op, _, _, _, transaction, _, _, _, address = cursor.fixed("BBBBIHHII")
        cursor.take(8 + 16 + 64 + 128)
        if op != _REPLY or transaction != self._transaction or cursor.fixed("I")[0] != _COOKIE or not self._tries:
            return
        options = _read(cursor)
        kind, server = options.get(_TYPE, b"")[:1], options.get(_SERVER_ID, b"")
        if kind == bytes([OFFER]) and self.lease is None and not self._offered and len(server) == 4:
            self._server, self._offered = int.from_bytes(server, "big"), address
            self._tries, self.deadline = 1, now
        elif kind == bytes([ACK]) and (self.lease is not None or self._offered):
            self.lease = _lease(address, options)
            self._tries = 0
            self._ends = now + self.lease.seconds
            self.deadline = now + self.lease.seconds / 2
        elif kind == bytes([NAK]) and (self.lease is not None or self._offered):
            self._begin_anew()
            self.deadline = now

    def _begin_anew(self) -> None:
        self.lease = None
        self._offered = self._tries = 0

    def _message(self, kind: int, client: int, to: int, more: bytes) -> bytes:
        head = pack("BBBBIHHIIII", 1, 1, 6, 0, self._transaction, 0, 0, client, 0, 0, 0)
        octets: bytes = head + self.link_address + bytes(10 + 64 + 128) + pack("I", _COOKIE)
        octets += _option(_TYPE, bytes([kind])) + more
        if kind != RELEASE:
            octets += _option(_WANTED, bytes([_MASK, _ROUTES, _ROUTER, _DNS, _MTU, _LEASE]))
            octets += _option(_HOST_NAME, self.host_name.encode()[:63])
        made: bytes = Datagram(client, _CLIENT, to, _SERVER, octets + bytes([_END])).packet(64).encode()
        return made


def _lease(address: int, options: dict[int, bytes]) -> Lease:
    router = options.get(_ROUTER, b"")[:4]
    gateway = show(int.from_bytes(router, "big")) if len(router) == 4 else ""
    routes = _routes(options.get(_ROUTES, b"")) or ((("0.0.0.0/0", gateway),) if gateway else ())
    dns = options.get(_DNS, b"")
    mtu = int.from_bytes(options.get(_MTU, b"")[:2], "big") or _USUAL_MTU
    return Lease(
        address=show(address),
        gateway=gateway,
        routes=routes,
        dns=tuple(show(int.from_bytes(dns[at : at + 4], "big")) for at in range(0, len(dns) - 3, 4)),
        mtu=max(_SMALLEST_MTU, mtu),
        seconds=max(2, int.from_bytes(options.get(_LEASE, b"")[:4], "big")),
    )


def _routes(octets: bytes) -> tuple[tuple[str, str], ...]:
    """Of a Classless Static Route option (RFC 3442); () for one that is not whole."""
    found, at = [], 0
    while at < len(octets):
        length = octets[at]
        size = (length + 7) // 8
        if length > 32 or at + 5 + size > len(octets):
            return ()
        prefix = int.from_bytes(octets[at + 1 : at + 1 + size].ljust(4, b"\0"), "big")
        router = int.from_bytes(octets[at + 1 + size : at + 5 + size], "big")
        found.append((f"{show(prefix)}/{length}", show(router) if router else ""))
        at += 5 + size
    return tuple(found)


def _read(cursor: Cursor) -> dict[int, bytes]:
    """Raises MipError."""
    found: dict[int, bytes] = {}
    while cursor.more():
        (code,) = cursor.fixed("B")
        if code == _END:
            break
        if code:
            found[code] = found.get(code, b"") + cursor.take(cursor.fixed("B")[0])
    return found


def _option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value
