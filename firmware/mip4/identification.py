"""Identification and timestamp replay protection (RFC 5944 §5.7). 64 bits: NTP seconds and fraction (RFC 5905 §6)."""

import hashlib

from mip4.compat import const
from mip4.cursor import pack

NTP_UNIX = const(2208988800)  # seconds from 1900 to 1970
TOLERANCE = const(7)  # seconds (RFC 5944 §5.7.1)
LOW = const(0xFFFFFFFF)
WIRE = 0xFFFFFFFFFFFFFFFF
_COARSE = const(1500)  # ms


def from_ms(ntp_ms: int) -> int:
    """NTP milliseconds as an Identification, or past 2036 as one with the number of its era above the 64 bits.

    The next millisecond is more than 2 ** 22 away.
    """
    return (ntp_ms // 1000) << 32 | (ntp_ms % 1000 << 32) // 1000


def on_the_wire(unwrapped: int) -> int:
    """The 64 bits that are sent: the era is left to the receiver (RFC 5905 §6)."""
    return unwrapped & WIRE


def unwrap(identification: int, ntp_ms: int) -> int:
    """Undo on_the_wire(), for an Identification within 68 years of `ntp_ms`."""
    near = from_ms(ntp_ms)
    return near + (identification - near + (1 << 63) & WIRE) - (1 << 63)


def seconds(identification: int) -> int:
    return identification >> 32


class Timestamps:
    """Where a mobile node's Identifications come from: one strictly increasing row for all its sessions.

    ntp_ms: what the node's clock says at now = 0, in ms since 1900; a node without a clock says 0.
    seed: octets from a random source, for the bits that the clock cannot supply.
    """

    def __init__(self, ntp_ms: int, seed: bytes):
        self._ntp_ms = ntp_ms
        self._seed = seed
        self._count = 0
        self._last = 0

    def next(self, now: int) -> int:
        """A fresh Identification. now: ms since start."""
        self._count += 1
        noise = hashlib.md5(self._seed + pack("I", self._count & LOW)).digest()
        fresh = from_ms(max(self._ntp_ms + now, 0)) + (noise[0] << 14 | noise[1] << 6 | noise[2] >> 2)
        if fresh <= self._last:
            fresh = self._last + 1 + noise[3]
        self._last = fresh
        return on_the_wire(fresh)

    def resynchronise(self, identification: int, now: int) -> None:
        """Take the home agent's clock from the high word of its 133. The next Identification may be a smaller one.

        The word counts whole seconds, so that of several 133s in a row a later one may seem to put the clock back by
        less than one: that would let an Identification repeat, and is left alone.
        """
        ntp_ms = seconds(identification) * 1000 - now
        if not 0 <= self._ntp_ms - ntp_ms < _COARSE:
            self._ntp_ms = ntp_ms
            self._last = 0
