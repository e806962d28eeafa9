"""The links that a foreign agent serves: what the kernel says of them, and their frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from host_agents.effects import SendFrame
from host_agents.foreign_agent.policy import Policy, VisitedInterface
from host_agents.runtime.agent_link import AgentLink, Arrived
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.interfaces import connected_prefixes, prefixes_of


def connected(policy: Policy) -> Policy:
    """`policy` with our own address on each visited link, and the prefixes of all our links.

    Raises KernelRefused for a visited link that is not there, or has no address: at boot it may get one yet.
    """
    prefixes = tuple((one.network, one.length) for one in connected_prefixes())
    return replace(policy, interfaces=tuple(map(_connected, policy.interfaces)), connected=prefixes)


def _connected(interface: VisitedInterface) -> VisitedInterface:
    own = prefixes_of(interface.name)
    if not own:
        raise KernelRefused(f"visited link {interface.name}", "has no IPv4 address")
    return replace(interface, address=own[0].address, prefix_length=own[0].length)


class VisitedLinks:
    """interfaces: connected. arrived, came_up: as of AgentLink."""

    def __init__(
        self,
        interfaces: Iterable[VisitedInterface],
        arrived: Callable[[Arrived], None],
        came_up: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._links = {one.name: AgentLink(one.name, [one.address], arrived, came_up, loop) for one in interfaces}

    def open(self) -> None:
        """Raises KernelRefused."""
        for link in self._links.values():
            link.open()

    def read_no_more(self) -> None:
        """As of AgentLink."""
        for link in self._links.values():
            link.read_no_more()

    def close(self) -> None:
        for link in self._links.values():
            link.close()

    def send(self, effect: SendFrame) -> None:
        """As of AgentLink."""
        self._links[effect.interface].send(effect)
