"""Reads what a firmware image says of itself: for which chip it is, and whether it is a whole one."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from tools.board.definitions import all_definitions
from tools.board.errors import BoardFailed

_IMAGE = 0xE9  # first octet of a bootloader and of a program
_CHIPS = {0: "esp32", 2: "esp32s2", 5: "esp32c3", 9: "esp32s3", 12: "esp32c2", 13: "esp32c6", 18: "esp32p4"}
_TABLE = 0x8000  # where the partition table is in flash
_ENTRY, _ENTRY_MAGIC = struct.Struct("<HBBII16sI"), 0x50AA
_ENTRIES = 95
_APPLICATION = 0


@dataclass(slots=True, frozen=True)
class Image:
    """chip: as esptool calls it. offset: where it goes in flash. end: octet of flash behind it and every partition."""

    path: Path
    chip: str
    offset: int
    end: int


def read_image(path: Path) -> Image:
    """A whole image: bootloader, partition table, program. Raises BoardFailed for anything else, saying what it is."""
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise BoardFailed(f"{path}: {error.strerror}") from error
    chip = _chip(octets, 0)
    if chip is None:
        raise BoardFailed(f"{path}: not an image for an ESP32 of any kind")
    offsets = {one.entourage.chip: one.flash_offset for one in all_definitions().values()}
    if chip not in offsets:
        raise BoardFailed(f"{path}: for the chip {chip}; boards are defined for {', '.join(sorted(offsets))}")
    offset = offsets[chip]
    partitions = _partitions(octets, _TABLE - offset)
    if not partitions:
        raise BoardFailed(f"{path}: a program without bootloader and partition table, as over-the-air updates use it")
    program = min((at for kind, at, _ in partitions if kind == _APPLICATION), default=0)
    if _chip(octets, program - offset) != chip:
        raise BoardFailed(f"{path}: its partition table says that a program begins at {program:#x}, and none does")
    return Image(path, chip, offset, max([offset + len(octets), *(at + size for _, at, size in partitions)]))


def _chip(octets: bytes, at: int) -> str | None:
    """The chip that a bootloader or program beginning there is for; None if none begins there."""
    if at < 0 or len(octets) < at + 24 or octets[at] != _IMAGE:
        return None
    (number,) = struct.unpack_from("<H", octets, at + 12)
    return _CHIPS.get(number, f"number {number}")


def _partitions(octets: bytes, at: int) -> list[tuple[int, int, int]]:
    """(type, offset, size) of each."""
    found = []
    for entry in range(_ENTRIES):
        where = at + entry * _ENTRY.size
        if where + _ENTRY.size > len(octets):
            break
        magic, kind, _, offset, size, _, _ = _ENTRY.unpack_from(octets, where)
        if magic != _ENTRY_MAGIC:
            break
        found.append((kind, offset, size))
    return found
