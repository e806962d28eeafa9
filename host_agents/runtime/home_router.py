"""What a home agent has the kernel route into the tunnel."""

from __future__ import annotations

from collections.abc import Sequence

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.routing import MAIN_TABLE, Route, Routing
from host_agents.runtime.sysctl import accept_tunnelled_sources


class HomeRouter:
    """Points the home prefixes at the tunnel device. prefixes: (network, length), virtual home networks only."""

    def __init__(self, device: str, prefixes: Sequence[tuple[int, int]]) -> None:
        self._device = device
        self._prefixes = prefixes
        self._routing = Routing()

    def open(self) -> None:
        """Add what is missing, remove an earlier run's; also after the device was down.

        Raises KernelRefused: no such device, or a route that is not ours is in the way.
        """
        index = self._routing.index(self._device)
        accept_tunnelled_sources(self._device)
        wanted = {Route(MAIN_TABLE, network, length, index) for network, length in self._prefixes}
        present = self._present(index)
        for route in present - wanted:
            self._routing.take(route)
        for route in wanted - present:
            self._routing.put(route, exclusive=True)

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

    def _present(self, index: int) -> set[Route]:
        return {route for route in self._routing.routes(MAIN_TABLE) if route.index == index}
