"""The Unix socket on which a running node answers (runtime/control.py)."""

import errno
import os
import socket
import struct

from port_unix.netlink import error_name
from runtime.errors import KernelRefused

_LONGEST = 107  # octets of a path in struct sockaddr_un
_WAITING = 16  # connections that may wait to be accepted


def be_the_only_one(path: str) -> None:
    """Raises KernelRefused if another node answers at `path`, or if none ever could."""
    if len(path.encode()) > _LONGEST:
        raise KernelRefused("control socket %s: the path is longer than %d octets" % (path, _LONGEST))
    if _answers(_address(path)):
        raise KernelRefused("control socket %s: another node is running on it" % path)


def listen(path: str):
    """A non-blocking listening socket at `path`. What a former run left there is replaced. Raises KernelRefused."""
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise KernelRefused("control socket %s: %s" % (path, error_name(error.errno)))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_address(path))
    except OSError as error:
        raise KernelRefused("control socket %s: %s" % (path, error_name(error.errno)))
    listener.listen(_WAITING)
    listener.setblocking(False)
    return listener


def _address(path: str) -> bytes:
    return struct.pack("H", socket.AF_UNIX) + path.encode() + b"\0"


def _answers(address: bytes) -> bool:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.setblocking(False)
    try:
        client.connect(address)
        return True
    except OSError as error:
        return error.errno == errno.EAGAIN  # its queue is full, so it is somebody's
    finally:
        client.close()
