"""Once a second: how many registrations there were, and what every open page is told."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from host_agents.runtime.daemon import Daemon

MINUTES = 10
_SECONDS = 60 * MINUTES  # that are remembered
_PAGES = 32  # that may be open at a time

_log = logging.getLogger("entourage")

Render = Callable[[], Awaitable[dict[str, str]]]


class Ticker:
    """series: (seconds since 1970, accepted, denied) of each of the last minutes' seconds, the newest last.

    late: seconds by which the last tick was late, since the event loop was busy.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.series: deque[tuple[int, int, int]] = deque(maxlen=_SECONDS)
        self.late = 0.0
        self.render: Render | None = None  # the parts of the page that are pushed: name -> HTML
        self._daemon = daemon
        self._before = (0, 0)
        self._pages = 0
        self._parts: dict[str, str] = {}
        self._ticked = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Every stream ends, and so does every page's connection."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        async with self._ticked:
            self._ticked.notify_all()

    async def stream(self) -> AsyncIterator[str]:
        """Server-sent events for one page, until it is closed; nothing but a comment for one page too many."""
        if self._pages >= _PAGES:
            yield f": {_PAGES} pages are open already\n\n"
            return
        self._pages += 1
        sent: dict[str, str] = {}
        try:
            yield _message("history", json.dumps(list(self.series)))
            while self._task is not None:
                async with self._ticked:
                    await self._ticked.wait()
                    parts = dict(self._parts)
                changed = {name: html for name, html in parts.items() if sent.get(name) != html}
                sent = parts
                yield "".join(_message(name, html) for name, html in changed.items()) + _message("tick", "")
        finally:
            self._pages -= 1

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + 1, time.monotonic())
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late = time.monotonic() - due
            self._sample()
            try:
                if self._pages and self.render is not None:
                    self._parts = {**await self.render(), "second": json.dumps(self.series[-1])}
            except Exception:  # a page that can't be drawn must not end what draws it
                _log.exception("page")
            async with self._ticked:
                self._ticked.notify_all()

    def _sample(self) -> None:
        meters = self._daemon.meters
        replies = meters.sent if self._daemon.role == "ha" else meters.nodes_sent
        accepted, denied = replies.answered()
        before, self._before = self._before, (accepted, denied)
        self.series.append((int(time.time()), accepted - before[0], denied - before[1]))


def _message(event: str, data: str) -> str:
    return f"event: {event}\n" + "".join(f"data: {line}\n" for line in data.splitlines() or [""]) + "\n"
