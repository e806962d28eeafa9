"""Subscribers that a RADIUS server knows: asked for once, kept, asked for again; a dead server takes nobody away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from host_agents.effects import AskSubscriber
from host_agents.home_agent.policy import Subscriber
from host_agents.runtime.errors import ConfigurationError, in_words
from host_agents.runtime.radius import NoAnswer
from host_agents.runtime.radius_subscribers import RadiusSubscribers

_UNDER_WAY = 128  # questions at a time, one for each NAI; what comes beyond that is dropped, and nodes ask again
_REMEMBERED = 4096  # NAIs that were no one's
_UNKNOWN_FOR = 10.0  # seconds
_AGAIN_AFTER = 60.0  # seconds, where the server does not answer


class RemoteSubscribers:
    """subscribers: those that are known now, by NAI.

    learned: called with one that is new or has changed; forgotten: with the NAI of one that is no more; resumed: with
    what a node sent that is known now; said: with a line for the log.
    """

    def __init__(
        self,
        client: RadiusSubscribers,
        cache: float,
        learned: Callable[[Subscriber], None],
        forgotten: Callable[[str], None],
        resumed: Callable[[AskSubscriber], None],
        said: Callable[[str], None],
    ) -> None:
        """cache: seconds after which one is asked for again."""
        self.subscribers: dict[str, Subscriber] = {}
        self._client = client
        self._cache = cache
        self._learned, self._forgotten, self._resumed, self._said = learned, forgotten, resumed, said
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, AskSubscriber] = {}
        self._unknown: dict[str, float] = {}  # NAI -> until when it is not asked for
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def ask(self, effect: AskSubscriber) -> None:
        """Of what one NAI sends meanwhile, the last counts."""
        now = asyncio.get_running_loop().time()
        if self._unknown.get(effect.nai, 0) > now or len(self._under_way) >= _UNDER_WAY:
            return
        self._waiting[effect.nai] = effect
        self._look_up(effect.nai, effect.spi)

    def doubt(self, nai: str) -> None:
        """Ask for a subscriber now, and not when the cache is over: the server ends his sessions."""
        if nai in self.subscribers and len(self._under_way) < _UNDER_WAY:
            self._look_up(nai, next(iter(self.subscribers[nai].associations)))

    async def open(self) -> None:
        """Raises ConfigurationError."""
        try:
            await self._client.open()
        except OSError as error:
            raise ConfigurationError(f"radius.server: {in_words(error)}") from error

    async def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._client.close()

    def _look_up(self, nai: str, spi: int) -> None:
        if nai not in self._under_way:
            task = self._under_way[nai] = asyncio.ensure_future(self._answer(nai, spi))
            task.add_done_callback(lambda _: self._under_way.pop(nai, None))

    async def _answer(self, nai: str, spi: int) -> None:
        try:
            found = await self._client.ask(nai, spi)
        except NoAnswer as error:
            self._said(str(error))
            self._waiting.pop(nai, None)  # its node asks again
            if nai in self.subscribers:
                self._later(nai, spi, _AGAIN_AFTER)
            return
        waiting = self._waiting.pop(nai, None)
        if found is None:
            self._reject(nai)
            return
        self.subscribers[nai] = found
        self._later(nai, spi, self._cache)
        self._learned(found)
        if waiting is not None:
            self._resumed(waiting)

    def _reject(self, nai: str) -> None:
        if self.subscribers.pop(nai, None) is not None:
            self._forgotten(nai)
        if nai in self._timers:
            self._timers.pop(nai).cancel()
        self._unknown.pop(nai, None)
        self._unknown[nai] = asyncio.get_running_loop().time() + _UNKNOWN_FOR
        if len(self._unknown) > _REMEMBERED:
            del self._unknown[next(iter(self._unknown))]

    def _later(self, nai: str, spi: int, seconds: float) -> None:
        if nai in self._timers:
            self._timers[nai].cancel()
        self._timers[nai] = asyncio.get_running_loop().call_later(seconds, self._look_up, nai, spi)
