"""What it takes to hold a million bindings: memory, a restart, and what renewals meet meanwhile.

A state file is written by the store's own code, and a home agent started on it again and again, with each data path
that works here, in a network namespace that knows nothing yet. Then sessions renew, as many a second as a city's would.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

from tools.bench.bench import BenchFailed, Goal, Progress, Record, Row
from tools.bench.home_agent import SHOW, HomeAgent, write_bindings
from tools.bench.registrants import PORT, Load, Population
from tools.bench.room import Room, scratch
from tools.bench.sample import Sample

POPULATIONS = (Population(1000, 10), Population(1000, 100), Population(1000, 1000))
QUICK_POPULATIONS = (Population(10, 10),)
DATAPATHS = ("none", "tun", "ipip", "bpf")  # the later one, the rather `auto` takes it
_TURNS, _SECONDS = 5, 3.0
_QUICK_TURNS, _QUICK_SECONDS = 1, 0.2
_RATE = 1000  # renewals a second: about a million sessions' that were given half an hour and come back in the middle
_WAITING = 4096  # renewals that may be late before the load is, too
_LONG = 3600  # seconds, for a load that is stopped

# What is found, in words, its unit, and what it must be: for the most bindings, on the data path that `auto` takes.
_FIGURES = {
    "memory": ("memory", "octets a binding", Goal.at_most(600)),
    "restart": ("restart", "s", Goal.at_most(10)),
    "p99": ("renewal p99", "ms", Goal.at_most(20)),
    "echo": ("echo p99 at the same pace", "ms", None),
    "pause": ("longest pause", "ms", Goal.at_most(50)),
    "show": ("show bindings", "s", None),
    "show_p99": ("renewal p99 meanwhile", "ms", None),
    "show_pause": ("longest pause meanwhile", "ms", Goal.at_most(50)),
}


def run(quick: bool) -> Generator[Progress, None, Record]:
    """As bench.py has it."""
    turns, populations = (_QUICK_TURNS, QUICK_POPULATIONS) if quick else (_TURNS, POPULATIONS)
    with scratch() as folder:
        yield Progress(0, "which data paths work here")
        scale = _Scale(folder, populations, _QUICK_SECONDS if quick else _SECONDS)
        steps = [*scale.steps(turns)]
        for number, (doing, step) in enumerate(steps):
            yield Progress(number / len(steps), doing)
            step()
        return scale.record()


class _Scale:
    """What was found so far."""

    def __init__(self, folder: Path, populations: Sequence[Population], seconds: float) -> None:
        self._folder = folder
        self._populations = populations
        self._seconds = seconds
        self._found: dict[tuple[str, int, str], list[float]] = {}  # by figure, bindings, data path
        self._notes: dict[str, None] = {}  # in order, and each once
        self._empty: dict[str, int] = {}  # data path that works here -> octets of a home agent without bindings
        for datapath in DATAPATHS:
            self._try(datapath)
        self._datapaths = [*self._empty]

    def steps(self, turns: int) -> Generator[tuple[str, Callable[[], None]], None, None]:
        """What to do, in words and as what to call."""
        for population in self._populations:
            bindings = f"{population.sessions:,} bindings"
            yield f"{bindings}: writing them", partial(self._write, population)
            for datapath in self._datapaths * turns:
                yield f"{bindings}: restart, {datapath}", partial(self._restart, population, datapath)

    def record(self) -> Record:
        most, best = self._populations[-1].sessions, self._datapaths[-1]
        samples = {what: Sample(values) for what, values in self._found.items()}
        rows = []
        for figure, (words, unit, goal) in _FIGURES.items():
            for (found, bindings, datapath), sample in samples.items():
                if found == figure:
                    aimed = goal if (bindings, datapath) == (most, best) else None
                    rows.append(Row(f"{words}, {bindings:,}, {datapath}", unit, sample, goal=aimed))
        keys: dict[str, object] = {
            "bytes_per_binding": samples["memory", most, best].median,
            "restart_seconds": samples["restart", most, best].median,
            "renew_p99_ms": samples["p99", most, best].median,
        }
        by_bindings: dict[str, dict[str, dict[str, float]]] = {}
        for (figure, bindings, datapath), sample in samples.items():
            by_bindings.setdefault(str(bindings), {}).setdefault(datapath, {})[figure] = sample.median
        return Record(rows, {**keys, "by_bindings": by_bindings}, [*self._notes])

    def _try(self, datapath: str) -> None:
        """The last population's subscribers, and none of their bindings. Raises BenchFailed for the first data path."""
        population, folder = self._populations[-1], self._folder / "empty"
        try:
            with Room(self._folder) as room, HomeAgent(room, folder, population, datapath) as empty:
                self._empty[datapath] = empty.resident()
        except BenchFailed as error:
            if not self._empty:
                raise
            self._notes[f"not measured: {datapath}: {str(error).replace(f'{self._folder}/', '')}"] = None

    def _write(self, population: Population) -> None:
        state = self._state(population)
        state.mkdir()
        write_bindings(self._folder, state, population)
        os.sync()  # else what is measured first waits for the disk to have taken all of it

    def _restart(self, population: Population, datapath: str) -> None:
        note = partial(self._note, population, datapath)
        with Room(self._folder) as room, HomeAgent(room, self._state(population), population, datapath) as loaded:
            note("restart", loaded.began)
            note("memory", (loaded.resident() - self._empty[datapath]) / population.sessions)
            if datapath == self._datapaths[-1]:
                self._renew(room, loaded, population, note)
                if population is self._populations[-1]:
                    self._show(room, loaded, population, note)

    def _renew(self, room: Room, loaded: HomeAgent, population: Population, note: Callable[[str, float], None]) -> None:
        with loaded.felt(partial(note, "pause")):
            (answers,) = self._load(room, population, f"renew:{self._seconds}").answers()
        answers.check(f"renewals of {population.sessions:,} bindings")
        note("p99", answers.p99 / 1000)
        (answers,) = self._load(room, population, f"echo:{self._seconds}", room.begin_echo("blocking")).answers()
        note("echo", answers.p99 / 1000)

    def _show(self, room: Room, loaded: HomeAgent, population: Population, note: Callable[[str, float], None]) -> None:
        load = self._load(room, population, f"renew:{_LONG}")
        with loaded.felt(partial(note, "show_pause")):
            begun = time.monotonic()
            if loaded.show_bindings().wait():
                self._notes[f"{population.sessions:,} bindings could not be shown: {room.last_words(SHOW)}"] = None
            else:
                note("show", time.monotonic() - begun)
        load.stop()
        (answers,) = load.answers()
        note("show_p99", answers.p99 / 1000)
        if answers.denied:
            self._notes[f"while bindings were shown, renewals were denied, code {answers.code}"] = None

    def _load(self, room: Room, population: Population, phase: str, port: int = PORT) -> Load:
        pace = {"sessions": population.sessions, "outstanding": _WAITING, "rate": _RATE}
        return Load(room, population, phase, **pace, known=True, port=port)

    def _note(self, population: Population, datapath: str, figure: str, value: float) -> None:
        self._found.setdefault((figure, population.sessions, datapath), []).append(value)

    def _state(self, population: Population) -> Path:
        return self._folder / str(population.sessions)
