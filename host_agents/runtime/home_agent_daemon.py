"""The home agent as a daemon: its engine between UDP 434, the state file, the tunnel device and the control socket."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection
from dataclasses import replace
from itertools import islice

from host_agents.datapath.choose import open_datapath
from host_agents.datapath.protocol import HOME
from host_agents.effects import Accepted, CameHome, InstallTunnel, RemoveTunnel, Said, SendDatagram, Turn
from host_agents.home_agent.home_agent import HomeAgent
from host_agents.runtime.answers import Document
from host_agents.runtime.clock import ntp_ms, since_boot
from host_agents.runtime.daemon import Daemon
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.home_agent_config import HomeAgentConfig, load_home_agent
from host_agents.runtime.home_answers import HomeAnswers
from host_agents.runtime.home_links import HomeLinks, connected
from host_agents.runtime.home_radius import HomeRadius
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.home_turns import HomeTurns
from host_agents.runtime.log_line import fields
from host_agents.runtime.privileges import NEEDED, drop_privileges
from host_agents.runtime.sockets import AgentSocket, Datagram
from host_agents.runtime.sysctl import complaints
from host_agents.runtime.upkeep import Upkeep
from host_agents.store.sqlite import HomeAgentStore
from mip4.address import show

_NOTED_AT_FIRST = 256  # sessions whose place begins a time line when we start: no more nodes are remembered anyway


class HomeAgentDaemon(Daemon):
    """`entourage ha run`."""

    role = "ha"
    stranger = "no subscriber has the NAI"
    engine: HomeAgent
    store: HomeAgentStore
    turns: HomeTurns

    def __init__(self, config: HomeAgentConfig) -> None:
        super().__init__(config.common, origin=since_boot())
        self._config = config
        self._socket = AgentSocket(asyncio.get_running_loop(), self._arrived)
        self._router: HomeRouter | None = None
        self._links: HomeLinks | None = None
        self._upkeep: Upkeep | None = None
        self._radius = None if config.radius is None else HomeRadius(self, config.radius, config.policy.address)
        if config.radius is not None and config.radius.server is not None:
            self.stranger = "no subscriber that is known yet has the NAI"
        self.does |= {SendDatagram: self._send, CameHome: self._came_home}
        HomeAnswers(self).add_to(self.answers)

    def open(self) -> Turn:
        loop, policy, common = asyncio.get_running_loop(), connected(self._config.policy), self.common
        # First what a second daemon would be refused, while nothing of the kernel is touched.
        self.store = HomeAgentStore(str(common.state), loop)
        snapshot = self.store.load()
        if self._radius is not None:
            self._radius.open()
        self._socket.open(policy.address, self._config.port)
        prefixes = [network.prefix for network in policy.networks]
        sessions = sum(last - first + 1 for network in policy.networks for first, last in network.pool)
        self.datapath, why = open_datapath(
            common.datapath, common.device, policy.address, HOME, loop, prefixes, sessions, self.clock
        )
        self.datapath.use(self._socket, self._rebound)
        self.journal.info(why)
        if self.datapath.name != "none":
            links = {network.interface: network.prefix for network in policy.networks if network.interface}
            virtual = [prefix for prefix in prefixes if prefix not in links.values()]
            self._router = HomeRouter(common.device, virtual, list(links.values()))
            self._router.open()
            self._upkeep = self.keep_up(self._router.mend, self._router.open)
            for complaint in complaints(common.device, links):
                raise KernelRefused("start", complaint)
            self._links = HomeLinks(policy, self._router, self._occupied, self.now, loop, self.meters)
            self._links.open()
        drop_privileges(NEEDED | self.datapath.capabilities)
        owners = sorted(snapshot.owners.items(), key=lambda item: item[1].released)
        self.engine = HomeAgent(
            policy,
            ntp_ms=ntp_ms() - self.now(),
            bindings=snapshot.bindings,
            identifications=snapshot.identifications,
            nonces=snapshot.nonces,
            owners=[(address, (owner.nai, owner.sub_nai)) for address, owner in owners],
            random_octets=secrets.token_bytes,
        )
        self.turns = HomeTurns(
            self.engine, self.store, self.does, self.datapath.extend, self.now, self.journal, self.meters.registrations
        )
        self.journal.info(f"home agent {show(policy.address)}: {len(snapshot.bindings)} bindings restored")
        if self._links is not None:
            self._links.start([one.home_address for one in snapshot.bindings], snapshot.owners)
        return self.engine.start()

    def clock(self) -> int:
        return self.engine.clock(self.now())

    def restore(self, tunnels: list[InstallTunnel]) -> None:
        began = time.time()
        for binding in islice(self.engine.bindings, _NOTED_AT_FIRST):
            self.handoffs.came(binding.nai, show(binding.care_of_address), began)
        super().restore(tunnels)
        if self._radius is not None:
            self._radius.restore()
        if self._links is not None:
            for tunnel in tunnels:
                self._links.away(tunnel.home_address)

    def reroute(self) -> None:
        if self._router is not None:
            self._router.open()

    def read_no_more(self) -> None:
        self._socket.read_no_more()

    def close(self) -> None:
        self._socket.close()
        for one in (
            self._radius,
            self._upkeep,
            self._links,
            getattr(self, "datapath", None),
            self._router,
            getattr(self, "store", None),
        ):
            if one is not None:
                one.close()

    def install(self, effect: InstallTunnel) -> None:
        """It says where a home address is to be found on its home link, too, and where its node is."""
        self._note_place(effect)
        super().install(effect)
        if self._links is not None:
            self._links.away(effect.home_address)

    def remove(self, effect: RemoveTunnel) -> None:
        super().remove(effect)
        if self._links is not None:
            self._links.back(effect.home_address)

    def say(self, effect: Said) -> None:
        super().say(effect)
        if effect.kind == "unbound":
            nai = fields(effect.text).get("nai", "")
            if not self.engine.bindings.sessions_of(nai):
                self.handoffs.came(nai, "", time.time())

    def _send(self, effect: SendDatagram) -> None:
        self.meters.sent.count(effect.datagram)
        if self.journal.debugged:
            self.told(effect.datagram, "to", show(effect.destination), self._config.policy.sub_nai_vendor)
        index = 0 if self._links is None else self._links.index(effect.destination)
        self._socket.send(effect.datagram, effect.destination, effect.port, index)

    def _came_home(self, effect: CameHome) -> None:
        if self._links is not None:
            self._links.came_home(effect.home_address)

    def _note_place(self, effect: InstallTunnel) -> None:
        """For the time line of its node, if the tunnel will end elsewhere than now."""
        binding = self.engine.bindings.find_home_address(effect.home_address)
        former = self.datapath.ends(effect.home_address)
        if binding is None or former[:1] == effect.ends[:1]:
            return
        heard = self.datapath.counters(effect.home_address).heard if former else None
        gap = None if heard is None else max(0, since_boot() - heard)
        self.handoffs.came(binding.nai, show(binding.care_of_address), time.time(), gap)

    def names(self) -> Collection[str]:
        return self.engine.policy.subscribers.keys()

    def status(self) -> Document:
        said: Document = {"address": show(self.engine.policy.address), "bindings": len(self.engine.bindings)}
        return said if self._radius is None else {**said, **self._radius.status()}

    async def reload(self) -> Document:
        read = await self.read_again(load_home_agent)
        new, former = read.policy, self._config.policy
        before, sessions = set(former.subscribers), len(self.engine.bindings)
        changed = replace(new, subscribers=former.subscribers, foreign_agents=former.foreign_agents) != former
        remote = {} if self._radius is None else self._radius.subscribers()
        self.turns.take(self.engine.reload(remote | new.subscribers, new.foreign_agents, self.now()))
        done = {
            "subscribers": len(new.subscribers),
            "added": len(new.subscribers.keys() - before),
            "removed": len(before - new.subscribers.keys()),
            "revoked": sessions - len(self.engine.bindings),
            "foreign_agents": len(new.foreign_agents),
        }
        return self.reloaded(done, changed or read.radius != self._config.radius or self.differs(read.common))

    def _occupied(self, home_address: int, by_somebody: bool) -> None:
        self.engine.occupied(home_address, by_somebody)

    def _arrived(self, datagrams: list[Datagram]) -> None:
        began, now = time.perf_counter(), self.now()
        accepted: list[Accepted] = []
        try:
            for payload, source, port in datagrams:
                self.meters.received.count(payload)
                if self.journal.debugged:
                    self.told(payload, "from", show(source), self._config.policy.sub_nai_vendor)
                one = self.engine.accept(payload, source, port, now)
                if one is None:
                    self.turns.take(self.engine.examine(payload, source, port, now), began)
                else:
                    accepted.append(one)
        finally:  # else their turns would never end
            if accepted:
                self.turns.take_together(accepted, began)

    def _rebound(self, home_address: int, source: int, port: int) -> None:
        self.turns.take(self.engine.rebound(home_address, source, port, self.now()))
