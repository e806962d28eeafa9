"""From a captured frame to what its IP packet carries. Wrong checksums and missing octets are told, not refused."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from mip4.const import PROTO_UDP
from mip4.errors import Malformed
from mip4.ip import checksum

ETHERNET = 1
RAW = 101
_RAW = (RAW, 12, 14, 228)  # as LINKTYPE_RAW, as some systems' DLT_RAW, as LINKTYPE_IPV4
_COOKED = {113: (14, 16), 276: (0, 20)}  # Linux cooked v1 and v2: where the protocol stands, where the packet begins
_IPV4 = b"\x08\x00"
_TAGS = (b"\x81\x00", b"\x88\xa8")  # 802.1Q and 802.1ad
LINK_TYPES = (ETHERNET, *_RAW, *_COOKED)


@dataclass(slots=True)
class Carried:
    """An IPv4 packet's header and payload. faults: what is wrong with it, a sentence each."""

    source: int
    destination: int
    protocol: int
    ttl: int
    size: int
    payload: bytes
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class UdpDatagram:
    """offloaded: the checksum was left to the sending network card, so that the capture holds only its beginning."""

    source_port: int
    destination_port: int
    payload: bytes
    offloaded: bool
    faults: list[str]


def ipv4_in(link_type: int, frame: bytes) -> bytes | None:
    """The IPv4 packet of a frame, None if it has none (ARP, IPv6, a link type that we do not know)."""
    if link_type in _RAW:
        return frame if frame[:1] and frame[0] >> 4 == 4 else None
    if link_type in _COOKED:
        at, begins = _COOKED[link_type]
        return frame[begins:] if frame[at : at + 2] == _IPV4 else None
    if link_type != ETHERNET:
        return None
    at = 12
    while frame[at : at + 2] in _TAGS:
        at += 4
    return frame[at + 2 :] if frame[at : at + 2] == _IPV4 else None


def open_packet(octets: bytes) -> Carried:
    """Raises Malformed for what is no IPv4 packet or a fragment without its beginning."""
    if len(octets) < 20:
        raise Malformed(f"an IP header of {len(octets)} octets")
    first, size, fragment, ttl, protocol, source, destination = struct.unpack_from("!BxHxxHBBxxII", octets)
    header = (first & 15) * 4
    if first >> 4 != 4 or header < 20 or size < header:
        raise Malformed(f"no IPv4 header: version {first >> 4}, {header} octets of header, {size} in all")
    if fragment & 0x1FFF:
        raise Malformed(f"a fragment from octet {(fragment & 0x1FFF) * 8} on, and fragments are not put together")
    found = Carried(source, destination, protocol, ttl, size, octets[header:size])
    if len(octets) < size:
        found.faults.append(f"the packet has {size} octets and only {len(octets)} are here")
    if len(octets) >= header and checksum(octets[:header]) != 0:
        found.faults.append(f"IP header checksum {octets[10:12].hex()} is wrong")
    if fragment & 0x2000:
        found.faults.append("the first of several fragments, which are not put together")
    return found


def open_datagram(packet: Carried) -> UdpDatagram:
    """Raises Malformed where not even the ports are there."""
    octets = packet.payload
    if len(octets) < 4:
        raise Malformed(f"a UDP header of {len(octets)} octets")
    source_port, destination_port = struct.unpack_from("!HH", octets)
    if len(octets) < 8:
        return UdpDatagram(source_port, destination_port, b"", False, [f"a UDP header of {len(octets)} octets"])
    size, sum_ = struct.unpack_from("!HH", octets, 4)
    found = UdpDatagram(source_port, destination_port, octets[8 : max(size, 8)], False, [])
    if size < 8:
        found.faults.append(f"a UDP length of {size}")
    elif size > len(octets):
        found.faults.append(f"the UDP datagram has {size} octets and only {len(octets)} are here")
    elif sum_:
        pseudo = struct.pack("!IIHH", packet.source, packet.destination, PROTO_UDP, size)
        if checksum(pseudo + octets[:size]) != 0:
            # What Linux leaves there for the card to go on with: the sum over the pseudo header alone.
            found.offloaded = sum_ == checksum(pseudo) ^ 0xFFFF
            if not found.offloaded:
                found.faults.append(f"UDP checksum {sum_:04x} is wrong")
    return found
