"""Reads capture files: libpcap's classic format in both byte orders and resolutions, and pcapng (see pcapng.py).

Our own reader because the small libraries for this (dpkt, python-pcapng) have had no release since 2022, and because
a capture that ends early must still tell what it held, and where it ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from host_agents.decoder import pcapng
from host_agents.decoder.source import LARGEST, Captured, CaptureFault, Source

_FORMATS = {  # magic -> byte order, nanoseconds of one tick
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}


def read_packets(file: BinaryIO) -> Iterator[Captured]:
    """Every packet in order. Raises CaptureFault, after all packets before the fault have been given."""
    source = Source(file)
    magic = source.take(4, "the magic number")
    if magic == pcapng.MAGIC:
        return pcapng.read_packets(source)
    if magic in _FORMATS:
        return _read_classic(source, *_FORMATS[magic])
    raise CaptureFault(0, f"neither pcap nor pcapng: it begins with {magic.hex(' ')}")


def _read_classic(source: Source, order: str, tick: int) -> Iterator[Captured]:
    (link_type,) = struct.unpack(f"{order}16xI", source.take(20, "the file header"))
    number = 0
    while header := source.take_or_end(16, "a packet header"):
        number += 1
        seconds, ticks, held, size = struct.unpack(f"{order}IIII", header)
        if held > LARGEST:
            raise CaptureFault(source.at - 16, f"packet {number} is said to have {held} octets")
        octets = source.take(held, f"packet {number}")
        # The upper bits tell of frame check sequences, which we leave at the end.
        yield Captured(number, seconds * 1_000_000_000 + ticks * tick, link_type & 0xFFFF, octets, size)
