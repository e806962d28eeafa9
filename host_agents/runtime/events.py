"""What happens in a daemon, for whoever listens: `watch`, the page."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from host_agents.runtime.errors import BadRequest
from host_agents.runtime.log_line import fields
from host_agents.runtime.where import Where

_WAITING = 1024  # events that a listener may be behind
_LISTENERS = 32


@dataclass(slots=True)
class Event:
    """time: seconds since 1970. level: of logging. text: its log line, which is only looked into if somebody asks."""

    time: float
    level: int
    kind: str
    text: str

    def document(self) -> dict[str, Any]:
        """As one JSON object; the line's own keys do not replace these four."""
        head = {"time": utc(self.time), "level": logging.getLevelName(self.level).lower(), "kind": self.kind}
        return {**fields(self.text), **head, "text": self.text}


def utc(time: float) -> str:
    """2026-11-28T16:30:16.123Z"""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Events:
    """Tells every listener; one that does not keep up loses the oldest and learns how many."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    @property
    def watchers(self) -> int:
        return len(self._listeners)

    def happened(self, event: Event) -> None:
        for listener in self._listeners:
            listener.put(event)

    def watch(self, where: Where) -> AsyncIterator[dict[str, Any]]:
        """What happens from now on. Raises BadRequest for one listener too many."""
        if len(self._listeners) >= _LISTENERS:
            raise BadRequest(f"{_LISTENERS} watch already")
        return self._told(where)

    async def _told(self, where: Where) -> AsyncIterator[dict[str, Any]]:
        listener = _Listener()
        self._listeners.add(listener)
        try:
            while True:
                missed, event = await listener.get()
                if missed:
                    yield {"kind": "missed", "count": missed}
                document = event.document()
                if where.holds_fields(document):
                    yield document
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=_WAITING)
        self._missed = 0
        self._more = asyncio.Event()

    def put(self, event: Event) -> None:
        self._missed += len(self._waiting) == _WAITING
        self._waiting.append(event)
        self._more.set()

    async def get(self) -> tuple[int, Event]:
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        missed, self._missed = self._missed, 0
        return missed, self._waiting.popleft()
