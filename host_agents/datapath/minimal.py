"""Minimal encapsulation (RFC 2004): the packet's own header goes outside; 8 or 12 octets keep what it said before.

A fragment cannot travel so (§1), and neither do IP options here: such packets go in IP-in-IP, which every mobility
agent understands, and from an end with minimal encapsulation such packets, and only such, are accepted in IP-in-IP.
"""

from __future__ import annotations

import struct

from host_agents.datapath.inner import Inner, read_inner
from host_agents.datapath.ip_in_ip import TTL
from mip4.errors import Malformed
from mip4.ip import checksum

_SOURCE_PRESENT = 0x80
_DONT_FRAGMENT = 0x40  # in the seventh octet of the header
_PLAIN_HEADER = 0x45  # IPv4 without options


def wrap(inner: Inner, local: int) -> tuple[bytes, memoryview, int]:
    """As Encapsulation.wrap. The TTL goes outside with the rest of the header (§3.1)."""
    if inner.source == local:
        header = struct.pack("!BBHI", inner.protocol, 0, 0, inner.destination)
    else:
        header = struct.pack("!BBHII", inner.protocol, _SOURCE_PRESENT, 0, inner.destination, inner.source)
    header = header[:2] + struct.pack("!H", checksum(header)) + header[4:]
    return header, inner.packet[20:], inner.ttl


def unwrap(outer: memoryview) -> Inner:
    """As Encapsulation.unwrap. The header moves up to what it belongs to, in place."""
    size = (outer[0] & 15) * 4
    protocol, source, destination, length = _read(outer[size:])
    if checksum(outer[size : size + length]) != 0:
        raise Malformed("minimal header checksum")
    header = bytearray(outer[:size])
    struct.pack_into("!H", header, 2, len(outer) - length)
    header[6], header[7] = header[6] & _DONT_FRAGMENT, 0
    header[9] = protocol
    header[10:12] = b"\0\0"
    header[12:20] = (source or header[12:16]) + destination
    struct.pack_into("!H", header, 10, checksum(header))
    packet = outer[length:]
    packet[:size] = header
    inner = read_inner(packet)
    if inner is None:
        raise Malformed("inner not IPv4")
    return inner


def takes(inner: Inner) -> bool:
    """As Encapsulation.takes."""
    return inner.packet[0] == _PLAIN_HEADER and not inner.fragment


def quoted(octets: memoryview) -> Inner | None:
    """As Encapsulation.quoted. The header itself is lost, but addresses and ports are what a sender needs."""
    try:
        protocol, source, destination, length = _read(octets)
    except Malformed:
        return None
    rest = octets[length:]
    if not source or len(rest) < 8:  # our own packet, or too little to tell anybody
        return None
    head = struct.pack("!BBHHBBBBH", _PLAIN_HEADER, 0, 20 + len(rest), 0, _DONT_FRAGMENT, 0, TTL, protocol, 0)
    head += source + destination
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return read_inner(memoryview(bytearray(head) + rest))


def _read(octets: memoryview) -> tuple[int, bytes, bytes, int]:
    """Original protocol, source if it is there, destination, and the length of it all. Raises Malformed."""
    length = 12 if len(octets) > 1 and octets[1] & _SOURCE_PRESENT else 8
    if len(octets) < length:
        raise Malformed("minimal header")
    return octets[0], bytes(octets[8:length]), bytes(octets[4:8]), length
