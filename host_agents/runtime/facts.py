"""Routes, neighbours and policy rules of ours, and how rtnetlink(7) writes each of them.

Everything carries PROTOCOL, by which leftovers are found and an operator sees whose it is (`ip route show proto 143`).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from host_agents.runtime.rtnetlink import (
    DEL_NEIGHBOUR,
    DEL_ROUTE,
    DEL_RULE,
    GET_NEIGHBOUR,
    GET_ROUTE,
    GET_RULE,
    NEW_NEIGHBOUR,
    NEW_ROUTE,
    NEW_RULE,
    Attributes,
    Found,
    address,
    event_of,
    name,
    number,
)
from mip4.address import show

PROTOCOL = 143  # not in iproute2's rt_protos; the kernel gives it no meaning
MAIN_TABLE = 254
LAST_METRIC = 0xFFFFFFFF
TO_TABLE, BLACKHOLE_RULE = 1, 6  # what a rule does

_AF_INET = 2
_UNICAST, _BLACKHOLE = 1, 6
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_ANY = 0, 253, 255
_PERMANENT = 0x80
_OURS = bytes((PROTOCOL,))

_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg
_RULE = struct.Struct("=BBBBBxxBI")  # fib_rule_hdr

RTA_TABLE = 15
_RTA_DST, _RTA_OIF, _RTA_METRIC = 1, 4, 6
_NDA_DST, _NDA_LLADDR, _NDA_PROTOCOL = 1, 2, 12
_FRA_SRC, _FRA_IIF, _FRA_PRIORITY, _FRA_TABLE, _FRA_PROTOCOL, _FRA_IP_PROTO = 2, 3, 6, 15, 21, 22

Packed = tuple[bytes, Attributes]  # the fixed part and attributes of one request


@dataclass(slots=True, frozen=True)
class Route:
    """destination/length out of interface `index`; index 0: a blackhole."""

    table: int
    destination: int
    length: int
    index: int
    metric: int = 0

    NEW, DEL, GET = NEW_ROUTE, DEL_ROUTE, GET_ROUTE
    ALL = _ROUTE.pack(_AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)  # the fixed part of a question for all of them

    @property
    def about(self) -> int:
        return self.destination

    def __str__(self) -> str:
        return f"route {show(self.destination)}/{self.length}"

    def packed(self, taking: bool = False) -> Packed:
        """taking: whether it is to be deleted."""
        kind = _UNICAST if self.index else _BLACKHOLE
        scope = _SCOPE_ANY if taking else _SCOPE_LINK if self.index else _SCOPE_UNIVERSE
        attributes = {RTA_TABLE: number(self.table)}
        if self.length:
            attributes[_RTA_DST] = address(self.destination)
        if self.index:
            attributes[_RTA_OIF] = number(self.index)
        if self.metric:
            attributes[_RTA_METRIC] = number(self.metric)
        return _ROUTE.pack(_AF_INET, self.length, 0, 0, 0, PROTOCOL, scope, kind, 0), attributes

    @classmethod
    def of(cls, one: Found) -> Route | None:
        """What the kernel says of a route; None: it is not ours. So are those of the others."""
        return cls.anybodys(one) if one.head[5] == PROTOCOL else None

    @classmethod
    def anybodys(cls, one: Found) -> Route:
        """Whosever it is."""
        return cls(
            _number(one.attributes, RTA_TABLE),
            int.from_bytes(one.attributes.get(_RTA_DST, b""), "big"),
            one.head[1],
            _number(one.attributes, _RTA_OIF),
            _number(one.attributes, _RTA_METRIC),
        )


@dataclass(slots=True, frozen=True)
class Neighbour:
    """A permanent entry, so that nobody sends ARP for the address."""

    index: int
    address: int
    link_address: bytes

    NEW, DEL, GET = NEW_NEIGHBOUR, DEL_NEIGHBOUR, GET_NEIGHBOUR
    ALL = _NEIGHBOUR.pack(_AF_INET, 0, 0, 0, 0)

    @property
    def about(self) -> int:
        return self.address

    def __str__(self) -> str:
        return f"neighbour {show(self.address)}"

    def packed(self, taking: bool = False) -> Packed:
        """As Route's."""
        attributes = {_NDA_DST: address(self.address), _NDA_LLADDR: self.link_address, _NDA_PROTOCOL: _OURS}
        return _NEIGHBOUR.pack(_AF_INET, self.index, _PERMANENT, 0, 0), attributes

    @classmethod
    def of(cls, one: Found) -> Neighbour | None:
        """Of one that is about to go the kernel does not say the link address."""
        if one.attributes.get(_NDA_PROTOCOL) != _OURS:
            return None
        there = int.from_bytes(one.attributes[_NDA_DST], "big")
        return cls(_NEIGHBOUR.unpack(one.head)[1], there, one.attributes.get(_NDA_LLADDR, b""))


