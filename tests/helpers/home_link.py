"""The home network as a link of its own: the home agent advertises there, and nodes are at home."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from host_agents.effects import SendFrame
from host_agents.home_agent.advertiser import Advertiser
from mip4.const import PORT, PROTO_ICMP
from mip4.ip import Datagram, Packet
from tests.helpers.builders import GATEWAY, HOME_AGENT
from tests.helpers.station import LINK_DELAY, Station, link_address_of

if TYPE_CHECKING:
    from tests.helpers.node_station import NodeStation
    from tests.helpers.world import World


class HomeLink(Station):
    """As far as its nodes and the home agent hear each other on it."""

    name = "home"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._policy = world.home_agent.policy
        self._network = replace(self._policy.networks[0], interface="home0", address=GATEWAY)
        self.reboot()

    def reboot(self) -> None:
        """The home agent begins to advertise anew."""
        self._advertiser = Advertiser(self._policy, self._network, self.world.now)

    def deadline(self) -> int | None:
        """Nobody advertises to an empty link here, so that a quiet world stays quiet."""
        return self._advertiser.due if self._is_up() and self._nodes() else None

    def wake(self) -> None:
        self._send(self._advertiser.advertise(False, self.world.now))

    def heard(self, node: NodeStation, octets: bytes) -> None:
        """A node's packet, with the home agent's link address for its destination."""
        self.world.carry(node.name, "ha", LINK_DELAY, octets, partial(self._heard, node.link_address, octets))

    def from_home_agent(self, address: int, datagram: bytes) -> bool:
        """What the home agent sends to a home address goes out here; whoever answers ARP for it gets it."""
        there = [node for node in self._nodes() if node.at_home and address in (*node.attached, node.address)]
        for node in there:
            arrive = partial(self._arrive, node, datagram)
            self.world.carry("ha", node.name, LINK_DELAY, datagram, arrive)
        return bool(there)

    def _arrive(self, node: NodeStation, datagram: bytes) -> None:
        if node.at == self.name:
            node.run(node.engine.receive(datagram, HOME_AGENT, node.now))

    def _heard(self, link_address: bytes, octets: bytes) -> None:
        if not self._is_up():
            return
        packet = Packet.decode(octets)
        if packet.protocol == PROTO_ICMP:
            for frame in self._advertiser.solicited(link_address, False, self.world.now):
                self._send(frame)
            return
        datagram = Datagram.decode(packet)
        assert datagram.destination == HOME_AGENT
        self.world.home_agent.receive(datagram.payload, datagram.source, PORT)

    def _send(self, effect: SendFrame) -> None:
        for node in self._nodes():
            if effect.link_address in (node.link_address, b"\x01\x00\x5e\x00\x00\x01"):
                arrive = partial(node.frame, self.name, effect.packet, link_address_of(GATEWAY))
                self.world.carry("ha", node.name, LINK_DELAY, effect.packet, arrive)

    def _nodes(self) -> list[Any]:
        return [node for node in self.world.nodes if node.at == self.name]

    def _is_up(self) -> bool:
        return bool(self.world.home_agent.up)
