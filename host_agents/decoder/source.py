"""A capture file read forward: how far it is read, what a packet of it is, and what can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

LARGEST = 1 << 24  # octets of one packet or block; whoever writes more than that has written nonsense


class CaptureFault(Exception):
    """A file that is no capture, or is one no further than `offset`. cut: it ends there in the middle of a packet."""

    def __init__(self, offset: int, reason: str, cut: bool = False):
        super().__init__(f"{reason}, at offset {offset}")
        self.offset = offset
        self.cut = cut


@dataclass(slots=True, frozen=True)
class Captured:
    """One packet. time: ns since 1970, None where the file does not say. size: octets that it had on the wire."""

    number: int
    time: int | None
    link_type: int
    octets: bytes
    size: int


class Source:
    """Reads a file forward and knows where it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.at = 0

    def take(self, count: int, what: str) -> bytes:
        """Exactly `count` octets. Raises CaptureFault when the file ends within them."""
        found = self.take_or_end(count, what)
        if not found and count:
            raise CaptureFault(self.at, f"the file ends before {what}", cut=True)
        return found

    def take_or_end(self, count: int, what: str) -> bytes:
        """`count` octets, or none at the end of the file. Raises CaptureFault when it ends within them."""
        found = self._file.read(count)
        if 0 < len(found) < count:
            raise CaptureFault(self.at, f"the file ends {len(found)} octets into {what} of {count}", cut=True)
        self.at += len(found)
        return found
