"""A node with many sessions moves between two foreign agents of the lab: for how long they are silent, and why.

The node is the firmware in MicroPython, its sessions are applications on it. Everything is seen from outside, in frames
on the node's uplink with the kernel's time; a stream of packets from cn shows when the sessions can be reached again.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import cycle

from tools.bench.bench import BenchFailed, Goal, Progress, Record, Row
from tools.bench.frames import ADVERTISEMENT, PACKET, REPLY, REQUEST, SOLICITATION, Seen, Tap
from tools.bench.sample import Sample
from tools.lab import plan as places
from tools.lab.crew import wait_until
from tools.lab.namespace import socket_in
from tools.lab.plan import NodePlan, WorldPlan
from tools.lab.world import World

SESSIONS, DELAYS = (1, 8, 64), (0, 30)  # ms one way to the home agent
_TURNS, _QUICK_TURNS = 7, 2
_QUICK = ((8, 30),)
_PATIENCE = 10.0  # seconds that a handoff may take
_REST = 1.2  # seconds before each: a node that stays sends one request a second and session
_INTERVAL = 0.0005  # seconds between packets, to one session after the other
_PORT = 7
_PARTS = ("link known", "agent heard", "last request", "first reply", "last reply", "first packet")
# Sessions, delay -> ms after the link is up, besides a round trip to the home agent
_GOALS = {(8, 0): 30.0, (8, 30): 40.0}


@dataclass(slots=True, frozen=True)
class Handoff:
    """All in ms. link: without a carrier. parts: since its end, as _PARTS. home_agent: first request to last reply."""

    link: float
    parts: tuple[float, ...]
    home_agent: float


def run(quick: bool) -> Generator[Progress, None, Record]:
    """As bench.py has it."""
    cases = _QUICK if quick else tuple((sessions, delay) for delay in DELAYS for sessions in SESSIONS)
    turns = _QUICK_TURNS if quick else _TURNS
    rows: list[Row] = []
    gaps: dict[str, dict[str, float]] = {}
    bounds: dict[str, dict[str, float]] = {}
    for number, (sessions, delay) in enumerate(cases):
        title = f"{sessions} session{'s' if sessions > 1 else ''}, {delay} ms"
        yield Progress(number / len(cases), title)
        with contextlib.ExitStack() as held:
            roaming = Roaming(held, sessions, delay)
            round_trip, found = roaming.round_trip(), []
            for turn in range(turns):
                yield Progress((number + (turn + 1) / (turns + 1)) / len(cases), title)
                found.append(roaming.handoff())
        rows += _rows(title, found, round_trip, _GOALS.get((sessions, delay)))
        gaps.setdefault(str(sessions), {})[str(delay)] = Sample(one.parts[-1] for one in found).median
        bounds.setdefault(str(sessions), {})[str(delay)] = round_trip
    return Record(rows, {"gap_ms": gaps, "bound_ms": bounds})


class Roaming:
    """A lab that ends with `held`, and its node, registered at fa1. Raises BenchFailed, LabFailed, KernelRefused."""

    def __init__(self, held: contextlib.ExitStack, sessions: int, delay: float) -> None:
        names = [f"application{number}" for number in range(sessions)]
        settings = {"own_session": None, "applications": names, "sessions": sessions}
        node = NodePlan("mn", "kleung@example.net", (), settings=settings)
        plan = WorldPlan((node,), delay=delay, subscribers={node.nai: {"sessions": sessions}})
        self._world = held.enter_context(World(plan=plan))
        self._at = node.at
        wait_until(lambda: len(self._homes()) == sessions, _PATIENCE, f"{sessions} sessions registered")
        self._sessions = self._homes()
        pids = {one["name"]: one["namespace_pid"] for one in self._world.status()["nodes"]}
        self._uplink, self._agent = Tap(pids["mn"], "up0"), Tap(pids["ha"], "net0")
        held.callback(self._uplink.close)
        held.callback(self._agent.close)
        udp = socket.AF_INET, socket.SOCK_DGRAM
        self._sender = held.enter_context(socket_in(pids["cn"], *udp))
        # Never read: a port on which nobody listens would be answered for with ICMP
        held.enter_context(socket_in(pids["mn"], *udp)).bind(("", _PORT))

    def _homes(self) -> list[str]:
        return [str(one["home_address"]) for one in self._world.entourage("ha", "show", "bindings")["bindings"]]

    def round_trip(self) -> float:
        """Between a foreign agent and the home agent: median, ms."""
        said = self._world.run("fa1", ["ping", "-n", "-c", "5", "-i", "0.2", places.HOME_AGENT]).stdout
        times = [float(line.partition("time=")[2].split()[0]) for line in said.splitlines() if "time=" in line]
        if not times:
            raise BenchFailed(f"fa1 does not reach the home agent: {said.strip()}")
        return Sample(times).median

    def handoff(self) -> Handoff:
        """To the other foreign agent."""
        time.sleep(_REST)
        self._uplink.seen(since=time.time())
        self._at = "fa2" if self._at == "fa1" else "fa1"
        flap = self._world.roam("mn", self._at)
        times = self._back(flap.up)
        agent = [one.at for one in self._agent.seen(since=flap.up) if one.what in (REQUEST, REPLY)]
        parts = tuple((moment - flap.up) * 1000 for moment in times)
        return Handoff(flap.seconds * 1000, parts, (agent[-1] - agent[0]) * 1000)

    def _back(self, up: float) -> tuple[float, ...]:
        """Send packets until all sessions are back; when each of _PARTS was. Raises BenchFailed."""
        seen: list[Seen] = []
        for home_address in cycle(self._sessions):
            self._sender.sendto(b"packet", (home_address, _PORT))
            time.sleep(_INTERVAL)
            seen += self._uplink.seen(since=up)
            if times := moments(seen, len(self._sessions)):
                return times
            if time.time() > up + _PATIENCE:
                break
        raise BenchFailed(f"not all of {len(self._sessions)} sessions came back at {self._at}")


def moments(seen: Sequence[Seen], sessions: int) -> tuple[float, ...]:
    """When each of _PARTS was; empty before all sessions are back."""
    began = [one.at for one in seen if one.what in (SOLICITATION, ADVERTISEMENT)]
    heard = [one.at for one in seen if one.what == ADVERTISEMENT]
    requests = [one.at for one in seen if one.what == REQUEST]
    replies: dict[int, float] = {}
    for one in seen:
        if one.what == REPLY:
            replies.setdefault(one.home_address, one.at)
    if min(len(requests), len(replies)) < sessions or not heard:
        return ()
    last = max(replies.values())
    packets = [one.at for one in seen if one.what == PACKET and one.at > last]
    if not packets:
        return ()
    return began[0], heard[0], requests[sessions - 1], min(replies.values()), last, packets[0]


def _rows(title: str, found: Sequence[Handoff], round_trip: float, goal: float | None) -> list[Row]:
    rows = [
        Row(f"{title}: {part}", "ms after link up", Sample(one.parts[at] for one in found))
        for at, part in enumerate(_PARTS[:-1])
    ]
    within = None if goal is None else Goal.at_most(round(goal + round_trip, 1))
    rows.append(Row(f"{title}: {_PARTS[-1]}", "ms after link up", Sample(one.parts[-1] for one in found), goal=within))
    silence = Sample(one.link + one.parts[-1] for one in found)
    bound = Sample(one.link + round_trip for one in found)
    return [
        *rows,
        Row(f"{title}: in the home agent", "ms", Sample(one.home_agent for one in found)),
        Row(f"{title}: silence", "ms", silence, bound, beside="L2 + RTT"),
    ]
