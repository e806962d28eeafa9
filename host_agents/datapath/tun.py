"""The datapath that always works: a TUN device, raw sockets of protocol 4 (RFC 2003), and Python in between."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from host_agents.datapath.device import open_device
from host_agents.datapath.icmp import FRAGMENTATION_NEEDED, HOST, NET, RELAYED
from host_agents.datapath.ip_in_ip import Inner, leave_tunnel, quoted_inner, read_inner
from host_agents.datapath.notices import Notices
from host_agents.datapath.protocol import Counters
from host_agents.datapath.tunnel_sockets import TunnelSockets
from host_agents.effects import InstallTunnel, RemoveTunnel
from host_agents.runtime.errors import KernelRefused
from mip4.address import mask, show
from mip4.const import BROADCAST, PROTO_IPIP

HOME, VISITED = "home", "visited"

_BATCH = 64  # packets per wake-up, so that registrations get their turn


@dataclass(slots=True)
class _Tunnel:
    remote: int
    remote_text: str
    counters: Counters = field(default_factory=Counters)


class TunDatapath:
    """Carries packets between `device` and the tunnels of the home addresses installed.

    local: int, where our tunnels begin. side: HOME encapsulates by inner destination and decapsulates by inner source,
    VISITED the other way round. home_prefixes: (network, length), whose broadcast addresses get no ICMP.
    dropped: reason -> packets that went nowhere.
    """

    name = "tun"

    def __init__(
        self,
        device: str,
        local: int,
        side: str,
        loop: asyncio.AbstractEventLoop,
        home_prefixes: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._name = device
        self._local = local
        self._home = side == HOME
        self._loop = loop
        self._silent = {
            one for net, length in home_prefixes if length < 31 for one in (net, net | ~mask(length) & BROADCAST)
        }
        self._tunnels: dict[int, _Tunnel] = {}
        self._sockets = TunnelSockets(local)
        self._device = -1
        self._buffer = bytearray(65536)
        self._view = memoryview(self._buffer)
        self._notices = Notices(self._sockets, loop, self.dropped)

    def open(self) -> None:
        """As Datapath.open."""
        self._sockets.open()
        try:
            self._device = open_device(self._name)
        except KernelRefused:
            self._sockets.close()
            raise
        self._loop.add_reader(self._device, self._drain_device)
        self._loop.add_reader(self._sockets.fileno(), self._drain_tunnel)

    def close(self) -> None:
        """As Datapath.close. Packets for the device are lost until somebody opens it again."""
        if self._device < 0:
            return
        self._loop.remove_reader(self._device)
        self._loop.remove_reader(self._sockets.fileno())
        self._sockets.close()
        os.close(self._device)
        self._device = -1

    def install(self, effect: InstallTunnel) -> None:
        """As Datapath.install. A tunnel that moves keeps its counters."""
        what = f"tunnel {show(effect.home_address)} to {show(effect.remote)}"
        if self._device < 0:
            raise KernelRefused(what, f"device {self._name} is not there")
        if effect.local != self._local:
            raise KernelRefused(what, f"begins at {show(effect.local)}, this datapath at {show(self._local)}")
        if effect.remote == self._local:
            raise KernelRefused(what, "ends where it begins")
        old = self._tunnels.get(effect.home_address)
        counters = old.counters if old else Counters()
        self._tunnels[effect.home_address] = _Tunnel(effect.remote, show(effect.remote), counters)

    def remove(self, effect: RemoveTunnel) -> None:
        """As Datapath.remove."""
        self._tunnels.pop(effect.home_address, None)

    def counters(self, home_address: int) -> Counters:
        """As Datapath.counters."""
        tunnel = self._tunnels.get(home_address)
        return replace(tunnel.counters) if tunnel else Counters()

    def _drain_device(self) -> None:
        for _ in range(_BATCH):
            try:
                size = os.readv(self._device, [self._buffer])
            except BlockingIOError:
                return
            except OSError:  # deleted under us: it would be readable for ever
                self.dropped["device is gone"] += 1
                self.close()
                return
            self._encapsulate(self._view[:size])

    def _encapsulate(self, octets: memoryview) -> None:
        inner = read_inner(octets)
        if inner is None:
            self.dropped["not IPv4"] += 1
            return
        tunnel = self._tunnels.get(inner.destination if self._home else inner.source)
        if tunnel is None:
            self.dropped["no tunnel"] += 1
            if self._home and inner.destination not in self._silent:
                self._notices.unreachable(inner, HOST)
        elif inner.ttl == 0:  # the kernel has counted it down, unless it comes from this machine
            self.dropped["TTL"] += 1
        elif inner.source == tunnel.remote or (inner.source == self._local and inner.protocol == PROTO_IPIP):
            # RFC 2003 §4.4. Of packets from our own addresses only tunnel packets are stopped: the kernel forwards
            # none, so the others began here, and ICMP errors for mobile nodes are among them.
            self.dropped["loop"] += 1
        elif self._send(inner, tunnel):
            if self._home:
                tunnel.counters.packets_in += 1
                tunnel.counters.bytes_in += len(inner.packet)
            else:
                tunnel.counters.packets_out += 1
                tunnel.counters.bytes_out += len(inner.packet)

    def _send(self, inner: Inner, tunnel: _Tunnel) -> bool:
        reason = 0
        for _ in range(2):
            try:
                self._sockets.send(inner, tunnel.remote_text)
                return True
            except OSError as error:
                reason = error.errno or 0
            if not self._relay_errors():  # else it was an earlier packet's error that the socket reported now
                break
        self.dropped[f"send: {errno.errorcode.get(reason, reason)}"] += 1
        if reason == errno.EMSGSIZE and inner.dont_fragment:
            self._notices.too_long(inner, tunnel.remote_text)
        elif reason in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            self._notices.unreachable(inner, HOST if self._home else NET)
        return False

    def _drain_tunnel(self) -> None:
        for count in range(_BATCH):
            try:
                size = self._sockets.receive_into(self._buffer)
            except BlockingIOError:
                if count == 0:  # woken, but by an error
                    self._relay_errors()
                return
            except OSError:
                self._relay_errors()
                continue
            self._decapsulate(self._view[:size])

    def _decapsulate(self, outer: memoryview) -> None:
        """Never answers with ICMP: the inner sender has nothing to do with what is wrong here (RFC 5944 §3.7.3)."""
        inner = read_inner(outer[(outer[0] & 15) * 4 :])
        if inner is None:
            self.dropped["inner not IPv4"] += 1
            return
        tunnel = self._tunnels.get(inner.source if self._home else inner.destination)
        if tunnel is None:
            self.dropped["inner source" if self._home else "inner destination"] += 1
        elif int.from_bytes(outer[12:16], "big") != tunnel.remote:
            self.dropped["outer source"] += 1
        elif inner.ttl == 0:
            self.dropped["inner TTL"] += 1
        elif not leave_tunnel(inner, outer[1]):
            self.dropped["congestion"] += 1
        elif self._write(inner):
            if self._home:
                tunnel.counters.packets_out += 1
                tunnel.counters.bytes_out += len(inner.packet)
            else:
                tunnel.counters.packets_in += 1
                tunnel.counters.bytes_in += len(inner.packet)

    def _write(self, inner: Inner) -> bool:
        try:
            os.write(self._device, inner.packet)
        except OSError as error:
            self.dropped[f"device: {errno.errorcode.get(error.errno or 0, error.errno)}"] += 1
            return False
        return True

    def _relay_errors(self) -> bool:
        """Tell inner senders what routers inside the tunnel said (RFC 2003 §4); whether there was anything to tell."""
        some = False
        for error in self._sockets.errors(_BATCH):
            some = True
            inner = quoted_inner(error.quoted)
            code = RELAYED.get((error.kind, error.code))
            tunnel = self._tunnels.get(inner.destination if self._home else inner.source) if inner else None
            if inner is None or tunnel is None or tunnel.remote != error.remote or code is None:
                self.dropped["ICMP about the tunnel"] += 1
            elif code == FRAGMENTATION_NEEDED:
                self._notices.too_long(inner, tunnel.remote_text)
            else:
                # The home agent's own network is the one that it cannot reach (RFC 2003 §4.1).
                self._notices.unreachable(inner, HOST if self._home else code)
        return some
