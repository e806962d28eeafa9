"""Packets through the tunnel: each adapter this machine has, beside plain routing over the same four namespaces.

Every chain is there all the time, and is measured in turn: what disturbs one disturbs the plain one a second earlier.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from host_agents.runtime.errors import KernelRefused
from tools.bench.bench import BenchFailed, Goal, Progress, Record, Row
from tools.bench.chain import BOTH_WAYS, CN, ONE_WAY, PLAIN, Chain
from tools.bench.native import compiled
from tools.bench.sample import Sample

ADAPTERS = ("bpf", "ipip", "tun")
_TURNS, _MILLISECONDS = 9, 1000
_QUICK_TURNS, _QUICK_MILLISECONDS = 1, 100
_PATIENCE = 30  # seconds that a load may take besides


@dataclass(slots=True, frozen=True)
class Load:
    """flows: (source, destination). suffix: of the key. scale: by which the load's figure becomes `unit`."""

    what: str
    kind: str
    suffix: str
    flows: tuple[tuple[str, str], ...]
    unit: str
    scale: float


_FORWARD, _REVERSE, _BACK = (CN, ONE_WAY), (BOTH_WAYS, CN), (CN, BOTH_WAYS)
_GIGABITS, _THOUSANDS, _MICROSECONDS = ("Gbit/s", 8e-9), ("1000 packets/s", 1e-3), ("µs round trip", 1e-3)
LOADS = (
    Load("TCP, forward", "tcp", "tcp", (_FORWARD,), *_GIGABITS),
    Load("TCP, reverse", "tcp", "tcp_reverse", (_REVERSE,), *_GIGABITS),
    Load("TCP, both ways at once", "tcp", "tcp_both", (_BACK, _REVERSE), *_GIGABITS),
    Load("packets, forward", "packets", "pps", (_FORWARD,), *_THOUSANDS),
    Load("packets, reverse", "packets", "pps_reverse", (_REVERSE,), *_THOUSANDS),
    Load("packets, both ways at once", "packets", "pps_both", (_BACK, _REVERSE), *_THOUSANDS),
    Load("latency, tunnelled there", "latency", "latency", (_FORWARD,), *_MICROSECONDS),
    Load("latency, tunnelled there and back", "latency", "latency_both", (_BACK,), *_MICROSECONDS),
)
GOALS = {
    ("bpf", "tcp"): Goal.at_least(0.90),
    ("bpf", "pps"): Goal.at_least(0.85),
    ("bpf", "tcp_both"): Goal.at_least(0.85),
    ("bpf", "pps_both"): Goal.at_least(0.85),
}


def run(quick: bool) -> Generator[Progress, None, Record]:
    """As bench.py has it."""
    turns, milliseconds = (_QUICK_TURNS, _QUICK_MILLISECONDS) if quick else (_TURNS, _MILLISECONDS)
    notes: list[str] = []
    with contextlib.ExitStack() as held:
        program = compiled(Path(__file__).with_name("load.c"), Path(held.enter_context(tempfile.TemporaryDirectory())))
        yield Progress(0, "four namespaces in a row")
        chains = [held.enter_context(Chain(PLAIN)), *_available(held, notes)]
        found: dict[tuple[str, str], list[float]] = {}
        steps = [(load, chain) for _ in range(turns) for load in LOADS for chain in chains]
        for number, (load, chain) in enumerate(steps):
            yield Progress(number / len(steps), f"{chain.carried}: {load.what}")
            figure = measure(program, load, chain, milliseconds) * load.scale
            found.setdefault((chain.carried, load.suffix), []).append(figure)
        for chain in chains:
            chain.check()
        return _record({key: Sample(values) for key, values in found.items()}, notes)


def measure(program: Path, load: Load, chain: Chain, milliseconds: int) -> float:
    """The sum over the flows, as the load says it. Raises BenchFailed."""
    flows = [word for ends in load.flows for word in chain.flow(*ends)]
    try:
        done = subprocess.run(
            [program, load.kind, str(milliseconds), *flows], capture_output=True, text=True, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{chain.carried}: {load.what}: no end")
    figures = [float(line) for line in done.stdout.splitlines()]
    if done.returncode or not all(figures):
        raise BenchFailed(f"{chain.carried}: {load.what}: {done.stderr.strip() or 'nothing arrived'}")
    return sum(figures)


def _available(held: contextlib.ExitStack, notes: list[str]) -> Iterator[Chain]:
    for adapter in ADAPTERS:
        try:
            yield held.enter_context(Chain(adapter))
        except (BenchFailed, KernelRefused) as error:
            notes.append(f"not measured: {error}")


def _record(found: dict[tuple[str, str], Sample], notes: Sequence[str]) -> Record:
    rows, keys = [], {}
    for load in LOADS:
        for adapter in ADAPTERS:
            ours, plain = found.get((adapter, load.suffix)), found[PLAIN, load.suffix]
            if ours is not None:
                row = Row(f"{adapter}: {load.what}", load.unit, ours, plain, GOALS.get((adapter, load.suffix)))
                rows.append(row)
                keys[f"{adapter}_over_plain_{load.suffix}"] = row.compared.median
    return Record(rows, keys, notes)
