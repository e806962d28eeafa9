"""A message as lines for people and as a JSON object for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from host_agents.decoder import words
from host_agents.decoder.packet import Seen
from host_agents.decoder.words import Item, Part
from mip4.address import show
from mip4.const import PAD


def lines(seen: Seen) -> Iterator[str]:
    """The message's name and where it travelled, then a line for each field, extension and fault."""
    message = seen.message
    yield " ".join((*_around(seen), message.name))
    width = max((len(item.name) for item in message.items), default=0)
    for item in message.items:
        yield f"  {item.name:<{width}}  {item.text}"
    for part in message.parts:
        yield f"  {_extension(part)}"
    for fault in message.faults:
        yield f"  ! at octet {fault.offset}: {fault.reason}"


def _around(seen: Seen) -> Iterator[str]:
    if seen.number is not None:
        yield f"#{seen.number}"
    if seen.time is not None:
        yield words.utc(seen.time)
    if seen.packet is not None:
        ports = (seen.udp.source_port, seen.udp.destination_port) if seen.udp else (None, None)
        ends = [
            show(end) if port is None else f"{show(end)}:{port}"
            for end, port in zip((seen.packet.source, seen.packet.destination), ports, strict=True)
        ]
        yield f"{ends[0]} -> {ends[1]} TTL {seen.packet.ttl}"


def _extension(part: Part) -> str:
    if part.kind == PAD:
        return "Padding"
    return f"{part.name} ({part.kind}): {'; '.join(_field(item, at) for at, item in enumerate(part.items)) or 'empty'}"


def _field(item: Item, at: int) -> str:
    """The first one speaks for itself, if it is what the extension is all about."""
    return item.text if (item.name in _OBVIOUS and at == 0) or item.name == "Verdict" else f"{item.name} {item.text}"


_OBVIOUS = ("Sub-NAI", "NAI", "Text", "Octets", "Challenge", "Status", "Prefix Lengths")


def document(seen: Seen) -> dict[str, Any]:
    """Fields by their RFC name in lower case with underscores; offsets from the start of the message."""
    message = seen.message
    return {
        "number": seen.number,
        "time": None if seen.time is None else words.utc(seen.time),
        "source": show(seen.packet.source) if seen.packet else None,
        "source_port": seen.udp.source_port if seen.udp else None,
        "destination": show(seen.packet.destination) if seen.packet else None,
        "destination_port": seen.udp.destination_port if seen.udp else None,
        "ttl": seen.packet.ttl if seen.packet else None,
        "checksum_offloaded": seen.udp.offloaded if seen.udp else None,
        "message": message.name,
        "type": message.kind,
        **_values(message.items),
        "extensions": [
            {"offset": part.offset, "type": part.kind, "name": part.name, **_values(part.items)}
            for part in message.parts
        ],
        "faults": [{"offset": fault.offset, "reason": fault.reason} for fault in message.faults],
    }


def _values(items: list[Item]) -> dict[str, Any]:
    return {item.key: item.value for item in items}
