"""What may be asked of a home agent, beside what may be asked of every daemon."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from host_agents.effects import MobilityBinding
from host_agents.home_agent.simultaneous import each
from host_agents.home_agent.tunnel import end_of
from host_agents.runtime.answers import Answers, Document, Request, unhurried
from host_agents.runtime.errors import BadRequest
from host_agents.runtime.where import Where
from mip4.address import show

if TYPE_CHECKING:
    from host_agents.runtime.home_agent_daemon import HomeAgentDaemon

_AT_ONCE = 5000  # addresses that are counted before others have their turn


class HomeAnswers:
    """Of `daemon`, once it is open."""

    def __init__(self, daemon: HomeAgentDaemon) -> None:
        self._daemon = daemon

    def add_to(self, answers: Answers) -> None:
        answers.list("bindings", lambda: self._daemon.engine.bindings, _holds, self._shown)
        answers.show("pools", self._pools)
        answers.show("peers", self._peers)
        answers.add("release", self._release, changes=True)

    async def _pools(self) -> list[Document]:
        """Of each home network: addresses that sessions may get, and what has become of them."""
        bindings, policy = self._daemon.engine.bindings, self._daemon.engine.policy
        bound = [0] * len(policy.networks)
        addresses = bindings.home_addresses()
        for at, network in enumerate(policy.networks):
            for first, last in network.ranges():
                for begin in range(0, len(addresses), _AT_ONCE):
                    bound[at] += sum(first <= one <= last for one in addresses[begin : begin + _AT_ONCE])
                    await asyncio.sleep(0)
        taken = [address for address in policy.reserved if bindings.holder(address) is None]
        found = []
        for at, network in enumerate(policy.networks):
            size = network.pool_size(policy.address)
            reserved = sum(network.in_pool(address) for address in taken)
            found.append(
                {
                    "network": f"{show(network.prefix[0])}/{network.prefix[1]}",
                    "interface": network.interface or None,
                    "addresses": size,
                    "bound": bound[at],
                    "reserved": reserved,
                    "free": max(0, size - bound[at] - reserved),
                }
            )
        return found

    async def _peers(self) -> list[Document]:
        """Foreign agents: those that we share a key with, and those that sessions come through."""
        engine = self._daemon.engine
        keys = engine.policy.foreign_agents
        bindings: Counter[int] = Counter(dict.fromkeys(keys, 0))
        async for session in unhurried(engine.bindings):
            bindings.update(one.care_of_address for one in each(session) if not one.direct)
        return [{"address": show(peer), "key": peer in keys, "bindings": count} for peer, count in bindings.items()]

    async def _release(self, request: Request) -> Document:
        """{"release": {all, or nai and sub_nai; inform}}; answered when it is done.

        Raises BadRequest where there is no such binding.
        """
        daemon, wanted = self._daemon, request["release"]
        if not isinstance(wanted, dict):
            raise BadRequest("release takes an object")
        inform = bool(wanted.get("inform", True))
        if wanted.get("all"):
            every = [(one.nai, one.sub_nai) for one in daemon.engine.bindings]
            return {"released": (_named(session) async for session in daemon.release_each(every, inform))}
        session = (str(wanted.get("nai", "")), str(wanted.get("sub_nai", "")))
        try:
            daemon.take(daemon.engine.release(session, inform, daemon.now()))
        except KeyError as error:
            raise BadRequest(str(error.args[0])) from error
        await daemon.durable()
        return {"released": [_named(session)]}

    def _shown(self, session: MobilityBinding) -> list[Document]:
        return [self._show(one) for one in each(session)]

    def _show(self, binding: MobilityBinding) -> Document:
        """One care-of address of a session; packets are counted for all of them together."""
        daemon = self._daemon
        counters = daemon.datapath.counters(binding.home_address)
        return {
            "nai": binding.nai,
            "sub_nai": binding.sub_nai,
            "home_address": show(binding.home_address),
            "care_of_address": show(binding.care_of_address),
            "lifetime": binding.lifetime,
            "expires_in": None if binding.expires is None else max(0, binding.expires - daemon.clock()) // 1000,
            "tunnel": self._encapsulation(binding),
            "via": "direct" if binding.direct else "fa",
            "packets_in": counters.packets_in,
            "packets_out": counters.packets_out,
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
        }

    def _encapsulation(self, binding: MobilityBinding) -> str:
        """How packets travel to the care-of address, or, where a NAT hides it, to what stands for it."""
        wanted = end_of(binding)
        return wanted.encapsulation if wanted in self._daemon.datapath.ends(binding.home_address) else "none"


def _holds(session: MobilityBinding, where: Where) -> bool:
    care_of = [one.care_of_address for one in each(session)]
    return where.holds(session.nai, session.sub_nai, session.home_address, *care_of)


def _named(session: tuple[str, str]) -> Document:
    return {"nai": session[0], "sub_nai": session[1]}