@dataclass(slots=True, frozen=True)
class Rule:
    """Packets that come in by `iif` ("lo": begin here, "": all), of one source and IP protocol (0: any): to `table`."""

    priority: int
    iif: str
    table: int
    action: int = TO_TABLE
    source: int = 0
    ip_protocol: int = 0

    NEW, DEL, GET = NEW_RULE, DEL_RULE, GET_RULE
    ALL = _RULE.pack(_AF_INET, 0, 0, 0, 0, 0, 0)

    @property
    def about(self) -> int:
        return self.source

    def __str__(self) -> str:
        words = [f"iif {self.iif}"] * bool(self.iif) + [f"from {show(self.source)}"] * bool(self.source)
        return " ".join(["rule", *(words or [str(self.priority)])])

    def packed(self, taking: bool = False) -> Packed:
        """As Route's."""
        attributes = {_FRA_PRIORITY: number(self.priority), _FRA_PROTOCOL: _OURS}
        if self.iif:
            attributes[_FRA_IIF] = name(self.iif)
        if self.table:
            attributes[_FRA_TABLE] = number(self.table)
        if self.source:
            attributes[_FRA_SRC] = address(self.source)
        if self.ip_protocol:
            attributes[_FRA_IP_PROTO] = bytes((self.ip_protocol,))
        return _RULE.pack(_AF_INET, 0, 32 if self.source else 0, 0, 0, self.action, 0), attributes

    @classmethod
    def of(cls, one: Found) -> Rule | None:
        if one.attributes.get(_FRA_PROTOCOL) != _OURS:
            return None
        action = one.head[7]
        return cls(
            _number(one.attributes, _FRA_PRIORITY),
            one.attributes.get(_FRA_IIF, b"").rstrip(b"\0").decode(),
            _number(one.attributes, _FRA_TABLE) if action == TO_TABLE else 0,
            action,
            int.from_bytes(one.attributes.get(_FRA_SRC, b""), "big"),
            one.attributes.get(_FRA_IP_PROTO, b"\0")[0],
        )


Fact = Route | Neighbour | Rule  # `about`: the home address that it is for, 0 for all of them

_TAKEN: dict[int, Callable[[Found], Fact | None]] = {
    DEL_ROUTE: Route.anybodys,
    DEL_NEIGHBOUR: Neighbour.of,
    DEL_RULE: Rule.of,
}


def taken_away(octets: bytes) -> Fact | None:
    """Which fact of ours is there no longer, by a message of rtnetlink's that a route, neighbour or rule went.

    A route may be somebody else's: nothing is said of ours when one takes its place.
    """
    kind, one = event_of(octets, _ROUTE.size)  # the fixed parts are equally long
    return _TAKEN[kind](one)


def is_gone(fact: Fact, lost: Fact) -> bool:
    """Whether `lost`, of taken_away(), is this one."""
    if isinstance(fact, Neighbour) and isinstance(lost, Neighbour):
        return (fact.index, fact.address) == (lost.index, lost.address)
    if isinstance(fact, Route) and isinstance(lost, Route):  # or was where ours should be
        return fact == replace(lost, index=fact.index)
    return fact == lost


def _number(attributes: Attributes, kind: int) -> int:
    octets = attributes.get(kind)
    return int.from_bytes(octets, sys.byteorder) if octets else 0
