"""Where a flight recorder keeps its records: a ring of files that never grows and survives a power cut at any octet.

A record is `length u8, CRC-32 u32, sequence u32, body`; the CRC is that of sequence and body. Records fill pages of 256
octets, and none crosses from one to the next; length 0 says that the rest of a page is empty. Pages are only ever
appended: littlefs copies what stands behind a place that is written over, so a file of a fixed size in which places
are used again would wear flash out many times faster. When the newest file is full the oldest is begun anew.
"""

import os
from binascii import crc32

from mip4.compat import const
from mip4.cursor import pack

PAGE = const(256)
LONGEST = const(247)  # octets of a body
_FILES = const(8)
_HEADER = const(9)


def encode(sequence: int, body: bytes) -> bytes:
    """One record. Raises ValueError for an empty body or one that is longer than LONGEST."""
    if not 0 < len(body) <= LONGEST:
        raise ValueError("a record of %d octets" % len(body))
    covered = pack("I", sequence & 0xFFFFFFFF) + body
    return pack("BI", len(body), crc32(covered)) + covered


def decode(octets: bytes) -> list:
    """(sequence, body) of every whole record, as they stand there. What is torn ends its page, not the reading."""
    found = []
    for page in range(0, len(octets), PAGE):
        at, end = page, min(page + PAGE, len(octets))
        while at + _HEADER < end and octets[at]:
            covered = octets[at + 5 : at + _HEADER + octets[at]]
            if at + _HEADER + octets[at] > end or crc32(covered) != int.from_bytes(octets[at + 1 : at + 5], "big"):
                break
            found.append((int.from_bytes(covered[:4], "big"), covered[4:]))
            at += 5 + len(covered)
    return found


def file_names(path: str) -> list:
    return ["%s.%d" % (path, number) for number in range(_FILES)]


class Ring:
    """Appends to the files of `path`. size: octets of all of them together, a bound that holds at every moment."""

    def __init__(self, path: str, size: int):
        self._names = file_names(path)
        self._most = max(1, size // _FILES // PAGE) * PAGE
        self._newest = 0
        self.sequence = 0  # of the next record
        self.written = 0  # pages, since the start

    def open(self) -> None:
        """Find the end of what a former run left. Raises OSError."""
        for number, name in enumerate(self._names):
            first = self._first(name)
            if first is not None and first >= self.sequence:
                self.sequence, self._newest = first, number
        name = self._names[self._newest]
        size = self._size(name)
        for at in range(0, size, PAGE):
            for sequence, _ in decode(self._read(name, at)):
                self.sequence = sequence + 1
        if size % PAGE:  # the power went while a page was written: what is torn stays, and ends its page
            self._write(name, "ab", bytes(PAGE - size % PAGE))

    def append(self, bodies: list) -> None:
        """All of them, in whole pages, and onto the flash. Raises OSError; then none of them may be believed kept."""
        pages, used = bytearray(), PAGE
        for body in bodies:
            record = encode(self.sequence, body)
            self.sequence += 1
            if used + len(record) > PAGE:
                pages += bytes(PAGE - used)
                used = 0
            pages += record
            used += len(record)
        pages += bytes(PAGE - used)
        view, at = memoryview(pages), 0
        while at < len(view):
            room = self._most - self._size(self._names[self._newest])
            mode = "ab"
            if room < PAGE:
                self._newest = (self._newest + 1) % _FILES
                room, mode = self._most, "wb"
            end = min(len(view), at + room // PAGE * PAGE)
            self._write(self._names[self._newest], mode, view[at:end])
            self.written += (end - at) // PAGE
            at = end

    def _first(self, name: str):
        """The sequence of the first whole record, None where there is none."""
        for at in range(0, self._size(name), PAGE):
            found = decode(self._read(name, at))
            if found:
                return found[0][0]
        return None

    @staticmethod
    def _size(name: str) -> int:
        try:
            return os.stat(name)[6]
        except OSError:
            return 0

    @staticmethod
    def _read(name: str, at: int) -> bytes:
        with open(name, "rb") as file:
            file.seek(at)
            return file.read(PAGE)

    @staticmethod
    def _write(name: str, mode: str, octets) -> None:
        with open(name, mode) as file:
            file.write(octets)
            file.flush()  # MicroPython's flush is fsync
