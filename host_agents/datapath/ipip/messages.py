"""What the ipip adapter asks of the kernel, in iproute2's own octets (ip-link(8), ip-route(8), tc-flower(8))."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from host_agents.datapath.traffic_control import KIND, OPTIONS, Request, filter_head
from host_agents.runtime.facts import PROTOCOL
from host_agents.runtime.rtnetlink import (
    CREATE,
    DEL_FILTER,
    EXCLUSIVE,
    GET_FILTER,
    GET_LINK,
    NEW_FILTER,
    NEW_LINK,
    NEW_ROUTE,
    REPLACE,
    Attributes,
    address,
    attributes_of,
    name,
    nested,
    number,
)

PASS, DROP = 0, 2  # TC_ACT_OK, TC_ACT_SHOT

_NESTED = 0x8000
_AF_INET, _UNICAST, _SCOPE_LINK = 2, 1, 253
_UP = 1

_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg
_ACTION = struct.Struct("=IIiii")  # tc_gen: index, capabilities, what then, references, bindings

_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO = 3, 4, 18
_INFO_KIND, _INFO_DATA = 1, 2
_IPTUN_PROTOCOL, _IPTUN_COLLECT_METADATA = 9, 19
_RTA_DST, _RTA_OIF, _RTA_METRICS, _RTA_TABLE, _RTA_ENCAP_TYPE, _RTA_ENCAP = 1, 4, 8, 15, 21, 22
_RTAX_MTU = 2
_ENCAP_IP = 2  # LWTUNNEL_ENCAP_IP, and its attributes
_ENCAP_ID, _ENCAP_DST, _ENCAP_SRC, _ENCAP_TTL, _ENCAP_TOS, _ENCAP_FLAGS = 1, 2, 3, 4, 5, 6
_INHERIT_TOS = 1
_DONT_FRAGMENT = 0x0100  # of the flags
_TTL = 64
_ETH_P_IP = 0x0800
_FLOWER_ACTIONS, _FLOWER_ETH_TYPE, _FLOWER_FLAGS = 3, 8, 22
_FLOWER_SOURCE, _FLOWER_DESTINATION, _FLOWER_OUTER_SOURCE = 10, 12, 27  # the mask of each is one more
_PARAMETERS = 2  # of gact and of mirred
_STOLEN = 4  # what a packet is to its device when it has been redirected ...
_TO_EGRESS = 1  # ... to another, to be sent there
_ACTION_STATISTICS, _BASIC = 4, 1


@dataclass(slots=True, frozen=True)
class Match:
    """Addresses that a packet must have, None: any. outer_source: of the header that it has lost."""

    source: int | None = None
    destination: int | None = None
    outer_source: int | None = None


def new_device(device: str) -> Request:
    """`ip link add DEVICE type ipip external`: tunnels to anywhere, where to is said by the route of each packet."""
    data = nested({_IPTUN_PROTOCOL: b"\0", _IPTUN_COLLECT_METADATA: b""})
    info = nested({_INFO_KIND: b"ipip", _INFO_DATA: data})
    attributes = {_IFLA_IFNAME: name(device), _IFLA_LINKINFO: info}
    return Request(NEW_LINK, _LINK.pack(0, 0, 0, 0, 0), attributes, CREATE | EXCLUSIVE)


def the_device(device: str) -> Request:
    """`ip -d link show DEVICE`."""
    return Request(GET_LINK, _LINK.pack(0, 0, 0, 0, 0), {_IFLA_IFNAME: name(device)})


def kind_of(found: Attributes) -> str:
    """Of ours "external ipip"; else the kernel's word, "" where it has none. found: the answer to the_device()."""
    info = attributes_of(found.get(_IFLA_LINKINFO, b""))
    kind = info.get(_INFO_KIND, b"").rstrip(b"\0").decode()
    external = _IPTUN_COLLECT_METADATA in attributes_of(info.get(_INFO_DATA, b""))
    return f"external {kind}" if kind == "ipip" and external else kind


def bring_up(index: int, mtu: int) -> Request:
    return Request(NEW_LINK, _LINK.pack(0, 0, index, _UP, _UP), {_IFLA_MTU: number(mtu)})


