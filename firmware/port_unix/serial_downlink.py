"""A serial line with a device at its other end (kind "slip"): DHCP and packets in SLIP frames.

The kernel of this machine has no such line here, so a veth pair stands for it. Its near end is where the kernel takes
the device to be; what comes out of the far end goes onto the line. With an agent's care-of address, and at home, a
packet from the line goes in there, and all is as with a device on Ethernet: the session is registered like the others,
and the kernel routes its packets to the agent and from it. A board cannot have that, since the network stack there
drops what is not for itself: it registers with an address of its own, also where it hears an agent, and only the other
way is left, straight between the line and the tunnel, by the forwarder. Here that is the way whenever the node has a
tunnel.
"""

import asyncio
import os

from mip4.compat import const
from mip4.effects import AnswerDhcp
from mip4.errors import Malformed, MipError
from mip4.ip import Datagram
from mip4.tunnel import packet_end
from port_unix.devices import make_veth, set_up
from port_unix.downlink import Attachments
from port_unix.netlink import Netlink, error_name
from port_unix.offload import finish, is_finished
from port_unix.routes import Routes
from port_unix.sockets import FOR_OTHERS, NOTHING, PacketSocket
from port_unix.sysctl import settle_downlink, settle_own_link
from runtime.errors import KernelRefused
from runtime.forwarder import Forwarder
from runtime.slip_line import CLIENT_PORT, SERVER_PORT, SlipLine, dhcp_message, is_dhcp
from runtime.sockets import readable, would_block

_SCRIPT = __file__[: __file__.rindex("/")] + "/terminal.sh"
_FIRST = const(2)  # entourage2 and entourage3 are the first line's; own_link.py has the two before
_NOWHERE = b""  # the place of a device as the forwarder knows it: the line is all there is to say
_BATCH = const(32)  # reads per turn, so that a flood leaves room for timers
_QUEUE = const(65536)  # octets that may wait for the line
_PACKET = const(24)  # octets before it in a frame: struct virtio_net_hdr and an Ethernet header
_PAUSE_MS = const(1000)  # between looks for a device that is not there
_ENETDOWN = const(100)


