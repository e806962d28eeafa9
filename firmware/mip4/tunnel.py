"""What stands around a tunnelled packet: an outer IPv4 header (RFC 2003), and a GRE header in it (RFC 2784), or

message 4 in UDP (RFC 3519 §3.3).

All of it happens in place, in a buffer with room before the packet, and next to nothing is allocated per packet: a node
does this for every packet of its devices. buffer: bytearray or memoryview; start, end: where in it the packet lies.
"""

import struct

from mip4.const import PROTO_IPIP, TUNNEL_DATA
from mip4.cursor import pack
from mip4.errors import Malformed
from mip4.ip import checksum

OUTER_HEADER = 20  # octets that OuterHeader.wrap() puts before a packet
GRE_HEADER = 4  # octets that wrap_gre() puts before a packet, behind the outer header
TUNNEL_DATA_HEADER = 4  # octets that wrap_tunnel_data() puts before a packet, in a UDP datagram

_GRE = b"\0\0\x08\0"  # no flags, version 0; what follows is IPv4
_GRE_CHECKSUM = b"\x80\0\x08\0"
_DONT_FRAGMENT = 0x40  # in the seventh octet of an IPv4 header
_CONGESTION = 3

# inner ECN field << 2 | outer -> the field on leaving the tunnel; absent: the inner one stays (RFC 6040 §4.2)
_ECN_LEAVING = {2 << 2 | 1: 1, 1 << 2 | 3: _CONGESTION, 2 << 2 | 3: _CONGESTION}


class OuterHeader:
    """The IPv4 header of one tunnel, made once. source, destination: int. identification: where to begin to count."""

    def __init__(self, source: int, destination: int, protocol: int = PROTO_IPIP, ttl: int = 64, identification=0):
        self._octets = pack("BBHHHBBHII", 0x45, 0, 0, 0, 0, ttl, protocol, 0, source, destination)
        self._sum = _sum_of_header(self._octets, 0)
        self._identification = identification

    def wrap(self, buffer, start: int, end: int) -> int:
        """Put the header before the packet, TOS and DF copied (RFC 2003 §3.1); return where the whole begins now.

        Raises ValueError when that is longer than IPv4 can say.
        """
        at, size = start - OUTER_HEADER, end - start + OUTER_HEADER
        if size > 0xFFFF:
            raise ValueError("%d octets do not fit an IPv4 packet" % size)
        tos, whole = buffer[start + 1], buffer[start + 6] & _DONT_FRAGMENT
        identification = 0  # lawful where nobody fragments (RFC 6864 §4.1)
        if not whole:
            identification = self._identification = self._identification + 1 & 0xFFFF
        struct.pack_into("20s", buffer, at, self._octets)  # a slice would be an object
        buffer[at + 1] = tos
        _put(buffer, at + 2, size)
        _put(buffer, at + 4, identification)
        buffer[at + 6] = whole
        _put(buffer, at + 10, ~_fold(self._sum + tos + size + identification + (whole << 8)) & 0xFFFF)
        return at

    def is_reversed_in(self, buffer, start: int) -> bool:
        """Whether the header at `start` comes from our destination and goes to our source."""
        for offset in range(4):
            if buffer[start + 12 + offset] != self._octets[16 + offset]:
                return False
            if buffer[start + 16 + offset] != self._octets[12 + offset]:
                return False
        return True


def unwrap_ip_in_ip(buffer, start: int, end: int) -> int:
    """Where the inner packet begins. Raises Malformed: not IP-in-IP, a fragment, or what is inside is no IPv4."""
    end = packet_end(buffer, start, end)
    if buffer[start + 9] != PROTO_IPIP:
        raise Malformed("protocol %d" % buffer[start + 9])
    if buffer[start + 6] & 0x3F or buffer[start + 7]:
        raise Malformed("a fragment")
    header = (buffer[start] & 15) * 4
    if _sum_of_header(buffer, start) != 0xFFFF:
        raise Malformed("IP header checksum")
    packet_end(buffer, start + header, end)
    return start + header


