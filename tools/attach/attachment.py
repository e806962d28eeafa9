"""Joins the line, the TUN device and the DHCP client, until it is interrupted or the line is gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tools.attach.dhcp import DhcpClient, Lease
from tools.attach.interface import Interface
from tools.attach.line import Line
from tools.attach.resolver import Resolver

if TYPE_CHECKING:
    from types import TracebackType

_SILENCE = 10.0  # seconds without an answer, after which a person wants to know
_BATCH = 32  # packets of one side before the other has its turn


class Attachment:
    """As a context: what it made is gone afterwards, and the address is given back."""

    def __init__(self, device: str, baud: int, interface: str, routes: Sequence[str], metric: int, dns: bool) -> None:
        """Raises AttachFailed."""
        with contextlib.ExitStack() as undo:
            self._line = Line(device, baud)
            undo.callback(self._line.close)
            self._interface = Interface(interface, routes, metric)
            undo.callback(self._interface.close)
            self._resolver = Resolver(self._interface.name)
            undo.callback(self._resolver.close)
            self._undo = undo.pop_all()
        self._dns = dns
        self._shown: Lease | None = None
        self._client = DhcpClient(_link_address(device), socket.gethostname(), lambda: secrets.randbits(32))

    def __enter__(self) -> Attachment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._undo:
            for packet in self._client.release():
                self._line.send(packet)

    def run(self) -> None:
        """For ever. Raises AttachFailed when the line is gone."""
        complain = time.monotonic() + _SILENCE
        self._client.deadline = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= self._client.deadline:
                for packet in self._client.wake(now):
                    self._line.send(packet)
            if self._client.lease is None and now >= complain:
                complain = float("inf")
                _say(f"no answer on {self._line.device} yet: has the node an agent and a downlink of kind slip there?")
            self._settle()
            self._turn(max(0.0, min(self._client.deadline, complain) - now))

    def _turn(self, seconds: float) -> None:
        # What the kernel would send waits in its own queue while the line is full
        readers: list[Line | Interface] = [self._line] if self._line.waits else [self._line, self._interface]
        writers = [self._line] if self._line.waits else []
        readable, writable, _ = select.select(readers, writers, [], min(seconds, 3600.0))
        if writable:
            self._line.write()
        if self._line in readable:
            for packet in self._line.read():
                if not self._client.receive(packet, time.monotonic()):
                    self._interface.write(packet)
        if self._interface in readable:
            for _ in range(_BATCH):
                packet = self._interface.read()
                if not packet:
                    break
                self._line.send(packet)
                if self._line.waits:
                    break

    def _settle(self) -> None:
        """Make a lease that is another one true."""
        lease = self._client.lease
        shown = None if lease is None else replace(lease, seconds=0)
        if shown == self._shown:
            return
        self._shown = shown
        self._interface.use(lease)
        if lease is None:
            _say(f"{self._interface.name} has lost its address")
            return
        if self._dns:
            self._resolver.use(lease.dns)
        _say(
            f"{self._interface.name} on {self._line.device} is {lease.address}, gateway {lease.gateway or '-'}, "
            f"MTU {lease.mtu}, DNS {' '.join(lease.dns) or '-'}, for {lease.seconds} s at a time"
        )


def _link_address(device: str) -> bytes:
    """Of nobody else, and the same the next time: locally administered."""
    told = f"{socket.gethostname()} {os.path.realpath(device)}"
    return b"\x02" + hashlib.sha256(told.encode()).digest()[:5]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
