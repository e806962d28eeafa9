"""How far the clocks of a trial are apart, and one file with the times of one of them.

A request that the node sent at a and whose reply it had at d was seen by the agent at b, and its reply at c. Whatever
the way did to them, a came before b and c before d, so the agent's clock is ahead by no less than c - d and no more
than b - a. What all registrations of ten minutes have in common is what is known; half its width is the uncertainty.
"""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.trial.errors import TrialFailed
from tools.trial.trial_file import Event, Trial

_STRETCH = 600_000  # ms in which clocks drift apart by less than we can tell
_GRAIN = 2.0  # ms: times are whole ones, of a date and of a clock that were read one after the other


@dataclass(slots=True, frozen=True)
class Offset:
    """Of an agent's clock ahead of the node's, ms, about `at`, a time of the node."""

    at: int
    offset: float
    uncertainty: float
    registrations: int


def offsets(node: Sequence[Event], agent: Sequence[Event]) -> list[Offset]:
    """One for each stretch with registrations that both saw whole."""
    sent, answered = _by_identification(node)
    arrived, replied = _by_identification(agent)
    bounds: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for low, at in sent.items():
        if low in arrived:
            most = arrived[low] - at + _GRAIN
            least = replied[low] - answered[low] - _GRAIN if low in replied and low in answered else float("-inf")
            bounds[at // _STRETCH].append((least, most))
    found = []
    for stretch, pairs in sorted(bounds.items()):
        least, most = max(one[0] for one in pairs), min(one[1] for one in pairs)
        if least > float("-inf"):
            middle = (stretch * 2 + 1) * _STRETCH // 2
            # Bounds that contradict each other by a little tell of drift, which is uncertainty too
            found.append(Offset(middle, (least + most) / 2, abs(most - least) / 2, len(pairs)))
    return found


def _by_identification(events: Iterable[Event]) -> tuple[dict[int, int], dict[int, int]]:
    """When each was first asked and first answered."""
    asked: dict[int, int] = {}
    answered: dict[int, int] = {}
    for event in events:
        where = {"request": asked, "reply": answered}.get(event["event"])
        if where is not None and "identification" in event:
            where.setdefault(event["identification"], event["at"])
    return asked, answered


def merge(trials: Sequence[Trial]) -> Trial:
    """By the node's clock; where that one has no date, by the first agent's. Raises TrialFailed.

    Tracks are taken as they are: a GPS receiver's clock is right, and a second is a few metres.
    """
    nodes = [one for one in trials if one.source == "node"]
    if not nodes:
        raise TrialFailed("none of the files is a node's")
    if len({one.nai for one in nodes}) > 1:
        raise TrialFailed(f"merge: of several nodes: {', '.join(sorted(one.nai for one in nodes))}")
    events = [event for one in nodes for event in one.events]
    clocks = []
    for trial in trials:
        if trial.source == "node":
            continue
        found = offsets(events, trial.events) if trial.source != "gpx" else []
        events = _join(events, trial, found)
        clocks += [
            {"source": trial.source, "at": one.at, "offset_ms": round(one.offset, 1),
             "uncertainty_ms": round(one.uncertainty, 1), "registrations": one.registrations}
            for one in found
        ]  # fmt: skip
        if not found and trial.source != "gpx" and trial.events:
            clocks.append({"source": trial.source, "at": trial.events[0]["at"], "offset_ms": None})
    events.sort(key=lambda one: one["at"])
    return Trial("merged", events, nodes[0].nai, [one.source for one in trials], clocks)


def _join(events: list[Event], trial: Trial, found: list[Offset]) -> list[Event]:
    """One clock for both. A node without a date counts from 0, and is taken to the agent's clock."""
    if not found:
        return events + trial.events
    if events and min(one["at"] for one in events) < _STRETCH * 1000:
        return [_moved(event, _at(found, event["at"])) for event in events] + trial.events
    behind = [Offset(round(one.at + one.offset), -one.offset, 0, 0) for one in found]
    return events + [_moved(event, _at(behind, event["at"])) for event in trial.events]


def _at(found: Sequence[Offset], at: int) -> float:
    """The offset of the stretch that is nearest."""
    place = bisect([one.at for one in found], at)
    return min(found[max(0, place - 1) : place + 1], key=lambda one: abs(one.at - at)).offset


def _moved(event: Event, by: float) -> Event:
    moved = {**event, "at": round(event["at"] + by)}
    if event.get("last") is not None:
        moved["last"] = round(event["last"] + by)
    return moved