def wrap_gre(buffer, start: int) -> int:
    """Put a GRE header without key, sequence number and checksum before the packet; return where it begins."""
    struct.pack_into("4s", buffer, start - GRE_HEADER, _GRE)
    return start - GRE_HEADER


def unwrap_gre(buffer, start: int, end: int) -> int:
    """Where the inner packet of the GRE header at `start` begins.

    Raises Malformed, for keys and sequence numbers too: nobody has negotiated any (RFC 2784 §2.3, RFC 2890).
    """
    head = bytes(buffer[start : start + GRE_HEADER])
    if head == _GRE:
        return start + GRE_HEADER
    if head != _GRE_CHECKSUM or end - start < 2 * GRE_HEADER:
        raise Malformed("GRE header")
    if checksum(bytes(buffer[start:end])):
        raise Malformed("GRE checksum")
    return start + 2 * GRE_HEADER


def wrap_tunnel_data(buffer, start: int, next_header: int = PROTO_IPIP) -> int:
    """Put the header of message 4 before the packet; return where the UDP payload begins."""
    at = start - TUNNEL_DATA_HEADER
    buffer[at] = TUNNEL_DATA
    buffer[at + 1] = next_header
    buffer[at + 2] = buffer[at + 3] = 0
    return at


def unwrap_tunnel_data(buffer, start: int, end: int, next_header: int = PROTO_IPIP) -> int:
    """Where in a UDP payload the inner packet begins; the reserved octets are ignored.

    Raises Malformed, also for another next header than was negotiated (RFC 3519 §3.3).
    """
    if end - start <= TUNNEL_DATA_HEADER or buffer[start] != TUNNEL_DATA:
        raise Malformed("not tunnel data")
    if buffer[start + 1] != next_header:
        raise Malformed("next header")
    return start + TUNNEL_DATA_HEADER


def packet_end(buffer, start: int, end: int) -> int:
    """Where the IPv4 packet at `start` ends by its own word. Raises Malformed: no IPv4, or not all of it there."""
    if end - start < 20 or buffer[start] >> 4 != 4:
        raise Malformed("not IPv4")
    size = buffer[start + 2] << 8 | buffer[start + 3]
    if not 20 <= (buffer[start] & 15) * 4 <= size <= end - start:
        raise Malformed("IPv4 lengths")
    return start + size


def leave_tunnel(buffer, start: int, outer_tos: int) -> bool:
    """Carry the outer header's congestion mark into the inner packet; False: the packet has to be dropped.

    A marked packet whose sender does not know ECN would otherwise look as if nothing had happened (RFC 6040 §4.2).
    """
    outer = outer_tos & 3
    if not outer:
        return True
    tos = buffer[start + 1]
    inner = tos & 3
    if outer == _CONGESTION and inner == 0:
        return False
    leaving = _ECN_LEAVING.get(inner << 2 | outer, inner)
    if leaving != inner:
        _change(buffer, start, 0, buffer[start] << 8 | tos & 0xFC | leaving)
    return True


def count_down(buffer, start: int) -> bool:
    """Take one from the TTL, as whoever forwards must; False when nothing is left and the packet has to be dropped."""
    if buffer[start + 8] <= 1:
        return False
    _change(buffer, start, 8, buffer[start + 8] - 1 << 8 | buffer[start + 9])
    return True


def _change(buffer, start: int, offset: int, word: int) -> None:
    """Replace 16 bits of an IPv4 header and mend its checksum (RFC 1624 §3)."""
    former = buffer[start + offset] << 8 | buffer[start + offset + 1]
    sum_ = buffer[start + 10] << 8 | buffer[start + 11]
    _put(buffer, start + offset, word)
    _put(buffer, start + 10, ~_fold((~sum_ & 0xFFFF) + (~former & 0xFFFF) + word) & 0xFFFF)


def _sum_of_header(buffer, start: int) -> int:
    total = 0
    for at in range(start, start + (buffer[start] & 15) * 4, 2):
        total += buffer[at] << 8 | buffer[at + 1]
    return _fold(total)


def _fold(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _put(buffer, at: int, word: int) -> None:
    buffer[at] = word >> 8
    buffer[at + 1] = word & 0xFF
