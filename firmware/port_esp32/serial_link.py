"""A serial port with one device at its other end: DHCP and packets in SLIP frames, a link of the forwarder."""

import asyncio

from mip4.address import show
from mip4.effects import AnswerDhcp, Attach
from mip4.errors import Malformed, MipError
from mip4.ip import Datagram
from mip4.tunnel import packet_end
from port_esp32.chip import Chip
from port_esp32.uart import open_uart
from runtime.errors import KernelRefused
from runtime.slip_line import CLIENT_PORT, SERVER_PORT, SlipLine, dhcp_message, is_dhcp
from runtime.sockets import readable

_BUFFER = 4096  # of the driver, each way
_BATCH = 8  # reads per turn
_NOWHERE = b""  # the place of a device as the forwarder knows it: the line is all there is to say


class SerialLink:
    """name: what the engine calls it."""

    def __init__(self, config: dict, chip: Chip, forwarder):
        """Raises KernelRefused."""
        self.name = config["name"]
        self._port = config["port"]
        self._forwarder = forwarder
        self._runtime = None
        self._attached = []
        self._line = SlipLine()
        number, *usual = chip.uart
        pins = config["pins"] or usual
        self._line.begin(_usb() if self._port == "usb" else open_uart(number, pins, config["baud"], _BUFFER))

    def sources(self) -> list:
        """As port.py's."""
        return [
            ("line %s" % self.name, self.serve),
            ("out on line %s" % self.name, lambda runtime: self._line.drain()),
        ]

    async def serve(self, runtime) -> None:
        """The source of what the device says. Tells "downlink_up" and "dhcp".

        Nothing tells whether anybody is there: a device that is gone stops asking, and its lease ends.
        """
        self._runtime = runtime
        runtime.tell("downlink_up", self.name)
        while True:
            await readable(self._line.stream)
            for _ in range(_BATCH):
                if not self._line.read(self._take):
                    break
            # A port that was readable for nothing must not keep the others from their turn
            await asyncio.sleep_ms(0)

    def _take(self, buffer: bytearray, start: int, end: int) -> None:
        """One packet from the line, with room before it."""
        try:
            end = packet_end(buffer, start, end)
            if is_dhcp(buffer, start, end):
                self._runtime.tell("dhcp", self.name, dhcp_message(buffer, start, end))
            else:
                self._forwarder.from_device(self, buffer, start, end, _NOWHERE)
        except (Malformed, MipError) as error:
            self._forwarder.drop(str(error))

    def answer_dhcp(self, effect: AnswerDhcp) -> None:
        """Raises OSError."""
        datagram = Datagram(effect.source, SERVER_PORT, effect.destination, CLIENT_PORT, effect.datagram)
        packet = datagram.packet(64).encode()
        self.deliver(packet, 0, len(packet), _NOWHERE)

    def deliver(self, buffer, start: int, end: int, link_address: bytes) -> None:
        """As the forwarder's link. Raises OSError."""
        self._line.deliver(buffer, start, end, link_address)

    def attach(self, effect: Attach) -> None:
        self._forwarder.attach(effect.home_address, self, _NOWHERE, effect.gateway, False)
        self._attached.append(effect.home_address)

    def detach(self, home_address: int) -> None:
        self._forwarder.detach(home_address)
        self._attached = [one for one in self._attached if one != home_address]

    def status(self) -> dict:
        return {
            "name": self.name,
            "kind": "slip",
            "port": self._port,
            "attached": [show(one) for one in self._attached],
        }


def _usb():
    """A port of its own beside the prompt, from micropython-lib's usb-device-cdc. Raises KernelRefused."""
    try:
        # Not on every board, and there is no other way to ask whether mip has brought it
        cdc = __import__("usb.device.cdc", None, None, ("CDCInterface",))
        device = __import__("usb.device", None, None, ("get",))
        port = cdc.CDCInterface(timeout=0, txbuf=_BUFFER, rxbuf=_BUFFER)
        device.get().init(port, builtin_driver=True)
    except Exception as error:
        raise KernelRefused("USB port: %r: mpremote mip install usb-device-cdc" % error)
    return port
