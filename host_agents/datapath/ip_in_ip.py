"""IP-in-IP (RFC 2003) where the kernel does not do it for a raw socket: what an inner packet is, its ECN field."""

from __future__ import annotations

import struct
from dataclasses import dataclass

OVERHEAD = 20  # octets of the outer header

_HEADER = struct.Struct("!BBH2xHBB2xII")
_DONT_FRAGMENT = 0x4000
_ECN = 3
_CONGESTION = 3

# (inner, outer) ECN fields -> the field on leaving the tunnel; absent: the inner one stays (RFC 6040 §4.2)
_ECN_LEAVING = {(2, 1): 1, (1, 3): _CONGESTION, (2, 3): _CONGESTION}


@dataclass(slots=True)
class Inner:
    """An IPv4 packet that is, or was, inside a tunnel. packet: a view of exactly its octets."""

    packet: memoryview
    tos: int
    dont_fragment: bool
    ttl: int
    protocol: int
    source: int
    destination: int


def read_inner(octets: memoryview) -> Inner | None:
    """Take an IPv4 header apart; None for what is not a whole IPv4 packet. The kernel checks the checksum."""
    if len(octets) < 20:
        return None
    first, tos, length, fragment, ttl, protocol, source, destination = _HEADER.unpack_from(octets)
    if first >> 4 != 4 or not 20 <= (first & 15) * 4 <= length <= len(octets):
        return None
    return Inner(octets[:length], tos, bool(fragment & _DONT_FRAGMENT), ttl, protocol, source, destination)


def quoted_inner(octets: memoryview) -> Inner | None:
    """As read_inner, for the beginning of a packet that an ICMP error quotes: its header and eight octets at least."""
    if len(octets) < 28 or octets[0] >> 4 != 4 or not 20 <= (octets[0] & 15) * 4 <= len(octets) - 8:
        return None
    _, tos, length, fragment, ttl, protocol, source, destination = _HEADER.unpack_from(octets)
    return Inner(octets[:length], tos, bool(fragment & _DONT_FRAGMENT), ttl, protocol, source, destination)


def leave_tunnel(inner: Inner, outer_tos: int) -> bool:
    """Carry the outer header's congestion mark into the inner one, in place; False: the packet has to be dropped.

    A marked packet whose sender does not know ECN would otherwise look as if nothing had happened (RFC 6040 §4.2).
    """
    outer, ecn = outer_tos & _ECN, inner.tos & _ECN
    if outer == _CONGESTION and ecn == 0:
        return False
    leaving = _ECN_LEAVING.get((ecn, outer), ecn)
    if leaving != ecn:
        _set_tos(inner.packet, inner.tos & ~_ECN | leaving)
    return True


def _set_tos(packet: memoryview, tos: int) -> None:
    """Change the TOS octet and, with it, the header checksum (RFC 1624 §3)."""
    old, sum_ = struct.unpack_from("!H8xH", packet)
    new = old & 0xFF00 | tos
    total = (~sum_ & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    packet[1] = tos
    struct.pack_into("!H", packet, 10, ~total & 0xFFFF)
