"""The node's link to the visited network: agents are heard and registrations sent here, in frames of our own making."""

from mip4.address import show
from mip4.const import ALL_ROUTERS, ANY, PORT, PROTO_ICMP
from mip4.discovery import AgentSolicitation
from mip4.effects import Dropped, HandIn, Send, UseAgent, UseTunnel
from mip4.errors import MipError, Unexpected
from mip4.ip import Datagram, Packet
from port_unix.dhcp_client import DhcpClient
from port_unix.home_arp import HomeArp
from port_unix.routes import Routes
from port_unix.sockets import SIGNALLING, PacketSocket
from port_unix.sysctl import settle_home_link, settle_uplink
from port_unix.tunnel import Gre, HandingIn, IpInIp, UdpTunnel
from runtime.sockets import readable, would_block

_ALL_ROUTERS_LINK = b"\x01\x00\x5e\x00\x00\x02"  # RFC 1112 §6.4
# The next hop at home. Its true address may be the gateway's, which the kernel refuses to route by, since it is ours on
# the downlinks; 192.0.0.10 is nobody's (RFC 7723 §4.1).
_HOME_ROUTER = 0xC000000A
_ENETDOWN = 100  # what a packet socket says once when its interface goes


class Uplink:
    """One uplink. A device's bulk traffic passes it inside the kernel; Python sees signalling alone."""

    def __init__(self, config: dict, log):
        """Raises KernelRefused."""
        self.interface = config["interface"]
        self._log = log
        self._static = config["address"] if isinstance(config["address"], tuple) else None
        self._client = DhcpClient(self.interface) if config["address"] == "dhcp" else None
        self._frames = PacketSocket(SIGNALLING)
        self.arp = HomeArp()
        self.tunnels = {"udp": UdpTunnel(), "ipip": IpInIp(), "gre": Gre()}
        self._index = 0
        self._address = ANY  # the care-of side's address of the node, not a home address
        self._length = 0
        self._router = config["gateway"]  # of the visited network, for a node that is its own care-of address
        self._agent = UseAgent(ANY, b"", ANY)
        self._tunnel = UseTunnel(ANY, ANY, "", ANY, ANY)
        self._routes = None

    def use(self, routes: Routes) -> None:
        """Where addresses and routes go; made after the DHCP client, which must not inherit its socket."""
        self._routes = routes

    def appeared(self, index: int, link_address: bytes) -> list:
        """The interface is there, perhaps anew. Returns the settings changed. Raises KernelRefused."""
        self._index = index
        changed = settle_uplink(self.interface)
        self._frames.bind(index, link_address)
        self.arp.bind(index, link_address)
        for tunnel in self.tunnels.values():
            tunnel.bind(self.interface)
        self._routes.put_deaf_rule(self.interface)
        if self._static is not None:
            self.found_address(self._static[0], self._static[1], self._router)
        return changed

    def came_up(self) -> None:
        """The carrier is there. Raises KernelRefused."""
        if self._client is not None:
            self._client.start()
        if self._agent.address:  # the kernel drops routes of an interface that was shut
            self.use_agent(self._agent)
        elif self._tunnel.care_of_address:
            self._put_way()

    def went_down(self) -> None:
        """The carrier went: an address of that link means nothing on the next. Raises KernelRefused."""
        if self._client is not None:
            self._client.stop()
            self.found_address(ANY, 0, ANY)

    def found_address(self, address: int, length: int, router: int) -> None:
        """Take the address, instead of the former one; ANY: have none. Raises KernelRefused."""
        former, former_length = self._address, self._length
        self._address, self._length, self._router = address, length, router
        # First away with the former one: the kernel takes all further addresses of a prefix with its first
        if former and (former, former_length) != (address, length):
            self._routes.remove_address(self._index, former, former_length)
        if address:
            self._routes.put_address(self._index, address, length)
        if former != address:
            said = "address=%s/%d" % (show(address), length) if address else "without an address"
            self._log.info("uplink %s %s" % (self.interface, said))

    @property
    def own_address(self) -> int:
        """What can be a care-of address: an address with a router beyond the link. ANY if there is none."""
        return self._address if self._router else ANY

    @property
    def source(self) -> int:
        """The home address that the node's own packets have by way of the agent, ANY without one."""
        return self._agent.source

    async def lease(self, changed) -> None:
        """The source of addresses; changed() after each. Ends at once where the configuration asks for no DHCP."""
        if self._client is not None:
            await self._client.follow(lambda *lease: (self.found_address(*lease), changed()))

    async def hear(self, runtime) -> None:
        """The source of advertisements and registration replies. Tells "heard" and "receive"."""
        while True:
            await readable(self._frames.socket)
            try:
                packet, link_address, checked = self._frames.receive()
            except OSError as error:
                if not would_block(error) and error.errno != _ENETDOWN:
                    raise
                continue
            self._take(runtime, packet, link_address, checked)

    def _take(self, runtime, octets: bytes, link_address: bytes, checked: bool) -> None:
        if octets[9] == PROTO_ICMP:
            runtime.tell("heard", octets, link_address)
            return
        try:
            datagram = Datagram.decode(Packet.decode(octets), checked)
            if datagram.source_port != PORT:
                raise Unexpected("a registration message from UDP port %d" % datagram.source_port)
        except MipError as error:
            runtime.run_effects([Dropped(error, int.from_bytes(octets[12:16], "big"))])
            return
        runtime.tell("receive", datagram.payload, datagram.source)

    def solicit(self) -> None:
        """Raises OSError."""
        message = AgentSolicitation().encode()
        packet = Packet(self._address, ALL_ROUTERS, PROTO_ICMP, 1, message)
        self._frames.send(_ALL_ROUTERS_LINK, packet.encode())

    def send(self, effect: Send) -> None:
        """Raises OSError."""
        if not effect.link_address:
            self.tunnels["udp"].register(effect.destination, effect.datagram)
            return
        datagram = Datagram(effect.source or self._address, PORT, effect.destination, PORT, effect.datagram)
        self._frames.send(effect.link_address, datagram.packet(255).encode())

    def use_tunnel(self, effect: UseTunnel):
        """Make the way to the home agent; give the tunnel, None for kind "". Raises OSError, KernelRefused."""
        former, self._tunnel = self._tunnel, effect
        if former.home_agent and former.home_agent != effect.home_agent:
            self._routes.remove_way(self._index, former.home_agent)
        if self._agent.address:
            self._routes.remove_neighbour(self._index, self._agent.address)
            self._agent = UseAgent(ANY, b"", ANY)
        if not former.home_agent and effect.home_agent:  # packets of home addresses come through the tunnel alone
            self._routes.put_blind_rule(self.interface)
        elif former.home_agent and not effect.home_agent:
            self._routes.remove_blind_rule(self.interface)
        if effect.care_of_address:
            self._put_way()
        elif effect.home_agent:
            self._routes.remove_way(self._index, effect.home_agent)
        for kind, tunnel in self.tunnels.items():
            tunnel.use(effect.home_agent, effect.kind == kind)
        return self.tunnels.get(effect.kind)

    def hand_in(self, effect: HandIn) -> HandingIn:
        """The way to an agent that takes packets inside packets, as a tunnel of the forwarder."""
        return HandingIn(self._frames, effect.address, effect.link_address)

    def _put_way(self) -> None:
        self._routes.put_host(self._index, self._router)
        self._routes.put_way(self._index, self._tunnel.home_agent, self._router, self._tunnel.care_of_address)

    def put_default(self) -> None:
        """What is nobody's home address goes by the visited network's router. Raises KernelRefused."""
        self._routes.put_default(self._index, self._router, self._tunnel.care_of_address)

    def use_agent(self, effect: UseAgent) -> None:
        """Raises OSError, KernelRefused."""
        if self._tunnel.home_agent:
            self.use_tunnel(UseTunnel(ANY, ANY, "", ANY, ANY))
        former, self._agent = self._agent, effect
        if effect.address:
            self._routes.put_neighbour(self._index, effect.address, effect.link_address)
            self._routes.put_default(self._index, effect.address, effect.source)
        elif former.address:
            self._routes.remove_default(self._index, former.address)
        if former.address and former.address != effect.address:
            self._routes.remove_neighbour(self._index, former.address)

    def use_home_link(self, link_address: bytes, source: int) -> None:
        """Raises OSError, KernelRefused."""
        self.arp.begin()
        settle_home_link(self.interface, True)
        self.use_agent(UseAgent(_HOME_ROUTER, link_address, source))

    def leave_home_link(self) -> None:
        """Raises OSError, KernelRefused."""
        self.arp.end()
        settle_home_link(self.interface, False)

    def lose_source(self, home_address: int) -> None:
        """`home_address` is about to go: keep the default route, which would go with it. Raises KernelRefused."""
        if home_address and self._agent.source == home_address:
            self.use_agent(UseAgent(self._agent.address, self._agent.link_address, ANY))

    def status(self) -> dict:
        address = "%s/%d" % (show(self._address), self._length) if self._address else None
        return {"interface": self.interface, "address": address}
