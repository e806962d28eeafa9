"""The tunnels of home addresses: where packets go, and which arriving ones are believed."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, ItemsView, Mapping
from dataclasses import dataclass, field, replace

from host_agents.datapath.carrier import Carrier
from host_agents.datapath.inner import Inner
from host_agents.datapath.protocol import Counters
from host_agents.effects import InstallTunnel, TunnelEnd
from mip4.address import show
from mip4.const import ICMP_REDIRECT, PROTO_GRE, PROTO_ICMP, PROTO_IPIP, PROTO_MINIMAL, PROTO_UDP, TUNNEL_DATA

_TUNNEL_PROTOCOLS = frozenset((PROTO_IPIP, PROTO_GRE, PROTO_MINIMAL))
_UDP_HEADER = 8


@dataclass(slots=True)
class End:
    """A TunnelEnd with what carries packets there. instead: what carries those that `carrier` cannot take."""

    end: TunnelEnd
    remote: int
    remote_text: str
    port: int
    carrier: Carrier
    instead: Carrier

    @classmethod
    def of(cls, end: TunnelEnd, carriers: Mapping[str, Carrier]) -> End:
        """Raises KeyError for an encapsulation that nobody carries."""
        port = end.port if end.encapsulation == "udp" else 0
        return cls(end, end.remote, show(end.remote), port, carriers[end.encapsulation], carriers["ipip"])

    def carrier_of(self, inner: Inner) -> Carrier:
        """What carries this packet. Every tunnel's end has to understand IP-in-IP (RFC 5944 §1.7)."""
        return self.carrier if self.carrier.takes(inner) else self.instead

    def loops(self, inner: Inner) -> bool:
        """Whether the packet comes from where it would be sent to (RFC 2003 §4.4)."""
        if inner.source != self.remote:
            return False
        # Behind the address of a NAT others live who may speak to the mobile node: only the very port is the tunnel.
        return self.port == 0 or _udp_source_port(inner) == self.port


@dataclass(slots=True)
class Tunnel:
    """ends: at least one. link: InstallTunnel.encapsulating_link."""

    ends: tuple[End, ...]
    link: str
    counters: Counters = field(default_factory=Counters)

    def fault(self, carrier: Carrier, inner: Inner, source: int, port: int) -> str:
        """Why what arrived so is not believed; "": it comes from an end, as was negotiated (RFC 3024 §4.3.2)."""
        found = "outer source"
        for end in self.ends:
            if end.remote == source:
                if end.carrier is not carrier and end.carrier_of(inner) is not carrier:
                    found = "encapsulation"
                elif end.port != port:
                    found = "outer port"
                else:
                    return ""
        return found

    def count(self, inner: Inner, towards_device: bool) -> None:
        """One packet that was carried."""
        if towards_device:
            self.counters.packets_in += 1
            self.counters.bytes_in += len(inner.packet)
        else:
            self.counters.packets_out += 1
            self.counters.bytes_out += len(inner.packet)
            self.counters.heard = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Tunnels:
    """Home address -> its tunnel. local: where all of them begin. carriers: by encapsulation.

    known(home_address): of tunnels that somebody else carries, but for what comes here all the same.
    """

    def __init__(
        self, local: int, carriers: Mapping[str, Carrier], known: Callable[[int], InstallTunnel | None]
    ) -> None:
        self._local = local
        self._carriers = carriers
        self._known = known
        self._by_home_address: dict[int, Tunnel] = {}

    def __contains__(self, home_address: int) -> bool:
        """Whether it has been here, with counters of its own."""
        return home_address in self._by_home_address

    def items(self) -> ItemsView[int, Tunnel]:
        return self._by_home_address.items()

    def find(self, home_address: int) -> Tunnel | None:
        tunnel = self._by_home_address.get(home_address)
        if tunnel is None and (effect := self._known(home_address)) is not None:
            tunnel = self._by_home_address[home_address] = self._made(effect, Counters())
        return tunnel

    def unfit(self, effect: InstallTunnel) -> str:
        """What hinders this tunnel; "": nothing."""
        if effect.local != self._local:
            return f"begins at {show(effect.local)}, this datapath at {show(self._local)}"
        if not effect.ends or any(end.remote == self._local for end in effect.ends):
            return "ends where it begins"
        unknown = [end.encapsulation for end in effect.ends if end.encapsulation not in self._carriers]
        return f"no encapsulation is called {unknown[0]}" if unknown else ""

    def put(self, effect: InstallTunnel) -> None:
        """One that is not unfit(). A tunnel that moves keeps its counters."""
        old = self._by_home_address.get(effect.home_address)
        self._by_home_address[effect.home_address] = self._made(effect, old.counters if old else Counters())

    def remove(self, home_address: int) -> None:
        self._by_home_address.pop(home_address, None)

    def clear(self) -> None:
        self._by_home_address.clear()

    def ends(self, home_address: int) -> tuple[TunnelEnd, ...]:
        """As Datapath.ends."""
        tunnel = self._by_home_address.get(home_address)
        return tuple(one.end for one in tunnel.ends) if tunnel else ()

    def counters(self, home_address: int) -> Counters:
        """As Datapath.counters. A packet that is copied to several ends counts once."""
        tunnel = self._by_home_address.get(home_address)
        return replace(tunnel.counters) if tunnel else Counters()

    def _made(self, effect: InstallTunnel, counters: Counters) -> Tunnel:
        ends = tuple(End.of(end, self._carriers) for end in effect.ends)
        return Tunnel(ends, effect.encapsulating_link, counters)


def is_tunnel_packet(inner: Inner, port: int) -> bool:
    """Whether this packet is itself an outer packet. port: where those of UDP begin."""
    if inner.protocol != PROTO_UDP:
        return inner.protocol in _TUNNEL_PROTOCOLS
    data = inner.payload()[_UDP_HEADER : _UDP_HEADER + 1] == bytes((TUNNEL_DATA,))
    return data and _udp_source_port(inner) == port


def is_redirect(inner: Inner) -> bool:
    """Whether this is an ICMP redirect: the kernel sends one when a packet leaves by the device that it came from.

    It speaks of a link, and a tunnel's other end is on none of ours.
    """
    return inner.protocol == PROTO_ICMP and not inner.fragment and inner.payload()[:1] == bytes((ICMP_REDIRECT,))


def _udp_source_port(inner: Inner) -> int:
    """0 where there is none to be seen."""
    payload = inner.payload()
    if inner.protocol != PROTO_UDP or inner.fragment or len(payload) < _UDP_HEADER:
        return 0
    return int(struct.unpack_from("!H", payload)[0])
