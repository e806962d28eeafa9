"""What an open page costs: durable renewals a second of one home agent with 10,000 bindings, with it and without.

Two home agents begin with copies of one state file: one serves no HTTP at all, the other has the page open. The viewer
shares the load's core, as a browser on another machine would take none of the home agent's.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Generator
from pathlib import Path

from tools.bench.bench import BenchFailed, Goal, Progress, Record, Row
from tools.bench.home_agent import HomeAgent, write_bindings
from tools.bench.registrants import Load, Population
from tools.bench.room import LOAD, Room, python, scratch
from tools.bench.sample import Sample

POPULATION, QUICK_POPULATION = Population(1250, 8), Population(10, 8)
_TURNS, _SECONDS = 5, 4.0
_QUICK_TURNS, _QUICK_SECONDS = 1, 0.2
_WAITING = 64  # requests
_HOST, _PORT = "127.0.0.1", 8434
_GOAL = Goal.at_least(0.9)
_VIEWER = "viewer"


def run(quick: bool) -> Generator[Progress, None, Record]:
    """As bench.py has it."""
    turns, seconds, population = (_TURNS, _SECONDS, POPULATION)
    if quick:
        turns, seconds, population = _QUICK_TURNS, _QUICK_SECONDS, QUICK_POPULATION
    rates: dict[bool, list[float]] = {False: [], True: []}
    ticks = octets = 0
    with scratch() as folder:
        yield Progress(0, f"writing {population.sessions:,} bindings")
        state = write_bindings(folder, folder, population)
        for turn in range(turns):
            for at, opened in enumerate((False, True)):
                yield Progress((2 * turn + at) / (2 * turns), "page open" if opened else "no page")
                rate, seen = _renew(folder, state, population, opened, seconds)
                rates[opened].append(rate)
                ticks, octets = ticks + seen["ticks"], octets + seen["octets"]
    row = Row("renewal, page open", "a second", Sample(rates[True]), Sample(rates[False]), _GOAL, "no page")
    keys = {"page_over_none": row.compared.median, "page_octets_per_tick": octets / ticks}
    return Record([row], keys, [f"{population.sessions:,} bindings; {octets / ticks / 1024:.0f} kB a tick"])


def _renew(
    folder: Path, state: Path, population: Population, opened: bool, seconds: float
) -> tuple[float, dict[str, int]]:
    """Renewals a second, and what a viewer saw."""
    home, seen = folder / "ha", {"ticks": 0, "octets": 0}
    home.mkdir()
    for one in folder.glob(f"{state.name}*"):
        shutil.copy(one, home)
    try:
        http = f"{_HOST}:{_PORT}" if opened else ""
        with Room(folder) as room, HomeAgent(room, home, population, http=http):
            viewer = room.begin(_VIEWER, python("tools.bench.viewer", _HOST, str(_PORT)), LOAD) if opened else None
            if viewer is not None and (viewer.stdout is None or viewer.stdout.readline() != "ready\n"):
                raise BenchFailed(f"the page: {room.last_words(_VIEWER)}")
            pace = {"sessions": population.sessions, "outstanding": _WAITING}
            (answers,) = Load(room, population, f"renew:{seconds}", **pace, known=True).answers()
            answers.check(f"renewals of {population.sessions:,} bindings")
            if viewer is not None:
                viewer.send_signal(signal.SIGTERM)
                said, _ = viewer.communicate(timeout=10)
                if viewer.returncode:
                    raise BenchFailed(f"the page: {room.last_words(_VIEWER)}")
                seen = json.loads(said)
    finally:
        shutil.rmtree(home)
    return answers.rate, seen
