"""What a home agent has the kernel route into the tunnel: home prefixes, or, on a real home link, who is away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.facts import MAIN_TABLE, Fact, Route
from host_agents.runtime.routing import Routing
from host_agents.runtime.sysctl import accept_tunnelled_sources
from mip4.address import in_prefix


class HomeRouter:
    """Points the home prefixes at the tunnel device. prefixes: (network, length) of virtual home networks.

    links: of those that are real links, where only what is registered elsewhere goes into the tunnel, by a host route
    each: all others are reached over the link itself.
    """

    def __init__(self, device: str, prefixes: Sequence[tuple[int, int]], links: Sequence[tuple[int, int]] = ()) -> None:
        self._device = device
        self._prefixes = prefixes
        self._links = links
        self._led: set[int] = set()
        self._routing = Routing()

    def open(self) -> None:
        """Add what is missing, remove an earlier run's; also after the device was down.

        Raises KernelRefused: no such device, or a route that is not ours is in the way.
        """
        index = self._routing.index(self._device)
        accept_tunnelled_sources(self._device)
        wanted = {Route(MAIN_TABLE, network, length, index) for network, length in self._prefixes}
        wanted |= {Route(MAIN_TABLE, home_address, 32, index) for home_address in self._led}
        present = self._present(index)
        for route in present - wanted:
            if self._is_on_link(route):
                self._led.add(route.destination)
            else:
                self._routing.take(route)
        for route in wanted - present:
            self._routing.put(route, exclusive=True)

    def sweep(self, keep: Iterable[int]) -> None:
        """After a restart: of the addresses of links only `keep` is registered elsewhere. Raises KernelRefused."""
        for home_address in self._led - set(keep):
            self.release(home_address)

    def lead(self, home_address: int) -> None:
        """An address of a link is registered elsewhere. Raises KernelRefused, also if a route is in the way."""
        if home_address not in self._led:
            self._routing.put(self._host(home_address), exclusive=True)
            self._led.add(home_address)

    def release(self, home_address: int) -> None:
        """It is no longer. Raises KernelRefused."""
        self._led.discard(home_address)
        self._routing.take(self._host(home_address))

    def mend(self, lost: Fact) -> bool:
        """Put back what somebody took away, also if it had another's route in its place until now.

        False: it is not wanted, or there is one. Raises KernelRefused, as lead.
        """
        if not isinstance(lost, Route) or lost.table != MAIN_TABLE or lost.metric:
            return False
        led = lost.length == 32 and lost.destination in self._led
        if not led and (lost.destination, lost.length) not in self._prefixes:
            return False
        index = self._routing.index(self._device)
        if lost.index != index:  # another's, or of a former device
            return self._routing.fill(replace(lost, index=index))
        self._routing.put(lost, exclusive=True)
        return True

    def close(self) -> None:
        """Routes and device stay, for a restart to find."""
        self._routing.close()

    def withdraw(self) -> None:
        """Remove routes and device. Raises KernelRefused."""
        try:
            index = self._routing.index(self._device)
        except KernelRefused:  # and with the device its routes
            return
        for route in self._present(index):
            self._routing.take(route)
        self._routing.delete_interface(self._device)

    def _host(self, home_address: int) -> Route:
        return Route(MAIN_TABLE, home_address, 32, self._routing.index(self._device))

    def _is_on_link(self, route: Route) -> bool:
        return route.length == 32 and any(in_prefix(route.destination, *link) for link in self._links)

    def _present(self, index: int) -> set[Route]:
        return {route for route in self._routing.routes(MAIN_TABLE) if route.index == index}
