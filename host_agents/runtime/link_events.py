"""Interfaces come, go and change: rtnetlink(7) says when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.watching import watch_again

_LINKS = 1  # RTMGRP_LINK
_BATCH = 64


class LinkEvents:
    """changed(): called once for all that happened since the last call."""

    def __init__(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        self._loop = loop
        self._changed = changed

    def open(self) -> None:
        """Of the network namespace we are in. Raises KernelRefused."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
            self._socket.setblocking(False)
            self._socket.bind((0, _LINKS))
        except OSError as error:
            raise KernelRefused("listen for link events", str(error.strerror)) from error
        self._loop.add_reader(self._socket, self._drain)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _drain(self) -> None:
        for _ in range(_BATCH):
            try:
                self._socket.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:  # some were lost: it is told that something happened all the same
                watch_again(self._loop, self._socket, self._drain)
        self._changed()
