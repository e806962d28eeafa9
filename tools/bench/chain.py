"""Four namespaces in a row, cn - ha - fa1 - mn, joined by veth pairs; plain routing between them, or a tunnel.

They have no names and no mounts of their own: each is held by a process that ends with us, however we end.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType

from tools.bench.bench import BenchFailed
from tools.lab import anchor, privilege
from tools.lab.links import Links

PLAIN = "plain"
CN, HOME_AGENT, FOREIGN_AGENT = "198.51.100.2", "192.0.2.1", "192.0.2.2"
HOME_PREFIX = "10.10.0.0/24"
# Two home addresses of the node: what ONE_WAY sends goes straight to cn, what BOTH_WAYS sends goes by the home agent.
ONE_WAY, BOTH_WAYS = "10.10.0.10", "10.10.0.11"
NODE_LINK_ADDRESS = "02:00:00:00:01:01"

_PLACES = ("cn", "ha", "fa1", "mn")
_HOLD = 'while [ $# != 0 ]; do echo "${1#*=}" >"${1%%=*}"; shift; done; echo ready; exec cat'


class Chain:
    """carried: PLAIN, or the datapath of both agents. As a context manager it is there inside the block.

    Raises BenchFailed where that datapath does not work here, KernelRefused.
    """

    def __init__(self, carried: str) -> None:
        self.carried = carried
        self.reason = ""  # what the home agent's datapath says of itself
        self._undone = contextlib.ExitStack()
        self._pids: dict[str, int] = {}
        self._agents: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Chain:
        privilege.acquire()
        with self._undone:
            for place in _PLACES:
                self._pids[place] = self._hold(place)
            links = Links(self._pids)
            self._undone.callback(links.close)
            self._build(links)
            if self.carried != PLAIN:
                for place in ("ha", "fa1"):
                    self._agents[place] = self._start(place)
                self.reason = self._ready()
            self._undone = self._undone.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undone.close()

    def flow(self, source: str, destination: str) -> list[str]:
        """One of the load's flows. source, destination: CN, ONE_WAY or BOTH_WAYS."""
        ends = ((address, self._pids["cn" if address == CN else "mn"]) for address in (source, destination))
        return [word for address, pid in ends for word in (str(pid), address)]

    def check(self) -> None:
        """That what was measured has gone through the tunnel. Raises BenchFailed."""
        for place, agent in self._agents.items():
            if agent.stdin is None or agent.stdout is None:
                raise ValueError("an agent without pipes")
            agent.stdin.write("carried\n")
            agent.stdin.flush()
            counts = agent.stdout.readline().split()
            if len(counts) != 3 or "0" in counts:
                raise BenchFailed(f"{self.carried}: packets went past the tunnel at {place}: {' '.join(counts)}")

    def _hold(self, place: str) -> int:
        settings = [f"{path}={value}" for path, value in anchor.sysctls(place).items() if os.path.exists(path)]
        holder = self._spawn(["unshare", "--net", "sh", "-c", _HOLD, "sh", *settings])
        if _line(holder) != "ready":
            raise BenchFailed(f"no namespace for {place}: {_last_words(holder)}")
        return holder.pid

    def _build(self, links: Links) -> None:
        for place in _PLACES:
            links.set(place, "lo", state="up")
        links.cable("cn", "net0", "ha", "net0")
        links.cable("ha", "up0", "fa1", "up0")
        links.cable("mn", "up0", "fa1", "vis0", NODE_LINK_ADDRESS)
        for place, interface, address in (
            ("cn", "net0", f"{CN}/24"),
            ("ha", "net0", "198.51.100.1/24"),
            ("ha", "up0", f"{HOME_AGENT}/24"),
            ("fa1", "up0", f"{FOREIGN_AGENT}/24"),
            ("fa1", "vis0", "10.99.1.1/24"),
            ("mn", "up0", "10.99.1.2/24"),
            ("mn", "lo", f"{ONE_WAY}/32"),
            ("mn", "lo", f"{BOTH_WAYS}/32"),
        ):
            links.address(place, interface, address)
        for place, via in (("cn", "198.51.100.1"), ("fa1", HOME_AGENT), ("mn", "10.99.1.1")):
            links.route(place, "0.0.0.0/0", via)
        if self.carried == PLAIN:
            links.route("ha", HOME_PREFIX, FOREIGN_AGENT)
            links.route("fa1", HOME_PREFIX, "10.99.1.2")

    def _start(self, place: str) -> subprocess.Popen[str]:
        agent = [sys.executable, "-m", "tools.bench.chain_agent", place, self.carried]
        return self._spawn(["nsenter", "--target", str(self._pids[place]), "--net", "--", *agent])

    def _ready(self) -> str:
        reasons = []
        for place, agent in self._agents.items():
            said = _line(agent)
            if not said.startswith("ready "):
                raise BenchFailed(f"{self.carried} at {place}: {_last_words(agent)}")
            reasons.append(said.removeprefix("ready "))
        return reasons[0]

    def _spawn(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=anchor.environment(), cwd=anchor.PROJECT
        )
        self._undone.callback(process.communicate)  # its input ends, then it does
        return process


def _line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip() if process.stdout else ""


def _last_words(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate()
    return (errors.strip().splitlines() or ["it ended without a word"])[-1]
