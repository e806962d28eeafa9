"""The daemons' log: one line per event, and of what a peer can cause without end one line per kind and interval."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter, deque

from host_agents.effects import Said
from host_agents.runtime.errors import BadRequest
from host_agents.runtime.events import Event, Events, utc
from host_agents.runtime.log_line import fields
from mip4.address import show
from mip4.effects import Dropped

_INTERVAL = 10_000  # ms
_LINES = 20  # of one kind of event in an interval; of a kind of drop, one
_RECENT = 256  # events that are remembered
_DEBUGGED = 64  # NAIs at a time
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}  # syslog(3)

_log = logging.getLogger("entourage")


def start_logging(style: str = "text") -> None:
    """To stderr. Where that is systemd's journal, a line begins with its priority (sd-daemon(3)), not with the time.

    style: "text" or "json", an object a line.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines(style == "json", _is_journal()))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    _log.setLevel(logging.DEBUG)  # only what an operator asks for is said there


def _is_journal() -> bool:
    """Whether stderr is what JOURNAL_STREAM says (systemd.exec(5))."""
    of_stderr = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM") == f"{of_stderr.st_dev}:{of_stderr.st_ino}"


class _Lines(logging.Formatter):
    def __init__(self, as_json: bool, to_journal: bool) -> None:
        super().__init__("%(message)s" if to_journal else "%(asctime)s %(levelname)s %(message)s")
        self._as_json = as_json
        self._to_journal = to_journal

    def format(self, record: logging.LogRecord) -> str:
        line = self._document(record) if self._as_json else super().format(record)
        line = line.replace("\n", " ")
        return f"<{_PRIORITIES.get(record.levelno, 6)}>{line}" if self._to_journal else line

    def _document(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        head = {"time": utc(record.created), "level": record.levelname.lower(), "kind": getattr(record, "kind", "note")}
        return json.dumps({**fields(text), **head, "text": text}, ensure_ascii=False)


class Journal:
    """Writes what engines say and counts it. counts: kind -> how often since the start. recent: the newest last."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.events = Events()
        self.recent: deque[Event] = deque(maxlen=_RECENT)
        self.debugged: set[str] = set()  # the NAIs whose every message is told
        self._written: dict[str, int] = {}
        self._withheld: Counter[str] = Counter()
        self._began = 0

    def said(self, effect: Said, now: int) -> None:
        level = logging.WARNING if effect.level == "warning" else logging.INFO
        self._write(effect.kind, level, effect.text, _LINES, now)

    def dropped(self, effect: Dropped, now: int) -> None:
        """WARNING, since somebody has to look: a wrong key, a wrong clock, or an attacker."""
        kind = f"dropped-{effect.error.kind}"
        self._write(kind, logging.WARNING, f"{kind} from={show(effect.source)}: {effect.error}", 1, now)

    def failed(self, kind: str, text: str, now: int) -> None:
        """Of disk or kernel: every request meets a full disk, so each kind is said once in an interval, and counted."""
        self.counts["warning"] += 1
        self._write(kind, logging.WARNING, text, 1, now)

    def warn(self, text: str) -> None:
        self.counts["warning"] += 1
        self._say("warning", logging.WARNING, text)

    def info(self, text: str) -> None:
        self._say("note", logging.INFO, text)

    def debug(self, text: str) -> None:
        """Of a subscriber that is looked at."""
        self._say("debug", logging.DEBUG, text)

    def look_at(self, nai: str, on: bool) -> None:
        """Have every message of a NAI told, or no longer. Raises BadRequest."""
        if on and nai not in self.debugged and len(self.debugged) >= _DEBUGGED:
            raise BadRequest(f"{_DEBUGGED} subscribers are looked at already")
        (self.debugged.add if on else self.debugged.discard)(nai)
        self.info(f"debug nai={nai} {'on' if on else 'off'}")

    def _write(self, kind: str, level: int, text: str, most: int, now: int) -> None:
        if now - self._began >= _INTERVAL:
            for withheld, count in sorted(self._withheld.items()):
                _log.warning("%s: %d more in %d s", withheld, count, (now - self._began) // 1000)
            self._withheld.clear()
            self._written.clear()
            self._began = now
        self.counts[kind] += 1
        self._written[kind] = self._written.get(kind, 0) + 1
        if self._written[kind] <= most:
            self._say(kind, level, text)
        else:
            self._withheld[kind] += 1
            self._tell(kind, level, text)

    def _say(self, kind: str, level: int, text: str) -> None:
        _log.log(level, "%s", text, extra={"kind": kind})
        self._tell(kind, level, text)

    def _tell(self, kind: str, level: int, text: str) -> None:
        event = Event(time.time(), level, kind, text)
        self.recent.append(event)
        self.events.happened(event)
