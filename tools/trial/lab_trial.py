"""`entourage trial lab`: the whole way of a field trial in the lab, and the report held against the truth."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from host_agents.runtime.errors import KernelRefused
from tools.lab import plan as places
from tools.lab.errors import LabFailed
from tools.lab.world import World
from tools.trial import check, clocks, drive, flight, importing, trial_file
from tools.trial.commands import write_report
from tools.trial.drive import Truth
from tools.trial.errors import TrialFailed
from tools.trial.figures import Figures
from tools.trial.node import Local
from tools.trial.trial_file import Trial

NAMES = {places.NETWORKS["fa1"][0]: "fa1", places.NETWORKS["fa2"][0]: "fa2", "192.168.7.": "nat"}


@dataclass(slots=True)
class Driven:
    """What comes home from a drive, and what the lab knows."""

    trial: Trial
    truth: Truth

    @property
    def figures(self) -> Figures:
        return Figures.of(self.trial, NAMES)


def record(roams: int, stay: float, quiet: bool = False) -> Driven:
    """One drive in a lab of its own. Raises LabFailed, KernelRefused, TrialFailed."""
    with drive.receiver() as (gps, speaking), World(plan=drive.plan(gps)) as world:
        truth = drive.drive(world, speaking, roams, stay, lambda text: None if quiet else print(text))
        world.stop_capture()
        config = world.crew.program("mn").config
        assert config is not None
        node = flight.events(Local(config).fetch())
        agent = importing.load(world.pcap, "ha")
    return Driven(clocks.merge([node, agent]), truth)


def run(out: Path, roams: int, stay: float, printed: bool) -> int:
    """Exit code 0 only if every gap, cause, place and clock of the report is what the lab knows it to be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrialFailed(f"{out}: {error.strerror}")
    try:
        driven = record(roams, stay)
    except (LabFailed, KernelRefused) as error:
        raise TrialFailed(str(error))
    trial_file.write(driven.trial, out / "drive.trial")
    figures = driven.figures
    write_report(figures, out / "report.html", "a drive in the lab", printed)
    compared = check.compare(figures, driven.truth)
    for one in compared:
        gaps = f"{one.reported} ms, captured {one.captured:.1f} ms, off {one.off:+.1f} ms"
        print(f"{one.to:4} {one.session:10} {gaps}: {one.cause}")
    wrong = check.faults(figures, driven.truth)
    for text in wrong:
        print(f"not so: {text}", file=sys.stderr)
    close = sum(abs(one.off) <= check.TOLERANCE for one in compared)
    print(f"{close} of {len(compared)} gaps within {check.TOLERANCE:g} ms of the captures; {out / 'report.html'}")
    return 1 if wrong else 0
