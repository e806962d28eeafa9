"""A home agent as an operator runs it, `entourage ha run`, for a bench to start, load and watch."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from tools.bench.bench import BenchFailed
from tools.bench.registrants import Population
from tools.bench.room import MEASURED, Process, Room, python

_PATIENCE = 180.0  # seconds until it must be ready, or end
_NAME, _PULSE, SHOW = "home-agent", "pulse", "show"


class HomeAgent:
    """As a context manager it serves inside the block. folder: for its state, which may be there already.

    http: where it serves its page, "" for nowhere.

    began: seconds from exec(2) to READY=1 (sd_notify(3)). Raises BenchFailed where it does not get so far, or fails.
    """

    began: float

    def __init__(
        self, room: Room, folder: Path, population: Population, datapath: str = "none", http: str = ""
    ) -> None:
        self._room = room
        self._folder = folder
        self._control = folder / "ha.sock"
        folder.mkdir(exist_ok=True)
        configuration = folder / "ha.toml"
        configuration.touch(0o600)
        page = f'[home_agent]\nhttp = "{http}"' if http else "[home_agent]"
        configuration.write_text(population.configuration(datapath).replace("[home_agent]", page, 1))

    def __enter__(self) -> HomeAgent:
        path = self._folder / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(str(path))
            begins = time.monotonic()
            argv = self._command("run", "--config", self._folder / "ha.toml")
            self._process = self._room.begin(_NAME, argv, MEASURED, NOTIFY_SOCKET=str(path))
            self._await_ready(notified)
            self.began = time.monotonic() - begins
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=_PATIENCE)
        if error is None and self._process.returncode:
            raise BenchFailed(f"the home agent: {self._room.last_words(_NAME)}")

    def resident(self) -> int:
        """Octets of its memory that are in RAM."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def show_bindings(self) -> Process:
        """Begin `entourage ha show bindings --json`, for nobody to read. SHOW: its name for last_words()."""
        argv = self._command("show", "bindings", "--json", "--control", self._control)
        return self._room.begin(SHOW, argv, None, subprocess.DEVNULL)

    @contextlib.contextmanager
    def felt(self, note: Callable[[float], None]) -> Iterator[None]:
        """Inside the block its pulse is felt; `note` is then told the longest pause, ms. Raises BenchFailed."""
        pulse = self._room.begin(_PULSE, python("tools.bench.pulse", self._control))
        if pulse.stdout is None or pulse.stdout.readline() != "ready\n":
            raise BenchFailed(f"the home agent has no pulse: {self._room.last_words(_PULSE)}")
        yield
        pulse.send_signal(signal.SIGTERM)
        said, _ = pulse.communicate(timeout=_PATIENCE)
        if pulse.returncode:
            raise BenchFailed(f"the home agent has no pulse: {self._room.last_words(_PULSE)}")
        note(float(said))

    def _command(self, *words: str | Path) -> list[str | Path]:
        return python("host_agents.cli.main", "ha", *words)

    def _await_ready(self, notified: socket.socket) -> None:
        ended = os.pidfd_open(self._process.pid)
        try:
            while True:
                told = notified.fileno()
                ready, _, _ = select.select([told, ended], [], [], _PATIENCE)
                if told in ready and notified.recv(4096) == b"READY=1":
                    return
                if told not in ready:
                    reason = self._room.last_words(_NAME) if ended in ready else f"not ready in {_PATIENCE:.0f} s"
                    raise BenchFailed(f"the home agent: {reason}")
        finally:
            os.close(ended)


def write_bindings(scratch: Path, folder: Path, population: Population) -> Path:
    """The state file of a home agent that has them all, in its folder. scratch: of a Room. Raises BenchFailed."""
    state = folder / "ha.sqlite"
    with Room(scratch) as room:
        argv = python("tools.bench.state", state, str(population.nais), str(population.each))
        if room.begin("state", argv).wait():
            raise BenchFailed(f"{population.sessions:,} bindings: {room.last_words('state')}")
    return state
