"""The home agent as a daemon: its engine between UDP 434, the state file, the tunnel device and the control socket."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from host_agents.datapath.choose import open_datapath
from host_agents.effects import CameHome, InstallTunnel, MobilityBinding, RemoveTunnel, SendDatagram, Turn
from host_agents.home_agent.home_agent import HomeAgent
from host_agents.home_agent.simultaneous import each
from host_agents.home_agent.tunnel import end_of
from host_agents.runtime.config import HomeAgentConfig
from host_agents.runtime.daemon import Daemon, ntp_ms, since_boot
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.home_links import HomeLinks, connected
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.privileges import NEEDED, drop_privileges
from host_agents.runtime.sockets import AgentSocket
from host_agents.runtime.sysctl import complaints
from host_agents.store.sqlite import HomeAgentStore
from mip4.address import show


class HomeAgentDaemon(Daemon):
    """`entourage ha run`."""

    engine: HomeAgent
    store: HomeAgentStore

    def __init__(self, config: HomeAgentConfig) -> None:
        super().__init__(config.common, origin=since_boot())
        self._config = config
        self._socket = AgentSocket(asyncio.get_running_loop(), self._arrived)
        self._router: HomeRouter | None = None
        self._links: HomeLinks | None = None

    def open(self) -> Turn:
        loop, policy, common = asyncio.get_running_loop(), connected(self._config.policy), self.common
        # First what a second daemon would be refused, while nothing of the kernel is touched.
        self.store = HomeAgentStore(str(common.state), loop)
        snapshot = self.store.load()
        self._socket.open(policy.address, self._config.port)
        prefixes = [network.prefix for network in policy.networks]
        sessions = sum(last - first + 1 for network in policy.networks for first, last in network.pool)
        self.datapath, why = open_datapath(
            common.datapath, common.device, policy.address, "home", loop, prefixes, sessions, self.clock
        )
        self.datapath.use(self._socket, self._rebound)
        self.journal.info(why)
        if self.datapath.name != "none":
            links = {network.interface: network.prefix for network in policy.networks if network.interface}
            virtual = [prefix for prefix in prefixes if prefix not in links.values()]
            self._router = HomeRouter(common.device, virtual, list(links.values()))
            self._router.open()
            for complaint in complaints(common.device, links):
                raise KernelRefused("start", complaint)
            self._links = HomeLinks(policy, self._router, self._occupied, self.now, loop)
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
        self.journal.info(f"home agent {show(policy.address)}: {len(snapshot.bindings)} bindings restored")
        if self._links is not None:
            self._links.start([one.home_address for one in snapshot.bindings], snapshot.owners)
        return self.engine.start()

    def clock(self) -> int:
        return self.engine.clock(self.now())

    def restore(self, tunnels: list[InstallTunnel]) -> None:
        super().restore(tunnels)
        if self._links is not None:
            for tunnel in tunnels:
                self._links.away(tunnel.home_address)

    def reroute(self) -> None:
        if self._router is not None:
            self._router.open()

    def close(self) -> None:
        self._socket.close()
        for one in (self._links, getattr(self, "datapath", None), self._router, getattr(self, "store", None)):
            if one is not None:
                one.close()

    def carry_out(self, effect: Any) -> None:
        if isinstance(effect, SendDatagram):
            index = 0 if self._links is None else self._links.index(effect.destination)
            self._socket.send(effect.datagram, effect.destination, effect.port, index)
        elif not isinstance(effect, CameHome):
            raise TypeError(f"no home agent does {effect}")
        elif self._links is not None:
            self._links.came_home(effect.home_address)

    def _effect(self, effect: Any) -> None:
        """A tunnel says where a home address is to be found on its home link, too."""
        super()._effect(effect)
        if self._links is not None and isinstance(effect, InstallTunnel):
            self._links.away(effect.home_address)
        elif self._links is not None and isinstance(effect, RemoveTunnel):
            self._links.back(effect.home_address)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "release" in request:
            return self._release(request["release"])
        what = request["show"]
        if what == "bindings":
            clock = self.engine.clock(self.now())
            return {"bindings": [self._show(one, clock) for session in self.engine.bindings for one in each(session)]}
        if what == "counters":
            return {"counters": self.counters()}
        raise ValueError(f"nothing called {what} to show")

    def _occupied(self, home_address: int, by_somebody: bool) -> None:
        self.engine.occupied(home_address, by_somebody)

    def _arrived(self, payload: bytes, source: int, port: int) -> None:
        self.take(self.engine.receive(payload, source, port, self.now()))

    def _release(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """wanted: all, or nai and sub_nai; inform. Raises KeyError where there is no such binding."""
        sessions = [(wanted["nai"], wanted["sub_nai"])] if not wanted["all"] else []
        if wanted["all"]:
            sessions = [(one.nai, one.sub_nai) for one in self.engine.bindings]
        for session in sessions:
            self.take(self.engine.release(session, bool(wanted["inform"]), self.now()))
        return {"released": [{"nai": nai, "sub_nai": sub_nai} for nai, sub_nai in sessions]}

    def _rebound(self, home_address: int, source: int, port: int) -> None:
        self.take(self.engine.rebound(home_address, source, port, self.now()))

    def _encapsulation(self, binding: MobilityBinding) -> str:
        """How packets travel to the care-of address, or, where a NAT hides it, to what stands for it."""
        wanted = end_of(binding)
        return wanted.encapsulation if wanted in self.datapath.ends(binding.home_address) else "none"

    def _show(self, binding: MobilityBinding, clock: int) -> dict[str, Any]:
        """One care-of address of a session; packets are counted for all of them together."""
        counters = self.datapath.counters(binding.home_address)
        return {
            "nai": binding.nai,
            "sub_nai": binding.sub_nai,
            "home_address": show(binding.home_address),
            "care_of_address": show(binding.care_of_address),
            "lifetime": binding.lifetime,
            "expires_in": None if binding.expires is None else max(0, binding.expires - clock) // 1000,
            "tunnel": self._encapsulation(binding),
            "via": "direct" if binding.direct else "fa",
            "packets_in": counters.packets_in,
            "packets_out": counters.packets_out,
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
        }
