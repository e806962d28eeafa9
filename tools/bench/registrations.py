"""Registrations that one core makes durable in a second, beside what it does for a datagram that is only sent back.

The home agent is `entourage ha run`, its state on the disk. One turn measures everything once, the echoes between home
agents, which begin with an empty file each.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from functools import partial

from tools.bench.bench import BenchFailed, Goal, Progress, Record, Row
from tools.bench.echo_server import KINDS
from tools.bench.home_agent import HomeAgent
from tools.bench.registrants import Answers, Load, Population
from tools.bench.room import MEASURED, Room, python, scratch
from tools.bench.sample import Sample
from tools.bench.signing_server import KINDS as SIGNING_KINDS

SIZES = (8000, 10_000, 100, 1)  # of sessions; goals are for the first
QUICK_SIZES = (80,)
_TURNS, _SECONDS = 5, 2.0
_QUICK_TURNS, _QUICK_SECONDS = 1, 0.1
_EACH = 8  # sessions of a node
_WAITING = 64  # requests, where there are so many sessions
_RENEWAL_GOAL, _NEW_GOAL = Goal.at_least(0.30), Goal.at_least(0.15)
_PLAIN, _STORE = KINDS[0], "store alone"
_SIGNED, _SECRET = ", signed by its agent", "foreign agent and home agent"
_BOTTLENECK = 0.98  # of its core: a load that needs it all may be slower than what it measures


def run(quick: bool) -> Generator[Progress, None, Record]:
    """As bench.py has it."""
    turns, seconds, sizes = (_QUICK_TURNS, _QUICK_SECONDS, QUICK_SIZES) if quick else (_TURNS, _SECONDS, SIZES)
    with scratch() as folder, Room(folder) as room:
        yield Progress(0, "starting the echoes")
        turn = _Turn(room, seconds)
        steps = [*turn.steps(sizes)] * turns
        for number, (doing, step) in enumerate(steps):
            yield Progress(number / len(steps), doing)
            step()
        return _record(turn, sizes)


class _Turn:
    """found: (what, sessions) -> what each turn found. busiest: the most that the load needed of its core."""

    def __init__(self, room: Room, seconds: float) -> None:
        self.found: dict[tuple[str, int], list[float]] = {}
        self.busiest = 0.0
        self._room = room
        self._seconds = seconds
        self._ports = {kind: room.begin_echo(kind) for kind in KINDS}
        self._ports |= {kind: room.begin_signing(kind) for kind in SIGNING_KINDS}

    def steps(self, sizes: tuple[int, ...]) -> Generator[tuple[str, Callable[[], None]], None, None]:
        """What one turn measures, in words and as what to call."""
        for size in sizes:
            yield f"home agent, {size:,} sessions", partial(self._home_agent, size)
            yield f"echo, {min(size, _WAITING)} at a time", partial(self._echo, _PLAIN, size)
        yield f"home agent{_SIGNED}", partial(self._home_agent, sizes[0], _SECRET)
        for kind in KINDS[1:]:
            yield f"{kind} echo", partial(self._echo, kind, sizes[0])
        for kind in SIGNING_KINDS:
            yield f"{kind} server", partial(self._serve, kind, sizes[0], "renew")
        yield _STORE, partial(self._store, sizes[0])

    def _home_agent(self, size: int, secret: str = "") -> None:
        """secret: of a foreign agent that signs what it relays, "" where it has no key."""
        population, signed = _population(size, secret), _SIGNED if secret else ""
        with HomeAgent(self._room, self._room.folder / "ha", population):
            # Longer, since a store that writes first and tidies up later has to tidy up now and then meanwhile.
            phases = (f"new:{self._seconds}", f"renew:{2 * self._seconds}")
            load = Load(self._room, population, *phases, sessions=size, outstanding=_WAITING)
            for what, answers in zip(("new", "renewal"), load.answers(), strict=True):
                answers.check(f"{what}{signed}, {size} sessions")
                self._note((f"{what}{signed}", size), answers)
        shutil.rmtree(self._room.folder / "ha")

    def _echo(self, kind: str, size: int) -> None:
        self._serve(kind, size, "echo")

    def _serve(self, server: str, size: int, phase: str) -> None:
        timed, port = f"{phase}:{self._seconds}", self._ports[server]
        load = Load(self._room, _population(size), timed, sessions=size, outstanding=_WAITING, port=port)
        (answers,) = load.answers()
        answers.check(server)
        self._note((server, size), answers)

    def _store(self, size: int) -> None:
        population, file = _population(size), self._room.folder / "alone.sqlite"
        argv = python("tools.bench.store_alone", file, *map(str, (population.nais, population.each, 2 * self._seconds)))
        store = self._room.begin(_STORE, argv, MEASURED)
        said, _ = store.communicate()
        if store.returncode:
            raise BenchFailed(f"{_STORE}: {self._room.last_words(_STORE)}")
        self.found.setdefault((_STORE, size), []).append(float(said))
        for one in self._room.folder.glob("alone.sqlite*"):
            one.unlink()

    def _note(self, what: tuple[str, int], answers: Answers) -> None:
        self.busiest = max(self.busiest, answers.busy)
        self.found.setdefault(what, []).append(answers.rate)
        self.found.setdefault((f"{what[0]} p99", what[1]), []).append(answers.p99 / 1000)


def _population(sessions: int, secret: str = "") -> Population:
    return Population(-(-sessions // _EACH), _EACH, secret)


def _record(turn: _Turn, sizes: tuple[int, ...]) -> Record:
    samples = {what: Sample(values) for what, values in turn.found.items()}
    first, rows = sizes[0], list[Row]()
    for what, goal in (("renewal", _RENEWAL_GOAL), ("new", _NEW_GOAL)):
        for size in sizes:
            beside = samples[_PLAIN, size]
            name = f"{what}, {_sessions(size)}"
            rows.append(Row(name, "a second", samples[what, size], beside, goal if size == first else None, "echo"))
    for what in (f"renewal{_SIGNED}", f"new{_SIGNED}"):
        rows.append(Row(what, "a second", samples[what, first], samples[_PLAIN, first], beside="echo"))
    for kind in KINDS[1:]:
        rows.append(Row(f"{kind} echo", "a second", samples[kind, first], samples[_PLAIN, first], beside="echo"))
    for kind in SIGNING_KINDS:
        rows.append(Row(f"{kind} server", "a second", samples[kind, first], samples[_PLAIN, first], beside="echo"))
    renewals, new, store = samples["renewal", first], samples["new", first], samples[_STORE, first]
    rows.append(Row("renewal, beside its store alone", "a second", renewals, store, beside="store"))
    rows += [Row(f"renewal p99, {_sessions(size)}", "ms", samples["renewal p99", size]) for size in sizes]
    keys = {
        "renew_over_echo": renewals.over(samples[_PLAIN, first]).median,
        **{f"{kind}_over_echo": samples[kind, first].over(samples[_PLAIN, first]).median for kind in SIGNING_KINDS},
        "new_over_echo": new.over(samples[_PLAIN, first]).median,
        "renew_signed_over_echo": samples[f"renewal{_SIGNED}", first].over(samples[_PLAIN, first]).median,
        "renew_over_store": renewals.over(store).median,
        "renew_per_second": {str(size): samples["renewal", size].median for size in sizes},
        "new_per_second": {str(size): samples["new", size].median for size in sizes},
    }
    notes = [f"at most {_WAITING} requests wait at a time; the load needed at most {turn.busiest:.0%} of its core"]
    if turn.busiest > _BOTTLENECK:
        notes.append("that is too much: some of these figures are the load's own")
    return Record(rows, keys, notes)


def _sessions(size: int) -> str:
    return f"{size:,} sessions" if size > 1 else "1 session"
