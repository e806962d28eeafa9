"""Visited networks without an agent: nodes get an address there, and a router that may translate it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mip4.address import parse
from mip4.const import PORT
from tests.helpers.builders import HOME_AGENT
from tests.helpers.station import INTERNET_DELAY

if TYPE_CHECKING:
    from tests.helpers.node_station import NodeStation
    from tests.helpers.world import World

NAT_OUTSIDE = parse("203.0.113.130")
DHCP_DELAY = 50  # ms until a node has its address


class Gateway:
    """outside: the address that all behind it share, 0 where nothing is translated. address: what a node gets here."""

    def __init__(self, world: World, name: str, address: int, outside: int) -> None:
        self.world = world
        self.name = name
        self.address = address
        self.outside = outside
        self._ports: dict[str, int] = {}  # node -> outside port
        self._next_port = 61001

    def rebind(self) -> None:
        """The translator forgets everybody; whoever sends again gets another port."""
        self._ports.clear()

    def to_home_agent(self, node: NodeStation, datagram: bytes, packet: bool = False) -> None:
        """A node's UDP payload from port 434, or a packet in its tunnel."""
        source, port = node.address, PORT
        if self.outside:
            if node.name not in self._ports:
                self._ports[node.name] = self._next_port
                self._next_port += 1
            source, port = self.outside, self._ports[node.name]
        take = self.world.home_agent.tunnelled if packet else self.world.home_agent.receive
        self.world.carry(node.name, "ha", INTERNET_DELAY, datagram, partial(take, datagram, source, port))

    def from_home_agent(self, address: int, port: int, datagram: bytes, packet: bool = False) -> bool:
        """What the home agent sends to address:port, if that is anybody here, or nobody any more."""
        if address == self.outside:
            names = [name for name, known in self._ports.items() if known == port]
        else:
            names = [node.name for node in self.world.nodes if node.at == self.name and node.address == address]
        for node in self.world.nodes:
            if node.name in names:
                arrive = partial(self._arrive, node, datagram, packet)
                self.world.carry("ha", node.name, INTERNET_DELAY, datagram, arrive)
        return address == self.outside or bool(names)

    def _arrive(self, node: NodeStation, datagram: bytes, packet: bool) -> None:
        if node.at == self.name:
            said = node.engine.tunnelled(datagram, node.now) if packet else None
            node.run(node.engine.receive(datagram, HOME_AGENT, node.now) if said is None else said)
