"""Writes pcapng, of which pcapng.py reads what others write: IPv4 packets, each with the interface it was seen on."""

from __future__ import annotations

import contextlib
import struct
from typing import BinaryIO

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_ORDER_MAGIC = 0x1A2B3C4D
_RAW = 101  # LINKTYPE_RAW
_NAME, _RESOLUTION, _APPLICATION = 2, 9, 4  # options
_NANOSECONDS = 9


class PcapngWriter:
    """size: octets written so far. An interface is described when the first packet of it comes.

    What does not fit on the disk any more is cut back to whole packets, if file has no buffer. Methods raise OSError.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._interfaces: dict[str, int] = {}
        self.size = 0
        head = struct.pack("<IHHq", _ORDER_MAGIC, 1, 0, -1) + _option(_APPLICATION, b"Entourage") + _option(0, b"")
        self._block(_SECTION, head)
        self.flush()

    def write(self, interface: str, time: int, octets: bytes, size: int) -> None:
        """time: ns since 1970. size: octets that the packet had on the wire."""
        number = self._interfaces.get(interface)
        if number is None:
            number = self._interfaces[interface] = len(self._interfaces)
            options = _option(_NAME, interface.encode()) + _option(_RESOLUTION, bytes([_NANOSECONDS])) + _option(0, b"")
            self._block(_INTERFACE, struct.pack("<HHI", _RAW, 0, 0) + options)
        head = struct.pack("<IIIII", number, time >> 32, time & 0xFFFFFFFF, len(octets), size)
        self._block(_PACKET, head + _padded(octets))

    def flush(self) -> None:
        """Raises BrokenPipeError when the reader has gone."""
        self._file.flush()

    def _block(self, kind: int, body: bytes) -> None:
        length = 12 + len(body)
        rest = memoryview(struct.pack("<II", kind, length) + body + struct.pack("<I", length))
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):  # it is a pipe
                self._file.truncate(self.size)
            raise
        self.size += length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
