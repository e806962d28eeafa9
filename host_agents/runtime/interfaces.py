"""What this machine's interfaces are called on the link and in IPv4."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.routing import Routing
from host_agents.runtime.rtnetlink import GET_ADDRESS, Rtnetlink
from mip4.address import mask, show

_IFADDRMSG = struct.Struct("=BBBBI")
_AF_INET = 2
_IFA_ADDRESS, _IFA_LOCAL = 1, 2


@dataclass(slots=True, frozen=True)
class ConnectedPrefix:
    """An address of this machine and the prefix that it is connected to by it. address, network: int."""

    index: int
    address: int
    network: int
    length: int


def link_address(interface: str) -> bytes:
    """Raises KernelRefused where there is no such interface."""
    with closing(Routing()) as routing:
        return routing.link_address(interface)


def prefixes_of(interface: str) -> list[ConnectedPrefix]:
    """Of one interface, the primary address first. Raises KernelRefused where there is no such interface."""
    with closing(Routing()) as routing:
        index = routing.index(interface)
    return [one for one in connected_prefixes() if one.index == index]


def missing(address: int, links: Iterable[str]) -> list[str]:
    """A line for each thing that an agent cannot start without, and that this machine has not. Raises KernelRefused.

    address: where it is registered with. links: visited or home ones.
    """
    found = []
    if all(one.address != address for one in connected_prefixes()):
        found.append(f"{show(address)} is no address of this machine")
    for link in links:
        try:
            own = prefixes_of(link)
        except KernelRefused:
            found.append(f"there is no interface {link}")
            continue
        if not own:
            found.append(f"{link} has no IPv4 address")
    return found


def connected_prefixes() -> list[ConnectedPrefix]:
    """Of all interfaces. A point-to-point address gives its peer's prefix. Raises KernelRefused."""
    try:
        with closing(Rtnetlink()) as kernel:
            dump = kernel.dump(GET_ADDRESS, _IFADDRMSG.pack(_AF_INET, 0, 0, 0, 0))
    except OSError as error:
        raise KernelRefused("read addresses", error) from error
    found = []
    for one in dump:
        _, length, _, _, index = _IFADDRMSG.unpack(one.head)
        peer = int.from_bytes(one.attributes[_IFA_ADDRESS], "big")
        local = int.from_bytes(one.attributes.get(_IFA_LOCAL, one.attributes[_IFA_ADDRESS]), "big")
        found.append(ConnectedPrefix(index, local, peer & mask(length), length))
    return found