class SerialDownlink(Attachments):
    """number: which of the lines it is, from 0."""

    def __init__(self, config: dict, number: int, netlink: Netlink, routes: Routes, forwarder: Forwarder, log):
        """Raises KernelRefused."""
        near, far = ["entourage%d" % (_FIRST + 2 * number + end) for end in (0, 1)]
        super().__init__(config["name"], near, routes)
        self._path = config["device"]
        self._baud = config["baud"]
        self._forwarder = forwarder
        self._log = log
        self._line = SlipLine(_QUEUE)
        self._runtime = None
        self._carried = False  # whether the forwarder has the packets, and not the kernel
        self._link_address = bytes((2, 0xE7, 0, 0, 1, 2 * number))  # of the near end
        if not routes.index_of(near):
            make_veth(netlink, (near, self._link_address), (far, bytes((2, 0xE7, 0, 0, 1, 2 * number + 1))))
        for name in (far, near):
            set_up(netlink, name)
        self.settled = settle_downlink(near) + settle_own_link(far)
        self._index = routes.index_of(near)
        self._frames = PacketSocket(NOTHING)
        self._frames.bind(routes.index_of(far), bytes((2, 0xE7, 0, 0, 1, 0xFF)))
        self._frames.listen(FOR_OTHERS)  # the neighbour's link address is the device's, which no end has

    def sources(self) -> list:
        """As Port.sources()."""
        return [
            ("line %s" % self.name, self.serve),
            ("out on line %s" % self.name, lambda runtime: self._line.drain()),
            ("kernel to line %s" % self.name, lambda runtime: self._bring_from_kernel()),
        ]

    async def serve(self, runtime) -> None:
        """The source of what the device says. Tells "downlink_up", "downlink_down" and "dhcp"."""
        self._runtime = runtime
        said = ""
        while True:
            try:
                self._line.begin(open_terminal(self._path, self._baud))
            except KernelRefused as error:  # an adapter that is not plugged in, which it may be at any time
                if str(error) != said:
                    said = str(error)
                    self._log.warning(said)
                await asyncio.sleep_ms(_PAUSE_MS)
                continue
            said = ""
            self._log.info("downlink %s up on %s" % (self.name, self._path))
            runtime.tell("downlink_up", self.name)
            await self._read()
            self._line.end()
            self._log.info("downlink %s down: %s is gone" % (self.name, self._path))
            runtime.tell("downlink_down", self.name)
            await asyncio.sleep_ms(_PAUSE_MS)

    async def _read(self) -> None:
        """Until the line is gone."""
        line = self._line
        while True:
            await readable(line.stream)
            for _ in range(_BATCH):
                try:
                    there = line.read(self._take)
                except OSError:  # EIO, of a terminal that has hung up
                    return
                if there is None:
                    return
                if not there:
                    break

    def _take(self, buffer: bytearray, start: int, end: int) -> None:
        """One packet from the line, with room before it."""
        try:
            end = packet_end(buffer, start, end)
            if is_dhcp(buffer, start, end):
                self._runtime.tell("dhcp", self.name, dhcp_message(buffer, start, end))
                return
        except (Malformed, MipError) as error:
            self._forwarder.drop(str(error))
            return
        session = self._forwarder.may_send(self, buffer, start + 12, _NOWHERE)
        if session is None:
            return
        if self._carried and not session.has_gateway(buffer, start + 16):
            self._forwarder.from_device(self, buffer, start, end, _NOWHERE)
            return
        try:
            self._frames.send_from(buffer, start, end, self._link_address)
        except OSError:
            self._forwarder.drop("kernel")

    async def _bring_from_kernel(self) -> None:
        frames = self._frames
        while True:
            await readable(frames.socket)
            for _ in range(_BATCH):
                try:
                    octets, _ = frames.receive_all()
                except OSError as error:
                    if not would_block(error) and error.errno != _ENETDOWN:
                        raise
                    break
                if is_finished(octets):
                    self._deliver_from_kernel(octets, _PACKET)
                else:
                    for packet in finish(octets):
                        self._deliver_from_kernel(bytes(packet), 0)

    def _deliver_from_kernel(self, octets: bytes, start: int) -> None:
        try:
            self.deliver(octets, start, len(octets), _NOWHERE)
        except OSError:
            self._forwarder.drop("downlink")

    def answer_dhcp(self, effect: AnswerDhcp) -> None:
        """Raises OSError."""
        datagram = Datagram(effect.source, SERVER_PORT, effect.destination, CLIENT_PORT, effect.datagram)
        packet = datagram.packet(64).encode()
        self.deliver(packet, 0, len(packet), _NOWHERE)

    def status(self) -> dict:
        found = super().status()
        found["device"] = self._path
        return found

    def carry(self, on: bool) -> None:
        """Whether packets of the device go to the forwarder and not by the kernel."""
        self._carried = on

    def place(self, link_address: bytes) -> bytes:
        """Where the forwarder is to believe the device to be."""
        return _NOWHERE

    def deliver(self, buffer, start: int, end: int, link_address: bytes) -> None:
        """As the forwarder's link. Raises OSError."""
        self._line.deliver(buffer, start, end, link_address)


def open_terminal(path: str, baud: int):
    """The terminal, raw and never blocking, since a line that is full must stop nobody. Raises KernelRefused."""
    try:
        if _shell("hold %s %d" % ("'%s'" % path.replace("'", "'\\''"), baud)):
            os.stat(path)
            raise KernelRefused("device %s: it is no serial line, or has not %d baud" % (path, baud))
        stream = open(path, "r+b")
    except OSError as error:
        raise KernelRefused("device %s: %s" % (path, error_name(error.errno)))
    if _shell("unblock %d" % stream.fileno()):
        stream.close()
        raise KernelRefused("device %s: no busybox and dd to make it non-blocking" % path)
    return stream


def _shell(words: str) -> int:
    return os.system("exec busybox sh '%s' %s" % (_SCRIPT, words))
