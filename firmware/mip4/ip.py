"""IPv4 and UDP headers, as far as an agent or a node must make or read them itself (RFC 791, RFC 768)."""

from mip4.const import PROTO_UDP
from mip4.cursor import Cursor, pack
from mip4.errors import Malformed
from mip4.record import Record


def checksum(octets) -> int:
    """The Internet checksum (RFC 1071) of `octets`; 0 when they contain their own correct one."""
    total = 0
    for at in range(0, len(octets) - 1, 2):
        total += octets[at] << 8 | octets[at + 1]
    if len(octets) & 1:
        total += octets[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Packet(Record):
    """An IPv4 packet without options or fragments. payload: octets after the header."""

    __slots__ = ("source", "destination", "protocol", "ttl", "payload")

    def encode(self) -> bytes:
        """With DF set, so that the zero Identification field is lawful (RFC 6864 §4.1)."""
        head = pack("BBHHHBB", 0x45, 0, 20 + len(self.payload), 0, 0x4000, self.ttl, self.protocol)
        ends = pack("II", self.source, self.destination)
        return head + pack("H", checksum(head + b"\0\0" + ends)) + ends + self.payload

    @classmethod
    def decode(cls, octets) -> "Packet":
        """Trailing octets past the total length are dropped. Raises Malformed, also for a fragment."""
        cursor = Cursor(octets)
        first, _, length, _, fragment, ttl, protocol, _, source, destination = cursor.fixed("BBHHHBBHII")
        header = (first & 15) * 4
        if first >> 4 != 4 or header < 20 or length < header or length > len(octets):
            raise Malformed("not an IPv4 packet")
        if fragment & 0x3FFF:
            raise Malformed("a fragment")
        if checksum(octets[:header]) != 0:
            raise Malformed("IP header checksum")
        return cls(source, destination, protocol, ttl, bytes(octets[header:length]))


class Datagram(Record):
    """A UDP datagram with its addresses. payload: octets."""

    __slots__ = ("source", "source_port", "destination", "destination_port", "payload")

    def packet(self, ttl: int) -> Packet:
        """The packet that carries it, checksum included."""
        ends = pack("II", self.source, self.destination)
        size = 8 + len(self.payload)
        ports = pack("HHH", self.source_port, self.destination_port, size)
        # 0 on the wire would say "no checksum" (RFC 768)
        sum_ = checksum(ends + pack("HH", PROTO_UDP, size) + ports + b"\0\0" + self.payload) or 0xFFFF
        return Packet(self.source, self.destination, PROTO_UDP, ttl, ports + pack("H", sum_) + self.payload)

    @classmethod
    def decode(cls, packet: Packet, checked: bool = True) -> "Datagram":
        """checked: False where the kernel says that it has not filled the checksum in yet. Raises Malformed."""
        cursor = Cursor(packet.payload)
        source_port, destination_port, size, sum_ = cursor.fixed("HHHH")
        if packet.protocol != PROTO_UDP or not 8 <= size <= len(packet.payload):
            raise Malformed("not a UDP datagram")
        if checked and sum_:
            pseudo = pack("IIHH", packet.source, packet.destination, PROTO_UDP, size)
            if checksum(pseudo + packet.payload[:size]) != 0:
                raise Malformed("UDP checksum")
        return cls(packet.source, source_port, packet.destination, destination_port, packet.payload[8:size])
