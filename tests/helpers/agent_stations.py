"""The agents' engines with what they made durable and what they told the kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from host_agents.effects import (
    CameHome,
    ExtendTunnel,
    ForgetIdentification,
    InstallDelivery,
    InstallTunnel,
    MobilityBinding,
    RemoveBinding,
    RemoveDelivery,
    RemoveTunnel,
    RemoveVisitor,
    RenewBinding,
    SendDatagram,
    SendFrame,
    StoreBinding,
    StoreIdentification,
    StoreVisitor,
    TunnelEnd,
    Turn,
    Visitor,
)
from host_agents.foreign_agent.carriage import CARRIAGE
from host_agents.foreign_agent.foreign_agent import ForeignAgent
from host_agents.home_agent.home_agent import HomeAgent
from host_agents.home_agent.simultaneous import each
from mip4.address import show
from mip4.const import PORT, PROTO_ICMP
from mip4.extensions import Experimental, MobileHomeAuthentication, find
from mip4.ip import Packet, checksum
from mip4.messages import RegistrationRequest
from tests.helpers.builders import HOME_AGENT, NTP_2026, a_foreign_agent_policy, a_home_agent_policy
from tests.helpers.messages import HOME
from tests.helpers.station import INTERNET_DELAY, LINK_DELAY, Station, link_address_of

if TYPE_CHECKING:
    from tests.helpers.world import World

_ROWS = (StoreBinding, RemoveBinding, StoreIdentification, ForgetIdentification, StoreVisitor, RemoveVisitor)
_REFUSABLE = (InstallTunnel, InstallDelivery)  # to take away what is not there is no error


class AgentStation(Station):
    """An agent's daemon: rows become durable, in order; then the kernel learns of it; then messages leave.

    failing, refusing: why the store or the kernel would not, "" while they do. commit_time: of a commit, ms.
    """

    engine: Any
    up = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.failing = self.refusing = ""
        self.commit_time: Callable[[], int] | None = None
        self._life = 0
        self._commits_until = 0

    @property
    def now(self) -> int:
        raise NotImplementedError

    def _run(self, effect: Any) -> None:
        raise NotImplementedError

    @property
    def stores(self) -> bool:
        """Whether anything waits for the disk: a request's turn, or another's, such as of a visitor that has left."""
        return bool(self.engine._open) or self._commits_until >= self.world.now

    def kill(self) -> None:
        """What is not durable is lost, what waits for the disk included."""
        self.up = False
        self._life += 1

    def run(self, turn: Turn) -> None:
        if self.commit_time is None or not any(isinstance(effect, _ROWS) for effect in turn.effects):
            self._commit(turn, self._life)
            return
        self._commits_until = max(self._commits_until, self.world.now + self.commit_time())
        self.world.at(self._commits_until, partial(self._commit, turn, self._life))

    def _commit(self, turn: Turn, life: int) -> None:
        if life != self._life:
            return
        rows = [effect for effect in turn.effects if isinstance(effect, _ROWS)]
        if rows and self.failing:
            self._refused(turn, self.failing)
            return
        for effect in rows:
            self._run(effect)
        for effect in turn.effects:
            if isinstance(effect, _REFUSABLE) and self.refusing and turn.session is not None:  # else it does not start
                self._refused(turn, self.refusing)
                return
            if not isinstance(effect, _ROWS):
                self._run(effect)
        if turn.session is not None:
            self.run(self.engine.settled(turn.session, self.now))

    def _refused(self, turn: Turn, reason: str) -> None:
        self.world.said.append(("warning", reason))
        if turn.session is not None:
            self.run(self.engine.refused(turn.session, reason, self.now))


class HomeAgentStation(AgentStation):
    """The home agent with what it made durable and what it told the kernel."""

    name = "ha"

    def __init__(self, world: World, changes: dict[str, Any]) -> None:
        super().__init__(world)
        self.policy = a_home_agent_policy(**changes)
        self.rows: dict[tuple[str, str], MobilityBinding] = {}
        self.identifications: dict[tuple[str, str], int] = {}
        self.nonces: dict[tuple[str, str], int | None] = {}
        self.owners: dict[int, tuple[str, str]] = {}
        self.tunnels: dict[int, int] = {}
        self.ends: dict[int, TunnelEnd] = {}
        self.installed: dict[int, InstallTunnel] = {}
        self.came_home: list[int] = []
        self.start(NTP_2026)

    def start(self, ntp_ms: int) -> None:
        """Begin with what is durable. ntp_ms: what the machine's clock says now."""
        self._began = self.world.now
        self.engine = HomeAgent(
            policy=self.policy,
            ntp_ms=ntp_ms,
            bindings=list(self.rows.values()),
            identifications=dict(self.identifications),
            nonces={session: nonce for session, nonce in self.nonces.items() if nonce is not None},
            owners=list(self.owners.items()),
            random_octets=self.world.random_octets,
        )
        self.up = True
        self.tunnels.clear()
        self.ends.clear()
        self.installed.clear()
        self.run(self.engine.start())

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

    def _run(self, effect: Any) -> None:
        if isinstance(effect, RenewBinding):
            stored = self.rows[effect.binding.nai, effect.binding.sub_nai]
            renewed = ("lifetime", "expires", "identification", "revocation")
            times = {name: getattr(effect.binding, name) for name in renewed}
            assert replace(stored, **times) == effect.binding, "more than a renewal changes"
            effect = StoreBinding(effect.binding)
        if isinstance(effect, StoreBinding):
            binding = effect.binding
            assert all(
                row.home_address != binding.home_address or key == (binding.nai, binding.sub_nai)
                for key, row in self.rows.items()
            ), "one address, two sessions"
            self.rows[binding.nai, binding.sub_nai] = binding
            self.owners.pop(binding.home_address, None)
            self.identifications[binding.nai, binding.sub_nai] = binding.identification
            self.nonces[binding.nai, binding.sub_nai] = effect.nonce
        elif isinstance(effect, RemoveBinding):
            session = (effect.binding.nai, effect.binding.sub_nai)
            if session in self.rows and self.rows[session].home_address == effect.binding.home_address:
                del self.rows[session]
            self.owners.pop(effect.binding.home_address, None)
            self.owners[effect.binding.home_address] = session
        elif isinstance(effect, StoreIdentification):
            self.identifications[effect.nai, effect.sub_nai] = effect.identification
            self.nonces[effect.nai, effect.sub_nai] = effect.nonce
        elif isinstance(effect, ForgetIdentification):
            self.identifications.pop((effect.nai, effect.sub_nai), None)
            self.nonces.pop((effect.nai, effect.sub_nai), None)
        elif isinstance(effect, InstallTunnel):
            self.tunnels[effect.home_address] = effect.ends[0].remote
            self.ends[effect.home_address] = effect.ends[0]
            self.installed[effect.home_address] = effect
        elif isinstance(effect, ExtendTunnel):
            assert effect.home_address in self.installed, "a tunnel that is not there is extended"
        elif isinstance(effect, RemoveTunnel):
            self.tunnels.pop(effect.home_address, None)
            self.ends.pop(effect.home_address, None)
            self.installed.pop(effect.home_address, None)
        elif isinstance(effect, CameHome):
            self.came_home.append(effect.home_address)
        elif isinstance(effect, SendDatagram):
            self._send(effect)
        else:
            self.note(effect)

    def tunnelled(self, packet: bytes, source: int, port: int) -> None:
        """A packet in a tunnel, as the data path takes it: the machine answers an echo, the engine hears of strays."""
        if not self.up:
            return
        inner = Packet.decode(packet)
        end = self.ends.get(inner.source)
        if end is None or (end.remote, end.port or PORT) != (source, port):
            self.run(self.engine.rebound(inner.source, source, port, self.now))
            return
        kind, rest = inner.payload[0], inner.payload[4:]
        assert (kind, inner.destination) == (8, HOME_AGENT)
        head = b"\0\0"
        message = head + checksum(head + b"\0\0" + rest).to_bytes(2, "big") + rest
        answer = Packet(HOME_AGENT, inner.source, PROTO_ICMP, 64, message).encode()
        for gateway in self.world.gateways.values():
            if gateway.from_home_agent(source, port, answer, packet=True):
                return

    def _send(self, effect: SendDatagram) -> None:
        if self.world.home_link.from_home_agent(effect.destination, effect.datagram):
            return
        for gateway in self.world.gateways.values():
            if gateway.from_home_agent(effect.destination, effect.port, effect.datagram):
                return
        for station in self.world.foreign_agents.values():
            if station.policy.care_of_address == effect.destination:
                arrive = partial(station.receive, effect.datagram, HOME_AGENT, PORT)
                self.world.carry("ha", station.name, INTERNET_DELAY, effect.datagram, arrive)

    def ends_by_session(self) -> dict[str, str]:
        """sub-NAI -> how and where its tunnel ends, dotted."""
        found = {one.sub_nai: self.ends[one.home_address] for one in self.engine.bindings}
        return {name: f"{end.encapsulation} {show(end.remote)}:{end.port}" for name, end in found.items()}

    def bindings(self) -> dict[str, tuple[str, str]]:
        """sub-NAI -> (home address, care-of address), as bindings_by_session, where there is one NAI."""
        return {sub_nai: addresses for (_, sub_nai), addresses in self.bindings_by_session().items()}

    def bindings_by_session(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Session -> (home address, care-of address), dotted; every one durable and with its tunnel."""
        for binding in self.engine.bindings:
            assert self.rows[binding.nai, binding.sub_nai] == binding
            remotes = [end.remote for end in self.installed[binding.home_address].ends]
            assert remotes == sorted(one.udp_remote or one.care_of_address for one in each(binding))
        assert len(self.rows) == len(self.tunnels) == len(self.engine.bindings)
        return {
            (one.nai, one.sub_nai): (show(one.home_address), show(one.care_of_address)) for one in self.engine.bindings
        }


class ForeignAgentStation(AgentStation):
    """A foreign agent with its visited link."""

    def __init__(self, world: World, name: str, changes: dict[str, Any]) -> None:
        super().__init__(world)
        self.name = name
        self.policy = a_foreign_agent_policy(name, **changes)
        self.rows: dict[int, Visitor] = {}
        self.deliveries: dict[int, InstallDelivery] = {}
        self.installed: dict[int, InstallTunnel] = {}
        self.tunnels: dict[int, int] = {}
        self.start()

    def start(self, ntp_ms: int = NTP_2026) -> None:
        """Begin with what is durable. ntp_ms: what the machine's clock says at the beginning of the world."""
        self.engine = ForeignAgent(
            self.policy, list(self.rows.values()), self.world.now, ntp_ms, self.world.random_octets
        )
        self.up = True
        self.tunnels.clear()
        self.deliveries.clear()  # what start() does not ask for is swept away
        self.run(self.engine.start())

    @property
    def now(self) -> int:
        return self.world.now

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
        """The kernel learns of it before the disk."""
        rest: list[object] = []
        for effect in turn.effects:
            if isinstance(effect, _REFUSABLE) and self.refusing and turn.session is not None:
                self._refused(turn, self.refusing)
                return
            if isinstance(effect, CARRIAGE):
                self._run(effect)
            else:
                rest.append(effect)
        super().run(Turn(rest, turn.session))

    def _run(self, effect: Any) -> None:
        if isinstance(effect, StoreVisitor):
            self.rows[effect.visitor.home_address] = effect.visitor
        elif isinstance(effect, RemoveVisitor):
            row = self.rows.get(effect.visitor.home_address)
            if row is not None and (row.nai, row.sub_nai) == (effect.visitor.nai, effect.visitor.sub_nai):
                del self.rows[effect.visitor.home_address]
        elif isinstance(effect, InstallDelivery):
            self.deliveries[effect.home_address] = effect
        elif isinstance(effect, RemoveDelivery):
            delivery = self.deliveries.get(effect.home_address)
            if delivery is not None and delivery.interface == effect.interface:
                del self.deliveries[effect.home_address]
        elif isinstance(effect, InstallTunnel):
            self.tunnels[effect.home_address] = effect.ends[0].remote
            self.installed[effect.home_address] = effect
        elif isinstance(effect, RemoveTunnel):
            self.tunnels.pop(effect.home_address, None)
            self.installed.pop(effect.home_address, None)
        elif isinstance(effect, SendDatagram):
            arrive = partial(self.world.home_agent.receive, effect.datagram, self.policy.care_of_address, PORT)
            self.world.carry(self.name, "ha", INTERNET_DELAY, effect.datagram, arrive)
        elif isinstance(effect, SendFrame):
            self._send(effect)
        else:
            self.note(effect)

    def _send(self, effect: SendFrame) -> None:
        own = self.policy.interfaces[0]
        link_address = link_address_of(own.address)
        for node in self.world.nodes:
            if node.at == self.name and effect.link_address in (node.link_address, b"\x01\x00\x5e\x00\x00\x01"):
                arrive = partial(node.frame, self.name, effect.packet, link_address)
                self.world.carry(self.name, node.name, LINK_DELAY, effect.packet, arrive)

    def visitors(self) -> dict[str, str]:
        """sub-NAI -> home address, dotted; every one durable and delivered to."""
        for visitor in self.engine.visitors:
            assert self.rows[visitor.home_address] == visitor
            assert self.deliveries[visitor.home_address].link_address == visitor.link_address
            assert self.tunnels[visitor.home_address] == visitor.home_agent
        assert len(self.rows) == len(self.deliveries) == len(self.tunnels) == len(self.engine.visitors)
        return {one.sub_nai: show(one.home_address) for one in self.engine.visitors}


class PlainHomeAgentStation(HomeAgentStation):
    """One that knows no sub-NAI and skips the extension, which is skippable: our engine does not see it."""

    def receive(self, datagram: bytes, source: int, port: int) -> None:
        request = RegistrationRequest.decode(datagram)
        HOME.verify(datagram, find(request.extensions, MobileHomeAuthentication)[0])
        skipped = (Experimental, MobileHomeAuthentication)
        request.extensions = [one for one in request.extensions if not isinstance(one, skipped)]
        super().receive(HOME.sign(request.encode(), MobileHomeAuthentication), source, port)
