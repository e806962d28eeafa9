"""The agent's virtual interface: a persistent TUN device, which outlives the daemon, and so do routes to it."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable

from host_agents.datapath.raw_carrier import BATCH
from host_agents.runtime.errors import KernelRefused

TUNNEL_MTU = 1480  # 1500 less the outer header of RFC 2003

_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFMTU = 0x8922
_IFF_UP = 0x0001


class Device:
    """What the kernel routes into it comes to `arrived`, as octets that are good until that returns.

    What goes nowhere is counted in `dropped`.
    """

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        arrived: Callable[[memoryview], None],
        dropped: Counter[str],
    ) -> None:
        self.name = name
        self._loop = loop
        self._arrived = arrived
        self._dropped = dropped
        self._lost: Callable[[], None] = lambda: None
        self._descriptor = -1
        buffer = bytearray(65536)
        self._into = [buffer]
        self._view = memoryview(buffer)

    @property
    def is_there(self) -> bool:
        return self._descriptor >= 0

    def open(self) -> None:
        """Raises KernelRefused."""
        self._descriptor = open_device(self.name)
        self._loop.add_reader(self._descriptor, self._drain)

    def watch(self, lost: Callable[[], None]) -> None:
        """lost(): somebody has deleted it."""
        self._lost = lost

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def write(self, packet: bytes | memoryview) -> bool:
        """Whether the kernel took it."""
        try:
            os.write(self._descriptor, packet)
        except OSError as error:
            self._dropped[f"device: {errno.errorcode.get(error.errno or 0, error.errno)}"] += 1
            return False
        return True

    def _drain(self) -> None:
        for _ in range(BATCH):
            try:
                size = os.readv(self._descriptor, self._into)
            except BlockingIOError:
                return
            except OSError:  # deleted under us: it would be readable for ever
                self._dropped["device is gone"] += 1
                self.close()
                self._lost()
                return
            self._arrived(self._view[:size])


def open_device(name: str) -> int:
    """Create or take over the TUN device `name`, up, with MTU 1480; return its descriptor, non-blocking.

    Raises KernelRefused: no /dev/net/tun, no privilege, another daemon reads it, `name` is another kind of interface.
    """
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KernelRefused(f"open /dev/net/tun for {name}", error) from error
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
        fcntl.ioctl(device, _TUNSETPERSIST, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", name.encode(), TUNNEL_MTU))
            answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
            (flags,) = struct.unpack_from("H", answer, 16)
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | _IFF_UP))
    except OSError as error:
        os.close(device)
        raise KernelRefused(f"take tunnel device {name}", error) from error
    return device


def is_held(name: str) -> bool:
    """Whether a daemon reads the TUN device `name`."""
    try:
        with open("/dev/net/tun", "rb+", buffering=0) as device:  # one that was not there goes with it
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False
