"""Cut an IPv4 packet into fragments before it enters a tunnel (RFC 791 §3.2): NATs lose fragments of the outside."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mip4.ip import checksum

_MORE = 0x2000
_OFFSET = 0x1FFF  # in units of eight octets
_COPIED = 0x80  # the bit of an option that belongs into every fragment
_END, _NOTHING = 0, 1  # options of a single octet


def fragments(packet: memoryview, mtu: int) -> Iterator[memoryview]:
    """Parts of at most `mtu` octets, in order; a packet that fits is its own only part. packet: one without DF."""
    if len(packet) <= mtu:
        yield packet
        return
    header = bytes(packet[: (packet[0] & 15) * 4])
    payload = packet[len(header) :]
    (field,) = struct.unpack_from("!H", header, 6)
    at = 0
    while at < len(payload):
        room = mtu - len(header) & ~7
        last = len(payload) - at <= mtu - len(header)
        part = payload[at:] if last else payload[at : at + max(8, room)]
        flags = field & _MORE if last else _MORE
        yield memoryview(bytearray(_header(header, len(part), flags | (field & _OFFSET) + at // 8)) + part)
        at += len(part)
        header = header[:20] + _copied(header[20:])


def _header(header: bytes, size: int, field: int) -> bytes:
    first = 0x40 | len(header) // 4
    made = bytes((first, header[1])) + struct.pack("!H", len(header) + size) + header[4:6] + struct.pack("!H", field)
    sum_ = checksum(made + header[8:10] + b"\0\0" + header[12:])
    return made + header[8:10] + struct.pack("!H", sum_) + header[12:]


def _copied(options: bytes) -> bytes:
    """The options that later fragments carry too, padded to four octets."""
    kept, at = b"", 0
    while at < len(options) and options[at] != _END:
        size = 1 if options[at] == _NOTHING else max(2, options[at + 1]) if at + 1 < len(options) else 1
        if options[at] & _COPIED:
            kept += options[at : at + size]
        at += size
    return kept + bytes(-len(kept) % 4)
