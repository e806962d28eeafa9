"""What the kernel knows of the path to a tunnel's other end (RFC 1191)."""

from __future__ import annotations

import socket

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import DROP_ALL, attach
from mip4.address import show

_IP_MTU = 14  # linux/in.h
_DISCARD = 9  # a port; nothing is sent


class PathMtu:
    """Asks from the agent's own address. Until open(), nothing is held."""

    def __init__(self, local: int) -> None:
        self._local = local

    def open(self) -> None:
        """Raises KernelRefused: the address is not this machine's."""
        self._probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            attach(self._probe, DROP_ALL)
            self._probe.bind((show(self._local), 0))
        except OSError as error:
            self._probe.close()
            raise KernelRefused(f"probe from {show(self._local)}", error) from error

    def close(self) -> None:
        self._probe.close()

    def towards(self, remote: str) -> int:
        """Octets of the longest packet. Raises OSError: no route."""
        self._probe.connect((remote, _DISCARD))
        return self._probe.getsockopt(socket.IPPROTO_IP, _IP_MTU)
