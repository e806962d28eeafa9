"""The foreign agent as a daemon: its engine between visited links, UDP 434, routes, tunnel device and state file."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection
from dataclasses import replace

from host_agents.datapath.choose import open_datapath
from host_agents.effects import (
    InstallDelivery,
    RemoveDelivery,
    RemoveTunnel,
    RemoveVisitor,
    Said,
    SendDatagram,
    SendFrame,
    Turn,
)
from host_agents.foreign_agent.carriage import CARRIAGE, carry
from host_agents.foreign_agent.foreign_agent import ForeignAgent
from host_agents.foreign_agent.policy import Policy, VisitedInterface
from host_agents.runtime.agent_link import AgentLink, Arrived
from host_agents.runtime.answers import Document
from host_agents.runtime.clock import ntp_ms
from host_agents.runtime.daemon import Daemon
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.foreign_agent_config import ForeignAgentConfig, load_foreign_agent
from host_agents.runtime.foreign_answers import ForeignAnswers
from host_agents.runtime.interfaces import addresses, connected_prefixes
from host_agents.runtime.log_line import fields
from host_agents.runtime.netlink import VisitedRouter
from host_agents.runtime.privileges import NEEDED, drop_privileges
from host_agents.runtime.sockets import AgentSocket, Datagram
from host_agents.runtime.sysctl import complaints
from host_agents.runtime.upkeep import Upkeep
from host_agents.store.sqlite import ForeignAgentStore
from mip4.address import show, show_link
from mip4.const import (
    FA_HOME_AGENT_HOST_UNREACHABLE,
    FA_HOME_AGENT_PORT_UNREACHABLE,
    FA_HOME_AGENT_UNREACHABLE,
    FA_HOME_NETWORK_UNREACHABLE,
    PORT,
)

_PAYLOAD = 28  # where the UDP payload of a packet without IP options begins
_UNREACHABLE = {  # code of an ICMP destination unreachable -> Reply code (RFC 5944 §3.4)
    0: FA_HOME_NETWORK_UNREACHABLE,
    1: FA_HOME_AGENT_HOST_UNREACHABLE,
    3: FA_HOME_AGENT_PORT_UNREACHABLE,
}


class ForeignAgentDaemon(Daemon):
    """`entourage fa run`."""

    role = "fa"
    stranger = "no visitor has the NAI"
    engine: ForeignAgent
    store: ForeignAgentStore

    def __init__(self, config: ForeignAgentConfig) -> None:
        super().__init__(config.common, origin=0)  # a visitor's lifetime means the same after a restart
        self._config = config
        self._socket = AgentSocket(asyncio.get_running_loop(), self._replied, self._undelivered)
        self._links: dict[str, AgentLink] = {}
        self._router: VisitedRouter | None = None
        self._upkeep: Upkeep | None = None
        self.does |= {SendDatagram: self._send, SendFrame: self._send_frame}
        self.does |= {InstallDelivery: self._deliver, RemoveDelivery: self._withdraw}
        ForeignAnswers(self).add_to(self.answers)

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
            self._upkeep = self.keep_up(self._router.mend, self._router.restore)
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

    def read_no_more(self) -> None:
        self._socket.read_no_more()
        for link in self._links.values():
            link.read_no_more()

    def close(self) -> None:
        self._socket.close()
        for link in self._links.values():
            link.close()
        for one in (self._upkeep, getattr(self, "datapath", None), self._router, getattr(self, "store", None)):
            if one is not None:
                one.close()

    def take(self, turn: Turn, since: float = 0.0) -> None:
        """The data path first: packets come close behind the home agent's reply, and the disk may take its time.

        It promises nothing: what no row confirms is swept away at the next start.
        """
        rest: list[object] = []
        try:
            for effect in turn.effects:
                if isinstance(effect, CARRIAGE):
                    self.does[type(effect)](effect)
                else:
                    rest.append(effect)
        except KernelRefused as error:
            self.refuse(turn, "kernel-refused", str(error))
            self.alarm.look()
            return
        super().take(Turn(rest, turn.session), since)

    def say(self, effect: Said) -> None:
        super().say(effect)
        if effect.kind == "left":
            self.handoffs.came(fields(effect.text).get("nai", ""), "", time.time())

    def _send(self, effect: SendDatagram) -> None:
        self.meters.sent.count(effect.datagram)
        self._told(effect.datagram, "to", show(effect.destination))
        self._socket.send(effect.datagram, effect.destination, effect.port)

    def _send_frame(self, effect: SendFrame) -> None:
        self.meters.nodes_sent.count_frame(effect)
        self._told(effect.packet[_PAYLOAD:], "to", show_link(effect.link_address))
        self._links[effect.interface].send(effect)

    def _deliver(self, effect: InstallDelivery) -> None:
        """Also for the time line of its node."""
        if self._router is not None:
            self.datapath.guard(effect)
            self._router.install(effect)
        visitor = self.engine.visitors.find(effect.home_address)
        if visitor is not None:
            self.handoffs.came(visitor.nai, effect.interface, time.time())

    def _withdraw(self, effect: RemoveDelivery) -> None:
        if self._router is not None:
            self._router.remove(effect)
            self.datapath.unguard(effect)

    def names(self) -> Collection[str]:
        visitors = self.engine.visitors
        there = {one.nai for one in visitors} | {one.session[0] for one in visitors.pending()}
        return there | self.engine.policy.mobile_nodes.keys()

    def status(self) -> Document:
        return {
            "address": show(self.engine.policy.care_of_address),
            "interfaces": [one.name for one in self.engine.policy.interfaces],
            "visitors": len(self.engine.visitors),
            "capacity": self.engine.policy.visitors,
            "busy": self.engine.visitors.full,
            "draining": self.engine.draining,
            "registration_required": self.engine.policy.registration_required,
        }

    def is_due(self, effect: object) -> bool:
        """As of Unended: not of an address that has a visitor by now. What a frame had to say is stale."""
        if isinstance(effect, RemoveVisitor):
            return self.engine.visitors.find(effect.visitor.home_address) is None
        if isinstance(effect, RemoveDelivery | RemoveTunnel):
            return self.engine.visitors.find(effect.home_address) is None
        return isinstance(effect, Said | SendDatagram)

    async def reload(self) -> Document:
        read: ForeignAgentConfig = await self.read_again(load_foreign_agent)
        now = self._config
        self.engine.reload(read.home_agents, read.mobile_nodes, read.aaa)
        common = replace(self.common, warnings=read.common.warnings)
        now = replace(now, home_agents=read.home_agents, mobile_nodes=read.mobile_nodes, aaa=read.aaa)
        later = replace(now, common=common) != read
        done = {"home_agents": len(read.home_agents), "mobile_nodes": len(read.mobile_nodes), "restart_needed": later}
        self.journal.info("reloaded " + " ".join(f"{key}={value}" for key, value in done.items()))
        if later:
            self.journal.warn("reload: the file has other changes too, which count from the next start")
        return done

    def _arrived(self, arrived: Arrived) -> None:
        frame = (arrived.interface, arrived.link_address, arrived.packet, arrived.checksum_ready)
        self.meters.nodes_received.count_packet(arrived.packet, False)
        self._told(arrived.packet[_PAYLOAD:], "from", show_link(arrived.link_address))
        self.take(self.engine.heard(*frame, self.now()))

    def _replied(self, datagrams: list[Datagram]) -> None:
        began = time.perf_counter()
        for payload, source, port in datagrams:
            self.meters.received.count(payload)
            self._told(payload, "from", show(source))
            self.take(self.engine.receive(payload, source, port, self.now()), began)

    def _told(self, message: bytes, direction: str, peer: str) -> None:
        if self.journal.debugged:
            self.told(message, direction, peer, self._config.sub_nai_vendor)

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


def _policy(config: ForeignAgentConfig) -> Policy:
    """Raises KernelRefused for a visited link that is not there, or has no address: at boot it may get one yet."""
    prefixes = connected_prefixes()
    interfaces = []
    for name in config.interfaces:
        own = addresses(name)
        if not own:
            raise KernelRefused(f"visited link {name}", "has no IPv4 address")
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
