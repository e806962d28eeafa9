"""A trial file: JSON lines, a header and then one event a line, in order of time. docs/trial.md lists the events.

Bounded both ways: a line has at most 4096 octets, a file a million of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired, TextIO, TypedDict

import msgspec
from msgspec import Meta

from host_agents.store.whole_file import whole_file
from tools.trial.errors import TrialFailed

FORMAT, VERSION = "entourage trial", 1
_LONGEST, _MOST = 4096, 1_000_000

Event = dict[str, Any]
_Moment = Annotated[int, Meta(ge=-(10**13), le=2 * 10**14)]  # ms since 1970: dates that a calendar has


class _Clock(TypedDict):
    source: str
    at: _Moment
    offset_ms: float | None
    uncertainty_ms: NotRequired[float]
    registrations: NotRequired[int]


class _Header(TypedDict, total=False):
    source: str
    nai: str
    merged: list[str]
    clocks: list[_Clock]


class _Fields(TypedDict, total=False):
    """Of any event: what somebody here computes with."""

    at: _Moment
    event: str
    source: str
    agent: str | None
    care_of_address: str | None
    home_address: str
    session: str
    identification: int
    lifetime: int
    code: int
    count: int
    last: _Moment | None
    uncertainty: float
    rssi: float | None
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    kind: str
    text: str


# What has to be there of a node's events, and of anybody's
_OF_A_NODE = {
    "agent": ("agent",),
    "request": ("identification", "lifetime", "care_of_address", "session", "home_address"),
    "reply": ("identification", "code", "home_address"),
    "packet": ("home_address", "last"),
}
_OF_ANYBODY = {"log": ("kind", "text")}


@dataclass(slots=True)
class Trial:
    """events: each has "at" (ms since 1970, by the clock of its source), "source" and "event".

    source: node, ha, fa, gpx or what a person called it; merged: the sources, after `merge`. clocks: what it said of
    each of their clocks.
    """

    source: str
    events: list[Event]
    nai: str = ""
    merged: list[str] = field(default_factory=list)
    clocks: list[dict[str, Any]] = field(default_factory=list)

    def header(self) -> dict[str, Any]:
        head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "source": self.source, "nai": self.nai}
        return head | ({"merged": self.merged, "clocks": self.clocks} if self.merged else {})


def write(trial: Trial, path: Path) -> None:
    """Raises TrialFailed."""
    lines = [trial.header(), *sorted(trial.events, key=lambda one: one["at"])]
    try:
        with whole_file(path) as beside, open(beside, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    except OSError as error:
        raise TrialFailed(f"{path}: {error.strerror}")


def read(path: Path) -> Trial:
    """Raises TrialFailed: file, line, reason."""
    try:
        with open(path, encoding="utf-8") as file:
            return _read(path, lines_of(file, _LONGEST))
    except OSError as error:
        raise TrialFailed(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        raise TrialFailed(f"{path}: not text")


def lines_of(file: TextIO, longest: int) -> Iterator[str]:
    """One that is longer comes in pieces: a file that a power cut has filled with zeros is a single one."""
    return iter(lambda: file.readline(longest + 1), "")


def is_recording(path: Path) -> bool:
    """Whether it is a trial file that was not made of others: there is nothing it could be made of again."""
    try:
        return read(path).source != "merged"
    except TrialFailed:
        return False


def _read(path: Path, lines: Iterable[str]) -> Trial:
    trial: Trial | None = None
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST or number > _MOST:
            raise TrialFailed(f"{path}: line {number}: more than a trial file has")
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            raise TrialFailed(f"{path}: line {number}: not JSON")
        if trial is None:
            trial = _begin(path, document)
        elif not isinstance(document, dict) or not isinstance(document.get("at"), int) or "event" not in document:
            raise TrialFailed(f'{path}: line {number}: not an event: it needs "at", a whole number, and "event"')
        else:
            event = {"source": trial.source, **document}
            if wrong := fault(event):
                raise TrialFailed(f"{path}: line {number}: {wrong}")
            trial.events.append(event)
    if trial is None:
        raise TrialFailed(f"{path}: empty")
    return trial


def _begin(path: Path, head: Any) -> Trial:
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise TrialFailed(f"{path}: no trial file: its first line is no header of one")
    if head.get("version") != VERSION:
        raise TrialFailed(f"{path}: a trial file of version {head.get('version')}; this program reads {VERSION}")
    if wrong := _mistyped(head, _Header):
        raise TrialFailed(f"{path}: line 1: {wrong}")
    return Trial(head.get("source", "?"), [], head.get("nai", ""), head.get("merged", []), head.get("clocks", []))


def fault(event: Event) -> str:
    """What of it nobody could compute with: key and reason, "" if all is well."""
    if wrong := _mistyped(event, _Fields):
        return wrong
    kind = event["event"]
    needed = (*_OF_ANYBODY.get(kind, ()), *("longitude",) * ("latitude" in event))
    needed += _OF_A_NODE.get(kind, ()) if event["source"] == "node" else ()
    missing = [key for key in needed if key not in event]
    return f"{kind}: {missing[0]} is missing" if missing else ""


def _mistyped(document: dict[str, Any], kind: Any) -> str:
    try:
        msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        reason, _, key = str(error).partition(" - at `$.")
        return f"{key.rstrip('`')}: {reason}"
    return ""
