"""An IPv4 packet that is, or was, inside a tunnel, and what is asked of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_header = struct.Struct("!BBH2xHBB2xII").unpack_from
_DONT_FRAGMENT = 0x4000
_PART = 0x3FFF  # more fragments, or an offset


@dataclass(slots=True)
class Inner:
    """packet: a view of exactly its octets. flags: with the fragment offset, as the header has them."""

    packet: memoryview
    tos: int
    flags: int
    ttl: int
    protocol: int
    source: int
    destination: int

    @property
    def dont_fragment(self) -> bool:
        return self.flags & _DONT_FRAGMENT != 0

    @property
    def fragment(self) -> bool:
        """Whether it is a part of a packet."""
        return self.flags & _PART != 0

    def payload(self) -> memoryview:
        """What follows the header and its options."""
        return self.packet[(self.packet[0] & 15) * 4 :]


def read_inner(octets: memoryview) -> Inner | None:
    """Take an IPv4 header apart; None for what is not a whole IPv4 packet. The kernel checks the checksum."""
    if len(octets) < 20:
        return None
    first, tos, length, flags, ttl, protocol, source, destination = _header(octets)
    if first >> 4 != 4 or not 20 <= (first & 15) * 4 <= length <= len(octets):
        return None
    return Inner(octets[:length], tos, flags, ttl, protocol, source, destination)


def quoted_inner(octets: memoryview) -> Inner | None:
    """As read_inner, for the beginning of a packet that an ICMP error quotes: its header and eight octets at least."""
    if len(octets) < 28 or octets[0] >> 4 != 4 or not 20 <= (octets[0] & 15) * 4 <= len(octets) - 8:
        return None
    _, tos, length, flags, ttl, protocol, source, destination = _header(octets)
    return Inner(octets[:length], tos, flags, ttl, protocol, source, destination)
