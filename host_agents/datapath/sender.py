"""Into the tunnels: one packet to every end of one tunnel, or a broadcast to many tunnels."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable

from host_agents.datapath.broadcasts import Broadcasts
from host_agents.datapath.icmp import HOST, NET
from host_agents.datapath.inner import Inner
from host_agents.datapath.notices import Notices
from host_agents.datapath.tunnels import End, Tunnel
from mip4.address import in_prefix


class Sender:
    """home: whether this is the home agent's side. What is not sent is counted in `dropped`."""

    def __init__(self, home: bool, notices: Notices, broadcasts: Broadcasts, dropped: Counter[str]) -> None:
        self._home = home
        self._notices = notices
        self._broadcasts = broadcasts
        self._dropped = dropped

    def copy(self, inner: Inner, tunnel: Tunnel) -> None:
        """To every end (RFC 5944 §3.8.3.1). Unreachable is only who cannot be reached at any."""
        sent = unreachable = False
        for end in tunnel.ends:
            if end.loops(inner):
                self._dropped["loop"] += 1
                continue
            reason = self._send(inner, end)
            sent |= reason == 0
            unreachable |= reason in (errno.EHOSTUNREACH, errno.ENETUNREACH)
            if reason == errno.EMSGSIZE and inner.dont_fragment:
                self._notices.too_long(inner, end.remote_text, end.carrier_of(inner).overhead(inner))
        if sent:
            tunnel.count(inner, towards_device=self._home)
        elif unreachable:
            self._notices.unreachable(inner, HOST if self._home else NET)

    def broadcast(self, inner: Inner, tunnels: Iterable[tuple[int, Tunnel]]) -> None:
        """To every end in that network that asked for it (RFC 5944 §4.3), but not back to whom it comes from.

        tunnels: with their home addresses.
        """
        network = self._broadcasts.network_of(inner)
        if network is None or self._broadcasts.too_many():
            self._dropped["broadcast"] += 1
            return
        for home_address, tunnel in tunnels:
            if home_address == inner.source or not in_prefix(home_address, *network):
                continue
            packets = [
                (end, self._broadcasts.wrapped(inner, home_address, end)) for end in tunnel.ends if end.end.broadcast
            ]
            if any([packet is not None and self._send(packet, end) == 0 for end, packet in packets]):
                tunnel.count(inner, towards_device=True)

    def _send(self, inner: Inner, end: End) -> int:
        """0, or the errno of what hindered it."""
        try:
            end.carrier_of(inner).send(inner, end.remote_text, end.port)
        except OSError as error:
            self._dropped[f"send: {errno.errorcode.get(error.errno or 0, error.errno)}"] += 1
            return error.errno or errno.EIO
        return 0
