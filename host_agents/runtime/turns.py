"""How an engine's turns are run, each to its end, in order.

Their rows become durable, then the kernel learns of them, then messages leave; whatever fails, the engine hears of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, get_args

from host_agents.effects import Turn
from host_agents.runtime.alarm import Alarm
from host_agents.runtime.errors import KernelRefused, StoreFailed
from host_agents.runtime.journal import Journal
from host_agents.runtime.meters import Durations
from host_agents.runtime.unended import Unended
from host_agents.store.protocol import Row, Store

Session = tuple[str, str]
Does = Mapping[type, Callable[[Any], None]]

_ROWS = frozenset(kind for union in get_args(Row) for kind in (get_args(union) or (union,)))


class Engine(Protocol):
    """What the home and the foreign agent's engine have in common."""

    def deadline(self) -> int | None: ...
    def wake(self, now: int) -> Turn: ...
    def settled(self, session: Session, now: int) -> Turn: ...
    def refused(self, session: Session, reason: str, now: int) -> Turn: ...


class Turns:
    """Those of one engine, which is woken when it wants to be.

    does: what is done for each kind of effect, once the turn is durable; it raises KernelRefused. now: the engine's
    clock, ms. durations: of registrations, from their arrival to their end.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store[Any],
        does: Does,
        now: Callable[[], int],
        journal: Journal,
        durations: Durations,
    ) -> None:
        self.engine = engine
        self.store = store
        self.does = does
        self.now = now
        self.journal = journal
        self.durations = durations
        self.alarm = Alarm(now, engine.deadline, self._wake)
        self._unended = Unended(store.submit, lambda turn: self.carry_out(turn, 0.0), self.is_due)

    def take(self, turn: Turn, since: float = 0.0) -> None:
        """Run a turn: at once where nothing has to be durable first.

        since: perf_counter() when the registration that it is about arrived; 0: it is about none.
        """
        rows: list[Any] = [effect for effect in turn.effects if type(effect) in _ROWS]
        if rows:
            self.store.submit(rows, partial(self._durable, turn, since))
        else:
            self.carry_out(turn, since)
        self.alarm.look()

    async def durable(self) -> None:
        """All turns so far that have rows have run, or were refused."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.store.submit((), lambda _: None if reached.done() else reached.set_result(None))
        await reached

    async def finish(self) -> None:
        """None begins by itself any more; all that have begun have run, with those that they led to."""
        self.alarm.stop()
        self._unended.stop()
        while self.store.waiting:
            await self.durable()

    def carry_out(self, turn: Turn, since: float) -> None:
        """What is to be done when its rows are durable."""
        try:
            for effect in turn.effects:
                does = self.does.get(type(effect))
                if does is not None:
                    does(effect)
                elif type(effect) not in _ROWS:
                    raise TypeError(f"nobody here does {effect}")
        except KernelRefused as error:
            self.refuse(turn, "kernel-refused", str(error))
            return
        if since:
            self.durations.took(time.perf_counter() - since)
        if turn.session is not None:
            self.settle(turn.session, self.now())

    def settle(self, session: Session, now: int) -> None:
        """Its turn ran to its end."""
        after = self.engine.settled(session, now)
        if after.effects:
            self.take(after)

    def refuse(self, turn: Turn, kind: str, reason: str) -> None:
        """It could not run to its end. kind: what failed, as it is counted."""
        self.journal.failed(kind, reason, self.now())
        if turn.session is None:
            self._unended.put(turn)
        else:
            self.take(self.engine.refused(turn.session, reason, self.now()))

    def is_due(self, effect: object) -> bool:
        """As of Unended."""
        raise NotImplementedError

    def _durable(self, turn: Turn, since: float, error: StoreFailed | None) -> None:
        if error is None:
            self.carry_out(turn, since)
        else:
            self.refuse(turn, "store-failed", str(error))

    def _wake(self) -> None:
        self.take(self.engine.wake(self.now()))
