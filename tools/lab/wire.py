"""A long wire: `python -m tools.lab.wire 30 left right` hands frames from one interface to the other, 30 ms later.

In place of tc-netem(8), which not every kernel has. Frames pass as the kernel has them, unsegmented and with checksums
that nobody has filled in yet, because each is taken and given with its virtio header (packet(7), PACKET_VNET_HDR).
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import sys
import time
from collections import deque

from host_agents.runtime.notify import notify

_ETH_P_ALL = 3
_SOL_PACKET, _VNET_HEADER, _IGNORE_OUTGOING = 263, 15, 23
_LONGEST = 65536 + 64  # octets of a frame and its virtio header
_CAPACITY = 65536  # frames under way in one direction; more are lost, as on any wire
_BATCH = 64


class Direction:
    """source -> sink, `delay` seconds later."""

    def __init__(self, source: socket.socket, sink: socket.socket, delay: float) -> None:
        self._source = source
        self._sink = sink
        self._delay = delay
        self._under_way: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        """What has come in."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BATCH):
                frame = self._source.recv(_LONGEST)
                if len(self._under_way) < _CAPACITY:
                    self._under_way.append((time.monotonic() + self._delay, frame))

    def give(self) -> float | None:
        """What has been under way for long enough; returns the seconds until the next, None when there is none."""
        while self._under_way:
            due, frame = self._under_way[0]
            if (wait := due - time.monotonic()) > 0:
                return wait
            self._under_way.popleft()
            with contextlib.suppress(OSError):  # down, or full: lost
                self._sink.send(frame)
        return None


def end_of(interface: str) -> socket.socket:
    """Every frame that comes in there, and a way out. Raises OSError."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(_SOL_PACKET, _VNET_HEADER, 1)
    sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.setblocking(False)
    sock.bind((interface, _ETH_P_ALL))
    return sock


def carry(delay: float, left: socket.socket, right: socket.socket) -> None:
    """For ever. delay: seconds."""
    directions = [Direction(left, right, delay), Direction(right, left, delay)]
    with selectors.DefaultSelector() as selector:
        for source, direction in zip((left, right), directions, strict=True):
            selector.register(source, selectors.EVENT_READ, direction)
        while True:
            waits = [wait for direction in directions if (wait := direction.give()) is not None]
            for key, _ in selector.select(min(waits, default=None)):
                key.data.take()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ends = [end_of(interface) for interface in sys.argv[2:4]]
    notify("READY=1")
    carry(float(sys.argv[1]) / 1000, *ends)
