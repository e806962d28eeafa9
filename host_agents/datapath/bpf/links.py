"""The interfaces of the router: each with our program on its ingress, visited ones with their visitors."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from host_agents.datapath.bpf.hooks import ADMIT, LEAVE, Hooks
from host_agents.datapath.bpf.sessions import Sessions
from host_agents.effects import InstallDelivery, RemoveDelivery
from host_agents.runtime.kernel_events import KernelEvents

_LINKS = 1  # RTMGRP_LINK


class Links:
    """programs: by name. leave: which takes packets out of their tunnels. dropped: where what went wrong is counted.

    Follows link events from open() on. Methods raise OSError.
    """

    def __init__(
        self,
        hooks: Hooks,
        programs: Mapping[str, int],
        leave: str,
        sessions: Sessions,
        loop: asyncio.AbstractEventLoop,
        dropped: Counter[str],
    ) -> None:
        self._hooks = hooks
        self._programs = programs
        self._leave = leave
        self._sessions = sessions
        self._dropped = dropped
        self._events = KernelEvents(loop, _LINKS, lambda _: self._changed())
        self._hooked: set[int] = set()  # indices
        self._visitors: dict[int, InstallDelivery] = {}
        self._visited: dict[str, int] = {}  # name -> index, of links with visitors

    def open(self) -> None:
        """Raises KernelRefused, too."""
        self._events.open()
        self._hook()

    def close(self) -> None:
        """The programs stay."""
        self._events.close()

    def guard(self, visitor: InstallDelivery) -> None:
        """A frame on a visited link with its address as the source has to come from that link, and from its node."""
        self._sit(visitor, {} if visitor.interface in self._visited else self._indices())
        self._visitors[visitor.home_address] = visitor

    def unguard(self, gone: RemoveDelivery) -> None:
        """What is not there is no error."""
        known = self._visitors.get(gone.home_address)
        if known is not None and known.interface == gone.interface:
            del self._visitors[gone.home_address]
            self._sessions.sit(gone.home_address, 0, bytes(6))

    def _changed(self) -> None:
        try:
            self._hook()
        except OSError:  # it is gone already; another event says so
            self._dropped["link event"] += 1

    def _hook(self) -> None:
        """Programs on every interface that has none of ours yet; visitors where their links are now."""
        indices = self._indices()
        self._hooked &= set(indices.values())
        for index in set(indices.values()) - self._hooked:
            self._hooks.attach(index, LEAVE, self._programs[self._leave], self._leave)
            self._hooked.add(index)
        for link in {visitor.interface for visitor in self._visitors.values()}:
            if indices.get(link) != self._visited.get(link):  # gone, or made anew
                self._visited.pop(link, None)
                for visitor in [one for one in self._visitors.values() if one.interface == link]:
                    self._sit(visitor, indices)

    def _sit(self, visitor: InstallDelivery, indices: Mapping[str, int]) -> None:
        """Where the link is away for now, nothing comes from it either. indices: of the links there are, by name."""
        link = visitor.interface
        if link not in self._visited and link in indices:
            self._hooks.attach(indices[link], ADMIT, self._programs["visited_admit"], "visited_admit")
            self._visited[link] = indices[link]
        if link in self._visited:
            self._sessions.sit(visitor.home_address, self._visited[link], visitor.link_address)

    def _indices(self) -> dict[str, int]:
        return {one.name: one.index for one in self._hooks.interfaces()}
