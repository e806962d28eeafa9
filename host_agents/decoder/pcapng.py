"""pcapng, which dumpcap and Wireshark write (draft-ietf-opsawg-pcapng §4): the blocks that hold packets."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from host_agents.decoder.source import LARGEST, Captured, CaptureFault, Source

MAGIC = b"\x0a\x0d\x0d\x0a"  # the type of a Section Header Block, the same in both byte orders
_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_PACKET = 2  # obsolete, and still found
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_RESOLUTION, _OFFSET = 9, 14  # options of an interface


@dataclass(slots=True, frozen=True)
class _Interface:
    """A second has `ticks` ticks. offset: seconds to add. longest: octets kept of a packet, 0 for all."""

    link_type: int
    longest: int
    ticks: int
    offset: int

    def time(self, high: int, low: int) -> int:
        """In ns since 1970."""
        return (high << 32 | low) * 1_000_000_000 // self.ticks + self.offset * 1_000_000_000


def read_packets(source: Source) -> Iterator[Captured]:
    """Every packet behind the first four octets, which have been read. Raises CaptureFault."""
    order, interfaces, number, start = "<", list[_Interface](), 0, 0
    kind_octets = MAGIC
    while kind_octets:
        if kind_octets == MAGIC:
            order, interfaces = _section(source, start), []
        else:
            kind, body = _block(source, kind_octets, order, start)
            try:
                if kind == _INTERFACE:
                    interfaces.append(_interface(body, order))
                elif kind in (_ENHANCED_PACKET, _PACKET, _SIMPLE_PACKET):
                    number += 1
                    yield _packet(kind, body, order, interfaces, number)
            except (struct.error, IndexError) as error:
                reason = "an interface that is not described" if isinstance(error, IndexError) else "too short"
                raise CaptureFault(start, f"block of type {kind}: {reason}")
        start = source.at
        kind_octets = source.take_or_end(4, "a block header")


def _section(source: Source, start: int) -> str:
    """The byte order of a section whose type has been read."""
    head = source.take(8, "a section header")
    order = _ORDERS.get(head[4:])
    if order is None:
        raise CaptureFault(start, f"a section header of unknown byte order {head[4:].hex(' ')}")
    _rest(source, struct.unpack(f"{order}I", head[:4])[0], 12, order, start)
    return order


def _block(source: Source, kind_octets: bytes, order: str, start: int) -> tuple[int, bytes]:
    (kind,) = struct.unpack(f"{order}I", kind_octets)
    (length,) = struct.unpack(f"{order}I", source.take(4, "a block header"))
    return kind, _rest(source, length, 8, order, start)


def _rest(source: Source, length: int, read: int, order: str, start: int) -> bytes:
    """What is left of a block, without the length that ends it."""
    if length % 4 or not read + 4 <= length <= LARGEST:
        raise CaptureFault(start, f"a block of {length} octets")
    body = source.take(length - read, "a block")
    if struct.unpack(f"{order}I", body[-4:])[0] != length:
        raise CaptureFault(start, "a block whose two lengths differ")
    return body[:-4]


def _interface(body: bytes, order: str) -> _Interface:
    link_type, longest = struct.unpack_from(f"{order}HxxI", body)
    ticks, offset, at = 1_000_000, 0, 8
    while at + 4 <= len(body):
        option, size = struct.unpack_from(f"{order}HH", body, at)
        value = body[at + 4 : at + 4 + size]
        if option == _RESOLUTION and size == 1:
            ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif option == _OFFSET and size == 8:
            (offset,) = struct.unpack(f"{order}q", value)
        elif option == 0:
            break
        at += 4 + size + -size % 4
    return _Interface(link_type, longest, ticks, offset)


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface], number: int) -> Captured:
    if kind == _SIMPLE_PACKET:
        (size,) = struct.unpack_from(f"{order}I", body)
        interface = interfaces[0]
        held = min(size, interface.longest or size)
        return Captured(number, None, interface.link_type, _data(body, 4, held), size)
    layout = "IIIII" if kind == _ENHANCED_PACKET else "HxxIIII"
    which, high, low, held, size = struct.unpack_from(order + layout, body)
    interface = interfaces[which]
    return Captured(number, interface.time(high, low), interface.link_type, _data(body, 20, held), size)


def _data(body: bytes, at: int, held: int) -> bytes:
    if at + held > len(body):
        raise struct.error
    return body[at : at + held]
