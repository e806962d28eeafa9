"""The home networks that are real links: which there are, and what bindings mean on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from host_agents.home_agent.advertiser import Advertiser
from host_agents.home_agent.policy import HomeNetwork, Policy
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.home_link import HomeLink, Occupied
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.interfaces import prefixes_of
from host_agents.runtime.meters import Meters
from mip4.address import in_prefix, show


def connected(policy: Policy) -> Policy:
    """`policy` with our own address on each home link.

    Raises KernelRefused for a link that is not there, or has no address in its network: at boot it may get one yet.
    """
    return replace(policy, networks=tuple(_connected(one) if one.interface else one for one in policy.networks))


def _connected(network: HomeNetwork) -> HomeNetwork:
    own = [one.address for one in prefixes_of(network.interface) if in_prefix(one.address, *network.prefix)]
    if not own:
        prefix, length = network.prefix
        raise KernelRefused(f"home link {network.interface}", f"has no IPv4 address in {show(prefix)}/{length}")
    return replace(network, address=own[0])


class HomeLinks:
    """None of them, or some. router: leads what is registered elsewhere into the tunnel."""

    def __init__(
        self,
        policy: Policy,
        router: HomeRouter,
        occupied: Occupied,
        now: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        meters: Meters,
    ) -> None:
        self._router = router
        self._links = [
            HomeLink(one, Advertiser(policy, one, now()), occupied, now, loop, meters)
            for one in policy.networks
            if one.interface
        ]

    def open(self) -> None:
        """Raises KernelRefused."""
        for link in self._links:
            link.open()

    def start(self, away: Iterable[int], given_back: Iterable[int]) -> None:
        """away: home addresses that are registered elsewhere. given_back: as of HomeLink. Raises KernelRefused."""
        self._router.sweep(away)
        for link in self._links:
            link.start(one for one in given_back if in_prefix(one, *link.network.prefix))

    def close(self) -> None:
        for link in self._links:
            link.close()

    def away(self, home_address: int) -> None:
        """It is registered elsewhere. Raises KernelRefused."""
        for link in self._of(home_address):
            self._router.lead(home_address)
            link.away(home_address)

    def back(self, home_address: int) -> None:
        """It is registered nowhere. Raises KernelRefused."""
        for link in self._of(home_address):
            self._router.release(home_address)
            link.back(home_address)

    def came_home(self, home_address: int) -> None:
        """Its node says that it is on its link."""
        for link in self._of(home_address):
            link.came_home(home_address)

    def index(self, address: int) -> int:
        """Of the interface by which `address` is reached at home, 0 for none.

        What is said to who is there goes there even if he is registered elsewhere, as a denial is (RFC 5944 §3.8.3.1).
        """
        for link in self._links:
            if in_prefix(address, *link.network.prefix):
                return link.index
        return 0

    def _of(self, address: int) -> list[HomeLink]:
        return [link for link in self._links if in_prefix(address, *link.network.prefix)]
