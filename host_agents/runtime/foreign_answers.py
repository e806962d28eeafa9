"""What may be asked of a foreign agent, beside what may be asked of every daemon."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from host_agents.datapath.protocol import Counters
from host_agents.effects import Visitor
from host_agents.foreign_agent.visitor_table import Pending
from host_agents.runtime.answers import Answers, Document, Request, unhurried
from host_agents.runtime.where import Where
from mip4.address import show, show_link

if TYPE_CHECKING:
    from host_agents.runtime.foreign_agent_daemon import ForeignAgentDaemon


class ForeignAnswers:
    """Of `daemon`, once it is open."""

    def __init__(self, daemon: ForeignAgentDaemon) -> None:
        self._daemon = daemon

    def add_to(self, answers: Answers) -> None:
        answers.list("visitors", self._visitors, _holds, lambda one: [self._show(one)])
        answers.show("peers", self._peers)
        answers.add("drain", self._drain, changes=True)

    async def _peers(self) -> list[Document]:
        """Home agents: those that we share a key with, and those whose sessions are here."""
        engine = self._daemon.engine
        keys = engine.policy.home_agents
        visitors: Counter[int] = Counter(dict.fromkeys(keys, 0))
        async for visitor in unhurried(engine.visitors):
            visitors[visitor.home_agent] += 1
        return [{"address": show(peer), "key": peer in keys, "visitors": count} for peer, count in visitors.items()]

    async def _drain(self, request: Request) -> Document:
        """Answered when it is done."""
        daemon = self._daemon
        drained = len(daemon.engine.visitors)
        daemon.take(daemon.engine.drain(daemon.now()))
        await daemon.durable()
        return {"drained": drained}

    def _visitors(self) -> list[Visitor | Pending]:
        visitors = self._daemon.engine.visitors
        return [*visitors, *visitors.pending()]

    def _show(self, one: Visitor | Pending) -> Document:
        daemon = self._daemon
        counters = Counters() if isinstance(one, Pending) else daemon.datapath.counters(one.home_address)
        if isinstance(one, Pending):
            home_address, home_agent, state = None, one.request.home_agent, "pending"
            (nai, sub_nai), lifetime, expires = one.session, one.request.message.lifetime, None
        else:
            home_address, home_agent, state = show(one.home_address), one.home_agent, "registered"
            nai, sub_nai, lifetime, expires = one.nai, one.sub_nai, one.lifetime, one.expires
        return {
            "nai": nai,
            "sub_nai": sub_nai,
            "home_address": home_address,
            "home_agent": show(home_agent),
            "interface": one.interface,
            "link_address": show_link(one.link_address),
            "lifetime": lifetime,
            "expires_in": None if expires is None else max(0, expires - daemon.now()) // 1000,
            "state": state,
            "packets_in": counters.packets_in,
            "packets_out": counters.packets_out,
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
        }


def _holds(one: Visitor | Pending, where: Where) -> bool:
    if isinstance(one, Pending):
        return where.holds(*one.session, one.request.home_agent)
    return where.holds(one.nai, one.sub_nai, one.home_address, one.home_agent)
