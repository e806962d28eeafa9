"""`datapath = "none"`: registrations only; somebody else carries the packets, or nobody does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from host_agents.datapath.protocol import Counters, Rebound
from host_agents.datapath.udp_carrier import UdpPort
from host_agents.effects import InstallDelivery, InstallTunnel, RemoveDelivery, RemoveTunnel, TunnelEnd


class NoneDatapath:
    """A Datapath that needs no privilege and carries nothing."""

    name = "none"
    capabilities: frozenset[int] = frozenset()

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()

    def open(self) -> None:
        """Nothing to take hold of."""

    def close(self) -> None:
        """Nothing to let go of."""

    def use(self, port: UdpPort, rebound: Rebound) -> None:
        """Message 4 stays a message that nobody knows."""

    def watch(self, lost: Callable[[], None]) -> None:
        """There is no device to lose."""

    def restore(self, effects: Iterable[InstallTunnel]) -> None:
        """As install."""

    def extend(self, ends: Mapping[int, int | None]) -> None:
        """As install."""

    def guard(self, effect: InstallDelivery) -> None:
        """As install."""

    def unguard(self, effect: RemoveDelivery) -> None:
        """As install."""

    def install(self, effect: InstallTunnel) -> None:
        """Accepted, so that registrations succeed."""

    def remove(self, effect: RemoveTunnel) -> None:
        """As install."""

    def ends(self, home_address: int) -> tuple[TunnelEnd, ...]:
        """Never any."""
        return ()

    def counters(self, home_address: int) -> Counters:
        """Always zeros."""
        return Counters()
