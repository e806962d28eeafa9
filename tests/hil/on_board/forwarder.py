# On the board: packets between a serial line and a tunnel, through SLIP and the forwarder as they are, with octets in
# memory for the line and a counter for the tunnel. How many a second, and what each leaves on the heap.
import gc
import io
import time

from mip4.ip import Datagram
from mobile_node.slip import SlipEncoder
from runtime.forwarder import ROOM, Forwarder
from runtime.slip_line import SlipLine

HOME, OTHER, GATEWAY, CN, HOME_AGENT = 0x0A0A000B, 0x0A0A000C, 0x0A0A0001, 0xC6336402, 0xC0000201
WARM, PACKETS = 10, 40


class Stream:
    # Brings `octets` again and again, and takes whatever is written
    def __init__(self, octets):
        self._octets = io.BytesIO(octets)
        self.written = 0

    def readinto(self, buffer):
        count = self._octets.readinto(buffer)
        if not count:
            self._octets.seek(0)
            return None
        return count

    def write(self, buffer, at, size):
        self.written += size
        return size


class Tunnel:
    def __init__(self):
        self.carried = 0

    def carry(self, buffer, start, end):
        self.carried += end - start


class Link:
    def __init__(self, line):
        self._line = line

    def deliver(self, buffer, start, end, link_address):
        self._line.deliver(buffer, start, end, link_address)


def datagram(source, destination, size):
    # One octet in 128 is special on a line, as in anything that is compressed or encrypted
    payload = bytes([number * 7 & 0xFF for number in range(size - 28)])
    return Datagram(source, 5000, destination, 5001, payload).packet(64).encode()


class Path:
    # From a line to the tunnel ("out"), from the tunnel to the line ("in"), or from one line to another ("across")
    def __init__(self, name, size):
        packet = datagram(CN if name == "in" else HOME, {"in": HOME, "across": OTHER}.get(name, CN), size)
        encoder, framed = SlipEncoder(2 * size + 2), bytearray(2 * size + 2)
        encoder.put(packet, 0, size)
        self._stream = Stream(framed[: encoder.peek(framed)])
        self._line, self._other = SlipLine(), SlipLine()
        self._line.begin(self._stream)
        self._other.begin(Stream(b""))
        self._link = Link(self._line)
        self._tunnel = Tunnel()
        self._buffer = bytearray(ROOM + size)
        self._buffer[ROOM:] = packet
        self._fresh = bytes(self._buffer[ROOM : ROOM + 20])
        self.forwarder = Forwarder(2048)
        self.forwarder.attach(HOME, self._link, b"", GATEWAY, False)
        self.forwarder.attach(OTHER, Link(self._other), b"", GATEWAY, False)
        self.forwarder.use(self._tunnel, HOME_AGENT, "ipip", 0)
        self._take = self._from_line  # made once: a bound method is an object
        self._in = name == "in"

    def _from_line(self, buffer, start, end):
        self.forwarder.from_device(self._link, buffer, start, end, b"")

    def carry(self, count):
        while count:
            if self._in:
                self._buffer[ROOM + 8] = 64  # its TTL was counted down, and its checksum mended, the last time
                self._buffer[ROOM + 10] = self._fresh[10]
                self._buffer[ROOM + 11] = self._fresh[11]
                self.forwarder.from_tunnel(self._buffer, ROOM, len(self._buffer), 0)
            else:
                while self._line.read(self._take):
                    pass
            count -= 1


def measure(name, size):
    # [packets carried, octets of garbage in all, packets a second]
    path = Path(name, size)
    path.carry(WARM)
    gc.collect()
    gc.disable()
    before, began = gc.mem_alloc(), time.ticks_us()
    path.carry(PACKETS)
    took, left = time.ticks_diff(time.ticks_us(), began), gc.mem_alloc() - before
    gc.enable()
    carried = path.forwarder.sent + path.forwarder.received - WARM
    return [carried, left, PACKETS * 1000000 // took]
