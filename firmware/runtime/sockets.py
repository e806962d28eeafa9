"""Waiting for a socket in asyncio, which has no words of its own for datagrams."""

import errno
from asyncio import core

# recv: never read() or readinto(), which glue datagrams together and block until their buffer is full


def readable(sock) -> "Awaitable":  # noqa: F821 - a generator is one on MicroPython, which has no typing
    """Await until `sock`, or any other pollable file, can be read without blocking."""
    yield core._io_queue.queue_read(sock)


def writable(sock) -> "Awaitable":  # noqa: F821
    """Await until `sock` can be written without blocking."""
    yield core._io_queue.queue_write(sock)


def would_block(error: OSError) -> bool:
    """Whether a non-blocking call only found nothing to do. ESP32's sockets report ETIMEDOUT when they cannot send."""
    return error.errno in (errno.EAGAIN, errno.ETIMEDOUT)
