"""What may be asked of every daemon."""

from __future__ import annotations

import os
from difflib import get_close_matches
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING

from host_agents.runtime.answers import Answers, Document, Request
from host_agents.runtime.clock import since_boot
from host_agents.runtime.errors import BadRequest
from host_agents.runtime.where import Where
from mip4.errors import Malformed
from mip4.nai import check_nai

if TYPE_CHECKING:
    from host_agents.runtime.daemon import Daemon

_COMPARED = 4096  # names that a mistyped one may be: some ten milliseconds


class CommonAnswers:
    """Of `daemon`, once it is open."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._woke = since_boot()

    def add_to(self, answers: Answers) -> None:
        daemon = self._daemon
        answers.show("counters", self._counters)
        answers.show("handoffs", daemon.handoffs.documents)
        answers.show("events", lambda: [event.document() for event in daemon.journal.recent])
        answers.show("status", lambda: {**self._status(), **daemon.status()})
        answers.add("watch", lambda request: daemon.journal.events.watch(Where.of(request.get("where"))))
        answers.add("debug", self._debug, changes=True)
        answers.add("reload", lambda _: daemon.reload(), changes=True)

    def _counters(self) -> dict[str, int]:
        """How often what happened since the start, packets that the datapath dropped included."""
        dropped = {f"packet-{reason}": count for reason, count in self._daemon.datapath.dropped.items()}
        return {**self._daemon.journal.counts, **dropped}

    def _status(self) -> Document:
        daemon, common = self._daemon, self._daemon.common
        return {
            "role": daemon.role,
            "version": version("entourage"),
            "pid": os.getpid(),
            "uptime": (since_boot() - self._woke) // 1000,
            "datapath": daemon.datapath.name,
            "device": common.device,
            "config": str(common.path),
            "state": str(common.state),
            "http": None if common.http is None else "http://{}:{}".format(*common.http),
            "warnings": daemon.journal.counts["warning"],
            "watchers": daemon.journal.events.watchers,
            "debugged": sorted(daemon.journal.debugged),
        }

    def _debug(self, request: Request) -> Document:
        journal, nai, on = self._daemon.journal, request["debug"], request.get("on", True)
        if not isinstance(nai, str) or not nai or not isinstance(on, bool):
            raise BadRequest("debug takes a NAI, and on: true or false")
        hint = self._looked_for(nai) if on else "" if nai in journal.debugged else f"{nai} was not looked at"
        journal.look_at(nai, on)
        return {"debugged": sorted(journal.debugged)} | ({"hint": hint} if hint else {})

    def _looked_for(self, nai: str) -> str:
        """ "" where messages of that name can be expected; else what to tell whoever may have mistyped it, or be early.

        Raises BadRequest for what no node can be called.
        """
        try:
            check_nai(nai.encode())
        except Malformed as error:
            raise BadRequest(f"debug: {error}") from error
        known = self._daemon.names()
        if nai in known:
            return ""
        near = get_close_matches(nai, islice(known, _COMPARED), 1)
        return f"{self._daemon.stranger} {nai}" + (f"; is {near[0]} meant?" if near else "")
