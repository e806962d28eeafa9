"""Sockets that live through errors, in an event loop that does not expect it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable


def watch_again(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, drain: Callable[..., object], *args: object
) -> None:
    """To be called by a reader, `drain`, that was told of an error: an ICMP message, a link that went down.

    libuv takes a socket with an error for lost. uvloop calls its reader this once more, and never again.
    """
    loop.call_soon(_watch, loop, sock, drain, args)


def watch_no_more(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Though watch_again() may be under way."""
    loop.remove_reader(sock)
    loop.call_soon(_forget, loop, sock)


def _forget(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        loop.remove_reader(sock)


def _watch(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, drain: Callable[..., object], args: tuple[object, ...]
) -> None:
    if sock.fileno() >= 0:  # it may have been closed meanwhile
        loop.remove_reader(sock)  # what uvloop still has of it is of no use
        loop.add_reader(sock, drain, *args)
