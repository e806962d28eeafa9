"""The link on which the node is its own device: a veth pair whose far end is the forwarder.

The kernel routes what the node's applications send into the near end; what the tunnel brings for them comes out of it.
"""

from mip4.compat import const
from port_unix.devices import make_veth, set_up
from port_unix.netlink import Netlink
from port_unix.routes import Routes
from port_unix.sockets import FOR_OTHERS, NOTHING, PacketSocket
from port_unix.sysctl import settle_own_link

NEAR, FAR = "entourage0", "entourage1"
LINK_ADDRESS = b"\x02\xe7\x00\x00\x00\x00"  # of the near end; a session of the node's own is there
_FAR_LINK_ADDRESS = b"\x02\xe7\x00\x00\x00\x01"
_NOBODY = b"\x02\xe7\x00\x00\x00\x02"  # the next hop's: what is for the far end itself, the kernel there would take
_GATEWAY = const(0xC000000A)  # 192.0.0.10: it has to have an address (RFC 7723 §4.1 keeps it from all others)


class OwnLink:
    """Needed only where there are sessions of the node's own whose packets may have to be tunnelled here."""

    def __init__(self, netlink: Netlink, routes: Routes):
        """Raises KernelRefused."""
        if not routes.index_of(NEAR):
            make_veth(netlink, (NEAR, LINK_ADDRESS), (FAR, _FAR_LINK_ADDRESS))
        for name in (FAR, NEAR):
            set_up(netlink, name)
        self.settled = settle_own_link(NEAR) + settle_own_link(FAR)
        self.index = routes.index_of(NEAR)
        self.frames = PacketSocket(NOTHING)
        self.frames.bind(routes.index_of(FAR), _NOBODY)
        self._routes = routes

    def carry(self, on: bool, source: int) -> None:
        """Take what the node sends by default, with `source` as its address. Raises OSError, KernelRefused."""
        self.frames.listen(FOR_OTHERS if on else NOTHING)
        if on:
            self._routes.put_neighbour(self.index, _GATEWAY, _NOBODY)
            self._routes.put_default(self.index, _GATEWAY, source)

    def deliver(self, view, start: int, end: int, link_address: bytes) -> None:
        """As the forwarder's link. Raises OSError."""
        self.frames.send_from(view, start, end, link_address)
