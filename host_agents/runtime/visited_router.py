"""What a foreign agent's effects mean to the kernel's routing: visitors out of the tunnel, and into it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from host_agents.effects import InstallDelivery, RemoveDelivery
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.facts import BLACKHOLE_RULE, LAST_METRIC, Fact, Neighbour, Route, Rule, is_gone
from host_agents.runtime.routing import Routing
from host_agents.runtime.sysctl import accept_tunnelled_sources
from mip4.const import PROTO_ICMP

# Before the main table (32766), after an operator's own rules with smaller numbers.
_OURS = _FROM_TUNNEL, _FROM_TUNNEL_ELSE, _FROM_HERE, _FROM_VISITOR = 20434, 20435, 20436, 20437


def tables_of(device: str) -> tuple[int, int]:
    """Numbers of the visitors' and the reverse tunnel's routing table, so that two agents of one router do not meet."""
    first = 434_000_000 + zlib.crc32(device.encode()) % 1_000_000 * 2
    return first, first + 1


class VisitedRouter:
    """Delivers to visitors, and takes their packets into the reverse tunnel (RFC 3024).

    Visitors' routes are in a table that only packets from the tunnel consult, so that no home address, however chosen,
    draws in anybody else's traffic; and ICMP that begins here, because what the kernel says to a visitor about a packet
    too long for the reverse tunnel would otherwise go by the home agent, which has to take it for a loop.
    """

    def __init__(self, device: str, interfaces: Sequence[str]) -> None:
        self._device = device
        self._interfaces = interfaces
        self._visitors, self._reverse = tables_of(device)
        self._deliveries: dict[int, InstallDelivery] = {}
        self._routing = Routing()

    def open(self) -> None:
        """Rules and default routes; visitors' state is left as it is. Raises KernelRefused."""
        accept_tunnelled_sources(self._device)
        for fact in self._frame():
            self._routing.put(fact)

    def close(self) -> None:
        """Everything stays: traffic of live sessions goes on."""
        self._routing.close()

    def install(self, effect: InstallDelivery) -> None:
        """Begin to deliver, or deliver elsewhere from now on. Raises KernelRefused."""
        old = self._deliveries.get(effect.home_address)
        facts = self._facts(effect)
        for fact in facts:
            self._routing.put(fact)
        self._deliveries[effect.home_address] = effect
        if old is not None and old != effect:
            for fact in self._facts_if_there(old):
                # A new link address has replaced the old one in the same entry.
                replaced = isinstance(fact, Neighbour) and effect.interface == old.interface
                if fact not in facts and not replaced:
                    self._routing.take(fact)

    def remove(self, effect: RemoveDelivery) -> None:
        """End delivery on that interface; what is not there is no error. Raises KernelRefused."""
        old = self._deliveries.get(effect.home_address)
        if old is not None and old.interface == effect.interface:
            del self._deliveries[effect.home_address]
        undone = InstallDelivery(effect.home_address, effect.interface, b"\0" * 6, True)
        for fact in reversed(self._facts_if_there(undone)):
            self._routing.take(fact)

    def sweep(self, keep: Iterable[InstallDelivery]) -> None:
        """After a restart: `keep` and nothing else is delivered; what the kernel has of it stays untouched.

        A visitor whose interface is away for now is remembered for restore(). Raises KernelRefused.
        """
        self._deliveries = {one.home_address: one for one in keep}
        wanted, present = self._wanted(), self._present()
        for fact in present - set(wanted):
            self._routing.take(fact)
        for fact in wanted:
            if fact not in present:
                self._routing.put(fact)

    def restore(self) -> None:
        """Put back what was lost; what belongs to an interface that is down waits for it. Raises KernelRefused."""
        up = {interface for interface in self._interfaces if self._routing.is_up(interface)}
        there = [fact for one in self._deliveries.values() if one.interface in up for fact in self._facts(one)]
        for fact in self._frame() + there:
            self._routing.put(fact)

    def mend(self, lost: Fact) -> bool:
        """Put back what somebody took away; False: it is not wanted, is there, or went with its link.

        Raises KernelRefused.
        """
        if isinstance(lost, Route) and lost.table not in (self._visitors, self._reverse):
            return False
        delivery = self._deliveries.get(lost.about)
        if not lost.about:
            wanted = self._frame()
        elif delivery is not None and self._routing.is_up(delivery.interface):
            wanted = self._facts(delivery)
        else:  # if it is the link that went, restore() is for when it comes again
            return False
        found = next((fact for fact in wanted if is_gone(fact, lost)), None)
        if isinstance(found, Neighbour):  # in whose place the kernel may have begun to ask for one
            self._routing.put(found)
            return True
        return found is not None and self._routing.fill(found)  # who moves from link to link took the former one along

    def withdraw(self) -> None:
        """Remove everything, the device too. Raises KernelRefused."""
        self._deliveries = {}
        for fact in self._present():
            self._routing.take(fact)
        self._routing.delete_interface(self._device)

    def _frame(self) -> list[Fact]:
        """What does not depend on visitors. Strict things first: there is no moment in which a packet slips by them."""
        return [
            Rule(_FROM_TUNNEL_ELSE, self._device, 0, BLACKHOLE_RULE),
            Rule(_FROM_TUNNEL, self._device, self._visitors),
            Rule(_FROM_HERE, "lo", self._visitors, ip_protocol=PROTO_ICMP),
            Route(self._reverse, 0, 0, 0, LAST_METRIC),  # never in the clear while the device is away
            Route(self._reverse, 0, 0, self._routing.index(self._device)),
        ]

    def _facts(self, delivery: InstallDelivery) -> list[Fact]:
        index = self._routing.index(delivery.interface)
        facts: list[Fact] = [
            Neighbour(index, delivery.home_address, delivery.link_address),
            Route(self._visitors, delivery.home_address, 32, index),
        ]
        if delivery.reverse:
            facts.append(Rule(_FROM_VISITOR, delivery.interface, self._reverse, source=delivery.home_address))
        return facts

    def _facts_if_there(self, delivery: InstallDelivery) -> list[Fact]:
        try:
            return self._facts(delivery)
        except KernelRefused:  # the interface is gone, and its routes and neighbours with it
            return [Rule(_FROM_VISITOR, delivery.interface, self._reverse, source=delivery.home_address)]

    def _wanted(self) -> list[Fact]:
        found = self._frame()
        for one in self._deliveries.values():
            found.extend(self._facts_if_there(one))
        return found

    def _present(self) -> set[Fact]:
        tables = (self._visitors, self._reverse)
        found: set[Fact] = {route for table in tables for route in self._routing.routes(table)}
        rules = {rule for rule in self._routing.rules() if rule.priority in _OURS}  # others are the datapath's
        found |= {rule for rule in rules if rule.table in tables or rule.iif == self._device}
        led, indices = {(one.index, one.about) for one in found if isinstance(one, Route)}, self._indices()
        neighbours = self._routing.neighbours()  # also on a link that the configuration has no longer
        found |= {one for one in neighbours if one.index in indices or (one.index, one.address) in led}
        return found

    def _indices(self) -> set[int]:
        found = set()
        for interface in self._interfaces:
            try:
                found.add(self._routing.index(interface))
            except KernelRefused:
                continue
        return found
