"""Mobile nodes, foreign agents and a home agent: the engines, joined by links that lose and delay, and one clock.

No sockets, no disk, no kernel: what an engine asks for is noted, so that a test can look at it and live through a week.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mip4.address import parse, show
from mip4.errors import MipError
from tests.helpers.agent_stations import ForeignAgentStation, HomeAgentStation
from tests.helpers.builders import FOREIGN_AGENTS
from tests.helpers.gateway import NAT_OUTSIDE, Gateway
from tests.helpers.home_link import HomeLink
from tests.helpers.node_station import NodeStation
from tests.helpers.station import Station


@dataclass(slots=True)
class Weather:
    """What becomes of datagrams: chances of loss and of a second copy, and up to how many ms each is late."""

    chance: random.Random
    loss: float = 0.0
    duplication: float = 0.0
    delay: int = 0

    def delays(self) -> list[int]:
        """Of each copy that arrives, ms."""
        copies = (self.chance.random() >= self.loss) * (1 + (self.chance.random() < self.duplication))
        return [self.chance.randint(0, self.delay) for _ in range(copies)]


class World:
    """One home agent, two foreign agents, mobile nodes that are added and moved. Time passes by pass_time() only.

    "home" is the home network, as a real link. Two visited networks have no agent but give addresses: "nat", which
    translates them, and "cafe", which does not.
    """

    def __init__(self, home_agent: dict[str, Any] | None = None, foreign_agents: dict[str, Any] | None = None) -> None:
        """Both: changes to what the builders make of the agents' policies."""
        self.now = 0
        self.random_octets = random.Random(5944).randbytes
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._losses: list[tuple[str, str]] = []
        self.weather: Weather | None = None
        self.dropped: list[tuple[str, MipError]] = []
        self.said: list[tuple[str, str]] = []
        self.home_agent = HomeAgentStation(self, home_agent or {})
        self.foreign_agents = {name: ForeignAgentStation(self, name, foreign_agents or {}) for name in FOREIGN_AGENTS}
        self.nodes: list[NodeStation] = []
        self.gateways = {
            "nat": Gateway(self, "nat", parse("192.168.7.50"), NAT_OUTSIDE),
            "cafe": Gateway(self, "cafe", parse("198.51.100.77"), 0),
        }
        self.home_link = HomeLink(self)
        self.watch: Callable[[str, str, bytes], None] = lambda source, destination, datagram: None

    def add_node(self, at: str | None = "fa1", **changes: Any) -> NodeStation:
        node = NodeStation(self, len(self.nodes) + 1, changes)
        self.nodes.append(node)
        if at is not None:
            node.move(at)
        return node

    def pass_time(self, seconds: float) -> None:
        """Everything that is due in the next `seconds`, in order."""
        end = self.now + round(seconds * 1000)
        while True:
            due = [station.deadline() for station in self.stations()]
            times = [time for time in due if time is not None] + [entry[0] for entry in self._queue[:1]]
            first = max(self.now, min(times, default=end + 1))
            if first > end:
                break
            self.now = first
            if self._queue and self._queue[0][0] <= first:
                while self._queue and self._queue[0][0] <= first:  # what they cause at this moment included
                    heapq.heappop(self._queue)[2]()
                continue
            for station in self.stations():
                deadline = station.deadline()
                if deadline is not None and deadline <= self.now:
                    station.wake()
        self.now = end

    def stations(self) -> list[Station]:
        return [self.home_agent, self.home_link, *self.foreign_agents.values(), *self.nodes]

    def carry(self, source: str, destination: str, delay: int, datagram: bytes, arrive: Callable[[], None]) -> None:
        """Deliver after `delay` ms, unless a test wants it lost, or the weather something else."""
        self.watch(source, destination, datagram)
        if (source, destination) in self._losses:
            self._losses.remove((source, destination))
            return
        for late in [0] if self.weather is None else self.weather.delays():
            self.at(self.now + delay + late, arrive)

    def at(self, time: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, what))

    def lose_next(self, source: str, destination: str) -> None:
        """The next datagram between these two is lost."""
        self._losses.append((source, destination))

    def care_of(self, node: NodeStation) -> str:
        """The care-of address that is offered where `node` is."""
        return show(FOREIGN_AGENTS[node.at])  # type: ignore[index]

    def nothing_is_shared(self) -> None:
        """What must hold at any moment, whatever is under way: no home address is two sessions', here or there."""
        for rows in (self.home_agent.rows, self.home_agent.engine.bindings):
            held = [row.home_address for row in (rows.values() if isinstance(rows, dict) else rows)]
            assert len(held) == len(set(held))
        for binding in self.home_agent.engine.bindings:
            assert self.home_agent.engine.bindings.find((binding.nai, binding.sub_nai)) is binding
        for node in self.nodes:
            attached = [one.attached for one in node.engine._sessions if one.attached]
            assert sorted(attached) == sorted(node.attached)

    def warnings(self) -> list[str]:
        return [text for level, text in self.said if level == "warning"]
