"""What an inner sender is told about packets that the tunnel could not take: lawful, and not too often."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter

from host_agents.datapath.icmp import FRAGMENTATION_NEEDED, Bucket, may_be_answered, unreachable
from host_agents.datapath.ip_in_ip import OVERHEAD, Inner
from host_agents.datapath.tunnel_sockets import TunnelSockets

_RATE = 200  # messages a second


class Notices:
    """ICMP errors from this router to the sources of inner packets. What is not sent is counted in `dropped`."""

    def __init__(self, sockets: TunnelSockets, loop: asyncio.AbstractEventLoop, dropped: Counter[str]) -> None:
        self._sockets = sockets
        self._loop = loop
        self._dropped = dropped
        self._bucket = Bucket(_RATE)

    def too_long(self, inner: Inner, remote: str) -> None:
        """The path MTU towards `remote`, less the outer header (RFC 2003 §5.1)."""
        try:
            mtu = self._sockets.path_mtu(remote)
        except OSError:
            return
        self.unreachable(inner, FRAGMENTATION_NEEDED, mtu - OVERHEAD)

    def unreachable(self, inner: Inner, code: int, mtu: int = 0) -> None:
        """Destination Unreachable with `code`."""
        if not may_be_answered(inner.packet):
            return
        if not self._bucket.take(self._loop.time()):
            self._dropped["ICMP not sent"] += 1
            return
        # Through the routing table rather than the device, where the kernel would refuse our own address as a source.
        try:
            self._sockets.tell(unreachable(inner.packet, code, mtu), inner.source)
        except OSError as error:
            self._dropped[f"ICMP: {errno.errorcode.get(error.errno or 0, error.errno)}"] += 1
