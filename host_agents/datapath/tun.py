"""The datapath that always works: a TUN device, the sockets of each encapsulation, and Python in between.

Two thirds of a packet's time are the kernel's, in one read and one send. An outer header of ours would cost the socket
as much as its own; segments of 64 kB from the device (IFF_VNET_HDR) would still leave in 45 sends, each with a TCP
header and checksum to be made here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from host_agents.datapath.broadcasts import Broadcasts
from host_agents.datapath.carrier import Carrier, Exit, TunnelError
from host_agents.datapath.delivery import Delivery
from host_agents.datapath.device import Device
from host_agents.datapath.encapsulations import RAW
from host_agents.datapath.icmp import FRAGMENTATION_NEEDED, HOST, RELAYED
from host_agents.datapath.inner import Inner, read_inner
from host_agents.datapath.keepalives import Keepalives
from host_agents.datapath.notices import Notices
from host_agents.datapath.path_mtu import PathMtu
from host_agents.datapath.protocol import HOME, Counters, Rebound
from host_agents.datapath.raw_carrier import RawCarrier
from host_agents.datapath.sender import Sender
from host_agents.datapath.tunnels import Tunnels, is_redirect, is_tunnel_packet
from host_agents.datapath.udp_carrier import UdpCarrier, UdpPort
from host_agents.effects import InstallDelivery, InstallTunnel, RemoveDelivery, RemoveTunnel, TunnelEnd
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import Instruction
from mip4.address import is_unicast, show
from mip4.const import BROADCAST
from mip4.tunnel import count_down, leave_tunnel


class TunDatapath:
    """Carries packets between `device` and the tunnels of the home addresses installed.

    local: int, where our tunnels begin. side: HOME encapsulates by inner destination and decapsulates by inner source,
    VISITED the other way round. home_prefixes: (network, length), whose broadcasts are copied. known: as of Tunnels.
    dropped: reason -> packets that went nowhere.
    """

    name = "tun"
    capabilities: frozenset[int] = frozenset()

    def __init__(
        self,
        device: str,
        local: int,
        side: str,
        loop: asyncio.AbstractEventLoop,
        home_prefixes: Iterable[tuple[int, int]] = (),
        known: Callable[[int], InstallTunnel | None] = lambda _: None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._local = local
        self._home = side == HOME
        self._broadcasts = Broadcasts(local, home_prefixes, loop)
        self._device = Device(device, loop, self._encapsulate, self.dropped)
        self._holds = False  # the sockets
        self._paths = PathMtu(local)
        self._notices = Notices(self._paths, loop, self.dropped)
        exit_ = Exit(self._decapsulated, self._failed, self._drop)
        self._raw = {one.name: RawCarrier(one, local, loop, exit_) for one in RAW}
        self._udp = UdpCarrier(self._paths, exit_)
        self._tunnels = Tunnels(local, {"udp": self._udp, **self._raw}, known)
        self._held: list[PathMtu | Notices | RawCarrier] = [self._paths, self._notices, *self._raw.values()]
        self._sender = Sender(self._home, self._notices, self._broadcasts, self.dropped)
        self._keepalives = Keepalives(local, loop)
        self._delivery = Delivery(loop, self._handed_in, self._drop)

    def open(self) -> None:
        """As Datapath.open."""
        with contextlib.ExitStack() as undone:
            for one in () if self._holds else self._held:
                one.open()
                undone.callback(one.close)
            self._device.open()
            undone.pop_all()
        self._holds = True

    def use(self, port: UdpPort, rebound: Rebound) -> None:
        """As Datapath.use."""
        self._udp.use(port)
        self._keepalives.report_to(rebound)

    def watch(self, lost: Callable[[], None]) -> None:
        """As Datapath.watch."""
        self._device.watch(lost)

    def close(self) -> None:
        """As Datapath.close. Packets for the device are lost until somebody opens it again."""
        self._device.close()
        if self._holds:
            for one in (*self._held, self._delivery):
                one.close()
            self._holds = False

    def install(self, effect: InstallTunnel) -> None:
        """As Datapath.install."""
        self.check(effect)
        if effect.encapsulating_link:
            self._delivery.listen(effect.encapsulating_link)
        self._tunnels.put(effect)

    def check(self, effect: InstallTunnel) -> None:
        """Whether it could be installed. Raises KernelRefused."""
        missing = "" if self._device.is_there else f"device {self._device.name} is not there"
        if reason := missing or self._tunnels.unfit(effect):
            towards = ", ".join(show(end.remote) for end in effect.ends)
            raise KernelRefused(f"tunnel {show(effect.home_address)} to {towards}", reason)

    def holds(self, home_address: int) -> bool:
        """Whether its tunnel has been here, with counters of its own."""
        return home_address in self._tunnels

    def restore(self, effects: Iterable[InstallTunnel]) -> None:
        """As Datapath.restore. Of a former run nothing is left."""
        self._tunnels.clear()
        for effect in effects:
            self.install(effect)

    def extend(self, ends: Mapping[int, int | None]) -> None:
        """As Datapath.extend. A tunnel of ours ends when it is removed, or with us."""

    def remove(self, effect: RemoveTunnel) -> None:
        """As Datapath.remove."""
        self._tunnels.remove(effect.home_address)

    def guard(self, effect: InstallDelivery) -> None:
        """As Datapath.guard. Of frames we see nothing."""

    def unguard(self, effect: RemoveDelivery) -> None:
        """As Datapath.unguard."""

    def ends(self, home_address: int) -> tuple[TunnelEnd, ...]:
        """As Datapath.ends."""
        return self._tunnels.ends(home_address)

    def counters(self, home_address: int) -> Counters:
        """As Datapath.counters."""
        return self._tunnels.counters(home_address)

    def hear(self, encapsulation: str, program: tuple[Instruction, ...]) -> None:
        """Of its packets take only those that the program accepts: the kernel carries the others. Raises OSError."""
        self._raw[encapsulation].hear(program)

    def _drop(self, reason: str) -> None:
        self.dropped[reason] += 1

    def _encapsulate(self, octets: memoryview) -> None:
        inner = read_inner(octets)
        if inner is None:
            self.dropped["not IPv4"] += 1
            return
        tunnel = self._tunnels.find(inner.destination if self._home else inner.source)
        if inner.ttl == 0:  # the kernel has counted it down, unless it comes from this machine
            self.dropped["TTL"] += 1
        elif tunnel is None and inner.destination in self._broadcasts.silent:
            self._sender.broadcast(inner, self._tunnels.items())
        elif tunnel is None:
            self.dropped["no tunnel"] += 1
            if self._home:
                self._notices.unreachable(inner, HOST)
        elif inner.source == self._local and is_tunnel_packet(inner, self._udp.own_port):
            # RFC 2003 §4.4. Of packets from our own addresses only tunnel packets are stopped: the kernel forwards
            # none, so the others began here, and ICMP errors for mobile nodes are among them.
            self.dropped["loop"] += 1
        elif is_redirect(inner):
            self.dropped["redirect"] += 1
        else:
            self._sender.copy(inner, tunnel)

    def _decapsulated(self, carrier: Carrier, inner: Inner, source: int, port: int, tos: int) -> None:
        """Never answers with ICMP: the inner sender has nothing to do with what is wrong here (RFC 5944 §3.7.3)."""
        tunnel = self._tunnels.find(inner.source if self._home else inner.destination)
        if tunnel is None:
            self.dropped["inner source" if self._home else "inner destination"] += 1
        elif fault := tunnel.fault(carrier, inner, source, port):
            self.dropped[fault] += 1
            if self._home and carrier is self._udp:
                self._keepalives.unbelieved(tunnel, inner, source, port)
        elif inner.ttl == 0:
            self.dropped["inner TTL"] += 1
        elif not leave_tunnel(inner.packet, 0, tos):
            self.dropped["congestion"] += 1
        elif self._device.write(inner.packet):
            tunnel.count(inner, towards_device=not self._home)
            if self._home and inner.destination == BROADCAST:  # one directed at a network comes back from the kernel
                self._sender.broadcast(inner, self._tunnels.items())

    def _handed_in(self, link: str, source: int, inner: Inner, tos: int) -> None:
        """Into the reverse tunnel, if its visitor may do this and sits on that link (RFC 3024 §5.2)."""
        tunnel = self._tunnels.find(inner.source)
        if tunnel is None or tunnel.link != link or source != inner.source:
            self.dropped["delivery"] += 1
        elif inner.ttl == 0:
            self.dropped["inner TTL"] += 1
        elif not leave_tunnel(inner.packet, 0, tos):
            self.dropped["congestion"] += 1
        elif is_unicast(inner.destination) and not count_down(inner.packet, 0):  # a broadcast crosses no router
            self.dropped["TTL"] += 1
            self._notices.time_exceeded(inner)
        else:
            self._sender.copy(replace(inner, ttl=inner.packet[8], tos=inner.packet[1]), tunnel)

    def _failed(self, carrier: Carrier, error: TunnelError) -> None:
        """Tell inner senders what routers inside the tunnel said (RFC 2003 §4)."""
        inner = error.inner
        code = RELAYED.get((error.kind, error.code))
        tunnel = self._tunnels.find(inner.destination if self._home else inner.source) if inner else None
        if tunnel is None or (error.remote, error.port) not in [(end.remote, end.port) for end in tunnel.ends]:
            code = None
        if inner is None or tunnel is None or code is None:
            self.dropped["ICMP about the tunnel"] += 1
        elif code == FRAGMENTATION_NEEDED:
            self._notices.too_long(inner, show(error.remote), carrier.overhead(inner))
        elif len(tunnel.ends) == 1:  # of several, another may have been reached
            # The home agent's own network is the one that it cannot reach (RFC 2003 §4.1).
            self._notices.unreachable(inner, HOST if self._home else code)
