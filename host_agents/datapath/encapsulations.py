"""The encapsulations that are IP protocols of their own: one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from host_agents.datapath import gre, ip_in_ip, minimal
from host_agents.datapath.inner import Inner
from mip4.const import PROTO_GRE, PROTO_IPIP, PROTO_MINIMAL


@dataclass(slots=True, frozen=True)
class Encapsulation:
    """name: as TunnelEnd.encapsulation. protocol: of the outer header.

    wrap(inner, local) -> what stands between outer header and packet, what is sent of the packet, the outer TTL.
    unwrap(outer packet, writable) -> the inner one; raises Malformed, whose text is what the drop is counted under.
    quoted(what an ICMP error quotes after the outer header) -> the inner packet's beginning, or None.
    takes(inner) -> whether it can carry this packet at all.
    """

    name: str
    protocol: int
    wrap: Callable[[Inner, int], tuple[bytes, memoryview, int]]
    unwrap: Callable[[memoryview], Inner]
    quoted: Callable[[memoryview], Inner | None]
    takes: Callable[[Inner], bool]


RAW = (
    Encapsulation("ipip", PROTO_IPIP, ip_in_ip.wrap, ip_in_ip.unwrap, ip_in_ip.quoted, ip_in_ip.takes),
    Encapsulation("gre", PROTO_GRE, gre.wrap, gre.unwrap, gre.quoted, gre.takes),
    Encapsulation("minimal", PROTO_MINIMAL, minimal.wrap, minimal.unwrap, minimal.quoted, minimal.takes),
)
