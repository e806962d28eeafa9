"""`datapath = "none"`: registrations only; somebody else carries the packets, or nobody does."""

from __future__ import annotations

from collections import Counter

from host_agents.datapath.protocol import Counters
from host_agents.effects import InstallTunnel, RemoveTunnel


class NoneDatapath:
    """A Datapath that needs no privilege and carries nothing."""

    name = "none"

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()

    def open(self) -> None:
        """Nothing to take hold of."""

    def close(self) -> None:
        """Nothing to let go of."""

    def install(self, effect: InstallTunnel) -> None:
        """Accepted, so that registrations succeed."""

    def remove(self, effect: RemoveTunnel) -> None:
        """As install."""

    def counters(self, home_address: int) -> Counters:
        """Always zeros."""
        return Counters()
