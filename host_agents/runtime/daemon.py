"""What both daemons do: run an engine's turns in order, wake it when it wants, end cleanly.

A turn's rows become durable, then the kernel learns of it, then messages leave; whatever fails, the engine hears of it.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from functools import partial
from typing import Any, Protocol, get_args

from host_agents.datapath.protocol import Datapath
from host_agents.effects import InstallTunnel, RemoveTunnel, RenewBinding, Said, Turn
from host_agents.runtime.config import Common
from host_agents.runtime.control import ControlSocket
from host_agents.runtime.errors import KernelRefused, StoreFailed
from host_agents.runtime.journal import Journal
from host_agents.runtime.notify import notify
from host_agents.store.protocol import Row, Store
from mip4.effects import Dropped
from mip4.identification import NTP_UNIX

Session = tuple[str, str]

_ROWS = frozenset(kind for union in get_args(Row) for kind in (get_args(union) or (union,)))


_TRY_AGAIN = 1.0  # s, when the lost device cannot be made anew
_LONGEST_WAIT = 10_000  # ms; the event loop's clock stands still while the machine sleeps, and ours does not


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


def since_boot() -> int:
    """Milliseconds since the machine booted, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def ntp_ms() -> int:
    """What the machine's clock says, milliseconds since 1900."""
    return time.time_ns() // 1_000_000 + int(NTP_UNIX) * 1000


class Daemon:
    """Runs one engine. A subclass knows which effects there are besides rows, tunnels and log lines."""

    engine: Engine
    datapath: Datapath
    store: Store[Any]

    def __init__(self, common: Common, origin: int) -> None:
        """origin: the moment, ms since boot, that is 0 to the engine."""
        self.common = common
        self._origin = origin
        self.journal = Journal()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: int | None = None  # what the timer is set to
        self._looking = False  # for the next deadline, when this turn of the event loop is over
        self._stopped = asyncio.Event()
        self._control = ControlSocket(common.control, self.answer)

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
        """Let go. Kernel state of live sessions stays."""
        raise NotImplementedError

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """A request of the control socket. Raises KeyError, ValueError for one that makes no sense."""
        raise NotImplementedError

    def counters(self) -> dict[str, int]:
        """How often what happened since the start, packets that the datapath dropped included."""
        dropped = {f"packet-{reason}": count for reason, count in self.datapath.dropped.items()}
        return {**self.journal.counts, **dropped}

    def carry_out(self, effect: Any) -> None:
        """An effect that is particular to this agent. Raises KernelRefused."""
        raise NotImplementedError

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises KernelRefused, StoreFailed, ConfigurationError before it is ready."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        for warning in self.common.warnings:
            self.journal.warn(warning)
        gc.disable()
        try:
            first = self.open()
            self.datapath.watch(self._lost)
            self.restore([one for one in first.effects if isinstance(one, InstallTunnel)])
            self.take(Turn([one for one in first.effects if not isinstance(one, InstallTunnel)], first.session))
            _leave_alone_what_is_there()
            await self._control.open()
            notify("READY=1")
            await self._stopped.wait()
            notify("STOPPING=1")
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._control.close()
            self.close()

    def take(self, turn: Turn) -> None:
        """Run a turn: at once where nothing has to be durable first."""
        rows: list[Any] = [effect for effect in turn.effects if type(effect) in _ROWS]
        if rows:
            self.store.submit(rows, partial(self._durable, turn))
        else:
            self._carry_out(turn)
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._set_timer)

    def _durable(self, turn: Turn, error: StoreFailed | None) -> None:
        if error is None:
            self._carry_out(turn)
        else:
            self._refused(turn, str(error))

    def _carry_out(self, turn: Turn) -> None:
        try:
            for effect in turn.effects:
                if type(effect) not in _ROWS:
                    self._effect(effect)
                elif type(effect) is RenewBinding:
                    self.datapath.extend(effect.binding.home_address, effect.binding.expires)
        except KernelRefused as error:
            self._refused(turn, str(error))
            return
        if turn.session is not None:
            after = self.engine.settled(turn.session, self.now())
            if after.effects:
                self.take(after)

    def _effect(self, effect: Any) -> None:
        match effect:
            case InstallTunnel():
                self.datapath.install(effect)
            case RemoveTunnel():
                self.datapath.remove(effect)
            case Said():
                self.journal.said(effect, self.now())
            case Dropped():
                self.journal.dropped(effect, self.now())
            case _:
                self.carry_out(effect)

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

    def _refused(self, turn: Turn, reason: str) -> None:
        self.journal.warn(reason)
        if turn.session is not None:
            self.take(self.engine.refused(turn.session, reason, self.now()))

    def _set_timer(self) -> None:
        self._looking = False
        deadline = self.engine.deadline()
        if deadline == self._deadline or self._stopped.is_set():
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._deadline = None, deadline
        if deadline is not None:
            loop = asyncio.get_running_loop()
            wait = min(max(0, deadline - self.now()), _LONGEST_WAIT)
            self._timer = loop.call_later(wait / 1000, self._wake)

    def _wake(self) -> None:
        self._timer = self._deadline = None
        self.take(self.engine.wake(self.now()))
