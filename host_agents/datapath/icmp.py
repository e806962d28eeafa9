"""ICMP errors about packets that cannot be tunnelled (RFC 792, RFC 1191, RFC 2003 §4)."""

from __future__ import annotations

import struct

from mip4.address import is_unicast
from mip4.ip import checksum

UNREACHABLE = 3
TIME_EXCEEDED = 11
NET, HOST, PROTOCOL, FRAGMENTATION_NEEDED = 0, 1, 2, 4

# What a router inside the tunnel says about our outer packet -> the code for the inner sender (RFC 2003 §4.1-§4.4).
# Absent: not relayed. "Protocol": the tunnel's end does not decapsulate, so the network behind it is out of reach.
RELAYED = {
    (UNREACHABLE, NET): NET,
    (UNREACHABLE, HOST): HOST,
    (UNREACHABLE, PROTOCOL): NET,
    (UNREACHABLE, FRAGMENTATION_NEEDED): FRAGMENTATION_NEEDED,
    (TIME_EXCEEDED, 0): HOST,
}

_ICMP = 1
_QUERIES = frozenset((0, 8, 9, 10, 13, 14, 15, 16, 17, 18))
_LONGEST = 576  # of the whole ICMP packet, RFC 1812 §4.3.2.3


def may_be_answered(packet: memoryview) -> bool:
    """Whether an ICMP error about this IPv4 packet is lawful (RFC 1122 §3.2.2). packet: its header at least."""
    fragment, protocol, source, destination = struct.unpack_from("!6xHxB2xII", packet)
    if fragment & 0x1FFF or not is_unicast(source) or not is_unicast(destination):
        return False
    header = (packet[0] & 15) * 4
    return protocol != _ICMP or (len(packet) > header and packet[header] in _QUERIES)


def unreachable(packet: memoryview, code: int, mtu: int = 0) -> bytes:
    """The ICMP message. mtu: of the next hop, for FRAGMENTATION_NEEDED."""
    return _about(packet, UNREACHABLE, code, mtu)


def time_exceeded(packet: memoryview) -> bytes:
    """The ICMP message, for a TTL that ended in transit."""
    return _about(packet, TIME_EXCEEDED, 0, 0)


def _about(packet: memoryview, kind: int, code: int, mtu: int) -> bytes:
    quoted = bytes(packet[: _LONGEST - 28])
    sum_ = checksum(struct.pack("!BBHHH", kind, code, 0, 0, mtu) + quoted)
    return struct.pack("!BBHHH", kind, code, sum_, 0, mtu) + quoted


class Bucket:
    """Token bucket: `rate` messages a second, `rate` at once. Time is in seconds of any monotonic clock."""

    __slots__ = ("_filled", "_rate", "_tokens")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._filled = 0.0

    def take(self, now: float) -> bool:
        """Whether one more may go now."""
        self._tokens = min(self._rate, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
