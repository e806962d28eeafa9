"""A mobile node's engine with its uplink and the devices behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mip4 import effects as node_effects
from mip4.const import ALL_ROUTERS, PORT, PROTO_ICMP, PROTO_UDP
from mip4.discovery import AgentSolicitation
from mip4.ip import Datagram, Packet
from mobile_node.mobile_node import MobileNode
from tests.helpers.builders import GATEWAY, HOME_AGENT, NTP_2026, a_dhcp_message, a_node_config
from tests.helpers.gateway import DHCP_DELAY
from tests.helpers.station import LINK_DELAY, Station

if TYPE_CHECKING:
    from tests.helpers.world import World


class NodeStation(Station):
    """A mobile node, its uplink at one of the foreign agents or nowhere, and the devices behind it."""

    def __init__(self, world: World, number: int, changes: dict[str, Any]) -> None:
        super().__init__(world)
        self.name = f"mn{number}"
        self.link_address = bytes((2, 0, 0, 0, 1, number))
        self.clock = changes.pop("ntp_ms", NTP_2026)
        self.config = a_node_config(**changes)
        self.gateway = GATEWAY
        self.remembered: list[list[str]] = []
        self.makes_tunnels = True
        self.at: str | None = None
        self.boot()

    def boot(self) -> None:
        """Power on: all that is left is what Remember asked to keep. A node without a clock starts at nought."""
        self._began = self.world.now
        ntp_ms = self.clock + self.world.now if self.clock else 0
        self.attached: dict[int, str] = {}
        self.router: int = 0
        self.address = 0
        self.dhcp_answers: list[bytes] = []
        self.engine = MobileNode(self.config, ntp_ms, b"%s %d" % (self.name.encode(), self.world.now), self.remembered)
        self.tunnel: Any = None
        self.hands_in = False
        self.at_home = False  # whether it answers ARP on its uplink
        self.run(self.engine.start(0))
        if self.at is not None:
            self._arrive(self.at)

    @property
    def now(self) -> int:
        return self.world.now - self._began

    def deadline(self) -> int | None:
        deadline = self.engine.deadline()
        return None if deadline is None else deadline + self._began

    def wake(self) -> None:
        self.run(self.engine.wake(self.now))

    def move(self, to: str | None) -> None:
        """The uplink leaves where it is and comes up at another foreign agent's link, or stays down."""
        if self.at is not None:
            self._get_address(0)
            self.run(self.engine.link_down(self.now))
        self.at = to
        if to is not None:
            self._arrive(to)

    def _arrive(self, at: str) -> None:
        """DHCP takes its time. Where there are agents nobody gives addresses, unless a test does."""
        self.run(self.engine.link_up(self.now))
        gateway = self.world.gateways.get(at)
        if gateway is not None:
            self.world.at(self.world.now + DHCP_DELAY, lambda: self.at == at and self._get_address(gateway.address))

    def _get_address(self, address: int) -> None:
        if address != self.address:
            self.address = address
            self.run(self.engine.address(address, self.now))

    def device(self, kind: int, link_address: bytes, **fields: Any) -> None:
        """A device on downlink `down0` sends a DHCP message."""
        self.run(self.engine.dhcp("down0", a_dhcp_message(kind, link_address, **fields), self.now))

    def frame(self, link: str, octets: bytes, link_address: bytes) -> None:
        if self.at != link:
            return
        packet = Packet.decode(octets)
        if packet.protocol == PROTO_UDP:
            datagram = Datagram.decode(packet)
            self.run(self.engine.receive(datagram.payload, datagram.source, self.now))
        else:
            self.run(self.engine.heard(octets, link_address, self.now))

    def run(self, effects: list[Any]) -> None:
        for effect in effects:
            self._run(effect)
        asked = [one.kind for one in effects if isinstance(one, node_effects.UseTunnel)]
        if asked and asked[-1] and not self.makes_tunnels:
            self.run(self.engine.no_tunnel("out of tunnels", self.now))

    def _run(self, effect: Any) -> None:
        if isinstance(effect, node_effects.Solicit):
            self._up(Packet(0, ALL_ROUTERS, PROTO_ICMP, 1, AgentSolicitation().encode()))
        elif isinstance(effect, node_effects.Send) and not effect.link_address:
            assert effect.destination == HOME_AGENT
            self.world.gateways[self.at or ""].to_home_agent(self, effect.datagram)
        elif isinstance(effect, node_effects.SendTunnelled):
            assert self.tunnel.kind == "udp"
            self.world.gateways[self.at or ""].to_home_agent(self, effect.packet, packet=True)
        elif isinstance(effect, node_effects.Send):
            assert self.at_home == (self.at == "home")  # ARP first, then the request (RFC 5944 §4.6)
            datagram = Datagram(effect.source, PORT, effect.destination, PORT, effect.datagram)
            self._up(datagram.packet(ttl=255))
        elif isinstance(effect, node_effects.UseAgent):
            self.router, self.tunnel, self.hands_in = effect.address, None, False
        elif isinstance(effect, node_effects.HandIn):
            assert (effect.address, self.tunnel) == (self.router, None)
            self.hands_in = True
        elif isinstance(effect, node_effects.UseHomeLink):
            assert self.at == "home"
            self.router, self.tunnel, self.hands_in, self.at_home = GATEWAY, None, False, True
        elif isinstance(effect, node_effects.LeaveHomeLink):
            self.at_home = False
        elif isinstance(effect, node_effects.UseTunnel):
            self.router, self.tunnel, self.hands_in = 0, effect, False
        elif isinstance(effect, node_effects.Attach):
            self.attached[effect.home_address] = effect.downlink
        elif isinstance(effect, node_effects.Detach):
            del self.attached[effect.home_address]
        elif isinstance(effect, node_effects.AnswerDhcp):
            self.dhcp_answers.append(effect.datagram)
        elif isinstance(effect, node_effects.Remember):
            self.remembered = effect.sessions
        else:
            self.note(effect)

    def _up(self, packet: Packet) -> None:
        octets = packet.encode()
        if self.at == "home":
            self.world.home_link.heard(self, octets)
        station = self.world.foreign_agents.get(self.at or "")
        if station is None:
            return
        self.world.carry(self.name, station.name, LINK_DELAY, octets, partial(station.heard, self.link_address, octets))

    def sessions(self) -> dict[str, tuple[str, str | None]]:
        """sub-NAI -> (state, home address)."""
        return {one["sub_nai"]: (one["state"], one["home_address"]) for one in self.engine.status(self.now)["sessions"]}

    def sub_nai_of(self, link_address: bytes) -> str:
        """Of the session of a device, "" if it has none."""
        session = self.engine._sessions.find_link(link_address)
        return "" if session is None else session.sub_nai

    def address_of_device(self, link_address: bytes) -> int:
        """What a device was given, 0 for nothing."""
        session = self.engine._sessions.find_link(link_address)
        return 0 if session is None else session.attached

    def registration(self, sub_nai: str) -> Any:
        return next(session.registration for session in self.engine._sessions if session.sub_nai == sub_nai)

    def home_address(self, sub_nai: str) -> int:
        return next(session.attached for session in self.engine._sessions if session.sub_nai == sub_nai)
