"""A storm in which, besides, kernels refuse, operators end sessions, and somebody sends again whatever he has heard."""

from __future__ import annotations

import random
from typing import Any

from mip4.address import show
from tests.helpers.agent_stations import AgentStation
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NTP_2026
from tests.helpers.messages import FOREIGN_HOME
from tests.helpers.storm import DISCOVER, Storm

_REQUEST = 3
_LIFETIME = 120  # seconds, so that what nobody could be told of is mended before the calm is over
_HEARD = 400  # datagrams that are remembered
_MOMENTS = 200  # of 10 ms, while turns are open: a commit takes up to 400 ms
_PLACES = (("fa1", "fa2"), ("fa1", "fa2", "nat", "cafe"), ("fa1", "fa2", "home", "nat"))
_STRANGER = b"\2strng"  # a link address


class WildStorm(Storm):
    """heard: (from, to, octets) of what was sent lately. identifications: the last durable one of each session."""

    def __init__(self, seed: int) -> None:
        fate = random.Random(seed * 7919)
        self.heard: list[tuple[str, str, bytes]] = []
        self.identifications: dict[tuple[str, str], int] = {}
        self._nonces = fate.random() < 0.3
        super().__init__(seed, "nonces" if self._nonces else "timestamps", fate.random() < 0.25, fate.choice(_PLACES))
        world = self.world
        if fate.random() < 0.6:  # they share a key, and so may revoke
            world.home_agent.policy.foreign_agents.update(dict.fromkeys(FOREIGN_AGENTS.values(), FOREIGN_HOME))
            for station in world.foreign_agents.values():
                station.policy.home_agents[HOME_AGENT] = FOREIGN_HOME
        for station in (world.home_agent, *world.foreign_agents.values()):
            station.kill()
            station.start(NTP_2026)
        simultaneous = fate.random() < 0.25
        for node in self.nodes:
            node.config |= {"lifetime": _LIFETIME, "simultaneous": simultaneous}
            node.boot()
        world.watch = lambda source, destination, octets: self._hear(source, destination, octets)
        commit = world.home_agent._commit
        world.home_agent._commit = lambda *turn: (commit(*turn), self._look())  # type: ignore[method-assign]

    def _hear(self, source: str, destination: str, octets: bytes) -> None:
        self.heard = [*self.heard[-_HEARD:], (source, destination, octets)]

    def _look(self) -> None:
        """What was accepted once is never accepted again: the durable Identification of a session does not fall.

        Between commits: one that puts a former binding back has its Identification, and then the last one, in two rows.
        """
        for session, last in self.world.home_agent.identifications.items():
            assert self._nonces or last >= self.identifications.get(session, 0)
            self.identifications[session] = last

    def blow(self) -> None:
        happening = self.chance.choices(
            (super().blow, self._repeat, self._refuse, self._refuse_tunnels, self._release), weights=(7, 2, 1, 1, 1)
        )[0]
        happening()

    def _repeat(self) -> None:
        for source, destination, octets in self.chance.choices(self.heard, k=3) if self.heard else ():
            world = self.world
            node = next((one for one in self.nodes if one.name in (source, destination)), None)
            if node is not None and destination in world.foreign_agents:
                link_address = self.chance.choice((node.link_address, _STRANGER))
                world.foreign_agents[destination].heard(link_address, octets)
            elif destination in world.foreign_agents:
                world.foreign_agents[destination].receive(octets, HOME_AGENT, 434)
            elif destination == "ha" and source in world.foreign_agents:
                world.home_agent.receive(octets, FOREIGN_AGENTS[source], 434)
            elif node is not None and source == "ha" and node.at is not None:
                node.run(node.engine.receive(octets, HOME_AGENT, node.now))

    def _refuse(self) -> None:
        station = self.chance.choice([*self.world.foreign_agents.values(), self.world.home_agent])
        if station.up:
            station.refusing = "the kernel would not"
            self.world.at(self.world.now + self.chance.randint(1, 4000), lambda: setattr(station, "refusing", ""))

    def _refuse_tunnels(self) -> None:
        node = self.chance.choice(self.nodes)
        node.makes_tunnels = False
        self.world.at(self.world.now + self.chance.randint(1, 30_000), lambda: setattr(node, "makes_tunnels", True))

    def _release(self) -> None:
        agent = self.world.home_agent
        free = [one for one in agent.engine.bindings if (one.nai, one.sub_nai) not in agent.engine._open]
        if agent.up and free:
            one = self.chance.choice(free)
            agent.run(agent.engine.release((one.nai, one.sub_nai), self.chance.random() < 0.8, agent.now))

    def calm(self) -> None:
        """Devices that have an address renew it. It ends at a moment when nothing is being stored."""
        for station in (self.world.home_agent, *self.world.foreign_agents.values()):
            station.refusing = ""
        for node in self.nodes:
            node.makes_tunnels = True
            node.device = self._renewing(node, node.device)  # type: ignore[method-assign]
        super().calm()
        for _ in range(_MOMENTS):
            if not any(station.stores for station in self.stations()):
                return
            self.world.pass_time(seconds=0.01)

    @staticmethod
    def _renewing(node: Any, device: Any) -> Any:
        def asked(kind: int, link_address: bytes, **fields: Any) -> None:
            held = node.address_of_device(link_address)
            if kind == DISCOVER and held:
                device(_REQUEST, link_address, asked=held)
            else:
                device(kind, link_address, **fields)

        return asked

    def stations(self) -> list[AgentStation]:
        return [self.world.home_agent, *self.world.foreign_agents.values()]

    def wanted(self) -> list[tuple[Any, str]]:
        """(node, sub-NAI) of every session that there is to be."""
        names = [(node, name) for node in self.nodes for name in ("", "telemetry")]
        return names + [(self.node_of(one), self.node_of(one).sub_nai_of(one)) for one in self.present]

    def where(self, node: Any) -> str:
        """The care-of address that the home agent has to know."""
        return self.world.care_of(node) if node.at in self.world.foreign_agents else show(node.address)
