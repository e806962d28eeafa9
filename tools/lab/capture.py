"""A capture of one place's uplink by dumpcap, and what is in it (libpcap's classic file format).

Not tcpdump: as uid 0 it insists on becoming somebody else, and in a user namespace there is nobody else.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

HEADER_SIZE = 24
_RECORD = struct.Struct("=IIII")  # seconds, microseconds, octets here, octets on the wire; in the writer's byte order
_ETHERNET = 14
_IPV4 = b"\x08\x00"


def command(dumpcap: str, pcap: Path) -> tuple[str, ...]:
    """Everything on net0, whole packets. The file is half a second behind."""
    return (dumpcap, "-q", "-P", "-i", "net0", "-w", str(pcap))


def octets(pcap: Path, start: int) -> bytes:
    """Of the file as it is now, from there on."""
    with open(pcap, "rb") as file:
        file.seek(start)
        return file.read()


def frames(pcap: Path) -> Iterator[tuple[float, bytes]]:
    """(seconds since the epoch, Ethernet frame) of each packet; a last one that is cut off is left out."""
    with open(pcap, "rb") as file:
        file.seek(HEADER_SIZE)
        while len(header := file.read(_RECORD.size)) == _RECORD.size:
            seconds, microseconds, size, _ = _RECORD.unpack(header)
            frame = file.read(size)
            if len(frame) == size:
                yield seconds + microseconds / 1e6, frame


def count_tunnelled(pcap: Path) -> int:
    """Packets that are IP in IP (RFC 2003)."""
    return sum(
        1
        for _, frame in frames(pcap)
        if frame[12:14] == _IPV4 and len(frame) > _ETHERNET + 9 and frame[_ETHERNET + 9] == 4
    )
