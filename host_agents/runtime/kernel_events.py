"""What happens to links, addresses, routes, rules and neighbours: rtnetlink(7) says when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import Instruction, attach
from host_agents.runtime.watching import watch_again

_BATCH = 64


class KernelEvents:
    """heard(messages): called with what came together; an empty one stands for some that were lost.

    groups: RTMGRP_*, as bits. filter_: as of attach(), for what is not to be heard; none: all is.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        groups: int,
        heard: Callable[[list[bytes]], None],
        filter_: tuple[Instruction, ...] = (),
    ) -> None:
        self._loop = loop
        self._groups = groups
        self._heard = heard
        self._filter = filter_

    def open(self) -> None:
        """Of the network namespace we are in. Raises KernelRefused."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
            self._socket.setblocking(False)
            if self._filter:
                attach(self._socket, self._filter)
            self._socket.bind((0, self._groups))
        except OSError as error:
            raise KernelRefused("listen for what the kernel tells of its links", error) from error
        self._loop.add_reader(self._socket, self._drain)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _drain(self) -> None:
        messages = []
        for _ in range(_BATCH):
            try:
                messages.append(self._socket.recv(1 << 16))
            except BlockingIOError:
                break
            except OSError:  # more than the socket has room for
                watch_again(self._loop, self._socket, self._drain)
                messages.append(b"")
        if messages:
            self._heard(messages)