def tunnel_route(
    table: int, destination: int, length: int, index: int, local: int, remote: int, mtu: int | None = None
) -> Request:
    """`ip route replace ... encap ip id 0 src LOCAL dst REMOTE ttl 64 tos inherit dev DEVICE`, and DF.

    The kernel cannot copy the DF of each packet; with DF in all the outer ones no inner DF is lost (RFC 2003 §3.1).
    mtu: of the path inside the tunnel, by which the kernel fragments what has no DF before it goes in.
    """
    encapsulation = {
        _ENCAP_ID: bytes(8),
        _ENCAP_SRC: address(local),
        _ENCAP_DST: address(remote),
        _ENCAP_TOS: bytes((_INHERIT_TOS,)),
        _ENCAP_TTL: bytes((_TTL,)),
        _ENCAP_FLAGS: struct.pack("!H", _DONT_FRAGMENT),
    }
    attributes = {
        _RTA_TABLE: number(table),
        **({_RTA_DST: address(destination)} if length else {}),
        _RTA_ENCAP | _NESTED: nested(encapsulation),
        _RTA_ENCAP_TYPE: struct.pack("=H", _ENCAP_IP),
        _RTA_OIF: number(index),
        **({} if mtu is None else {_RTA_METRICS: nested({_RTAX_MTU: number(mtu)})}),
    }
    head = _ROUTE.pack(_AF_INET, length, 0, 0, 0, PROTOCOL, _SCOPE_LINK, _UNICAST, 0)
    return Request(NEW_ROUTE, head, attributes, CREATE | REPLACE)


def verdict(index: int, where: int, priority: int, handle: int, match: Match, action: int) -> Request:
    """`tc filter replace dev DEVICE ingress|egress protocol ip ... flower ... action pass|drop`."""
    return _filter(index, where, priority, handle, match, "gact", _ACTION.pack(0, 0, action, 0, 0))


def redirect(index: int, where: int, priority: int, handle: int, match: Match, other: int) -> Request:
    """The same with `action mirred egress redirect dev OTHER`."""
    parameters = _ACTION.pack(0, 0, _STOLEN, 0, 0) + struct.pack("=ii", _TO_EGRESS, other)
    return _filter(index, where, priority, handle, match, "mirred", parameters)


def _filter(
    index: int, where: int, priority: int, handle: int, match: Match, action: str, parameters: bytes
) -> Request:
    keys: Attributes = {}
    for key, value in (
        (_FLOWER_OUTER_SOURCE, match.outer_source),
        (_FLOWER_SOURCE, match.source),
        (_FLOWER_DESTINATION, match.destination),
    ):
        if value is not None:
            keys |= {key: address(value), key + 1: address(0xFFFFFFFF)}
    one = nested({KIND: name(action), OPTIONS | _NESTED: nested({_PARAMETERS: parameters})})
    keys |= {_FLOWER_ACTIONS: nested({1: one})}
    attributes = {KIND: name("flower"), OPTIONS: nested(keys | _FOR_IPV4)}
    return Request(NEW_FILTER, filter_head(index, where, priority, handle), attributes, CREATE)


def no_filter(index: int, where: int, priority: int, handle: int) -> Request:
    """`tc filter del ...`."""
    attributes = {KIND: name("flower"), OPTIONS: nested(_FOR_IPV4)}
    return Request(DEL_FILTER, filter_head(index, where, priority, handle), attributes)


def the_filter(index: int, where: int, priority: int, handle: int) -> Request:
    """`tc -s filter get ...`."""
    return Request(GET_FILTER, filter_head(index, where, priority, handle), {KIND: name("flower")})


def counted(found: Attributes) -> tuple[int, int]:
    """Packets and octets that a filter has matched. found: the attributes of the answer to the_filter()."""
    for kind in (OPTIONS, _FLOWER_ACTIONS, 1, _ACTION_STATISTICS):
        found = attributes_of(found.get(kind, b""))
    octets, packets = struct.unpack_from("=QI", found.get(_BASIC, bytes(12)))
    return packets, octets


_FOR_IPV4: Attributes = {_FLOWER_FLAGS: number(0), _FLOWER_ETH_TYPE: struct.pack("!H", _ETH_P_IP)}
