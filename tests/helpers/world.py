"""Mobile nodes, foreign agents and a home agent: the engines, joined by links that lose and delay, and one clock.

No sockets, no disk, no kernel: what an engine asks for is noted, so that a test can look at it and live through a week.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any

from host_agents.effects import (
    ForgetIdentification,
    InstallDelivery,
    InstallTunnel,
    MobilityBinding,
    RemoveBinding,
    RemoveDelivery,
    RemoveTunnel,
    RemoveVisitor,
    SendDatagram,
    SendFrame,
    StoreBinding,
    StoreIdentification,
    StoreVisitor,
    Turn,
    Visitor,
)
from host_agents.foreign_agent.foreign_agent import ForeignAgent
from host_agents.home_agent.home_agent import HomeAgent
from mip4 import effects as node_effects
from mip4.address import show
from mip4.const import ALL_ROUTERS, PORT, PROTO_ICMP, PROTO_UDP
from mip4.discovery import AgentSolicitation
from mip4.errors import MipError
from mip4.ip import Datagram, Packet
from mobile_node.mobile_node import MobileNode
from tests.helpers.builders import (
    FOREIGN_AGENTS,
    HOME_AGENT,
    NTP_2026,
    a_dhcp_message,
    a_foreign_agent_policy,
    a_home_agent_policy,
    a_node_config,
)

_LINK_DELAY = 1  # ms
_INTERNET_DELAY = 10


class World:
    """One home agent, two foreign agents, mobile nodes that are added and moved. Time passes by pass_time() only."""

    def __init__(self, home_agent: dict[str, Any] | None = None, foreign_agents: dict[str, Any] | None = None) -> None:
        """Both: changes to what the builders make of the agents' policies."""
        self.now = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._losses: list[tuple[str, str]] = []
        self.dropped: list[tuple[str, MipError]] = []
        self.said: list[tuple[str, str]] = []
        self.home_agent = HomeAgentStation(self, home_agent or {})
        self.foreign_agents = {name: ForeignAgentStation(self, name, foreign_agents or {}) for name in FOREIGN_AGENTS}
        self.nodes: list[NodeStation] = []
        self.watch: Callable[[str, str, bytes], None] = lambda source, destination, datagram: None

    def add_node(self, at: str | None = "fa1", **changes: Any) -> NodeStation:
        node = NodeStation(self, len(self.nodes) + 1, changes)
        self.nodes.append(node)
        if at is not None:
            node.move(at)
        return node

    def pass_time(self, seconds: float) -> None:
        """Everything that is due in the next `seconds`, in order."""
        end = self.now + round(seconds * 1000)
        while True:
            due = [station.deadline() for station in self.stations()]
            times = [time for time in due if time is not None] + [entry[0] for entry in self._queue[:1]]
            first = max(self.now, min(times, default=end + 1))
            if first > end:
                break
            self.now = first
            if self._queue and self._queue[0][0] <= first:
                heapq.heappop(self._queue)[2]()
                continue
            for station in self.stations():
                deadline = station.deadline()
                if deadline is not None and deadline <= self.now:
                    station.wake()
        self.now = end

    def stations(self) -> list[Station]:
        return [self.home_agent, *self.foreign_agents.values(), *self.nodes]

    def carry(self, source: str, destination: str, delay: int, datagram: bytes, arrive: Callable[[], None]) -> None:
        """Deliver after `delay` ms, unless a test wants it lost."""
        self.watch(source, destination, datagram)
        if (source, destination) in self._losses:
            self._losses.remove((source, destination))
            return
        self.at(self.now + delay, arrive)

    def at(self, time: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, what))

    def lose_next(self, source: str, destination: str) -> None:
        """The next datagram between these two is lost."""
        self._losses.append((source, destination))

    def warnings(self) -> list[str]:
        return [text for level, text in self.said if level == "warning"]


class Station:
    """What stands on the world's clock. name: as in World.lose_next."""

    name = ""

    def __init__(self, world: World) -> None:
        self.world = world

    def deadline(self) -> int | None:
        raise NotImplementedError

    def wake(self) -> None:
        raise NotImplementedError

    def note(self, effect: Any) -> None:
        """Effects that are the same everywhere."""
        if isinstance(effect, node_effects.Dropped):
            self.world.dropped.append((self.name, effect.error))
        else:
            self.world.said.append((effect.level, effect.text))


