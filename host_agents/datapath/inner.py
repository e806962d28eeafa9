"""An IPv4 packet that is, or was, inside a tunnel, and what is asked of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("!BBH2xHBB2xII")
_DONT_FRAGMENT = 0x4000


@dataclass(slots=True)
class Inner:
    """packet: a view of exactly its octets. fragment: whether it is a part of a packet."""

    packet: memoryview
    tos: int
    dont_fragment: bool
    fragment: bool
    ttl: int
    protocol: int
    source: int
    destination: int

    def payload(self) -> memoryview:
        """What follows the header and its options."""
        return self.packet[(self.packet[0] & 15) * 4 :]


def read_inner(octets: memoryview) -> Inner | None:
    """Take an IPv4 header apart; None for what is not a whole IPv4 packet. The kernel checks the checksum."""
    if len(octets) < 20:
        return None
    first, tos, length, fragment, ttl, protocol, source, destination = _HEADER.unpack_from(octets)
    if first >> 4 != 4 or not 20 <= (first & 15) * 4 <= length <= len(octets):
        return None
    whole, part = bool(fragment & _DONT_FRAGMENT), bool(fragment & 0x3FFF)
    return Inner(octets[:length], tos, whole, part, ttl, protocol, source, destination)


def quoted_inner(octets: memoryview) -> Inner | None:
    """As read_inner, for the beginning of a packet that an ICMP error quotes: its header and eight octets at least."""
    if len(octets) < 28 or octets[0] >> 4 != 4 or not 20 <= (octets[0] & 15) * 4 <= len(octets) - 8:
        return None
    _, tos, length, fragment, ttl, protocol, source, destination = _HEADER.unpack_from(octets)
    whole, part = bool(fragment & _DONT_FRAGMENT), bool(fragment & 0x3FFF)
    return Inner(octets[:length], tos, whole, part, ttl, protocol, source, destination)
