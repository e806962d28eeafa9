"""Keepalives from where no tunnel ends: noticed, reported, not believed (RFC 3519 §4.9, §4.10)."""

from __future__ import annotations

import asyncio

from host_agents.datapath.icmp import Bucket
from host_agents.datapath.inner import Inner
from host_agents.datapath.protocol import Rebound
from host_agents.datapath.tunnels import Tunnel
from mip4.const import ICMP_ECHO_REQUEST, PROTO_ICMP

_RATE = 10  # reports a second, since anybody can cause them


class Keepalives:
    """local: int, the home agent's address, to which a mobile node sends its echo requests."""

    def __init__(self, local: int, loop: asyncio.AbstractEventLoop) -> None:
        self._local = local
        self._loop = loop
        self._bucket = Bucket(_RATE)
        self._rebound: Rebound | None = None

    def report_to(self, rebound: Rebound) -> None:
        """As Datapath.use."""
        self._rebound = rebound

    def unbelieved(self, tunnel: Tunnel, inner: Inner, source: int, port: int) -> None:
        """Report it if it is a keepalive of a home address that has a UDP tunnel."""
        if (
            self._rebound is not None
            and inner.protocol == PROTO_ICMP
            and inner.destination == self._local
            and not inner.fragment
            and inner.payload()[:1] == bytes((ICMP_ECHO_REQUEST,))
            and any(one.end.encapsulation == "udp" for one in tunnel.ends)
            and self._bucket.take(self._loop.time())
        ):
            self._rebound(inner.source, source, port)
