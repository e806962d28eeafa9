"""Identifications, of 64 bits, and a mobile node's part of replay protection by them (RFC 5944 §5.7).

Timestamps are NTP seconds and fraction (RFC 5905 §6), nonces the home agent's word and one of our own.
"""

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


class Noise:
    """Octets made of a seed, sixteen at a time, and never the same twice in a life. seed: from a random source."""

    def __init__(self, seed: bytes):
        self._seed = seed
        self._count = 0

    def next(self) -> bytes:
        self._count += 1
        return hashlib.md5(self._seed + pack("I", self._count & LOW)).digest()


class Timestamps:
    """Where a mobile node's Identifications come from: one strictly increasing row for all its sessions (§5.7.1).

    ntp_ms: what the node's clock says at now = 0, in ms since 1900; a node without a clock says 0.
    noise: for the bits that the clock cannot supply.
    repeats: whether a request that got no answer is sent again as it was, rather than with a new Identification.
    """

    repeats = False

    def __init__(self, ntp_ms: int, noise: Noise):
        self._ntp_ms = ntp_ms
        self._noise = noise
        self._last = 0

    def next(self, now: int) -> int:
        """A fresh Identification. now: ms since start."""
        noise = self._noise.next()
        fresh = from_ms(max(self._ntp_ms + now, 0)) + (noise[0] << 14 | noise[1] << 6 | noise[2] >> 2)
        if fresh <= self._last:
            fresh = self._last + 1 + noise[3]
        self._last = fresh
        return on_the_wire(fresh)

    def accepts(self, reply: int, request: int) -> bool:
        """Whether a home agent may accept `request` with the Identification `reply`; the low words are the same."""
        return reply == request

    def answered(self, identification: int) -> None:
        """An authentic reply of the home agent has this Identification."""

    def resynchronise(self, identification: int, now: int) -> None:
        """Take the home agent's clock from the high word of its 133. The next Identification may be a smaller one.

        The word counts whole seconds, so that of several 133s in a row a later one may seem to put the clock back by
        less than one: that would let an Identification repeat, and is left alone.
        """
        ntp_ms = seconds(identification) * 1000 - now
        if not 0 <= self._ntp_ms - ntp_ms < _COARSE:
            self._ntp_ms = ntp_ms
            self._last = 0


class Nonces:
    """Where one session's Identifications come from: its home agent's last nonce, and words of our own (§5.7.2).

    With the face of Timestamps. Before the home agent's first answer it is 0, which a 133 puts right.
    """

    repeats = True

    def __init__(self, noise: Noise):
        self._noise = noise
        self._nonce = 0

    def next(self, now: int) -> int:
        return self._nonce << 32 | int.from_bytes(self._noise.next()[:4], "big")

    def accepts(self, reply: int, request: int) -> bool:
        return True

    def answered(self, identification: int) -> None:
        self._nonce = seconds(identification)

    def resynchronise(self, identification: int, now: int) -> None:
        """A 133 is an answer like any other, whose nonce is known by now."""
