"""Routes, neighbours and policy rules of ours in the kernel: put them, take them back, find those of an earlier run.

Everything carries PROTOCOL, by which leftovers are found and an operator sees whose it is (`ip route show proto 143`).
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from host_agents.runtime import rtnetlink
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.rtnetlink import Attributes, Rtnetlink
from mip4.address import show

PROTOCOL = 143  # not in iproute2's rt_protos; the kernel gives it no meaning
MAIN_TABLE = 254
LAST_METRIC = 0xFFFFFFFF
TO_TABLE, BLACKHOLE_RULE = 1, 6  # what a rule does

_AF_INET = 2
_UNICAST, _BLACKHOLE = 1, 6
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_ANY = 0, 253, 255
_PERMANENT = 0x80

_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg
_RULE = struct.Struct("=BBBBBxxBI")  # fib_rule_hdr

_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_RTA_DST, _RTA_OIF, _RTA_METRIC, _RTA_TABLE = 1, 4, 6, 15
_NDA_DST, _NDA_LLADDR, _NDA_PROTOCOL = 1, 2, 12
_FRA_SRC, _FRA_IIF, _FRA_PRIORITY, _FRA_TABLE, _FRA_PROTOCOL, _FRA_IP_PROTO = 2, 3, 6, 15, 21, 22

_GONE_ALREADY = (errno.ESRCH, errno.ENOENT, errno.ENODEV)


@dataclass(slots=True, frozen=True)
class Route:
    """destination/length out of interface `index`; index 0: a blackhole."""

    table: int
    destination: int
    length: int
    index: int
    metric: int = 0

    @property
    def about(self) -> int:
        return self.destination

    def __str__(self) -> str:
        return f"route {show(self.destination)}/{self.length}"


@dataclass(slots=True, frozen=True)
class Neighbour:
    """A permanent entry, so that nobody sends ARP for the address."""

    index: int
    address: int
    link_address: bytes

    @property
    def about(self) -> int:
        return self.address

    def __str__(self) -> str:
        return f"neighbour {show(self.address)}"


@dataclass(slots=True, frozen=True)
class Rule:
    """Packets that come in by `iif` ("lo": begin here, "": all), of one source and IP protocol (0: any): to `table`."""

    priority: int
    iif: str
    table: int
    action: int = TO_TABLE
    source: int = 0
    ip_protocol: int = 0

    @property
    def about(self) -> int:
        return self.source

    def __str__(self) -> str:
        words = [f"iif {self.iif}"] * bool(self.iif) + [f"from {show(self.source)}"] * bool(self.source)
        return " ".join(["rule", *(words or [str(self.priority)])])


Fact = Route | Neighbour | Rule  # `about`: the home address that it is for, 0 for all of them


class Routing:
    """Our part of one network namespace's routing. All methods raise KernelRefused, naming the address and errno."""

    def __init__(self) -> None:
        try:
            self._kernel = Rtnetlink()
        except OSError as error:
            raise KernelRefused("open rtnetlink", _reason(error)) from error

    def close(self) -> None:
        self._kernel.close()

    def index(self, interface: str) -> int:
        """Raises KernelRefused where there is no such interface."""
        return int(_LINK.unpack(self._link(interface).head)[2])

    def link_address(self, interface: str) -> bytes:
        """Link-layer address; empty for an interface that has none."""
        return self._link(interface).attributes.get(_IFLA_ADDRESS, b"")

    def is_up(self, interface: str) -> bool:
        """Whether it is there, and an administrator has not shut it."""
        try:
            return bool(_LINK.unpack(self._link(interface).head)[3] & _IFF_UP)
        except KernelRefused:
            return False

    def delete_interface(self, interface: str) -> None:
        """One that is not there is no error."""
        head = _LINK.pack(0, 0, 0, 0, 0)
        self._run(rtnetlink.DEL_LINK, head, {_IFLA_IFNAME: rtnetlink.name(interface)}, 0, f"delete {interface}", True)

    def put(self, fact: Fact, exclusive: bool = False) -> None:
        """Make it so; what is so already stays untouched. exclusive: somebody else's route there is not replaced."""
        if isinstance(fact, Rule):
            self.fill(fact)
            return
        try:
            self._put(fact, exclusive)
        except OSError as error:
            raise KernelRefused(f"put {fact}", _reason(error)) from error

    def fill(self, fact: Route | Rule) -> bool:
        """Put it if nobody has a route to the same place, or the same rule; whether nobody had."""
        try:
            self._put(fact, exclusive=True)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise KernelRefused(f"put {fact}", _reason(error)) from error
            return False
        return True

    def _put(self, fact: Fact, exclusive: bool) -> None:
        """Raises OSError."""
        kinds = {Route: rtnetlink.NEW_ROUTE, Neighbour: rtnetlink.NEW_NEIGHBOUR, Rule: rtnetlink.NEW_RULE}
        head, attributes = _pack(fact)
        flags = rtnetlink.CREATE | (rtnetlink.EXCLUSIVE if exclusive else rtnetlink.REPLACE)
        self._kernel.change(kinds[type(fact)], head, attributes, flags)

    def take(self, fact: Fact) -> None:
        """Undo put; what is not there is no error."""
        kinds = {Route: rtnetlink.DEL_ROUTE, Neighbour: rtnetlink.DEL_NEIGHBOUR, Rule: rtnetlink.DEL_RULE}
        head, attributes = _pack(fact, taking=True)
        self._run(kinds[type(fact)], head, attributes, 0, f"take {fact}", True)

    def routes(self, table: int) -> set[Route]:
        """Ours in `table`."""
        head = _ROUTE.pack(_AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
        found = map(_route, self._dump(rtnetlink.GET_ROUTE, head, {_RTA_TABLE: rtnetlink.number(table)}))
        return {one for one in found if one is not None and one.table == table}

    def neighbours(self) -> set[Neighbour]:
        """Ours on all interfaces."""
        found = map(_neighbour, self._dump(rtnetlink.GET_NEIGHBOUR, _NEIGHBOUR.pack(_AF_INET, 0, 0, 0, 0)))
        return {one for one in found if one is not None and one.link_address}

    def rules(self) -> set[Rule]:
        """Ours."""
        found = map(_rule, self._dump(rtnetlink.GET_RULE, _RULE.pack(_AF_INET, 0, 0, 0, 0, 0, 0)))
        return {one for one in found if one is not None}

    def _link(self, interface: str) -> rtnetlink.Found:
        head = _LINK.pack(0, 0, 0, 0, 0)
        try:
            return self._kernel.get(rtnetlink.GET_LINK, head, {_IFLA_IFNAME: rtnetlink.name(interface)})
        except OSError as error:
            raise KernelRefused(f"interface {interface}", _reason(error)) from error

    def _dump(self, kind: int, head: bytes, attributes: Attributes | None = None) -> list[rtnetlink.Found]:
        try:
            return self._kernel.dump(kind, head, attributes)
        except OSError as error:
            if error.errno == errno.ENOENT:  # a table that never had a route
                return []
            raise KernelRefused("read the routing tables", _reason(error)) from error

    def _run(self, kind: int, head: bytes, attributes: Attributes, flags: int, what: str, may_be_gone: bool) -> None:
        try:
            self._kernel.change(kind, head, attributes, flags)
        except OSError as error:
            if not (may_be_gone and error.errno in _GONE_ALREADY):
                raise KernelRefused(what, _reason(error)) from error


def _route(one: rtnetlink.Found) -> Route | None:
    """What the kernel says of a route; None: it is not ours. So are the next two."""
    return _anybodys_route(one) if one.head[5] == PROTOCOL else None


def _anybodys_route(one: rtnetlink.Found) -> Route:
    return Route(
        _number(one.attributes, _RTA_TABLE),
        int.from_bytes(one.attributes.get(_RTA_DST, b""), "big"),
        one.head[1],
        _number(one.attributes, _RTA_OIF),
        _number(one.attributes, _RTA_METRIC),
    )


def _neighbour(one: rtnetlink.Found) -> Neighbour | None:
    """Of one that is about to go the kernel does not say the link address."""
    if one.attributes.get(_NDA_PROTOCOL) != bytes((PROTOCOL,)):
        return None
    address = int.from_bytes(one.attributes[_NDA_DST], "big")
    return Neighbour(_NEIGHBOUR.unpack(one.head)[1], address, one.attributes.get(_NDA_LLADDR, b""))


def _rule(one: rtnetlink.Found) -> Rule | None:
    if one.attributes.get(_FRA_PROTOCOL) != bytes((PROTOCOL,)):
        return None
    action = one.head[7]
    return Rule(
        _number(one.attributes, _FRA_PRIORITY),
        one.attributes.get(_FRA_IIF, b"").rstrip(b"\0").decode(),
        _number(one.attributes, _FRA_TABLE) if action == TO_TABLE else 0,
        action,
        int.from_bytes(one.attributes.get(_FRA_SRC, b""), "big"),
        one.attributes.get(_FRA_IP_PROTO, b"\0")[0],
    )


_TAKEN: dict[int, Callable[[rtnetlink.Found], Fact | None]] = {
    rtnetlink.DEL_ROUTE: _anybodys_route,
    rtnetlink.DEL_NEIGHBOUR: _neighbour,
    rtnetlink.DEL_RULE: _rule,
}


def taken_away(octets: bytes) -> Fact | None:
    """Which fact of ours is there no longer, by a message of rtnetlink's that a route, neighbour or rule went.

    A route may be somebody else's: nothing is said of ours when one takes its place.
    """
    kind, one = rtnetlink.event_of(octets, _ROUTE.size)  # the fixed parts are equally long
    return _TAKEN[kind](one)


def is_gone(fact: Fact, lost: Fact) -> bool:
    """Whether `lost`, of taken_away(), is this one."""
    if isinstance(fact, Neighbour) and isinstance(lost, Neighbour):
        return (fact.index, fact.address) == (lost.index, lost.address)
    if isinstance(fact, Route) and isinstance(lost, Route):  # or was where ours should be
        return fact == replace(lost, index=fact.index)
    return fact == lost


def _pack(fact: Fact, taking: bool = False) -> tuple[bytes, Attributes]:
    """The fixed part and attributes of one request."""
    number, address, ours = rtnetlink.number, rtnetlink.address, bytes((PROTOCOL,))
    if isinstance(fact, Route):
        kind = _UNICAST if fact.index else _BLACKHOLE
        scope = _SCOPE_ANY if taking else _SCOPE_LINK if fact.index else _SCOPE_UNIVERSE
        attributes = {_RTA_TABLE: number(fact.table)}
        if fact.length:
            attributes[_RTA_DST] = address(fact.destination)
        if fact.index:
            attributes[_RTA_OIF] = number(fact.index)
        if fact.metric:
            attributes[_RTA_METRIC] = number(fact.metric)
        return _ROUTE.pack(_AF_INET, fact.length, 0, 0, 0, PROTOCOL, scope, kind, 0), attributes
    if isinstance(fact, Neighbour):
        attributes = {
            _NDA_DST: address(fact.address),
            _NDA_LLADDR: fact.link_address,
            _NDA_PROTOCOL: ours,
        }
        return _NEIGHBOUR.pack(_AF_INET, fact.index, _PERMANENT, 0, 0), attributes
    attributes = {_FRA_PRIORITY: number(fact.priority), _FRA_PROTOCOL: ours}
    if fact.iif:
        attributes[_FRA_IIF] = rtnetlink.name(fact.iif)
    if fact.table:
        attributes[_FRA_TABLE] = number(fact.table)
    if fact.source:
        attributes[_FRA_SRC] = address(fact.source)
    if fact.ip_protocol:
        attributes[_FRA_IP_PROTO] = bytes((fact.ip_protocol,))
    return _RULE.pack(_AF_INET, 0, 32 if fact.source else 0, 0, 0, fact.action, 0), attributes


def _number(attributes: Attributes, kind: int) -> int:
    octets = attributes.get(kind)
    return int.from_bytes(octets, sys.byteorder) if octets else 0


def _reason(error: OSError) -> str:
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"
