"""Runs the mobile node's engine: events from the platform go in, effects come out and are done in order.

One asyncio task stands at each source of events, and one at the engine's next deadline. What a port must give:
Clock (now(), ntp_ms()), seed(), and a Port with runners (effect class -> function of the effect), sources(),
control(), remembered() and status(); each says what in port_unix/port.py.
"""

import asyncio
import gc
import sys

from mip4.effects import Dropped, Said, UseTunnel
from runtime.control import Control
from runtime.errors import KernelRefused

_PAUSE_MS = 100  # before a source that failed starts again; doubles up to the next
_LONGEST_PAUSE_MS = 10000
_STEADY_MS = 60000  # after so long without a fault the pause is short again
_LONGEST_WAIT_MS = 60000  # ticks wrap on a board, so no wait is near that


class Runtime:
    """Everything happens in one thread, and an event is dealt with to its last effect before the next begins."""

    def __init__(self, node, port, clock, log, recorder=None):
        """node: the engine. log: runtime.log.Log. recorder: runtime.flight_recorder.FlightRecorder, None without."""
        self._node = node
        self._port = port
        self._clock = clock
        self._log = log
        self._recorder = recorder
        self._runners = {Dropped: self._drop, Said: self._say}
        self._runners.update(port.runners)
        self._dropped = {}  # kind -> how many
        self._deadline = None
        self._moved = asyncio.Event()  # the deadline is another one

    async def run(self) -> None:
        """Start the engine and serve it until the program ends. Raises KernelRefused."""
        sources = self._port.sources()
        listener = self._port.control()
        if listener is not None:
            sources.append(("control", Control(listener, self._answers(), self._log).serve))
        if self._recorder is not None:
            sources += self._recorder.sources()
        self.tell("start")
        tasks = [asyncio.create_task(self._keep(name, source)) for name, source in sources]
        tasks.append(asyncio.create_task(self._keep("timer", lambda runtime: self._wake_in_time())))
        await asyncio.gather(*tasks)

    def tell(self, what: str, *arguments) -> None:
        """Tell the engine that something happened, in its own words, and do what it answers."""
        now = self._clock.now()
        effects = getattr(self._node, what)(*arguments, now)
        no_tunnel = self.run_effects(effects)
        if self._recorder is not None:
            self._recorder.told(what, arguments, effects, now)
        deadline = self._node.deadline()
        if deadline != self._deadline:
            self._deadline = deadline
            self._moved.set()
        if no_tunnel:
            self.tell("no_tunnel", no_tunnel)

    def run_effects(self, effects: list) -> str:
        """One that fails is a line in the log and keeps none of the others from being tried.

        Returns why a tunnel could not be made, if that was among them: the one failure that the engine has to know of.
        """
        no_tunnel = ""
        for effect in effects:
            failed = self.attempt(self._runners[type(effect)], effect)
            if type(effect) is UseTunnel:
                no_tunnel = failed
        return no_tunnel

    def attempt(self, action, *arguments) -> str:
        """Do what may fail for reasons outside of us: links go, tables are full, disks too. Returns why, "" if done."""
        try:
            action(*arguments)
            return ""
        except KernelRefused as error:
            kind = text = str(error)
        except OSError as error:
            what = type(arguments[0]).__name__ if arguments else "link event"
            kind, text = "%s %d" % (what, error.errno), "%s failed: errno %d" % (what, error.errno)
        self._log.seldom(kind, text)
        return text

    async def _keep(self, name: str, source) -> None:
        """Run one source for ever. A fault in it is logged, and it starts again after a pause."""
        pause = _PAUSE_MS
        while True:
            began = self._clock.now()
            try:
                return await source(self)  # a source that ends had nothing to do
            except (KernelRefused, OSError) as error:
                self._log.warning("%s: %s" % (name, error))
            except Exception as error:
                self._log.exception("%s failed" % name, error)
            if self._clock.now() - began > _STEADY_MS:
                pause = _PAUSE_MS
            await asyncio.sleep_ms(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_MS)

    async def _wake_in_time(self) -> None:
        while True:
            self._moved.clear()
            deadline, now = self._deadline, self._clock.now()
            if deadline is not None and deadline <= now:
                self.tell("wake")
                # An engine that asks for the past again must not starve the other tasks
                await asyncio.sleep_ms(0 if self._deadline != deadline else _PAUSE_MS)
                continue
            wait = _LONGEST_WAIT_MS if deadline is None else min(deadline - now, _LONGEST_WAIT_MS)
            try:
                await asyncio.wait_for_ms(self._moved.wait(), wait)
            except asyncio.TimeoutError:
                pass

    def _drop(self, effect: Dropped) -> None:
        self._dropped[effect.error.kind] = self._dropped.get(effect.error.kind, 0) + 1
        self._log.dropped(effect.error, effect.source)

    def _say(self, effect: Said) -> None:
        (self._log.warning if effect.level == "warning" else self._log.info)(effect.text)

    def now(self) -> int:
        """int ms since start."""
        return self._clock.now()

    def _answers(self) -> dict:
        """What the control socket is asked, and what answers."""
        answers = {b"status": self.status}
        if self._recorder is not None:
            answers.update(self._recorder.answers())
        return answers

    def status(self) -> dict:
        """The engine's status with the runtime's own under "runtime"."""
        document = self._node.status(self._clock.now())
        document["runtime"] = {
            "uptime_ms": self._clock.now(),
            "interpreter": sys.version,
            "heap_used": gc.mem_alloc(),
            "heap_free": gc.mem_free(),
            "dropped": self._dropped,
        }
        document["runtime"].update(self._port.status())
        if self._recorder is not None:
            document["runtime"]["recorder"] = self._recorder.status()
        return document
