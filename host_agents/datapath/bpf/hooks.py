"""Where the programs hang: filters of the classifier "bpf" (tc-bpf(8)), which stay when the daemon goes.

Those of one agent have the same handle everywhere, made from the name of its device, so that agents of one router do
not meet and a restart finds its own.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import zlib
from dataclasses import dataclass

from host_agents.datapath.traffic_control import (
    EGRESS,
    INGRESS,
    KIND,
    OPTIONS,
    Request,
    filter_head,
    filters_on,
)
from host_agents.runtime.rtnetlink import (
    CREATE,
    DEL_FILTER,
    GET_FILTER,
    GET_LINK,
    NEW_FILTER,
    Attributes,
    Rtnetlink,
    attributes_of,
    name,
    nested,
    number,
)

ENTER, LEAVE, ADMIT = (EGRESS, 434), (INGRESS, 434), (INGRESS, 433)  # place and priority of each kind of program

_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_ETHERNET = 1
_IFLA_IFNAME = 3
_BPF_FD, _BPF_NAME, _BPF_FLAGS, _BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1
_GONE = (errno.ENOENT, errno.EINVAL, errno.ENODEV)


@dataclass(slots=True, frozen=True)
class Interface:
    """One that carries Ethernet frames."""

    index: int
    name: str


class Hooks:
    """Of the agent whose device has this name. Methods raise OSError."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._handle = zlib.crc32(device.encode()) or 1
        self._kernel = Rtnetlink()

    def close(self) -> None:
        """The programs stay."""
        self._kernel.close()

    def interfaces(self) -> list[Interface]:
        found = []
        for one in self._kernel.dump(GET_LINK, _LINK.pack(0, 0, 0, 0, 0)):
            _, kind, index, _, _ = _LINK.unpack(one.head)
            if kind == _ETHERNET:
                found.append(Interface(index, one.attributes[_IFLA_IFNAME].rstrip(b"\0").decode()))
        return found

    def attach(self, index: int, hook: tuple[int, int], program: int, called: str) -> None:
        """In the place of what hangs there of ours, if something does, without a moment between."""
        self._kernel.change(*filters_on(index), unless=(errno.EEXIST,))
        self._kernel.change(*attached(index, hook, self._handle, program, called))

    def detach(self, index: int, hook: tuple[int, int]) -> None:
        """What is not there is no error."""
        self._kernel.change(*detached(index, hook, self._handle), unless=_GONE)

    def program(self, index: int, hook: tuple[int, int]) -> int | None:
        """The number of what hangs there of ours."""
        where, priority = hook
        head = filter_head(index, where, priority, self._handle)
        try:
            found = self._kernel.get(GET_FILTER, head, {KIND: name("bpf")}).attributes
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        octets = attributes_of(found.get(OPTIONS, b"")).get(_BPF_ID)
        return struct.unpack("=I", octets)[0] if octets else None

    def detach_all(self) -> None:
        """Everywhere. If the agent's device is gone, what hung there is gone too."""
        with contextlib.suppress(OSError):
            self.detach(socket.if_nametoindex(self._device), ENTER)
        for one in self.interfaces():
            for hook in (LEAVE, ADMIT):
                self.detach(one.index, hook)


def attached(index: int, hook: tuple[int, int], handle: int, program: int, called: str) -> Request:
    """`tc filter replace dev DEVICE ingress|egress protocol ip ... bpf direct-action fd PROGRAM name CALLED`."""
    where, priority = hook
    options: Attributes = {
        _BPF_FD: number(program),
        _BPF_NAME: name(called),
        _BPF_FLAGS: number(_DIRECT_ACTION),
    }
    attributes = {KIND: name("bpf"), OPTIONS: nested(options)}
    return Request(NEW_FILTER, filter_head(index, where, priority, handle), attributes, CREATE)


def detached(index: int, hook: tuple[int, int], handle: int) -> Request:
    """`tc filter del ...`."""
    where, priority = hook
    return Request(DEL_FILTER, filter_head(index, where, priority, handle), {KIND: name("bpf")})


def withdraw(device: str) -> None:
    """Take away all programs of an earlier run: nobody or another datapath carries the packets now. Raises OSError."""
    hooks = Hooks(device)
    try:
        hooks.detach_all()
    finally:
        hooks.close()
