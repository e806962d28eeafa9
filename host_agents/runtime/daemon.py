"""What both daemons do: run an engine's turns in order, wake it when it wants, end cleanly.

A turn's rows become durable, then the kernel learns of it (at a foreign agent before), then messages leave; whatever
fails, the engine hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol, get_args

from host_agents.datapath.protocol import Datapath
from host_agents.effects import ExtendTunnel, InstallTunnel, RemoveTunnel, RenewBinding, Said, Turn
from host_agents.runtime.alarm import Alarm
from host_agents.runtime.answers import Answers, Document
from host_agents.runtime.clock import since_boot
from host_agents.runtime.common_answers import CommonAnswers
from host_agents.runtime.config import Common
from host_agents.runtime.control import ControlSocket
from host_agents.runtime.errors import BadRequest, ConfigurationError, KernelRefused, StoreFailed
from host_agents.runtime.handoffs import Handoffs
from host_agents.runtime.journal import Journal
from host_agents.runtime.meters import Meters
from host_agents.runtime.notify import Watchdog, notify
from host_agents.runtime.routing import Fact
from host_agents.runtime.telling import tell
from host_agents.runtime.unended import Unended
from host_agents.runtime.upkeep import Upkeep
from host_agents.store.group_commit import PATIENCE
from host_agents.store.protocol import Row, Store
from mip4.effects import Dropped

Session = tuple[str, str]

_ROWS = frozenset(kind for union in get_args(Row) for kind in (get_args(union) or (union,)))
_TRY_AGAIN = 1.0  # s, when the lost device cannot be made anew


class Engine(Protocol):
    """What the home and the foreign agent's engine have in common."""

    def start(self) -> Turn: ...
    def deadline(self) -> int | None: ...
    def wake(self, now: int) -> Turn: ...
    def settled(self, session: Session, now: int) -> Turn: ...
    def refused(self, session: Session, reason: str, now: int) -> Turn: ...


def _leave_alone_what_is_there() -> None:
    """A collector that looked through a million bindings would stop everything for a second.

    Bindings refer to nothing that refers back to them. What does is young when it dies, such as tracebacks: the old are
    looked through hardly ever.
    """
    gc.freeze()
    gc.set_threshold(2000, 20, 1_000_000)
    gc.enable()


class Beside(Protocol):
    """What runs beside the engine: the page."""

    async def open(self) -> None:
        """Raises ConfigurationError."""

    async def close(self) -> None: ...


class Daemon:
    """Runs one engine. does: what is done for each kind of effect, once the turn is durable; it raises KernelRefused.

    A subclass adds what there is besides rows, tunnels and log lines.

    role: "ha" or "fa". stranger: what is said of a NAI that is none of names(). beside: opened when the daemon is about
    to be ready.
    """

    role: str
    stranger: str
    engine: Engine
    datapath: Datapath
    store: Store[Any]

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
        self.alarm = Alarm(self.now, lambda: self.engine.deadline(), self._wake)
        self.unended = Unended(
            lambda rows, done: self.store.submit(rows, done), lambda turn: self.carry_out(turn, 0.0), self.is_due
        )
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

    async def read_again(self, load: Any) -> Any:
        """What load(path) makes of our file now. Raises BadRequest."""
        try:
            return await asyncio.to_thread(load, self.common.path)
        except ConfigurationError as error:
            for line in str(error).splitlines():
                self.journal.warn(f"reload refused: {line}")
            raise BadRequest(f"reload refused, the former subscribers and keys stay in force:\n{error}") from error

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
            self.alarm.stop()
            self.unended.stop()
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
        """Carry out what the store has still to make durable; the end of a turn can be the beginning of another."""
        with contextlib.suppress(TimeoutError):  # close() says so
            async with asyncio.timeout_at(until):
                while hasattr(self, "store") and self.store.waiting:
                    await self.durable()

    def _begin(self, first: Turn) -> None:
        """Nobody keeps it: of a million bindings it is as large as their table."""
        self.datapath.watch(self._lost)
        self.restore([one for one in first.effects if isinstance(one, InstallTunnel)])
        self.take(Turn([one for one in first.effects if not isinstance(one, InstallTunnel)], first.session))

    async def _reload_when_hung_up(self) -> None:
        """At SIGHUP. One that comes while the file is read has it read again: it may have changed since."""
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            with contextlib.suppress(BadRequest):  # it is in the log
                await self.reload()

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

    def _durable(self, turn: Turn, since: float, error: StoreFailed | None) -> None:
        if error is None:
            self.carry_out(turn, since)
        else:
            self.refuse(turn, "store-failed", str(error))

    def carry_out(self, turn: Turn, since: float) -> None:
        """What is to be done when its rows are durable."""
        try:
            for effect in turn.effects:
                does = self.does.get(type(effect))
                if does is not None:
                    does(effect)
                elif type(effect) not in _ROWS:
                    raise TypeError(f"no {self.role} does {effect}")
        except KernelRefused as error:
            self.refuse(turn, "kernel-refused", str(error))
            return
        if since:
            self.meters.registrations.took(time.perf_counter() - since)
        if turn.session is not None:
            self.settle(turn.session, self.now())

    def settle(self, session: Session, now: int) -> None:
        """Its turn ran to its end."""
        after = self.engine.settled(session, now)
        if after.effects:
            self.take(after)

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

    def refuse(self, turn: Turn, kind: str, reason: str) -> None:
        """It could not run to its end. kind: what failed, as it is counted."""
        self.journal.failed(kind, reason, self.now())
        if turn.session is None:
            self.unended.put(turn)
        else:
            self.take(self.engine.refused(turn.session, reason, self.now()))

    def is_due(self, effect: object) -> bool:
        """As of Unended."""
        raise NotImplementedError

    def _wake(self) -> None:
        self.take(self.engine.wake(self.now()))
