"""Wakes an engine when it wants to be: one timer, set to the engine's next deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LONGEST_WAIT = 10_000  # ms; the event loop's clock stands still while the machine sleeps, and ours does not


class Alarm:
    """now: the engine's clock, ms. deadline: when it has something to do by that clock, None for never.

    wake: called then.
    """

    def __init__(self, now: Callable[[], int], deadline: Callable[[], int | None], wake: Callable[[], None]) -> None:
        self._now, self._next, self._wake = now, deadline, wake
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: int | None = None  # what the timer is set to
        self._looking = False  # whether look() is about to be done
        self._stopped = False

    def look(self) -> None:
        """For the next deadline, when this turn of the event loop is over."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._set)

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _set(self) -> None:
        self._looking = False
        deadline = self._next()
        if deadline == self._deadline or self._stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._deadline = None, deadline
        if deadline is not None:
            wait = min(max(0, deadline - self._now()), _LONGEST_WAIT)
            self._timer = asyncio.get_running_loop().call_later(wait / 1000, self._ring)

    def _ring(self) -> None:
        self._timer = self._deadline = None
        self._wake()
