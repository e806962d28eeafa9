"""Generic Routing Encapsulation (RFC 2784): four octets and the packet; no key, no sequence number (RFC 2890).

The decapsulator has to count the inner TTL down (§3.1). Here the kernel does, since every packet that leaves the device
for somewhere else is forwarded; once, as with any router.
"""

from __future__ import annotations

import struct

from host_agents.datapath.inner import Inner, quoted_inner, read_inner
from host_agents.datapath.ip_in_ip import TTL
from mip4.errors import Malformed
from mip4.ip import checksum

_PLAIN = b"\0\0\x08\0"  # no flags, version 0; what follows is IPv4
_CHECKSUM = 0x8000
_KEY_OR_SEQUENCE = 0x3000
_MUST_BE_ZERO = 0x7C00
_VERSION = 0x0007
_IPV4 = 0x0800


def wrap(inner: Inner, local: int) -> tuple[bytes, memoryview, int]:
    """As Encapsulation.wrap."""
    return _PLAIN, inner.packet, TTL


def unwrap(outer: memoryview) -> Inner:
    """As Encapsulation.unwrap."""
    octets = outer[(outer[0] & 15) * 4 :]
    if len(octets) < 4:
        raise Malformed("GRE header")
    flags, protocol = struct.unpack_from("!HH", octets)
    if flags & _KEY_OR_SEQUENCE:  # nobody has negotiated one (RFC 6245)
        raise Malformed("GRE key or sequence number")
    if flags & (_MUST_BE_ZERO | _VERSION) or protocol != _IPV4:
        raise Malformed("GRE header")
    at = 8 if flags & _CHECKSUM else 4
    if at == 8 and checksum(octets) != 0:
        raise Malformed("GRE checksum")
    inner = read_inner(octets[at:])
    if inner is None:
        raise Malformed("inner not IPv4")
    if inner.destination == int.from_bytes(outer[12:16], "big"):  # §3.1: back to the encapsulator
        raise Malformed("loop")
    return inner


def takes(inner: Inner) -> bool:
    """As Encapsulation.takes: every packet."""
    return True


def quoted(octets: memoryview) -> Inner | None:
    """As Encapsulation.quoted."""
    return quoted_inner(octets[4:]) if octets[:4] == _PLAIN else None
