"""A link that devices attach to: DHCP here, and each home address a host route with its neighbour entry."""

from mip4.address import show
from mip4.const import ANY, BROADCAST
from mip4.effects import AnswerDhcp, Attach
from mip4.ip import Datagram
from port_unix.routes import Routes
from port_unix.sockets import FOR_US, NOTHING, PacketSocket, UdpSocket
from port_unix.sysctl import settle_downlink
from runtime.sockets import readable, would_block

_SERVER_PORT, _CLIENT_PORT = 67, 68  # RFC 2131 §4.1
_DATAGRAM = 1500
_ALL_STATIONS = b"\xff\xff\xff\xff\xff\xff"


class Attachments:
    """The home addresses that are behind one interface, as the kernel's routes and neighbours have them.

    name: what the engine calls the link. interface: the kernel's name of it.
    """

    def __init__(self, name: str, interface: str, routes: Routes):
        self.name = name
        self.interface = interface
        self._routes = routes
        self._index = 0
        self._attached = {}  # home address -> Attach

    def came_up(self) -> None:
        """Raises KernelRefused."""
        for effect in self._attached.values():  # the kernel drops routes of an interface that was shut
            self._install(effect)

    def went_down(self) -> None:
        """Whoever is attached stays so until the engine says otherwise."""

    def attach(self, effect: Attach) -> None:
        """Raises KernelRefused."""
        self._attached[effect.home_address] = effect
        if self._index:
            self._install(effect)

    def _install(self, effect: Attach) -> None:
        if effect.gateway:
            self._routes.put_address(self._index, effect.gateway, 32)
        self._routes.put_neighbour(self._index, effect.home_address, effect.link_address)
        self._routes.put_host(self._index, effect.home_address)

    def detach(self, home_address: int) -> None:
        """Forget it, if it is attached here; the gateway's address goes with the last one. Raises KernelRefused."""
        effect = self._attached.pop(home_address, None)
        if effect is None:
            return
        self._routes.remove_host(self._index, home_address)
        self._routes.remove_neighbour(self._index, home_address)
        if effect.gateway != ANY and not [1 for other in self._attached.values() if other.gateway == effect.gateway]:
            self._routes.remove_address(self._index, effect.gateway, 32)

    def status(self) -> dict:
        return {"name": self.name, "interface": self.interface, "attached": [show(one) for one in self._attached]}


class Downlink(Attachments):
    """One downlink of kind "ethernet"."""

    def __init__(self, config: dict, routes: Routes):
        """Raises KernelRefused."""
        super().__init__(config["name"], config["interface"], routes)
        self.frames = PacketSocket(NOTHING)
        self._server = UdpSocket(_SERVER_PORT)

    def appeared(self, index: int, link_address: bytes) -> list:
        """The interface is there, perhaps anew. Returns the settings changed. Raises KernelRefused."""
        self._index = index
        changed = settle_downlink(self.interface)
        self.frames.bind(index, link_address)
        self._server.bind(self.interface)
        return changed

    async def serve(self, runtime) -> None:
        """The source of DHCP messages. Tells "dhcp"."""
        while True:
            await readable(self._server.socket)
            try:
                octets = self._server.socket.recv(_DATAGRAM)
            except OSError as error:
                if not would_block(error):
                    raise
                continue
            runtime.tell("dhcp", self.name, octets)

    def answer_dhcp(self, effect: AnswerDhcp) -> None:
        """In a frame of our own: the device has no address yet that ARP could find (RFC 2131 §4.1). Raises OSError."""
        hardware_address = effect.datagram[28:34]
        link_address = _ALL_STATIONS if effect.destination == BROADCAST else hardware_address
        datagram = Datagram(effect.source, _SERVER_PORT, effect.destination, _CLIENT_PORT, effect.datagram)
        self.frames.send(link_address, datagram.packet(64).encode())

    def carry(self, on: bool) -> None:
        """Whether packets of devices go to the forwarder and not by the kernel. Raises OSError, KernelRefused."""
        self.frames.listen(FOR_US if on else NOTHING)
        if on:
            self._routes.put_blind_rule(self.interface)
        else:
            self._routes.remove_blind_rule(self.interface)

    def place(self, link_address: bytes) -> bytes:
        """Where the forwarder is to believe a device with this link address to be."""
        return link_address

    def deliver(self, buffer: bytearray, start: int, end: int, link_address: bytes) -> None:
        """As the forwarder's link. Raises OSError."""
        self.frames.send_from(buffer, start, end, link_address)
