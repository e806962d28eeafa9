"""Packets from line to line under the real MicroPython, on terminals and raw sockets of the kernel's."""

from __future__ import annotations

import os
import pty
import threading
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from mip4.address import parse
from mip4.ip import Datagram
from mobile_node.slip import SlipDecoder, SlipEncoder

SCRIPT = Path(__file__).parent / "line_and_tunnel.py"
HOME, OTHER = parse("10.10.0.11"), parse("10.10.0.12")
PACKETS = 400
READY = b"ready"  # the script's first word, once it has made both lines what they have to be


class Wires:
    """Both ends of two serial lines. What comes out of the far one is collected until `count` packets are there."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.came: list[bytes] = []
        self._ends = [pty.openpty() for _ in range(2)]
        for _, terminal in self._ends:
            tty.setraw(terminal)
        self.paths = [os.ttyname(terminal) for _, terminal in self._ends]
        self._ready = threading.Event()

    def close(self) -> None:
        for pair in self._ends:
            for descriptor in pair:
                os.close(descriptor)

    def send(self, packets: list[bytes]) -> None:
        self._ready.wait(30)
        encoder, piece = SlipEncoder(1 << 20), bytearray(4096)
        for packet in packets:
            encoder.put(packet, 0, len(packet))
        while size := encoder.peek(piece):
            encoder.sent(os.write(self._ends[0][0], piece[:size]))

    def collect(self) -> None:
        decoder = SlipDecoder(1500)
        while len(self.came) < self.count:
            octets, at = os.read(self._ends[1][0], 4096), 0
            while at < len(octets):
                at = decoder.take(octets, at, len(octets))
                packet = bytes(decoder.packet[: decoder.size])
                if packet == READY:
                    self._ready.set()
                elif packet:
                    self.came.append(packet)


@pytest.mark.parametrize("how", ["tunnel", "plain"])
@pytest.mark.parametrize("size", [64, 1400])
def test_no_packet_leaves_anything_on_the_heap_and_all_arrive(
    on_micropython: Callable[..., str], how: str, size: int
) -> None:
    if how == "tunnel" and os.getuid() != 0:
        pytest.skip("raw sockets need root")
    payload = bytes(number * 7 % 256 for number in range(size - 28))
    packets = [Datagram(HOME, at, OTHER, 9, payload).packet(64).encode() for at in range(PACKETS)]
    wires = Wires(PACKETS)
    threads = [threading.Thread(target=wires.send, args=(packets,)), threading.Thread(target=wires.collect)]
    try:
        for thread in threads:
            thread.start()
        garbage, rate, *dropped = on_micropython(SCRIPT, *wires.paths, PACKETS, how).strip().split(maxsplit=2)
        for thread in threads:
            thread.join(30)
    finally:
        wires.close()

    print(f"{how}, {size} octets: {rate} packets a second from line to line")
    assert dropped == ["{} {}"]
    assert [one[20:] for one in wires.came] == [one[20:] for one in packets]
    assert int(garbage) == 0
