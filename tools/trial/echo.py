"""ICMP echoes (RFC 792): what lies on the way to an address, how far away it is, and how fast answers come back."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from mip4.ip import checksum
from tools.trial.errors import TrialFailed

_REPLY, _REQUEST, _UNREACHABLE, _EXCEEDED = 0, 8, 3, 11
_TTL = 64
_SO_TIMESTAMPNS = 35
_QUEUE = 4 << 20  # octets of answers that may wait


@dataclass(slots=True, frozen=True)
class Answer:
    """at: when it came, seconds since 1970, by the kernel. reached: from the address itself, not a router on the way.

    sequence: of the request.
    """

    source: str
    sequence: int
    at: float
    reached: bool


class Echo:
    """One raw socket. As a context manager it is closed behind the block."""

    def __init__(self) -> None:
        """Raises TrialFailed without the right to."""
        try:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        except PermissionError:
            raise TrialFailed("a raw socket is needed: run as root, or with CAP_NET_RAW")
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._identifier = os.getpid() & 0xFFFF
        self._sequence = 0

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, address: str, size: int = 32, ttl: int = _TTL, count: int = 1) -> list[int]:
        """`count` requests at once, each with `size` octets of data. Their sequence numbers. Raises OSError."""
        messages = [self._request(size) for _ in range(count)]  # first, so that a train is as fast as the machine
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        for message in messages:
            self._socket.sendto(message, (address, 0))
        return [int.from_bytes(message[6:8], "big") for message in messages]

    def _request(self, size: int) -> bytes:
        self._sequence = self._sequence + 1 & 0xFFFF
        message = struct.pack("!BBHHH", _REQUEST, 0, 0, self._identifier, self._sequence) + bytes(size)
        return message[:2] + struct.pack("!H", checksum(message)) + message[4:]

    def answers(self, wanted: Iterable[int], seconds: float) -> list[Answer]:
        """To these requests, as many as come until each is answered or nothing has come for `seconds`."""
        left, found = set(wanted), list[Answer]()
        while left and select.select([self._socket], [], [], seconds)[0]:
            octets, ancillary, _, (source, _) = self._socket.recvmsg(65536, 64)
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            answer = self._read(octets, source, seconds + nanoseconds / 1e9)
            if answer is not None and answer.sequence in left:
                left.discard(answer.sequence)
                found.append(answer)
        return found

    def _read(self, octets: bytes, source: str, at: float) -> Answer | None:
        message = octets[(octets[0] & 15) * 4 :]
        if len(message) < 8:
            return None
        kind = message[0]
        if kind in (_EXCEEDED, _UNREACHABLE) and len(message) >= 36:
            message = message[8 + (message[8] & 15) * 4 :]  # our own request, as far as it is quoted
        elif kind != _REPLY:
            return None
        identifier, sequence = struct.unpack_from("!HH", message, 4)
        return Answer(source, sequence, at, kind == _REPLY) if identifier == self._identifier else None
