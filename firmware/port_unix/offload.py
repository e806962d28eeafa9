"""What a network card does for a kernel: checksums, and cutting TCP into segments.

On a veth, the kernel at the other end leaves both to a card that is not there; a real link brings finished frames.
"""

import struct

from mip4.compat import const
from mip4.cursor import pack
from mip4.ip import checksum

VNET_HEADER = const(10)  # octets of struct virtio_net_hdr
_NEEDS_CHECKSUM = const(1)
_TCP_V4 = const(1)
_TCP = const(6)
_ETHERNET = const(14)
_FIN_PSH = const(0x09)


def is_finished(octets) -> bool:
    """Whether the frame behind a virtio_net_hdr can go out as it is."""
    return not octets[0] & _NEEDS_CHECKSUM and octets[1] == 0


def finish(octets) -> list:
    """The IPv4 packets of a frame behind its virtio_net_hdr, whole and with checksums; [] for a kind we do not know."""
    flags, gso, _, size, start, offset = struct.unpack_from("BBHHHH", octets, 0)
    view = memoryview(octets)[VNET_HEADER + _ETHERNET :]
    start -= _ETHERNET
    if gso & 0x7F == 0:
        return [_summed(view, start, start + offset)] if flags & _NEEDS_CHECKSUM else [view]
    if gso & 0x7F != _TCP_V4 or size == 0 or view[9] != _TCP:
        return []
    return _segments(bytes(view), size)


def _summed(view, start: int, at: int) -> bytearray:
    """The kernel has put the sum of the pseudo header where the checksum belongs."""
    packet = bytearray(view)
    sum_ = _complement(view[start:]) or 0xFFFF
    packet[at] = sum_ >> 8
    packet[at + 1] = sum_ & 0xFF
    return packet


def _complement(octets) -> int:
    """The Internet checksum. Arithmetic modulo 65535 is one's complement, and a long integer has it done in C."""
    number = int.from_bytes(octets, "big")
    return 0xFFFF - (number << 8 if len(octets) & 1 else number) % 0xFFFF & 0xFFFF


def _segments(packet: bytes, size: int) -> list:
    """size: octets of payload in each but the last."""
    header = (packet[0] & 15) * 4
    payload = header + (packet[header + 12] >> 4) * 4
    sequence = int.from_bytes(packet[header + 4 : header + 8], "big")
    identification = packet[4] << 8 | packet[5]
    end = packet[2] << 8 | packet[3]
    flags = packet[header + 13]
    pseudo = packet[12:20] + b"\0\x06"
    found = []
    for at in range(payload, end, size):
        body = packet[at : min(at + size, end)]
        last = at + size >= end
        head = packet[:2] + pack("HH", payload + len(body), identification & 0xFFFF) + packet[6:10] + b"\0\0"
        head += packet[12:header]
        head = head[:10] + pack("H", checksum(head)) + head[12:]
        tcp = packet[header : header + 4] + pack("I", sequence & 0xFFFFFFFF) + packet[header + 8 : header + 13]
        tcp += bytes((flags if last else flags & ~_FIN_PSH,)) + packet[header + 14 : header + 16]
        rest = packet[header + 18 : payload] + body
        sum_ = _complement(pseudo + pack("H", payload - header + len(body)) + tcp + b"\0\0" + rest)
        found.append(head + tcp + pack("H", sum_) + rest)
        sequence += size
        identification += 1
    return found
