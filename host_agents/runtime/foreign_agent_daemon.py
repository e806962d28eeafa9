"""The foreign agent as a daemon: its engine between visited links, UDP 434, routes, tunnel device and state file."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from host_agents.datapath.choose import open_datapath
from host_agents.effects import InstallDelivery, RemoveDelivery, SendDatagram, SendFrame, Turn
from host_agents.foreign_agent.carriage import carry
from host_agents.foreign_agent.foreign_agent import ForeignAgent
from host_agents.foreign_agent.policy import Policy, VisitedInterface
from host_agents.runtime.agent_link import AgentLink, Arrived
from host_agents.runtime.config import ForeignAgentConfig
from host_agents.runtime.daemon import Daemon, ntp_ms
from host_agents.runtime.errors import ConfigurationError, KernelRefused
from host_agents.runtime.interfaces import addresses, connected_prefixes
from host_agents.runtime.netlink import VisitedRouter
from host_agents.runtime.privileges import NEEDED, drop_privileges
from host_agents.runtime.sockets import AgentSocket
from host_agents.runtime.sysctl import complaints
from host_agents.store.sqlite import ForeignAgentStore
from mip4.address import show, show_link
from mip4.const import (
    FA_HOME_AGENT_HOST_UNREACHABLE,
    FA_HOME_AGENT_PORT_UNREACHABLE,
    FA_HOME_AGENT_UNREACHABLE,
    FA_HOME_NETWORK_UNREACHABLE,
    PORT,
)

_UNREACHABLE = {  # code of an ICMP destination unreachable -> Reply code (RFC 5944 §3.4)
    0: FA_HOME_NETWORK_UNREACHABLE,
    1: FA_HOME_AGENT_HOST_UNREACHABLE,
    3: FA_HOME_AGENT_PORT_UNREACHABLE,
}


class ForeignAgentDaemon(Daemon):
    """`entourage fa run`."""

    engine: ForeignAgent
    store: ForeignAgentStore

    def __init__(self, config: ForeignAgentConfig) -> None:
        super().__init__(config.common, origin=0)  # a visitor's lifetime means the same after a restart
        self._config = config
        self._socket = AgentSocket(asyncio.get_running_loop(), self._replied, self._undelivered)
        self._links: dict[str, AgentLink] = {}
        self._router: VisitedRouter | None = None

    def open(self) -> Turn:
        loop, config, common = asyncio.get_running_loop(), self._config, self.common
        policy = _policy(config)
        self.store = ForeignAgentStore(str(common.state), loop)
        visitors = self.store.load()
        self._socket.open(policy.care_of_address, PORT)
        self.datapath, why = open_datapath(
            common.datapath, common.device, policy.care_of_address, "visited", loop, (), policy.visitors, self.clock
        )
        self.datapath.use(self._socket, lambda *_: None)  # keepalives go to home agents
        self.journal.info(why)
        if self.datapath.name != "none":
            self._router = VisitedRouter(common.device, config.interfaces)
            self._router.open()
            for complaint in complaints(common.device, config.interfaces):
                raise KernelRefused("start", complaint)
        for interface in policy.interfaces:
            link = AgentLink(interface.name, [interface.address], self._arrived, self._restore, loop)
            link.open()
            self._links[interface.name] = link
        drop_privileges(NEEDED | self.datapath.capabilities)
        self.engine = ForeignAgent(policy, visitors, self.now(), ntp_ms() - self.now(), secrets.token_bytes)
        restored = self.engine.start()
        if self._router is not None:
            self._router.sweep([effect for effect in restored.effects if isinstance(effect, InstallDelivery)])
        self.journal.info(
            f"foreign agent {show(policy.care_of_address)}: {len(self.engine.visitors)} visitors restored"
        )
        return restored

    def reroute(self) -> None:
        if self._router is not None:
            self._router.open()

    def close(self) -> None:
        self._socket.close()
        for link in self._links.values():
            link.close()
        for one in (getattr(self, "datapath", None), self._router, getattr(self, "store", None)):
            if one is not None:
                one.close()

    def carry_out(self, effect: Any) -> None:
        match effect:
            case SendDatagram():
                self._socket.send(effect.datagram, effect.destination, effect.port)
            case SendFrame():
                self._links[effect.interface].send(effect)
            case InstallDelivery() if self._router is not None:
                self.datapath.guard(effect)
                self._router.install(effect)
            case RemoveDelivery() if self._router is not None:
                self._router.remove(effect)
                self.datapath.unguard(effect)
            case InstallDelivery() | RemoveDelivery():
                return
            case _:
                raise TypeError(f"no foreign agent does {effect}")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "drain" in request:
            drained = len(self.engine.visitors)
            self.take(self.engine.drain(self.now()))
            return {"drained": drained}
        what = request["show"]
        if what == "visitors":
            return {"visitors": self._visitors()}
        if what == "counters":
            return {"counters": self.counters()}
        raise ValueError(f"nothing called {what} to show")

    def _arrived(self, arrived: Arrived) -> None:
        frame = (arrived.interface, arrived.link_address, arrived.packet, arrived.checksum_ready)
        self.take(self.engine.heard(*frame, self.now()))

    def _replied(self, payload: bytes, source: int, port: int) -> None:
        self.take(self.engine.receive(payload, source, port, self.now()))

    def _undelivered(self, payload: bytes, code: int) -> None:
        self.take(self.engine.unreachable(payload, _UNREACHABLE.get(code, FA_HOME_AGENT_UNREACHABLE), self.now()))

    def _restore(self) -> None:
        """A visited link is back, and with its address the kernel forgot our routes through it."""
        if self._router is not None:
            try:
                self._router.restore()
            except KernelRefused as error:
                self.journal.warn(str(error))
        # If it was made anew, a socket of the encapsulating delivery style still listens on what is gone.
        handing_in = [carry(visitor) for visitor in self.engine.visitors if visitor.hands_in]
        self.take(Turn([effect for effects in handing_in for effect in effects]))

    def _visitors(self) -> list[dict[str, Any]]:
        clock = self.now()
        shown: list[dict[str, Any]] = [
            {
                "nai": one.nai,
                "sub_nai": one.sub_nai,
                "home_address": show(one.home_address),
                "home_agent": show(one.home_agent),
                "interface": one.interface,
                "link_address": show_link(one.link_address),
                "lifetime": one.lifetime,
                "expires_in": None if one.expires is None else max(0, one.expires - clock) // 1000,
                "state": "registered",
            }
            for one in self.engine.visitors
        ]
        for pending in self.engine.visitors.pending():
            message = pending.request.message
            shown.append(
                {
                    "nai": pending.session[0],
                    "sub_nai": pending.session[1],
                    "home_address": None,
                    "home_agent": show(pending.request.home_agent),
                    "interface": pending.interface,
                    "link_address": show_link(pending.link_address),
                    "lifetime": message.lifetime,
                    "expires_in": None,
                    "state": "pending",
                }
            )
        return shown


def _policy(config: ForeignAgentConfig) -> Policy:
    """Raises ConfigurationError for a visited link without an address, KernelRefused for one that is not there."""
    prefixes = connected_prefixes()
    interfaces = []
    for name in config.interfaces:
        own = addresses(name)
        if not own:
            raise ConfigurationError(f"visited link {name} has no IPv4 address")
        length = next(one.length for one in prefixes if one.address == own[0])
        interfaces.append(VisitedInterface(name, own[0], length))
    return Policy(
        care_of_address=config.care_of_address,
        interfaces=tuple(interfaces),
        lifetime=config.lifetime,
        advertise_interval=config.advertise_interval,
        registration_required=config.registration_required,
        reverse_tunnel=config.reverse_tunnel,
        reverse_tunnel_required=config.reverse_tunnel_required,
        requests_per_minute=config.requests_per_minute,
        home_agents=config.home_agents,
        mobile_nodes=config.mobile_nodes,
        connected=tuple((one.network, one.length) for one in prefixes),
        visitors=config.visitors,
        sub_nai_vendor=config.sub_nai_vendor,
        sub_nai_from_link=config.sub_nai_from_link,
        home_agent_default=config.home_agent_default,
        challenge=config.challenge,
        aaa=config.aaa,
        encapsulations=config.encapsulations,
        encapsulating_delivery=config.encapsulating_delivery,
    )
