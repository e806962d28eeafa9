"""Reports that wait for an accounting server: a bounded queue, sent some at a time, one by one while it is silent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from host_agents.runtime.account import Report

MOST = 8192  # that wait; of more, the oldest are lost
_AT_ONCE = 32
_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds after a question that nobody answered
_UNHEARD = 5  # times that others were answered beside it, and it was not: the server does not want it


class Reports:
    """send: whether the server has taken one. settled: called with one that it has taken, or will never get.

    said: with a line for the log. lost: how many it will never get. silent: whether it answered nothing of late.
    """

    def __init__(
        self,
        send: Callable[[Report], Awaitable[bool]],
        settled: Callable[[Report], None],
        said: Callable[[str], None],
    ) -> None:
        self.lost = 0
        self.silent = False
        self._send, self._settled, self._said = send, settled, said
        self._waiting: deque[Report] = deque()
        self._asked: list[Report] = []  # those that the server may be about to take
        self._more = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._asked)

    def put(self, report: Report) -> None:
        if len(self) >= MOST and self._waiting:
            self._lose(self._waiting.popleft())
        self._waiting.append(report)
        self._more.set()

    def _lose(self, report: Report) -> None:
        self.lost += 1
        self._settled(report)

    async def run(self) -> None:
        """Until it is cancelled."""
        pause = _PAUSE
        while True:
            await self._more.wait()
            most = 1 if self.silent else _AT_ONCE
            some = self._asked = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            heard = await asyncio.gather(*(self._send(report) for report in some))
            self._asked = []
            for report, taken in zip(some, heard, strict=True):
                self._ended(report, taken, any(heard))
            if not self._waiting:
                self._more.clear()
            self._tell(any(heard))
            if self.silent:
                await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE) if self.silent else _PAUSE

    def _ended(self, report: Report, taken: bool, others: bool) -> None:
        """One without answer goes behind the others: it may be the only one that the server does not want."""
        if taken:
            self._settled(report)
            return
        report.unheard += others
        if report.unheard >= _UNHEARD or len(self._waiting) >= MOST:
            self._lose(report)
        else:
            self._waiting.append(report)

    def _tell(self, heard: bool) -> None:
        if self.silent == heard:
            self.silent = not heard
            lost = f", {self.lost} were lost" if self.lost else ""
            does = "answers again" if heard else "does not answer"
            self._said(f"the RADIUS accounting server {does}: {len(self._waiting)} reports wait{lost}")
