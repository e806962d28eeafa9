"""The figures of a report: of all handoffs, of each network, of each session. Milliseconds unless named otherwise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tools.trial.handoffs import Handoff, Noticed, handoffs
from tools.trial.trial_file import Event, Trial

_EARTH = 6_371_000  # metres
Place = tuple[int, float, float]  # ms, latitude, longitude


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank, so that it is one that was measured. values: at least one."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(slots=True, frozen=True)
class Spread:
    """Of at least one value."""

    count: int
    median: float
    p95: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        known = list(values)
        if not known:
            return None
        return cls(len(known), percentile(known, 0.5), percentile(known, 0.95), max(known))


@dataclass(slots=True)
class Figures:
    """All of a trial. began, ended: ms since 1970. track: in order."""

    trial: Trial
    handoffs: list[Handoff]
    track: list[Place]
    marks: list[Event]
    began: int
    ended: int

    @classmethod
    def of(cls, trial: Trial, names: Mapping[str, str] | None = None) -> Figures:
        """names: care-of address, or how it begins, -> what to call that network."""
        ours = [one for one in trial.events if one["source"] == "node"]
        times = [one["at"] for one in ours] or [0]
        places = [(one["at"], one["latitude"], one["longitude"]) for one in trial.events if "latitude" in one]
        track = [one for one in sorted(places) if min(times) - 60_000 <= one[0] <= max(times) + 60_000]
        marks = [one for one in ours if one["event"] == "mark"]
        found = handoffs(trial.events)
        for handoff in found:
            fitting = (name for begins, name in (names or {}).items() if handoff.network.startswith(begins))
            handoff.name = next(fitting, handoff.network)
        return cls(trial, found, track, marks, min(times), max(times))

    @property
    def measured(self) -> list[Handoff]:
        """Those that ended well enough to have a length."""
        return [one for one in self.handoffs if one.interruption is not None]

    @property
    def interruption(self) -> Spread | None:
        return Spread.of(one.interruption for one in self.handoffs if one.interruption is not None)

    @property
    def silent(self) -> int:
        """ms without service, all handoffs together; one that never ended well lasts until the next."""
        return sum((one.ended or self.ended) - one.began if one.interruption is None else one.interruption
                   for one in self.handoffs)  # fmt: skip

    @property
    def distance(self) -> float:
        """Metres."""
        return sum(metres(here, there) for here, there in pairwise(self.track))

    @property
    def networks(self) -> list[str]:
        """In the order in which they were first met."""
        return list(dict.fromkeys(one.network for one in self.handoffs))

    def worst(self, count: int = 10) -> list[Handoff]:
        """Those without an end first."""
        never = math.inf
        return sorted(self.handoffs, key=lambda one: -(never if one.interruption is None else one.interruption))[:count]

    def place(self, at: int) -> tuple[float, float] | None:
        """Where it was at that moment, between the two places next to it; None if those are far away in time."""
        before = [one for one in self.track if one[0] <= at][-1:]
        after = [one for one in self.track if one[0] > at][:1]
        near = [one for one in (*before, *after) if abs(one[0] - at) <= 30_000]
        if not near:
            return None
        if len(near) == 1:
            return near[0][1], near[0][2]
        (t0, y0, x0), (t1, y1, x1) = near
        share = (at - t0) / (t1 - t0)
        return y0 + (y1 - y0) * share, x0 + (x1 - x0) * share

    def stays(self) -> list[tuple[int, int, str]]:
        """(from, to, network), from each handoff to the next."""
        return [(one.began, one.ended or self.ended, one.network) for one in self.handoffs]


def metres(here: Place, there: Place) -> float:
    """Between two places that are near each other."""
    east = math.radians(there[2] - here[2]) * math.cos(math.radians((here[1] + there[1]) / 2))
    return _EARTH * math.hypot(east, math.radians(there[1] - here[1]))


@dataclass(slots=True, frozen=True)
class OfNetwork:
    """stayed: seconds. causes: how often each kind of cause made the handoff there a long one or a failed one."""

    network: str
    handoffs: int
    failed: int
    interruption: Spread | None
    registration: Spread | None
    stayed: float
    rssi: float | None
    causes: Counter[str]


def of_networks(figures: Figures) -> list[OfNetwork]:
    found = []
    for network in figures.networks:
        those = [one for one in figures.handoffs if one.network == network]
        rssi = [one.rssi for one in those if one.rssi is not None]
        registrations = [parts["registration"] for one in those if "registration" in (parts := one.parts())]
        found.append(
            OfNetwork(
                network,
                len(those),
                sum(one.interruption is None for one in those),
                Spread.of(one.interruption for one in those if one.interruption is not None),
                Spread.of(end - begin for begin, end in registrations),
                sum(end - begin for begin, end, name in figures.stays() if name == network) / 1000,
                sum(rssi) / len(rssi) if rssi else None,
                Counter(one.cause().partition(":")[0] for one in those),
            )
        )
    return found


@dataclass(slots=True, frozen=True)
class OfSession:
    """address: the last one; moved: how often it was another one than before, which is never if all is well."""

    session: str
    address: str
    handoffs: int
    silence: Spread | None
    registration: Spread | None
    asked: int
    denied: int
    moved: int


def of_sessions(figures: Figures) -> list[OfSession]:
    names = sorted({name for one in figures.handoffs for name in one.sessions})
    return [_of_session(name, [(one, one.sessions[name]) for one in figures.handoffs if name in one.sessions])
            for name in names]  # fmt: skip


def _of_session(name: str, those: Sequence[tuple[Handoff, Noticed]]) -> OfSession:
    addresses = [noticed.home_address for _, noticed in those if noticed.accepted is not None]
    return OfSession(
        name,
        addresses[-1] if addresses else "",
        len(those),
        Spread.of(silence for one, noticed in those if (silence := noticed.silence(one.began)) is not None),
        Spread.of(noticed.accepted - noticed.asked[0] for _, noticed in those if noticed.accepted is not None),
        sum(len(noticed.asked) for _, noticed in those),
        sum(code not in (0, 1) for _, noticed in those for code in noticed.codes),
        sum(here != there for here, there in pairwise(addresses)),
    )
