"""A serial line with one device at its other end, as a link of the forwarder: SLIP over what a port opens."""

import asyncio
import errno

from mip4.compat import const
from mip4.const import PROTO_UDP
from mip4.ip import Datagram, Packet
from mobile_node.slip import SlipDecoder, SlipEncoder
from runtime.forwarder import ROOM
from runtime.sockets import writable

SERVER_PORT, CLIENT_PORT = const(67), const(68)  # RFC 2131 §4.1
_LONGEST = const(1500)
_QUEUE = const(4512)  # three packets of the longest, with what SLIP adds to ordinary octets
_PIECE = const(256)  # octets that are read or written at once


class SlipLine:
    """Deaf and mute until begin().

    queue: octets that may wait for the line. A packet that finds no room is lost, as on any link.
    """

    def __init__(self, queue: int = _QUEUE):
        self.stream = None
        self._waits = asyncio.Event()
        self._decoder = SlipDecoder(_LONGEST, ROOM)
        self._encoder = SlipEncoder(queue)
        self._chunk = bytearray(_PIECE)
        self._piece = bytearray(_PIECE)

    def begin(self, stream) -> None:
        """stream: non-blocking, with readinto() and write(octets, at, size), which give None where they would block."""
        self.stream = stream
        self._decoder = SlipDecoder(_LONGEST, ROOM)

    def end(self) -> None:
        """The line is gone, and what waits for it."""
        self.stream.close()
        self.stream = None
        self._encoder.sent(len(self._encoder))

    def read(self, take) -> bool | None:
        """Take what the line has brought by now: take(buffer, start, end) for each packet, in place, with ROOM before.

        False: nothing is there to read. None: the other end is gone. Raises OSError.
        """
        chunk, decoder = self._chunk, self._decoder
        count = self.stream.readinto(chunk)
        if not count:
            return None if count == 0 else False
        at = 0
        while at < count:
            at = decoder.take(chunk, at, count)
            if decoder.size:
                take(decoder.packet, ROOM, ROOM + decoder.size)
        return True

    def deliver(self, buffer: bytearray, start: int, end: int, link_address: bytes) -> None:
        """As the forwarder's link; there is one device alone, whatever its address. Raises OSError."""
        if self.stream is None or not self._encoder.put(buffer, start, end):
            raise OSError(errno.ENOBUFS)
        if not self.flush():
            self._waits.set()

    def flush(self) -> bool:
        """Write what the line takes now; whether that was all. Raises OSError."""
        encoder, piece = self._encoder, self._piece
        size = encoder.peek(piece)
        while size:
            written = self.stream.write(piece, 0, size)
            if not written:
                return False
            encoder.sent(written)
            size = encoder.peek(piece)
        return True

    async def drain(self) -> None:
        """For ever: write what waits, as soon as the line takes it."""
        while True:
            await self._waits.wait()
            self._waits.clear()
            try:
                while self.stream is not None and not self.flush():
                    await writable(self.stream)
            except OSError:
                pass  # the line is gone, which whoever reads it will notice


def is_dhcp(octets, start: int, end: int) -> bool:
    """Whether a packet from the device is for a DHCP server: what it says before it has an address, and to renew."""
    ports = start + (octets[start] & 15) * 4
    return (
        end - ports >= 8
        and octets[start + 9] == PROTO_UDP
        and octets[ports + 2] << 8 | octets[ports + 3] == SERVER_PORT
        and octets[ports] << 8 | octets[ports + 1] == CLIENT_PORT
    )


def dhcp_message(octets, start: int, end: int) -> bytes:
    """The message in such a packet. Raises MipError."""
    return Datagram.decode(Packet.decode(bytes(octets[start:end]))).payload
