"""The daemons' log: one line per event, and of what a peer can cause without end one line per kind and interval."""

from __future__ import annotations

import logging
from collections import Counter

from host_agents.effects import Said
from mip4.address import show
from mip4.effects import Dropped

_INTERVAL = 10_000  # ms
_LINES = 20  # of one kind of event in an interval; of a kind of drop, one

_log = logging.getLogger("entourage")


def start_logging() -> None:
    """To stderr, which systemd's journal takes with its own time stamps."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)


class Journal:
    """Writes what engines say and counts it. counts: kind -> how often since the start."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
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

    def warn(self, text: str) -> None:
        self.counts["warning"] += 1
        _log.warning("%s", text)

    def info(self, text: str) -> None:
        _log.info("%s", text)

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
            _log.log(level, "%s", text)
        else:
            self._withheld[kind] += 1
