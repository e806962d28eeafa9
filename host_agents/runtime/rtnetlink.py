"""rtnetlink(7), as much of it as the agents need: one request, one answer, from inside a running event loop.

pyroute2's synchronous calls start an event loop of their own and refuse to run inside ours, and its asynchronous ones
would let two turns of an engine overlap. The kernel answers these requests before send() returns.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

NEW_LINK, DEL_LINK, GET_LINK = 16, 17, 18
DEL_ADDRESS, GET_ADDRESS = 21, 22
NEW_ROUTE, DEL_ROUTE, GET_ROUTE = 24, 25, 26
NEW_NEIGHBOUR, DEL_NEIGHBOUR, GET_NEIGHBOUR = 28, 29, 30
NEW_RULE, DEL_RULE, GET_RULE = 32, 33, 34
NEW_DISCIPLINE, DEL_DISCIPLINE = 36, 37
NEW_FILTER, DEL_FILTER, GET_FILTER = 44, 45, 46

CREATE, EXCLUSIVE, REPLACE = 0x400, 0x200, 0x100

_REQUEST, _ACK, _DUMP, _INTERRUPTED = 0x01, 0x04, 0x300, 0x10
_ACK_HAS_TEXT = 0x200
_ERROR, _DONE = 2, 3
_TEXT = 1
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT = 270, 10, 11, 12
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_TIMEOUT = 5.0

Attributes = dict[int, bytes]


@dataclass(slots=True)
class Found:
    """One object of a dump. head: its fixed part. attributes: type -> octets."""

    head: bytes
    attributes: Attributes


def number(value: int) -> bytes:
    """An attribute of 32 bits in the machine's order."""
    return struct.pack("=I", value)


def address(value: int) -> bytes:
    """An IPv4 address as an attribute."""
    return struct.pack("!I", value)


def name(value: str) -> bytes:
    """An interface name as an attribute."""
    return value.encode() + b"\0"


def nested(attributes: Attributes) -> bytes:
    """A run of attributes, as the body of a message or inside another attribute."""
    return b"".join(_encode(kind, octets) for kind, octets in attributes.items())


def event_of(octets: bytes, head: int) -> tuple[int, Found]:
    """What a multicast group was told: kind and object. head: octets of its fixed part."""
    length, kind, *_ = _HEADER.unpack_from(octets)
    body = octets[_HEADER.size : length]
    return kind, Found(body[:head], attributes_of(body[_aligned(head) :]))


class Rtnetlink:
    """One socket to the kernel's routing of the network namespace it was made in. Raises OSError, as its methods do."""

    def __init__(self) -> None:
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(_TIMEOUT)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for option in (_CAP_ACK, _EXT_ACK, _STRICT):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._socket.bind((0, 0))

    def close(self) -> None:
        self._socket.close()

    def change(
        self, kind: int, head: bytes, attributes: Attributes, flags: int = 0, unless: Collection[int] = ()
    ) -> None:
        """NEW_* or DEL_* one object. unless: errnos that mean it is so already.

        Raises OSError with the kernel's own words where it has some.
        """
        self._send(kind, _ACK | flags, head, attributes)
        try:
            for _ in self._answers():
                pass
        except OSError as error:
            if error.errno not in unless:
                raise

    def dump(self, kind: int, head: bytes, attributes: Attributes | None = None) -> list[Found]:
        """GET_* all objects that `head` and `attributes` select."""
        for _ in range(10):  # somebody changed the table meanwhile: what we have may be neither old nor new
            self._send(kind, _DUMP, head, attributes or {})
            found, whole = [], True
            for flags, body in self._answers():
                whole = whole and not flags & _INTERRUPTED
                found.append(Found(body[: len(head)], attributes_of(body[_aligned(len(head)) :])))
            if whole:
                return found
        raise OSError(0, "the kernel's tables do not hold still")

    def get(self, kind: int, head: bytes, attributes: Attributes) -> Found:
        """GET_* one object."""
        self._send(kind, 0, head, attributes)
        _, body = next(iter(self._answers(single=True)))
        return Found(body[: len(head)], attributes_of(body[_aligned(len(head)) :]))

    def _send(self, kind: int, flags: int, head: bytes, attributes: Attributes) -> None:
        self._sequence += 1
        body = head + nested(attributes)
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, self._sequence, 0) + body)

    def _answers(self, single: bool = False) -> Iterator[tuple[int, bytes]]:
        while True:
            octets = self._socket.recv(1 << 18)
            while len(octets) >= _HEADER.size:
                length, kind, flags, sequence, _ = _HEADER.unpack_from(octets)
                body, octets = octets[_HEADER.size : length], octets[_aligned(length) :]
                if sequence != self._sequence:  # the rest of an answer that we gave up waiting for
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    _raise_if_refused(flags, body)
                    return
                yield flags, body
                if single:
                    return


def _raise_if_refused(flags: int, body: bytes) -> None:
    (code,) = struct.unpack_from("=i", body)
    if code:
        text = attributes_of(body[4 + _HEADER.size :]).get(_TEXT) if flags & _ACK_HAS_TEXT else None
        raise OSError(-code, text.rstrip(b"\0").decode(errors="replace") if text else os.strerror(-code))


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _encode(kind: int, octets: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(octets), kind) + octets.ljust(_aligned(len(octets)), b"\0")


def attributes_of(octets: bytes) -> Attributes:
    """Take a run of attributes apart, such as one that is nested in another."""
    found: Attributes = {}
    while len(octets) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(octets)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = octets[_ATTRIBUTE.size : length]
        octets = octets[_aligned(length) :]
    return found
