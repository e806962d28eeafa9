"""The visitors of a foreign agent, as they come, move and leave: visitor list and data path change together."""

from __future__ import annotations

from host_agents.effects import RemoveDelivery, RemoveVisitor, Said, SendFrame, StoreVisitor, Visitor
from host_agents.foreign_agent.answer import describe
from host_agents.foreign_agent.carriage import carry, dismantle, refuse_address
from host_agents.foreign_agent.policy import Policy
from host_agents.foreign_agent.visitor_table import VisitorTable
from mip4.address import show
from mip4.const import FA_RESOURCES
from mip4.errors import Denied

_EXPIRE_AT_ONCE = 256


class Visits:
    """visitors: for everybody to ask. What a change takes is returned as effects, in their order. now: ms."""

    def __init__(self, policy: Policy, visitors: list[Visitor], now: int) -> None:
        """As of ForeignAgent."""
        self._policy = policy
        self.visitors = VisitorTable(policy.visitors)
        served = {one.name for one in policy.interfaces}
        self._lost: list[Visitor] = []
        for visitor in visitors:
            over = visitor.expires is not None and visitor.expires <= now
            if over or visitor.interface not in served or self.visitors.full:
                self._lost.append(visitor)
                continue
            latest = None if visitor.expires is None else min(visitor.expires, now + policy.lifetime * 1000)
            self.visitors.put(visitor.but(expires=latest))

    def start(self) -> list[object]:
        """The data path of the visitors that were restored; those that could not be are forgotten."""
        lost = [RemoveVisitor(visitor) for visitor in self._lost]
        return [*lost, *(effect for visitor in self.visitors for effect in carry(visitor))]

    def admit(self, visitor: Visitor, reply: SendFrame) -> tuple[Visitor | None, list[object]]:
        """Its home agent has accepted. Who was there before, and effects, of which `reply` is one: it hears of it.

        Raises Denied 66 and Full.
        """
        session = (visitor.nai, visitor.sub_nai)
        holder = self.visitors.find(visitor.home_address)
        former = self.visitors.find_session(session)
        effects: list[object] = []
        refuse_address(visitor.home_address, self._policy)
        if holder is not None and _is_anothers(holder, visitor):
            raise Denied(FA_RESOURCES, f"{show(visitor.home_address)} is another visitor's")
        if holder is not None and (holder.nai, holder.sub_nai) != session:
            effects += self.forget(holder, "its home agent gave the address to another session")
            holder = None
        if former is not None and former.home_address != visitor.home_address:
            if not _is_anothers(former, visitor):
                effects += self.forget(former, "has another address now")
            former = None
        self.visitors.put(visitor)
        effects.append(StoreVisitor(visitor))
        if former is None or carry(former) != carry(visitor):
            if former is not None and former.interface != visitor.interface:
                effects.append(RemoveDelivery(former.home_address, former.interface))
            effects += carry(visitor)
        effects.append(reply)
        if former is None:
            effects.append(Said("info", "visiting", f"visiting {describe(visitor)}"))
        return former or holder, effects

    def put_back(self, visitor: Visitor, former: Visitor | None) -> list[object]:
        """What it was before its turn. former: as of admit()."""
        if self.visitors.find(visitor.home_address) is not visitor:  # it has another session by now
            return []
        self.visitors.remove(visitor.home_address)
        if former is None:
            return dismantle(visitor)
        self.visitors.put(former)
        return [StoreVisitor(former), *carry(former)]

    def forget(self, visitor: Visitor, reason: str) -> list[object]:
        """reason: as logged."""
        self.visitors.remove(visitor.home_address)
        return [*dismantle(visitor), Said("info", "left", f"left {describe(visitor)}: {reason}")]

    def expire(self, now: int) -> list[object]:
        """Those whose lifetime is over."""
        effects: list[object] = []
        for _ in range(_EXPIRE_AT_ONCE):
            visitor = self.visitors.first_expired(now)
            if visitor is None:
                break
            effects += self.forget(visitor, "lifetime over")
        return effects


def _is_anothers(one: Visitor, visitor: Visitor) -> bool:
    """Whether `one` is not for the home agent of `visitor` to end.

    Anybody can name anybody's session, and find a home agent that agrees. A node that has changed its own home agent
    is where it was.
    """
    same = (one.nai, one.sub_nai, one.link_address) == (visitor.nai, visitor.sub_nai, visitor.link_address)
    return one.home_agent != visitor.home_agent and not same
