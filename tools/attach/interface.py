"""The TUN device that stands for the line: the address, MTU and routes that the node gave; gone with its descriptor."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Sequence

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from tools.attach.dhcp import Lease
from tools.attach.errors import AttachFailed

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LONGEST = 65535
_LINK_SCOPE = 253


class Interface:
    """name: "slip%d" has the kernel number it. destinations: prefixes that go by the node instead of all it offers."""

    def __init__(self, name: str, destinations: Sequence[str], metric: int) -> None:
        """Raises AttachFailed."""
        self._destinations = destinations
        self._metric = metric
        self._device, self.name = _tun(name)
        self._kernel = IPRoute()
        self._index = self._kernel.link_lookup(ifname=self.name)[0]
        self._lease: Lease | None = None

    def fileno(self) -> int:
        return self._device

    def close(self) -> None:
        """Everything of it goes with it."""
        self._kernel.close()
        os.close(self._device)

    def use(self, lease: Lease | None) -> None:
        """The addresses and routes of this lease and no others; None: none. Raises AttachFailed."""
        former, self._lease = self._lease, lease
        try:
            if former is not None and (lease is None or lease.address != former.address):
                self._kernel.addr("del", index=self._index, address=former.address, prefixlen=32)
            if lease is not None:
                self._put(lease)
        except NetlinkError as error:
            raise AttachFailed(f"{self.name}: {os.strerror(error.code)}") from error

    def _put(self, lease: Lease) -> None:
        self._kernel.link("set", index=self._index, mtu=lease.mtu, state="up")
        self._kernel.addr("replace", index=self._index, address=lease.address, prefixlen=32)
        routes = lease.routes
        if self._destinations:
            on_line = [one for one in routes if not one[1]]
            routes = (*on_line, *((prefix, lease.gateway) for prefix in self._destinations))
        for prefix, gateway in routes:
            way = {"gateway": gateway} if gateway else {"scope": _LINK_SCOPE}
            self._kernel.route(
                "replace", dst=prefix, oif=self._index, prefsrc=lease.address, priority=self._metric, **way
            )

    def read(self) -> bytes:
        """The next packet of this machine for the line, b"" if there is none."""
        try:
            return os.read(self._device, _LONGEST)
        except (BlockingIOError, OSError):  # EIO while it is down
            return b""

    def write(self, packet: bytes) -> None:
        """A packet from the line; one that is none is the kernel's to refuse."""
        try:
            os.write(self._device, packet)
        except OSError:
            return


def _tun(name: str) -> tuple[int, str]:
    """Its descriptor, non-blocking, and the name that the kernel gave it. Raises AttachFailed."""
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise AttachFailed(f"/dev/net/tun: {error.strerror}") from error
    try:
        made = fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        os.close(device)
        if error.errno == errno.EPERM:
            raise AttachFailed("a TUN device needs CAP_NET_ADMIN: run this as root") from error
        raise AttachFailed(f"TUN device {name}: {error.strerror}") from error
    return device, made[:16].rstrip(b"\0").decode()
