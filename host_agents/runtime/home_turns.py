"""How a home agent's turns are run: plain registrations that came together end together, and so do many releases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from host_agents.effects import Accepted, RemoveBinding, RemoveTunnel, Said, SendDatagram
from host_agents.home_agent.home_agent import HomeAgent
from host_agents.runtime.errors import KernelRefused, StoreFailed
from host_agents.runtime.journal import Journal
from host_agents.runtime.meters import Durations
from host_agents.runtime.turns import Does, Session, Turns
from host_agents.store.protocol import Store

_RELEASED_AT_ONCE = 256  # sessions before others have their turn

Extend = Callable[[Mapping[int, int | None]], None]


class HomeTurns(Turns):
    """As Turns. extend: as of Datapath."""

    engine: HomeAgent

    def __init__(
        self,
        engine: HomeAgent,
        store: Store[Any],
        does: Does,
        extend: Extend,
        now: Callable[[], int],
        journal: Journal,
        durations: Durations,
    ) -> None:
        super().__init__(engine, store, does, now, journal, durations)
        self._extend = extend

    def take_together(self, accepted: list[Accepted], since: float) -> None:
        """Plain requests: what it takes to make one durable is taken once for all. since: as of take()."""
        self.store.submit([one.row for one in accepted], partial(self._accepted, accepted, since))
        self.alarm.look()

    def _accepted(self, accepted: list[Accepted], since: float, failed: StoreFailed | None) -> None:
        """They are durable, or are not; then each is tried alone, for one may be at fault."""
        if failed is not None and len(accepted) > 1:
            for one in accepted:
                self.store.submit([one.row], partial(self._accepted, [one], since))
            return
        if failed is not None:
            self._each(accepted, lambda one: self.refuse(one.turn(), "store-failed", str(failed)))
            return
        renewed, now = [one for one in accepted if one.renews], self.now()
        if len(renewed) < len(accepted):
            self._each((one for one in accepted if not one.renews), lambda one: self.carry_out(one.turn(), since))
        try:
            self._extend({one.row.binding.home_address: one.row.binding.expires for one in renewed})
        except KernelRefused as error:
            reason = str(error)
            self._each(renewed, lambda one: self.refuse(one.turn(), "kernel-refused", reason))
            return
        self._each(renewed, partial(self._renewed, now))
        self.durations.took(time.perf_counter() - since, len(renewed))

    def _renewed(self, now: int, one: Accepted) -> None:
        self.does[SendDatagram](SendDatagram(one.reply, one.source, one.port))
        self.settle(one.session, now)

    def _each(self, accepted: Iterable[Accepted], do: Callable[[Accepted], None]) -> None:
        """A mistake about one session must not leave the others without an answer."""
        for one in accepted:
            try:
                do(one)
            except Exception as error:
                told = {"message": f"at the end of a turn of {one.session}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)

    async def release_each(self, waiting: list[Session], inform: bool) -> AsyncIterator[Session]:
        """Each session as it is released; no more at a time than the store takes in one commit."""
        while waiting:
            some, waiting = waiting[:_RELEASED_AT_ONCE], waiting[_RELEASED_AT_ONCE:]
            for session in some:
                try:
                    self.take(self.engine.release(session, inform, self.now()))
                except KeyError:  # it has gone by itself, or is about to be renewed
                    if self.engine.bindings.find(session) is not None:
                        waiting.append(session)
                    continue
                yield session
            await self.durable()

    def is_due(self, effect: object) -> bool:
        """As of Unended: not of a session, or an address, that has a binding by now."""
        bindings = self.engine.bindings
        if isinstance(effect, RemoveBinding):
            return bindings.find((effect.binding.nai, effect.binding.sub_nai)) is None
        if isinstance(effect, RemoveTunnel):
            return bindings.find_home_address(effect.home_address) is None
        return isinstance(effect, Said | SendDatagram)
