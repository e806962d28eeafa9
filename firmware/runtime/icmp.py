"""What a router says about a packet that it cannot pass on (RFC 792, RFC 1191), and pieces of one that may be cut."""

from mip4.compat import const
from mip4.const import PROTO_ICMP
from mip4.cursor import pack
from mip4.ip import checksum

UNREACHABLE = const(3)
TOO_BIG = const(4)  # a code of it
TIME_EXCEEDED = const(11)
_ERRORS = (3, 4, 5, 11, 12)
_MORE = const(0x2000)
_OFFSET = const(0x1FFF)


def error_about(packet, source: bytes, kind: int, code: int, mtu: int) -> bytes:
    """An ICMP error from `source` to the sender of `packet`, an IPv4 packet; b"" where RFC 1122 §3.2.2 forbids one."""
    header = (packet[0] & 15) * 4
    if (packet[6] & 0x1F) << 8 | packet[7] or (packet[9] == PROTO_ICMP and packet[header] in _ERRORS):
        return b""
    body = pack("BBHHH", kind, code, 0, 0, mtu) + bytes(packet[: header + 8])
    body = body[:2] + pack("H", checksum(body)) + body[4:]
    head = pack("BBHHHBB", 0x45, 0, 20 + len(body), 0, 0x4000, 64, PROTO_ICMP)
    ends = source + bytes(packet[12:16])
    return head + pack("H", checksum(head + b"\0\0" + ends)) + ends + body


def fragments(packet: bytes, mtu: int) -> list:
    """`packet` as pieces of at most `mtu` octets (RFC 791 §3.2). Options go into the first one only."""
    header = (packet[0] & 15) * 4
    field = packet[6] << 8 | packet[7]
    found = []
    at = header
    while at < len(packet):
        head = packet[:header] if at == header else b"\x45" + packet[1:20]
        size = (mtu - len(head)) // 8 * 8
        body = packet[at : at + size]
        more = _MORE if at + size < len(packet) else field & _MORE
        offset = (field & _OFFSET) + (at - header) // 8
        head = head[:2] + pack("HHH", len(head) + len(body), packet[4] << 8 | packet[5], more | offset) + head[8:10]
        head += b"\0\0" + (packet[12:header] if at == header else packet[12:20])
        found.append(head[:10] + pack("H", checksum(head)) + head[12:] + body)
        at += size
    return found
