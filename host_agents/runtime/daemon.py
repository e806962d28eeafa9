"""What both daemons do: begin, serve until they are told to end, and end cleanly. How turns are run: turns.py."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from host_agents.datapath.protocol import Datapath
from host_agents.effects import ExtendTunnel, InstallTunnel, RemoveTunnel, RenewBinding, Said, Turn
from host_agents.runtime.answers import Answers, Document
from host_agents.runtime.clock import since_boot
from host_agents.runtime.common_answers import CommonAnswers
from host_agents.runtime.config import Common
from host_agents.runtime.control import ControlSocket
from host_agents.runtime.errors import BadRequest, ConfigurationError, KernelRefused
from host_agents.runtime.facts import Fact
from host_agents.runtime.handoffs import Handoffs
from host_agents.runtime.journal import Journal
from host_agents.runtime.meters import Meters
from host_agents.runtime.notify import Watchdog, notify
from host_agents.runtime.telling import tell
from host_agents.runtime.turns import Turns
from host_agents.runtime.upkeep import Upkeep
from host_agents.store.group_commit import PATIENCE
from host_agents.store.protocol import Store
from mip4.effects import Dropped

T = TypeVar("T")

_TRY_AGAIN = 1.0  # s, when the lost device cannot be made anew


def _leave_alone_what_is_there() -> None:
    """A collector that looked through a million bindings would stop everything for a second.

    Bindings refer to nothing that refers back to them. What does is young when it dies, such as tracebacks: the old are
    looked through hardly ever.
    """
    gc.freeze()
    gc.set_threshold(2000, 20, 1_000_000)
    gc.enable()


class Beside(Protocol):
    """What runs beside the engine: the page, what RADIUS servers have to do with us."""

    async def open(self) -> None:
        """Raises ConfigurationError."""

    async def close(self) -> None: ...


class Daemon:
    """does: as of Turns. A subclass adds what there is besides rows, tunnels and log lines.

    role: "ha" or "fa". stranger: what is said of a NAI that is none of names(). beside: opened when the daemon is about
    to be ready. store, datapath, turns: there when open() has made them.
    """

    role: str
    stranger: str
    store: Store[Any]
    datapath: Datapath
    turns: Turns

    def __init__(self, common: Common, origin: int) -> None:
        """origin: the moment, ms since boot, that is 0 to the engine."""
        self.common = common
        self._origin = origin
        self.journal = Journal()
        self.meters = Meters()
        self.handoffs = Handoffs()
        self.answers = Answers()
        self.beside: list[Beside] = []
        self.began = time.time()  # as the machine's clock has it, which may be set
        self.does: dict[type, Callable[[Any], None]] = {
            InstallTunnel: self.install,
            RemoveTunnel: self.remove,
            ExtendTunnel: lambda effect: self.datapath.extend({effect.home_address: effect.expires}),
            RenewBinding: lambda effect: self.datapath.extend({effect.binding.home_address: effect.binding.expires}),
            Said: self.say,
            Dropped: self._drop,
        }
        self._hung_up = asyncio.Event()
        self._stopped = asyncio.Event()
        self._control = ControlSocket(common.control, self.answers.piecemeal, common.group_may_read)
        CommonAnswers(self).add_to(self.answers)

    def now(self) -> int:
        """The engine's clock, ms."""
        return since_boot() - self._origin

    def clock(self) -> int:
        """What effects say `expires` by, ms."""
        return self.now()

    def open(self) -> Turn:
        """Take hold of socket, device and state; the engine's first turn. Raises KernelRefused, StoreFailed."""
        raise NotImplementedError

    def restore(self, tunnels: list[InstallTunnel]) -> None:
        """Those of the first turn, all at once. Raises KernelRefused."""
        self.datapath.restore(tunnels)

    def reroute(self) -> None:
        """The device is another one: lead routes to it again. Raises KernelRefused."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go. Kernel state of live sessions stays. Raises StoreFailed: the disk hangs."""
        raise NotImplementedError

    def read_no_more(self) -> None:
        """Leave to the kernel what comes from now on; what has come can be answered."""
        raise NotImplementedError

    def names(self) -> Collection[str]:
        """NAIs whose messages can be expected."""
        raise NotImplementedError

    def status(self) -> Document:
        """What `show status` says besides what it says of every agent."""
        raise NotImplementedError

    async def reload(self) -> Document:
        """Read subscribers and keys again; what the file says else counts from the next start.

        Raises BadRequest where the file is wrong: what was read before stays in force.
        """
        raise NotImplementedError

    async def read_again(self, load: Callable[[Path], T]) -> T:
        """What load(path) makes of our file now. Raises BadRequest."""
        try:
            return await asyncio.to_thread(load, self.common.path)
        except ConfigurationError as error:
            for line in str(error).splitlines():
                self.journal.warn(f"reload refused: {line}")
            raise BadRequest(f"reload refused, the former subscribers and keys stay in force:\n{error}") from error

    def differs(self, read: Common) -> bool:
        """Whether it says anything else than when we started."""
        return replace(read, warnings=()) != replace(self.common, warnings=())

    def reloaded(self, done: Document, restart_needed: bool) -> Document:
        """What reload() answers, after it has done so much; the log has it too."""
        done = {**done, "restart_needed": restart_needed}
        self.journal.info("reloaded " + " ".join(f"{key}={value}" for key, value in done.items()))
        if restart_needed:
            self.journal.warn("reload: the file has other changes too, which count from the next start")
        return done

    def told(self, datagram: bytes, direction: str, peer: str, vendor: int) -> None:
        """A message of a subscriber that is looked at; to be called only where there is one."""
        nai, text = tell(datagram, vendor)
        if nai in self.journal.debugged:
            self.journal.debug(f"{direction}={peer} {text}")

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises KernelRefused, StoreFailed, ConfigurationError before it is ready."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        reloading = asyncio.create_task(self._reload_when_hung_up())
        for warning in self.common.warnings:
            self.journal.warn(warning)
        gc.disable()
        watchdog = Watchdog()
        try:
            self._begin(self.open())
            _leave_alone_what_is_there()
            await self._control.open()
            for one in self.beside:
                await one.open()
            notify("READY=1")
            watchdog.start()
            await self._stopped.wait()
            notify("STOPPING=1")
        finally:
            watchdog.stop()
            reloading.cancel()
            await self._end()

    async def _end(self) -> None:
        """Whoever asked for what is about to be durable is to have his answer, be it a node or an operator."""
        until = asyncio.get_running_loop().time() + PATIENCE
        self.read_no_more()
        await self._finish(until)
        await self._control.close()
        for one in self.beside:
            await one.close()
        await self._finish(until)  # what they began meanwhile
        self.close()

    async def _finish(self, until: float) -> None:
        """Carry out what the store has still to make durable."""
        with contextlib.suppress(TimeoutError):  # close() says so
            async with asyncio.timeout_at(until):
                if hasattr(self, "turns"):  # open() has got so far
                    await self.turns.finish()

    def _begin(self, first: Turn) -> None:
        """Nobody keeps it: of a million bindings it is as large as their table."""
        self.datapath.watch(self._lost)
        self.restore([one for one in first.effects if isinstance(one, InstallTunnel)])
        self.turns.take(Turn([one for one in first.effects if not isinstance(one, InstallTunnel)], first.session))

    async def _reload_when_hung_up(self) -> None:
        """At SIGHUP. One that comes while the file is read has it read again: it may have changed since."""
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            with contextlib.suppress(BadRequest):  # it is in the log
                await self.reload()

    def install(self, effect: InstallTunnel) -> None:
        """Raises KernelRefused."""
        self.datapath.install(effect)

    def remove(self, effect: RemoveTunnel) -> None:
        """Raises KernelRefused."""
        self.datapath.remove(effect)

    def say(self, effect: Said) -> None:
        self.journal.said(effect, self.now())

    def _drop(self, effect: Dropped) -> None:
        self.journal.dropped(effect, self.now())

    def keep_up(self, mend: Callable[[Fact], bool], restore: Callable[[], None]) -> Upkeep:
        """As of Upkeep, opened. Raises KernelRefused."""
        upkeep = Upkeep(
            asyncio.get_running_loop(), mend, restore, lambda text: self.journal.failed("taken-away", text, self.now())
        )
        upkeep.open()
        return upkeep

    def _lost(self) -> None:
        self.journal.warn(f"{self.common.device} was deleted; it is made anew")
        self._reopen()

    def _reopen(self) -> None:
        if self._stopped.is_set():
            return
        try:
            self.datapath.open()
            self.reroute()
        except KernelRefused as error:
            self.journal.warn(str(error))
            asyncio.get_running_loop().call_later(_TRY_AGAIN, self._reopen)
