"""SLIP (RFC 1055): IP packets on a serial line, in frames that END octets divide.

A node does this for every octet of its devices, so the runs between special octets are found and copied by the
interpreter's own code, and no object is made per packet: a loop over octets costs a thousand times as much.
"""

from mip4.compat import octet_stream, read_part, write_part

_END = b"\xc0"
_ESC = b"\xdb"
_ESC_END = b"\xdb\xdc"
_ESC_ESC = b"\xdb\xdd"
_UNESCAPED = {0xDC: _END, 0xDD: _ESC}


class SlipDecoder:
    """Packets out of what a line brings, at most `longest` octets each.

    A packet is left in `packet`, a bytearray, `room` octets behind its beginning; `size`: octets of it, 0 while
    there is none. What is before it, and the packet, are the reader's until the next take(). dropped: frames too long.
    """

    def __init__(self, longest: int, room: int = 0):
        self.size = 0
        self.dropped = 0
        self.packet = bytearray(room + longest)
        self._place = memoryview(self.packet)[room:]
        self._longest = longest
        self._stream = octet_stream(longest)  # what there is of the frame so far
        self._filled = 0
        self._escaped = False

    def take(self, octets, at: int, end: int) -> int:
        """Take octets[at:end], but nothing behind the first packet that they complete; return where it stopped.

        octets: bytes or bytearray. To be called again from there, until that is `end`.
        """
        self.size = 0
        while at < end:
            if self._escaped:
                self._escaped = False
                # Another octet than the two is a violation of the protocol, and is kept as it is (RFC 1055)
                octet = _UNESCAPED.get(octets[at])
                self._put(octets if octet is None else octet, at if octet is None else 0, 1)
                at += 1
                continue
            stop = octets.find(_END, at, end)
            until = end if stop < 0 else stop
            escape = octets.find(_ESC, at, until)
            if escape >= 0:
                self._put(octets, at, escape - at)
                self._escaped = True
                at = escape + 1
                continue
            self._put(octets, at, until - at)
            if stop < 0:
                return end
            at = stop + 1
            if self._close():
                break
        return at

    def _put(self, octets, at: int, size: int) -> None:
        if self._filled + size <= self._longest:
            write_part(self._stream, octets, at, size)
            self._filled += size
        else:
            self._filled = self._longest + 1  # which nothing is appended to, until END

    def _close(self) -> bool:
        """The frame is whole. False if that was nothing: END also comes before a frame, against noise on the line."""
        filled, self._filled = self._filled, 0
        self._stream.seek(0)
        if filled > self._longest:
            self.dropped += 1
        elif filled:
            read_part(self._stream, self._place, filled)
            self._stream.seek(0)
            self.size = filled
        return self.size > 0


class SlipEncoder:
    """Packets that wait for a line, as the octets that shall go out, at most `capacity` of them."""

    def __init__(self, capacity: int):
        self._capacity = capacity
        self._stream = octet_stream(capacity)
        self._sent = self._filled = 0

    def __len__(self) -> int:
        """How many octets wait."""
        return self._filled - self._sent

    def put(self, octets, at: int, end: int) -> bool:
        """The packet octets[at:end] shall go out; False: no room is left, so that it never will.

        octets: bytes or bytearray. Room is made anew when everything has gone out.
        """
        size = 2 + end - at + octets.count(_END, at, end) + octets.count(_ESC, at, end)
        if self._filled + size > self._capacity:
            return False
        stream = self._stream
        stream.seek(self._filled)
        stream.write(_END)
        one, other = _next(octets, _END, at, end), _next(octets, _ESC, at, end)
        while one < end or other < end:
            is_end = one < other
            until = one if is_end else other
            write_part(stream, octets, at, until - at)
            stream.write(_ESC_END if is_end else _ESC_ESC)
            at = until + 1
            if is_end:
                one = _next(octets, _END, at, end)
            else:
                other = _next(octets, _ESC, at, end)
        write_part(stream, octets, at, end - at)
        stream.write(_END)
        self._filled += size
        return True

    def peek(self, piece: bytearray) -> int:
        """Copy to `piece` what is to go out next; return how many octets that are, 0: nothing waits."""
        size = min(len(piece), self._filled - self._sent)
        if size:
            self._stream.seek(self._sent)
            read_part(self._stream, piece, size)
        return size

    def sent(self, count: int) -> None:
        """So many octets of what peek() showed have gone out."""
        self._sent += count
        if self._sent == self._filled:
            self._sent = self._filled = 0


def _next(octets, special: bytes, at: int, end: int) -> int:
    """Where the next `special` is, `end` if there is none."""
    found = octets.find(special, at, end)
    return end if found < 0 else found
