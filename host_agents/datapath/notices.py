"""What an inner sender is told about packets that the tunnel could not take: lawful, and not too often."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter

from host_agents.datapath.icmp import FRAGMENTATION_NEEDED, Bucket, may_be_answered, time_exceeded, unreachable
from host_agents.datapath.inner import Inner
from host_agents.datapath.path_mtu import PathMtu
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import DROP_ALL, attach
from mip4.address import show
from mip4.const import PROTO_ICMP

_RATE = 200  # messages a second


class Notices:
    """ICMP errors from this router to the sources of inner packets. What is not sent is counted in `dropped`."""

    def __init__(self, paths: PathMtu, loop: asyncio.AbstractEventLoop, dropped: Counter[str]) -> None:
        self._paths = paths
        self._loop = loop
        self._dropped = dropped
        self._bucket = Bucket(_RATE)

    def open(self) -> None:
        """Raises KernelRefused: no privilege."""
        try:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTO_ICMP)
        except OSError as error:
            raise KernelRefused("ICMP socket", error) from error
        self._socket.setblocking(False)
        attach(self._socket, DROP_ALL)

    def close(self) -> None:
        self._socket.close()

    def too_long(self, inner: Inner, remote: str, overhead: int) -> None:
        """The path MTU towards `remote`, less what the encapsulation adds (RFC 2003 §5.1)."""
        try:
            mtu = self._paths.towards(remote)
        except OSError:
            return
        self.unreachable(inner, FRAGMENTATION_NEEDED, mtu - overhead)

    def unreachable(self, inner: Inner, code: int, mtu: int = 0) -> None:
        """Destination Unreachable with `code`."""
        if may_be_answered(inner.packet):
            self._tell(unreachable(inner.packet, code, mtu), inner.source)

    def time_exceeded(self, inner: Inner) -> None:
        """In transit (RFC 792)."""
        if may_be_answered(inner.packet):
            self._tell(time_exceeded(inner.packet), inner.source)

    def _tell(self, message: bytes, destination: int) -> None:
        if not self._bucket.take(self._loop.time()):
            self._dropped["ICMP not sent"] += 1
            return
        # Through the routing table rather than the device, where the kernel would refuse our own address as a source.
        try:
            self._socket.sendto(message, (show(destination), 0))
        except OSError as error:
            self._dropped[f"ICMP: {errno.errorcode.get(error.errno or 0, error.errno)}"] += 1
