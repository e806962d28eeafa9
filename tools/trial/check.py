"""Holds a report against what the lab knows of a drive."""

from __future__ import annotations

from dataclasses import dataclass

from tools.trial.drive import Truth
from tools.trial.figures import Figures
from tools.trial.handoffs import Handoff, Noticed

TOLERANCE = 5.0  # ms between a gap of the report and that of the capture
_GRAIN = 1.0  # ms: times are whole ones
_NEAR = 0.5  # seconds between the lab's roam and the handoff of it
_SAME_PLACE = 2e-6  # degrees: what five decimals of a minute and the centisecond of the time leave


@dataclass(slots=True, frozen=True)
class Compared:
    """One session in one roam. reported, captured: ms; reported is None where the report has no gap of it.

    within: ms that the recorder says it may be off, since the machine was too busy to look in time.
    """

    to: str
    session: str
    reported: int | None
    captured: float
    within: int
    cause: str

    @property
    def off(self) -> float:
        return float("inf") if self.reported is None else self.reported - self.captured

    @property
    def allowed(self) -> float:
        """5 ms, unless the recorder itself says that it cannot know so well."""
        return max(TOLERANCE, self.within + _GRAIN)


def compare(figures: Figures, truth: Truth) -> list[Compared]:
    """Each roam and session of the lab."""
    found = []
    for number, roam in enumerate(truth.roams):
        handoff = next((one for one in figures.handoffs if abs(one.began / 1000 - roam.down) < _NEAR), None)
        for address, session in truth.sessions.items():
            noticed = _noticed(handoff, address)
            reported = noticed.silence(handoff.began) if noticed and handoff else None
            cause = handoff.cause() if handoff else "no handoff in the report"
            within = noticed.within if noticed else 0
            found.append(Compared(roam.to, session, reported, truth.gap(number, address), within, cause))
    return found


def _noticed(handoff: Handoff | None, address: str) -> Noticed | None:
    sessions = handoff.sessions.values() if handoff else ()
    return next((one for one in sessions if one.home_address == address), None)


def faults(figures: Figures, truth: Truth) -> list[str]:
    """What the report says that is not so, a sentence each."""
    wrong = []
    if len(figures.handoffs) != len(truth.roams):
        wrong.append(f"{len(figures.handoffs)} handoffs reported, {len(truth.roams)} took place")
    compared = compare(figures, truth)
    for one in compared:
        if abs(one.off) > one.allowed:
            wrong.append(f"to {one.to}, {one.session}: {one.reported} ms reported, {one.captured:.1f} ms captured")
    each = len(truth.sessions)
    for number, roam in enumerate(truth.roams):
        cause = compared[number * each].cause
        if not cause.startswith(roam.cause):
            wrong.append(f"to {roam.to}: the cause is {roam.cause}, the report says {cause}")
    return wrong + _wrong_places(figures, truth) + _wrong_clocks(figures)


def _wrong_places(figures: Figures, truth: Truth) -> list[str]:
    samples = [one for one in figures.trial.events if "gps_time" in one]
    seconds = truth.ended - truth.began
    wrong = []
    if len(samples) < seconds * 0.5:
        wrong.append(f"{len(samples)} places in {seconds:.0f} s")
    for one in samples:
        latitude, longitude = truth.place(one["gps_time"] / 1000)
        if abs(one["latitude"] - latitude) > _SAME_PLACE or abs(one["longitude"] - longitude) > _SAME_PLACE:
            wrong.append(
                f"at {one['gps_time']} it was at {latitude}, {longitude}, not {one['latitude']}, {one['longitude']}"
            )
    return wrong


def _wrong_clocks(figures: Figures) -> list[str]:
    """All clocks of the lab are one."""
    known = [one for one in figures.trial.clocks if one["offset_ms"] is not None]
    wrong = [] if known else ["no clock was compared"]
    for one in known:
        if abs(one["offset_ms"]) > one["uncertainty_ms"]:
            wrong.append(
                f"{one['source']}: its clock is said to be {one['offset_ms']} ms ± {one['uncertainty_ms']} ms ahead"
            )
    return wrong
