"""What flows while nodes roam, and how long it did not: a train of pings, and a download that is checked."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tools.lab.errors import LabFailed
from tools.lab.world import World

PORT = 8080
_PATIENCE = 30.0  # seconds for the rest of a download after its server was told to stop
_REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=(\d+)")


@dataclass(slots=True)
class PingTrain:
    """ping(8) from one place to an address; `seconds` between pings."""

    output: Path
    process: subprocess.Popen[str]
    seconds: float

    def replies(self) -> list[tuple[float, int]]:
        """(wall clock, sequence number) of each so far; whole only after the train has ended."""
        found = (_REPLY.match(line) for line in self.output.read_text().splitlines())
        return [(float(match[1]), int(match[2])) for match in found if match]

    def gap(self, began: float, ended: float) -> float:
        """The longest time without a reply between two moments of the wall clock, seconds. Raises LabFailed."""
        times = [when for when, _ in self.replies() if began <= when <= ended]
        if len(times) < 2:
            raise LabFailed(f"no replies to the pings between {began:.1f} and {ended:.1f}")
        return max(later - earlier for earlier, later in pairwise(times))

    def lost(self) -> int:
        """Sequence numbers that never came back, up to the last that did."""
        numbers = {number for _, number in self.replies()}
        return max(numbers, default=0) - len(numbers)


@contextlib.contextmanager
def ping_train(world: World, name: str, address: str, seconds: float = 0.01) -> Iterator[PingTrain]:
    """Runs inside the block."""
    output = world.directory / "log/ping.txt"
    with open(output, "w") as file:
        process = world.spawn(name, ["ping", "-D", "-n", "-i", f"{seconds:g}", address], stdout=file)
    try:
        yield PingTrain(output, process, seconds)
    finally:
        process.send_signal(signal.SIGINT)  # so that it writes what it has
        process.wait()


class Download:
    """From `server` to `client`, both places; goes on from when it is made, connected by then, until finish()."""

    def __init__(self, world: World, server: str, client: str, address: str) -> None:
        """address: of the server."""
        self._server = self._start(world, server, "serve", address)
        if self._server.stdout is None or self._server.stdout.readline() != "ready\n":
            raise LabFailed(f"the download's server did not start in {server}")
        self._client = self._start(world, client, "fetch", address)
        # TCP gives a connection up for an ICMP error while it is being made, and a handoff may cause one
        if self._client.stdout is None or self._client.stdout.readline() != "connected\n":
            raise LabFailed(f"the download's client in {client} did not reach {address}")

    @staticmethod
    def _start(world: World, name: str, role: str, address: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "tools.lab.download", role, address, str(PORT)]
        # In a session of its own: a Ctrl-C is for whoever measures, who ends it
        return world.spawn(name, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def running(self) -> bool:
        return self._client.poll() is None and self._server.poll() is None

    def finish(self) -> dict[str, Any]:
        """Both ends' reports in one dict, as download.py words them. Raises LabFailed."""
        try:
            sent, _ = self._server.communicate("stop\n", timeout=_PATIENCE)
            received, _ = self._client.communicate(timeout=_PATIENCE)
            return {**json.loads(sent), **json.loads(received)}
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise LabFailed(f"the download did not end well: {error}")

    def abandon(self) -> None:
        """End both ends, if they are still there."""
        for process in (self._server, self._client):
            process.kill()
            process.communicate()
