"""What a decoded message is made of, and how numbers, times and octets from the network become words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mip4.address import show
from mip4.const import INFINITE
from mip4.identification import NTP_UNIX

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ERA = 1 << 32  # seconds; NTP's first era ends in 2036


@dataclass(slots=True, frozen=True)
class Item:
    """A field. name: the RFC's; text: for people; value: for programs, as JSON has it."""

    name: str
    text: str
    value: Any

    @property
    def key(self) -> str:
        return self.name.lower().replace(" ", "_").replace("-", "_")


@dataclass(slots=True, frozen=True)
class Fault:
    """Something wrong. offset: octets from the start of the message."""

    offset: int
    reason: str


@dataclass(slots=True)
class Part:
    """An extension, and where in its message it stands."""

    offset: int
    kind: int
    name: str
    items: list[Item]


@dataclass(slots=True)
class Message:
    """A message in words. kind: its type on UDP 434, or ICMP's."""

    name: str
    kind: int
    items: list[Item] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def printable(octets: bytes) -> str:
    """Text if it is UTF-8 that a terminal shows as it is; else hexadecimal: the network does not steer terminals."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return f"hex {octets.hex()}"
    return text if text.isprintable() and text else f"hex {octets.hex()}"


def address(name: str, value: int, remark: str = "") -> Item:
    return Item(name, show(value) + remark, show(value))


def octets(name: str, value: bytes) -> Item:
    return Item(name, value.hex() or "none", value.hex())


def text(name: str, value: bytes) -> Item:
    return Item(name, printable(value), printable(value))


def flags(name: str, value: int, width: int, meanings: Mapping[int, tuple[str, str]]) -> Item:
    """meanings: mask -> letter, meaning. width: octets."""
    found = {letter: meaning for mask, (letter, meaning) in meanings.items() if value & mask}
    shown = ", ".join(f"{letter} {meaning}" for letter, meaning in found.items())
    return Item(name, f"0x{value:0{width * 2}x} {shown or 'none'}", {"value": value, "set": found})


def lifetime(name: str, seconds: int, zero: str) -> Item:
    """zero: what 0 says here."""
    remark = {0: f" ({zero})", INFINITE: " (never ends)"}.get(seconds, "")
    return Item(name, f"{seconds} s{remark}", seconds)


def ntp_time(seconds: int, fraction: int = 0) -> str:
    """NTP seconds and 32 bits of fraction as UTC. A clear first bit means the era from 2036 on (RFC 4330 §3)."""
    unix = seconds - NTP_UNIX + (0 if seconds >> 31 else _ERA)
    return utc(unix * 1_000_000_000 + (fraction * 1_000_000_000 >> 32))


def utc(time: int) -> str:
    """ns since 1970 as UTC, to the microsecond. A time past the year 9999 is shown as its number."""
    try:
        return (_EPOCH + timedelta(microseconds=time // 1000)).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    except OverflowError:
        return f"{time} ns"


def identification(value: int) -> Item:
    """As time (what it is unless nonces are used, RFC 5944 §5.7) and as its two words."""
    high, low = value >> 32, value & 0xFFFFFFFF
    when = ntp_time(high, low)
    return Item("Identification", f"{when} ({high:08x} {low:08x})", {"time": when, "hex": f"{value:016x}"})