class HomeAgentStation(Station):
    """The home agent with what it made durable and what it told the kernel."""

    name = "ha"

    def __init__(self, world: World, changes: dict[str, Any]) -> None:
        super().__init__(world)
        self.policy = a_home_agent_policy(**changes)
        self.rows: dict[tuple[str, str], MobilityBinding] = {}
        self.identifications: dict[tuple[str, str], int] = {}
        self.owners: dict[int, tuple[str, str]] = {}
        self.tunnels: dict[int, int] = {}
        self.refusing = ""
        self.up = True
        self.start(NTP_2026)

    def start(self, ntp_ms: int) -> None:
        """Begin with what is durable. ntp_ms: what the machine's clock says now."""
        self._began = self.world.now
        self.engine = HomeAgent(
            self.policy, ntp_ms, list(self.rows.values()), dict(self.identifications), list(self.owners.items())
        )
        self.up = True
        self.tunnels.clear()
        self.run(self.engine.start())

    def kill(self) -> None:
        self.up = False

    @property
    def now(self) -> int:
        return self.world.now - self._began

    def deadline(self) -> int | None:
        deadline = self.engine.deadline() if self.up else None
        return None if deadline is None else deadline + self._began

    def wake(self) -> None:
        self.run(self.engine.wake(self.now))

    def receive(self, datagram: bytes, source: int, port: int) -> None:
        if self.up:
            self.run(self.engine.receive(datagram, source, port, self.now))

    def run(self, turn: Turn) -> None:
        for effect in turn.effects:
            if isinstance(effect, InstallTunnel) and self.refusing:
                self.run(self.engine.refused(turn.session, self.refusing, self.now))  # type: ignore[arg-type]
                return
            self._run(effect)
        if turn.session is not None:
            self.run(self.engine.settled(turn.session, self.now))

    def _run(self, effect: object) -> None:
        if isinstance(effect, StoreBinding):
            binding = effect.binding
            assert all(
                row.home_address != binding.home_address or key == (binding.nai, binding.sub_nai)
                for key, row in self.rows.items()
            ), "one address, two sessions"
            self.rows[binding.nai, binding.sub_nai] = binding
            self.identifications[binding.nai, binding.sub_nai] = binding.identification
        elif isinstance(effect, RemoveBinding):
            session = (effect.binding.nai, effect.binding.sub_nai)
            self.rows.pop(session, None)
            self.owners.pop(effect.binding.home_address, None)
            self.owners[effect.binding.home_address] = session
        elif isinstance(effect, StoreIdentification):
            self.identifications[effect.nai, effect.sub_nai] = effect.identification
        elif isinstance(effect, ForgetIdentification):
            self.identifications.pop((effect.nai, effect.sub_nai), None)
        elif isinstance(effect, InstallTunnel):
            self.tunnels[effect.home_address] = effect.ends[0].remote
        elif isinstance(effect, RemoveTunnel):
            self.tunnels.pop(effect.home_address, None)
        elif isinstance(effect, SendDatagram):
            self._send(effect)
        else:
            self.note(effect)

    def _send(self, effect: SendDatagram) -> None:
        for station in self.world.foreign_agents.values():
            if station.policy.care_of_address == effect.destination:
                arrive = partial(station.receive, effect.datagram, HOME_AGENT, PORT)
                self.world.carry("ha", station.name, _INTERNET_DELAY, effect.datagram, arrive)

    def bindings(self) -> dict[str, tuple[str, str]]:
        """sub-NAI -> (home address, care-of address), dotted; every one durable and with its tunnel."""
        for binding in self.engine.bindings:
            assert self.rows[binding.nai, binding.sub_nai] == binding
            assert self.tunnels[binding.home_address] == binding.care_of_address
        assert len(self.rows) == len(self.tunnels) == len(self.engine.bindings)
        return {one.sub_nai: (show(one.home_address), show(one.care_of_address)) for one in self.engine.bindings}


