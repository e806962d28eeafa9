"""What a bench is. To write one, called `swimming`:

1. `tools/bench/swimming.py` has one public function, a generator that says how far it is and returns what it found:

       def run(quick: bool) -> Generator[Progress, None, Record]:
           ours, plain = [], []
           for turn in range(2 if quick else 5):
               yield Progress(turn / 5, "swimming")            # before each piece of work: it moves the bar
               ours.append(...)                                # interleaved with the plain baseline, so that whatever
               plain.append(...)                               # else this machine does happens to both
           row = Row("crawl", "m/s", Sample(ours), Sample(plain), Goal.at_least(0.9))
           return Record([row], {"swimming_over_plain": row.compared.median})

   `quick` asks for the same record in a few seconds, whatever its figures are worth: `make test` runs every bench so.
   Raise BenchFailed (LabFailed, KernelRefused) for what cannot be measured here at all; where only a part cannot, leave
   its rows and keys out and say why in Record.notes. What was begun is ended in `finally`: the generator may be closed.
2. A row in BENCHES below.

The interface ends here: commands.py draws bar and table, report.py writes the JSON file, plot.py the picture. A load
that has to be faster than what it measures is a C program beside the bench, which native.py compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from tools.bench.sample import Sample

# Name, which is also its module's, and what it says of itself in --help; in the order in which all of them run.
BENCHES = {
    "datapath": "throughput, packets a second and latency of each adapter, beside plain routing",
    "registrations": "durable registrations a second on one core, beside a UDP echo in Python",
    "scale": "a million bindings: their memory, a restart, renewals meanwhile",
    "page": "durable registrations a second with the page open on 10,000 bindings, beside none",
    "handoff": "for how long the sessions of a node are silent when it moves, beside what no protocol can avoid",
}


class BenchFailed(Exception):
    """One line: what could not be measured, and why."""


@dataclass(slots=True, frozen=True)
class Progress:
    """done: from 0 to 1. doing: a few words, of what comes next."""

    done: float
    doing: str


@dataclass(slots=True, frozen=True)
class Goal:
    """What a row must show: of its ratio to the baseline where it has one, else of its median."""

    bound: float
    floor: bool

    @classmethod
    def at_least(cls, bound: float) -> Goal:
        return cls(bound, True)

    @classmethod
    def at_most(cls, bound: float) -> Goal:
        return cls(bound, False)

    def met(self, figure: float) -> bool:
        return figure >= self.bound if self.floor else figure <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.floor else '≤'} {self.bound:g}"


@dataclass(slots=True, frozen=True)
class Row:
    """One line of the table. baseline: the plain thing, measured in the same run; its i-th figure beside our i-th.

    what: a few words, unlike those of the other rows. beside: what the baseline is, in a word or two.
    """

    what: str
    unit: str
    measured: Sample
    baseline: Sample | None = None
    goal: Goal | None = None
    beside: str = "plain"

    @property
    def compared(self) -> Sample:
        """Ours over the baseline's, turn by turn: what disturbed both has gone out of it. Raises ValueError without."""
        if self.baseline is None:
            raise ValueError(f"{self.what}: nothing stands beside it")
        return self.measured.over(self.baseline)

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        return self.goal.met((self.measured if self.baseline is None else self.compared).median)


@dataclass(slots=True, frozen=True)
class Record:
    """What one run of one bench found. keys: as the JSON file has them; notes: sentences to print below the table."""

    rows: Sequence[Row]
    keys: Mapping[str, object]
    notes: Sequence[str] = field(default=())


Run = Callable[[bool], Generator[Progress, None, Record]]
