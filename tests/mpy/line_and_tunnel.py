"""Run on MicroPython: packets from one serial line to another, through the forwarder, by a tunnel on loopback or not.

Arguments: the two terminals, raw, and how many packets come; "tunnel" or "plain". Prints how many octets of garbage
they left behind, how many came through a second, and what was dropped.
"""

import gc
import sys
import time

from port_unix.serial_downlink import open_terminal
from port_unix.tunnel import IpInIp
from runtime.forwarder import Forwarder
from runtime.slip_line import SlipLine

HOME, OTHER, GATEWAY, HERE = 0x0A0A000B, 0x0A0A000C, 0x0A0A0001, 0x7F000001
WARM = 20  # packets
READY = b"ready"


class Link:
    def __init__(self, path):
        self.line = SlipLine(1 << 16)
        self.line.begin(open_terminal(path, 115200))

    def deliver(self, buffer, start, end, link_address):
        self.line.deliver(buffer, start, end, link_address)


class Way:
    """With a tunnel there are two nodes, one at each end of it."""

    def __init__(self, near, far, tunnelled):
        self.near, self.far = Link(near), Link(far)
        self.out, self.tunnel = Forwarder(2048), None
        self.out.attach(HOME, self.near, b"", GATEWAY, False)
        self.back = self.out
        if tunnelled:
            self.tunnel = IpInIp()
            self.tunnel.bind("lo")
            self.tunnel.use(HERE, True)
            self.back = Forwarder(2048)
            self.out.use(self.tunnel, HERE, "ipip", 0)
        self.back.attach(OTHER, self.far, b"", GATEWAY, False)
        self.take = self._take

    def _take(self, buffer, start, end):
        self.out.from_device(self.near, buffer, start, end, b"")

    def carry(self, packets):
        while self.back.received < packets:
            if self.far.line.flush():  # a reader that is slow shall cost time and no packets
                self.near.line.read(self.take)
            if self.tunnel is not None:
                self.tunnel.bring(self.back)


def main(near, far, packets, how):
    way = Way(near, far, how == "tunnel")
    way.far.line.stream.write(b"\xc0" + READY + b"\xc0")
    way.carry(WARM)
    gc.collect()
    gc.disable()
    before, began = gc.mem_alloc(), time.ticks_us()
    way.carry(packets)
    garbage, took = gc.mem_alloc() - before, time.ticks_diff(time.ticks_us(), began)
    while not way.far.line.flush():
        pass
    print(garbage, (packets - WARM) * 1000000 // took, way.out.dropped, way.back.dropped)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
