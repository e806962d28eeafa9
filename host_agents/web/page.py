"""The page of one agent: what its templates are given."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from host_agents.runtime.daemon import Daemon
from host_agents.web.health import concerns
from host_agents.web.ticker import MINUTES, Ticker
from host_agents.web.timeline import timeline
from host_agents.web.traffic import Traffic

ROWS = 50  # on one page of the table
_EVENTS = 12
_COUNT_EVERY = 3.0  # seconds

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_WORDS = {
    "ha": {"name": "Home agent", "table": "bindings", "one": "binding"},
    "fa": {"name": "Foreign agent", "table": "visitors", "one": "visitor"},
}


class Page:
    """Asks the daemon as anybody else does, and draws what it says."""

    def __init__(self, daemon: Daemon, ticker: Ticker) -> None:
        self._daemon = daemon
        self._ticker = ticker
        self._traffic = Traffic()
        self._words = _WORDS[daemon.role]
        self._counted: Any = []
        self._count_again = 0.0
        ticker.render = self.parts

    async def whole(self) -> str:
        """The page as it is now; from then on it is told what changes."""
        parts = await self.parts()
        rows = await self.rows("", 0)
        return draw(
            "page.html", words=self._words, status=await self._show("status"), minutes=MINUTES, rows=rows, **parts
        )

    async def parts(self) -> dict[str, str]:
        """The parts that are pushed, by the name of their event."""
        status = await self._show("status")
        pools = await self._pools() if self._daemon.role == "ha" else []
        recent = list(self._ticker.series)[-10:]
        rates = [sum(one[at] for one in recent) / max(1, len(recent)) for at in (1, 2)]
        events = [
            {"time": _clock(one.time), "level": one.level, "text": one.text}
            for one in list(self._daemon.journal.recent)[-_EVENTS:]
        ]
        return {
            "head": draw(
                "head.html",
                words=self._words,
                status=status,
                pools=pools,
                accepted=rates[0],
                denied=rates[1],
                concerns=concerns(self._daemon, self._ticker, status, pools),
                uptime=_duration(status["uptime"]),
            ),
            "timeline": draw("timeline.html", nodes=timeline(self._daemon.handoffs, time.time()), minutes=MINUTES),
            "events": draw("events.html", events=events[::-1]),
        }

    async def rows(self, search: str, offset: int) -> str:
        """One page of the table, with what each session carried since it was last looked at."""
        asked = {"show": self._words["table"], "where": {"search": search[:128]}, "limit": ROWS, "offset": offset}
        found = await self._daemon.answers(asked, False)
        assert isinstance(found, dict)
        chosen: list[dict[str, Any]] = found[self._words["table"]]
        now = time.monotonic()
        for row in chosen:
            key = f"{row['home_address']} {row['nai']} {row['sub_nai']}"
            row["sparkline"], row["rate"] = self._traffic.note(
                key, row.get("bytes_in", 0) + row.get("bytes_out", 0), now
            )
            row["left"] = "∞" if row["expires_in"] is None else _duration(row["expires_in"])
        return draw(
            "rows.html",
            words=self._words,
            role=self._daemon.role,
            rows=chosen,
            matched=found["matched"],
            offset=offset,
            size=ROWS,
            search=search,
        )

    async def _pools(self) -> Any:
        """Counted anew every few seconds: of a million bindings that takes a while."""
        now = time.monotonic()
        if now >= self._count_again:
            self._counted = await self._show("pools")
            self._count_again = now + _COUNT_EVERY
        return self._counted

    async def _show(self, what: str) -> Any:
        found = await self._daemon.answers({"show": what}, False)
        assert isinstance(found, dict)
        return found[what]


def draw(template: str, **values: Any) -> str:
    """A template of templates/; whatever is in `values` is text, not markup, unless the template says otherwise."""
    return _TEMPLATES.get_template(template).render(values)


def _clock(seconds: float) -> str:
    """Of the machine's own time zone, as the operator's other logs have it."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def _duration(seconds: int) -> str:
    """42 s, 7 min, 3 h, 12 d"""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
