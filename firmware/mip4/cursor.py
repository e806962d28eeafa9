"""Reading and writing octets with every bound checked: MicroPython's struct wraps values without a word."""

import struct

from mip4.compat import STRUCT_CHECKS
from mip4.errors import Malformed

_BITS = {"B": 8, "H": 16, "I": 32, "Q": 64}


def pack(layout: str, *values) -> bytes:
    """struct.pack in network order that refuses what does not fit.

    layout: letters of B, H, I, Q. Raises ValueError naming the value, TypeError for a wrong count.
    """
    if STRUCT_CHECKS:
        try:
            return struct.pack("!" + layout, *values)
        except struct.error:  # which value it was, is found below
            pass
    if len(values) != len(layout):
        raise TypeError("%d values for %s" % (len(values), layout))
    for letter, value in zip(layout, values):
        if value < 0 or value >> _BITS[letter]:
            raise ValueError("%d does not fit %d bits" % (value, _BITS[letter]))
    return struct.pack("!" + layout, *values)


class Cursor:
    """Bounded reads of one datagram, from the front. octets: bytes or memoryview."""

    __slots__ = ("_octets", "at", "_end")

    def __init__(self, octets, at: int = 0):
        self._octets = octets
        self.at = at
        self._end = len(octets)

    def more(self) -> bool:
        return self.at < self._end

    def fixed(self, layout: str) -> tuple:
        """Read `layout` (as of pack). Raises Malformed when the datagram ends before it does."""
        size = struct.calcsize("!" + layout)
        if self.at + size > self._end:
            raise Malformed("ends after %d octets, %d more expected" % (self._end - self.at, size))
        values = struct.unpack_from("!" + layout, self._octets, self.at)
        self.at += size
        return values

    def take(self, count: int) -> bytes:
        """The next `count` octets. Raises Malformed when there are fewer."""
        if self.at + count > self._end:
            raise Malformed("ends after %d octets, %d more expected" % (self._end - self.at, count))
        octets = bytes(self._octets[self.at : self.at + count])
        self.at += count
        return octets

    def rest(self) -> bytes:
        return self.take(self._end - self.at)
