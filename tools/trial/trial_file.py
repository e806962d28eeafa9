"""A trial file: JSON lines, a header and then one event a line, in order of time. docs/trial.md lists the events.

Bounded both ways: a line has at most 4096 octets, a file a million of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_agents.store.whole_file import whole_file
from tools.trial.errors import TrialFailed

FORMAT, VERSION = "entourage trial", 1
_LONGEST, _MOST = 4096, 1_000_000

Event = dict[str, Any]


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
            return _read(path, file)
    except OSError as error:
        raise TrialFailed(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        raise TrialFailed(f"{path}: not text")


def _read(path: Path, lines: Iterable[str]) -> Trial:
    trial: Trial | None = None
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST or number > _MOST:
            raise TrialFailed(f"{path}: line {number}: more than a trial file has")
        try:
            document = json.loads(line)
        except ValueError:
            raise TrialFailed(f"{path}: line {number}: not JSON")
        if trial is None:
            trial = _begin(path, document)
        elif not isinstance(document, dict) or not isinstance(document.get("at"), int) or "event" not in document:
            raise TrialFailed(f'{path}: line {number}: not an event: it needs "at", a whole number, and "event"')
        else:
            trial.events.append({"source": trial.source, **document})
    if trial is None:
        raise TrialFailed(f"{path}: empty")
    return trial


def _begin(path: Path, head: Any) -> Trial:
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise TrialFailed(f"{path}: no trial file: its first line is no header of one")
    if head.get("version") != VERSION:
        raise TrialFailed(f"{path}: a trial file of version {head.get('version')}; this program reads {VERSION}")
    merged, clocks = list(head.get("merged", ())), list(head.get("clocks", ()))
    return Trial(str(head.get("source", "?")), [], str(head.get("nai", "")), merged, clocks)
