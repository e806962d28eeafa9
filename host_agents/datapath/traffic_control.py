"""Places for filters on an interface, in iproute2's own octets (tc(8)): what the ipip and the bpf datapath share."""

from __future__ import annotations

import struct
from socket import htons
from typing import NamedTuple

from host_agents.runtime.rtnetlink import CREATE, DEL_DISCIPLINE, EXCLUSIVE, NEW_DISCIPLINE, Attributes, name

INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3  # where on a device a filter sits: what comes out of it, what goes into it
KIND, OPTIONS = 1, 2  # attributes

_TRAFFIC = struct.Struct("=B3xiIII")  # tcmsg: family, interface, handle, parent, priority and protocol
_CLSACT_HANDLE, _CLSACT = 0xFFFF0000, 0xFFFFFFF1
_ETH_P_IP = 0x0800


class Request(NamedTuple):
    """What Rtnetlink.change() takes."""

    kind: int
    head: bytes
    attributes: Attributes
    flags: int = 0


def filters_on(index: int) -> Request:
    """`tc qdisc add dev DEVICE clsact`: a place for filters."""
    head = _TRAFFIC.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0)
    return Request(NEW_DISCIPLINE, head, {KIND: name("clsact")}, CREATE | EXCLUSIVE)


def no_filters_on(index: int) -> Request:
    """`tc qdisc del dev DEVICE clsact`."""
    head = _TRAFFIC.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0)
    return Request(DEL_DISCIPLINE, head, {KIND: name("clsact")})


def filter_head(index: int, where: int, priority: int, handle: int) -> bytes:
    """Of a filter for IPv4."""
    return _TRAFFIC.pack(0, index, handle, where, priority << 16 | htons(_ETH_P_IP))
