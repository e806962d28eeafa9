"""Ends that no request has asked for, as that of a lifetime, and that the disk or the kernel would not have.

The engine has forgotten what ended, and nobody asks again: so this does, until it has come about.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from host_agents.effects import RemoveBinding, RemoveVisitor, Turn
from host_agents.runtime.errors import StoreFailed

_TRY_AGAIN = 1.0  # s
_ENDS = (RemoveBinding, RemoveVisitor)

Submit = Callable[[Sequence[Any], Callable[[StoreFailed | None], None]], None]


class Unended:
    """submit, carry_out: what makes a turn's rows durable, and what does the rest of it.

    is_due: whether an effect still has to be done, when its turn comes again.
    """

    def __init__(self, submit: Submit, carry_out: Callable[[Turn], None], is_due: Callable[[object], bool]) -> None:
        self._submit, self._carry_out, self._is_due = submit, carry_out, is_due
        self._turns: deque[Turn] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def put(self, turn: Turn) -> None:
        """A turn that was refused, of no session; one that ends nothing is given up."""
        if any(isinstance(effect, _ENDS) for effect in turn.effects):
            self._turns.append(turn)
            self._later()

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _later(self) -> None:
        if self._timer is None and not self._stopped:
            self._timer = asyncio.get_running_loop().call_later(_TRY_AGAIN, self._again)

    def _again(self) -> None:
        """The first of them alone: while the disk is full there may be many."""
        self._timer = None
        if self._turns and not self._stopped:
            turn = Turn([effect for effect in self._turns.popleft().effects if self._is_due(effect)])
            rows = [effect for effect in turn.effects if isinstance(effect, _ENDS)]
            self._submit(rows, partial(self._ended, turn))

    def _ended(self, turn: Turn, failed: StoreFailed | None) -> None:
        if failed is not None:
            self._turns.appendleft(turn)
            self._later()
            return
        self._carry_out(turn)
        if self._timer is None:
            self._again()
