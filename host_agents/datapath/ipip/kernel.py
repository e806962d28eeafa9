"""One router's ipip device and what stands around it in the kernel: routes into tunnels, filters for what comes out."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, closing

from host_agents.datapath.device import TUNNEL_MTU
from host_agents.datapath.ipip import messages
from host_agents.datapath.ipip.messages import DROP, PASS, Match
from host_agents.datapath.protocol import Counters
from host_agents.datapath.traffic_control import EGRESS, INGRESS, Request, filters_on, no_filters_on
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.facts import BLACKHOLE_RULE, Fact, Route, Rule
from host_agents.runtime.routing import Routing
from host_agents.runtime.rtnetlink import Attributes, Rtnetlink
from host_agents.runtime.sysctl import accept_tunnelled_sources
from host_agents.runtime.visited_router import tables_of

# Priorities of filters. Those of sessions have the home address for their handle.
_SESSION, _ELSE = 1, 2
_ONE = 1  # handle of a filter that is alone with its priority
_GONE = (errno.ENOENT, errno.EINVAL)
# Priorities of rules, around those of runtime/visited_router.py. A home agent's come last: what leaves a tunnel for a
# visitor of this machine's foreign agent is not to be tunnelled again by its home agent.
_FROM_ASIDE, _FROM_ASIDE_ELSE, _FROM_VISITOR, _TO_HOME_ADDRESS = 20431, 20432, 20433, 20438


def aside_of(device: str) -> str:
    """Name of the TUN device of what the kernel does not carry."""
    return device[:10] + "-slow"


def withdraw(device: str, local: int, home: bool) -> None:
    """Take away what an agent that does not run has left beside its ipip device, and the routes into that.

    As of InKernel; without ipip in the kernel, and without that device, too. local: 0 where it is not known, and then a
    home agent's rule stays that leads nowhere, since it may be another's. Raises KernelRefused.
    """
    left = InKernel(device, aside_of(device), local, home)
    with closing(Routing()) as routing:
        try:
            index = routing.index(device)
        except KernelRefused:
            index = 0
        rules = left.rules() if local or not home else []
        for fact in [*rules, *left.left_by_a_run(routing, index)]:
            routing.take(fact)
        routing.delete_interface(aside_of(device))


class InKernel:
    """device: the ipip device, as routes know it; aside: the TUN device of what the kernel does not carry.

    A table of routes has the number of the home agent's address. Methods raise OSError and KernelRefused.
    """

    def __init__(self, device: str, aside: str, local: int, home: bool) -> None:
        self._device = device
        self._aside = aside
        self._local = local
        self._home = home
        self._held = ExitStack()
        self._reverse: dict[int, Rule] = {}

    def possible(self) -> None:
        """Whether this kernel has ipip is seen by trying, before anything else gives way. Raises KernelRefused."""
        probe = self._device[:9] + "-probe"
        try:
            with closing(Rtnetlink()) as self._kernel:
                self._kernel.change(*messages.new_device(probe), unless=(errno.EEXIST,))
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise KernelRefused("ipip", "this kernel has none") from error
            raise KernelRefused("ipip", error) from error
        with closing(Routing()) as routing:
            routing.delete_interface(probe)

    def open(self) -> None:
        """Make the device, or take it over without the tunnels that an earlier run has left in it."""
        self._held.close()  # there is something in it if a device was lost
        self._reverse.clear()
        self._kernel = Rtnetlink()
        self._held.callback(self._kernel.close)
        self._routing = Routing()
        self._held.callback(self._routing.close)
        self._index = self._own_device()
        self._kernel.change(*messages.bring_up(self._index, TUNNEL_MTU))
        self._sweep()
        self._kernel.change(*filters_on(self._index))
        self._kernel.change(*messages.verdict(self._index, INGRESS, _ELSE, _ONE, Match(), DROP))
        aside = self._routing.index(self._aside)
        self._kernel.change(*messages.redirect(self._index, EGRESS, _ELSE, _ONE, Match(), aside))
        accept_tunnelled_sources(self._aside)
        for rule in self.rules():
            self._routing.put(rule)

    def close(self) -> None:
        """Everything stays but the device aside, for which nobody is there any more."""
        if not self._home:
            for rule in self.rules():
                self._routing.take(rule)
        self._routing.delete_interface(self._aside)
        self._held.close()

    def put(self, home_address: int, remote: int, mtu: int) -> None:
        """Begin to carry its packets, or carry them elsewhere from now on. mtu: of the path to `remote`."""
        inside = mtu - 20 if mtu - 20 < TUNNEL_MTU else None
        if self._home:
            believed, towards = Match(source=home_address, outer_source=remote), Match(destination=home_address)
            route = messages.tunnel_route(self._local, home_address, 32, self._index, self._local, remote, inside)
        else:
            believed, towards = Match(destination=home_address, outer_source=remote), Match(source=home_address)
            route = messages.tunnel_route(remote, 0, 0, self._index, self._local, remote, inside)
        self._kernel.change(*messages.verdict(self._index, INGRESS, _SESSION, home_address, believed, PASS))
        self._kernel.change(*messages.verdict(self._index, EGRESS, _SESSION, home_address, towards, PASS))
        self._kernel.change(*route)

    def take(self, home_address: int) -> None:
        """Carry its packets no longer; what is not there is no error."""
        if self._home:
            self._routing.take(Route(self._local, home_address, 32, self._index))
        self.let_go(home_address)
        for where in (INGRESS, EGRESS):
            self._kernel.change(*messages.no_filter(self._index, where, _SESSION, home_address), unless=_GONE)

    def reverse(self, home_address: int, interface: str, remote: int) -> None:
        """What the visitor sends on this link goes into the tunnel to its home agent."""
        rule = Rule(_FROM_VISITOR, interface, remote, source=home_address)
        former = self._reverse.get(home_address)
        if rule != former:
            self._routing.put(rule)
            self.let_go(home_address)
            self._reverse[home_address] = rule

    def let_go(self, home_address: int) -> None:
        """Undo reverse()."""
        former = self._reverse.pop(home_address, None)
        if former is not None:
            self._routing.take(former)

    def counters(self, home_address: int) -> Counters:
        """Since put(), which begins at zero each time; of filters that somebody has removed nothing is known."""
        arrived, sent = (self._counted(where, _SESSION, home_address) for where in (INGRESS, EGRESS))
        towards, back = (sent, arrived) if self._home else (arrived, sent)
        return Counters(towards[0], back[0], towards[1], back[1])

    def unbelieved(self) -> int:
        """Packets that arrived for the device and were dropped."""
        return self._counted(INGRESS, _ELSE, _ONE)[0]

    def _counted(self, where: int, priority: int, handle: int) -> tuple[int, int]:
        try:
            return messages.counted(self._get(messages.the_filter(self._index, where, priority, handle)))
        except OSError:
            return 0, 0

    def rules(self) -> list[Rule]:
        """Those of no session: into the home agent's tunnels; to visitors, from the device aside as from our own."""
        if self._home:
            return [Rule(_TO_HOME_ADDRESS, "", self._local)]
        visitors, _ = tables_of(self._device)
        return [
            Rule(_FROM_ASIDE_ELSE, self._aside, 0, BLACKHOLE_RULE),
            Rule(_FROM_ASIDE, self._aside, visitors),
        ]

    def _own_device(self) -> int:
        """A TUN device of that name is our own, of a run with another datapath: it gives way."""
        try:
            found = self._get(messages.the_device(self._device))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
        else:
            kind = messages.kind_of(found)
            if kind == "external ipip":
                return self._routing.index(self._device)
            if kind != "tun":
                raise KernelRefused(f"take tunnel device {self._device}", f"it is {kind or 'no tunnel'}")
            self._routing.delete_interface(self._device)
        self._kernel.change(*messages.new_device(self._device))
        return self._routing.index(self._device)

    def _sweep(self) -> None:
        """With the discipline go the filters."""
        self._kernel.change(*no_filters_on(self._index), unless=_GONE)
        for fact in self.left_by_a_run(self._routing, self._index):
            self._routing.take(fact)

    def left_by_a_run(self, routing: Routing, index: int) -> Iterator[Fact]:
        """Rules to tables with routes into our device, and those routes. index: of that device.

        A foreign agent's rule that leads nowhere has lost its device; another home agent's is there before it has
        bindings.
        """
        for rule in routing.rules():
            if rule.priority == (_TO_HOME_ADDRESS if self._home else _FROM_VISITOR):
                routes = routing.routes(rule.table)
                if all(route.index == index for route in routes) and (routes or not self._home):
                    yield rule
                    yield from routes

    def _get(self, request: Request) -> Attributes:
        return self._kernel.get(request.kind, request.head, request.attributes).attributes
