"""Broadcasts of a home network and the mobile nodes that asked for them (RFC 5944 §4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from host_agents.datapath.icmp import Bucket
from host_agents.datapath.inner import Inner, read_inner
from host_agents.datapath.tunnels import End
from mip4.address import in_prefix, mask
from mip4.const import BROADCAST
from mip4.tunnel import OUTER_HEADER, OuterHeader

_RATE = 50  # broadcasts a second: each of them becomes many packets


class Broadcasts:
    """Which packets are broadcasts, for whom, and how they are wrapped. prefixes: (network, length).

    silent: the addresses of these networks that are nobody's, about which no ICMP is sent.
    """

    def __init__(self, local: int, prefixes: Iterable[tuple[int, int]], loop: asyncio.AbstractEventLoop) -> None:
        self._local = local
        self._networks = {net | ~mask(length) & BROADCAST: (net, length) for net, length in prefixes if length < 31}
        self.silent = self._networks.keys() | {net for net, _ in self._networks.values()}
        self._identification = 0
        self._loop = loop
        self._bucket = Bucket(_RATE)

    def network_of(self, inner: Inner) -> tuple[int, int] | None:
        """The home network that is to hear it, None for what is no broadcast of one.

        Only from its own hosts and from the home agent: broadcasts directed at a network from outside are how others
        are flooded in somebody's name (RFC 2644).
        """
        for everybody, (network, length) in self._networks.items():
            inside = in_prefix(inner.source, network, length)
            if inner.destination == everybody:
                return (network, length) if inside or inner.source == self._local else None
            if inner.destination == BROADCAST and inside:
                return network, length
        return None

    def too_many(self) -> bool:
        """Whether one more now is one too many."""
        return not self._bucket.take(self._loop.time())

    def wrapped(self, inner: Inner, home_address: int, end: End) -> Inner | None:
        """What goes into the tunnel to `end`; None when it would be too long for IPv4.

        A foreign agent delivers what is for a home address and nothing else, so it is given a packet for that, with the
        broadcast inside; a node at its co-located care-of address is given the broadcast itself.
        """
        if end.end.co_located:
            return inner
        buffer = bytearray(OUTER_HEADER + len(inner.packet))
        buffer[OUTER_HEADER:] = inner.packet
        self._identification = self._identification + 1 & 0xFFFF
        header = OuterHeader(self._local, home_address, identification=self._identification)
        try:
            header.wrap(buffer, OUTER_HEADER, len(buffer))
        except ValueError:
            return None
        return read_inner(memoryview(buffer))