class ForeignAgentStation(Station):
    """A foreign agent with its visited link."""

    def __init__(self, world: World, name: str, changes: dict[str, Any]) -> None:
        super().__init__(world)
        self.name = name
        self.policy = a_foreign_agent_policy(name, **changes)
        self.rows: dict[int, Visitor] = {}
        self.deliveries: dict[int, InstallDelivery] = {}
        self.up = True
        self.start()

    def start(self) -> None:
        self.engine = ForeignAgent(self.policy, list(self.rows.values()), self.world.now)
        self.up = True
        self.run(self.engine.start())

    def kill(self) -> None:
        self.up = False

    def deadline(self) -> int | None:
        return self.engine.deadline() if self.up else None

    def wake(self) -> None:
        self.run(self.engine.wake(self.world.now))

    def receive(self, datagram: bytes, source: int, port: int) -> None:
        if self.up:
            self.run(self.engine.receive(datagram, source, port, self.world.now))

    def heard(self, link_address: bytes, packet: bytes) -> None:
        if self.up:
            self.run(self.engine.heard("vis0", link_address, packet, True, self.world.now))

    def run(self, turn: Turn) -> None:
        for effect in turn.effects:
            self._run(effect)
        if turn.session is not None:
            self.run(self.engine.settled(turn.session, self.world.now))

    def _run(self, effect: object) -> None:
        if isinstance(effect, StoreVisitor):
            self.rows[effect.visitor.home_address] = effect.visitor
        elif isinstance(effect, RemoveVisitor):
            del self.rows[effect.visitor.home_address]
        elif isinstance(effect, InstallDelivery):
            self.deliveries[effect.home_address] = effect
        elif isinstance(effect, RemoveDelivery):
            del self.deliveries[effect.home_address]
        elif isinstance(effect, SendDatagram):
            arrive = partial(self.world.home_agent.receive, effect.datagram, self.policy.care_of_address, PORT)
            self.world.carry(self.name, "ha", _INTERNET_DELAY, effect.datagram, arrive)
        elif isinstance(effect, SendFrame):
            self._send(effect)
        elif not isinstance(effect, InstallTunnel | RemoveTunnel):
            self.note(effect)

    def _send(self, effect: SendFrame) -> None:
        own = self.policy.interfaces[0]
        link_address = _link_address(own.address)
        for node in self.world.nodes:
            if node.at == self.name and effect.link_address in (node.link_address, b"\x01\x00\x5e\x00\x00\x01"):
                arrive = partial(node.frame, self.name, effect.packet, link_address)
                self.world.carry(self.name, node.name, _LINK_DELAY, effect.packet, arrive)

    def visitors(self) -> dict[str, str]:
        """sub-NAI -> home address, dotted; every one durable and delivered to."""
        for visitor in self.engine.visitors:
            assert self.rows[visitor.home_address] == visitor
            assert self.deliveries[visitor.home_address].link_address == visitor.link_address
        assert len(self.rows) == len(self.deliveries) == len(self.engine.visitors)
        return {one.sub_nai: show(one.home_address) for one in self.engine.visitors}


class NodeStation(Station):
    """A mobile node, its uplink at one of the foreign agents or nowhere, and the devices behind it."""

    def __init__(self, world: World, number: int, changes: dict[str, Any]) -> None:
        super().__init__(world)
        self.name = f"mn{number}"
        self.link_address = bytes((2, 0, 0, 0, 1, number))
        self.clock = changes.pop("ntp_ms", NTP_2026)
        self.config = a_node_config(**changes)
        self.remembered: list[list[str]] = []
        self.at: str | None = None
        self.boot()

    def boot(self) -> None:
        """Power on: all that is left is what Remember asked to keep. A node without a clock starts at nought."""
        self._began = self.world.now
        ntp_ms = self.clock + self.world.now if self.clock else 0
        self.attached: dict[int, str] = {}
        self.router: int = 0
        self.dhcp_answers: list[bytes] = []
        self.engine = MobileNode(self.config, ntp_ms, b"%s %d" % (self.name.encode(), self.world.now), self.remembered)
        self.run(self.engine.start(0))
        if self.at is not None:
            self.run(self.engine.link_up(0))

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
            self.run(self.engine.link_down(self.now))
        self.at = to
        if to is not None:
            self.run(self.engine.link_up(self.now))

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

    def _run(self, effect: Any) -> None:
        if isinstance(effect, node_effects.Solicit):
            self._up(Packet(0, ALL_ROUTERS, PROTO_ICMP, 1, AgentSolicitation().encode()))
        elif isinstance(effect, node_effects.Send):
            datagram = Datagram(0, PORT, effect.destination, PORT, effect.datagram)
            self._up(datagram.packet(ttl=255))
        elif isinstance(effect, node_effects.UseAgent):
            self.router = effect.address
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
        if self.at is None:
            return
        station = self.world.foreign_agents[self.at]
        octets = packet.encode()
        self.world.carry(
            self.name, station.name, _LINK_DELAY, octets, partial(station.heard, self.link_address, octets)
        )

    def sessions(self) -> dict[str, tuple[str, str | None]]:
        """sub-NAI -> (state, home address)."""
        return {one["sub_nai"]: (one["state"], one["home_address"]) for one in self.engine.status(self.now)["sessions"]}

    def home_address(self, sub_nai: str) -> int:
        return next(session.attached for session in self.engine._sessions if session.sub_nai == sub_nai)


def _link_address(address: int) -> bytes:
    return b"\x02\x00" + address.to_bytes(4, "big")
