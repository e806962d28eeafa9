"""The agent's virtual interface: a persistent TUN device, which outlives the daemon, and so do routes to it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

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


def open_device(name: str) -> int:
    """Create or take over the TUN device `name`, up, with MTU 1480; return its descriptor, non-blocking.

    Raises KernelRefused: no /dev/net/tun, no privilege, another daemon reads it, `name` is another kind of interface.
    """
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KernelRefused(f"open /dev/net/tun for {name}", str(error.strerror)) from error
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
        raise KernelRefused(f"take tunnel device {name}", str(error.strerror)) from error
    return device
