"""Packets in message 4 of the agent's own UDP socket, which a NAT lets through (RFC 3519)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Protocol

from host_agents.datapath.carrier import Exit, TunnelError
from host_agents.datapath.fragments import fragments
from host_agents.datapath.inner import Inner, quoted_inner, read_inner
from host_agents.datapath.path_mtu import PathMtu
from mip4.const import PROTO_IPIP, TUNNEL_DATA
from mip4.errors import Malformed
from mip4.tunnel import unwrap_tunnel_data

_HEAD = bytes((TUNNEL_DATA, PROTO_IPIP, 0, 0))
OVERHEAD = 20 + 8 + len(_HEAD)
_ALWAYS_FITS = 576 - OVERHEAD  # RFC 791: every network takes 576 octets, in pieces if need be


class UdpPort(Protocol):
    """The agent's socket, bound to `port`. Datagrams that begin with octet 4 are not messages but packets."""

    port: int

    def carry(
        self,
        tunnelled: Callable[[memoryview, int, int, int], None],
        failed: Callable[[memoryview, int, int, int, int], None],
    ) -> None:
        """Call tunnelled(payload, source, port, TOS) for each; failed(payload, remote, port, ICMP type, code)."""
        ...

    def send_tunnelled(self, head: bytes, packet: memoryview, remote: tuple[str, int], tos: int, whole: bool) -> None:
        """whole: with DF. Raises OSError; EMSGSIZE: whole, and too long."""
        ...


class UdpCarrier:
    """A Carrier that has no socket of its own; before use() it carries nothing."""

    name = "udp"

    def __init__(self, paths: PathMtu, exit_: Exit) -> None:
        self._paths = paths
        self._exit = exit_
        self._port: UdpPort | None = None

    def use(self, port: UdpPort) -> None:
        """Carry through this socket from now on."""
        self._port = port
        port.carry(self._arrived, self._failed)

    @property
    def own_port(self) -> int:
        """Where our tunnels begin; 0 before use()."""
        return self._port.port if self._port else 0

    def takes(self, inner: Inner) -> bool:
        """As Carrier.takes: every packet."""
        return True

    def overhead(self, inner: Inner) -> int:
        """As Carrier.overhead."""
        return OVERHEAD

    def send(self, inner: Inner, remote: str, port: int) -> None:
        """As Carrier.send, but what may be fragmented is fragmented before (RFC 3519 §4.8)."""
        if self._port is None or port == 0:
            raise OSError(errno.ENOTCONN, "no UDP port")
        if inner.dont_fragment or len(inner.packet) <= _ALWAYS_FITS:
            self._port.send_tunnelled(_HEAD, inner.packet, (remote, port), inner.tos, inner.dont_fragment)
            return
        for part in fragments(inner.packet, self._paths.towards(remote) - OVERHEAD):
            self._port.send_tunnelled(_HEAD, part, (remote, port), inner.tos, False)

    def _arrived(self, payload: memoryview, source: int, port: int, tos: int) -> None:
        try:
            inner = read_inner(payload[unwrap_tunnel_data(payload, 0, len(payload)) :])
        except Malformed as error:
            self._exit.dropped(str(error))
            return
        if inner is None:
            self._exit.dropped("inner not IPv4")
        elif port == 0:  # nobody can be answered there
            self._exit.dropped("outer port")
        else:
            self._exit.arrived(self, inner, source, port, tos)

    def _failed(self, payload: memoryview, remote: int, port: int, kind: int, code: int) -> None:
        self._exit.failed(self, TunnelError(quoted_inner(payload[len(_HEAD) :]), remote, port, kind, code))
