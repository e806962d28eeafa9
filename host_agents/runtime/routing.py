"""What is ours in the kernel's routing: put it, take it back, find that of an earlier run."""

from __future__ import annotations

import errno
import struct

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.facts import RTA_TABLE, Fact, Neighbour, Route, Rule
from host_agents.runtime.rtnetlink import (
    CREATE,
    DEL_LINK,
    EXCLUSIVE,
    GET_LINK,
    REPLACE,
    Attributes,
    Found,
    Rtnetlink,
    name,
    number,
)

_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_ANY_LINK = _LINK.pack(0, 0, 0, 0, 0)
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3

_GONE_ALREADY = (errno.ESRCH, errno.ENOENT, errno.ENODEV)


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
        self._delete(DEL_LINK, _ANY_LINK, {_IFLA_IFNAME: name(interface)}, f"delete {interface}")

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

    def take(self, fact: Fact) -> None:
        """Undo put; what is not there is no error."""
        self._delete(fact.DEL, *fact.packed(taking=True), f"take {fact}")

    def routes(self, table: int) -> set[Route]:
        """Ours in `table`."""
        found = map(Route.of, self._dump(Route.GET, Route.ALL, {RTA_TABLE: number(table)}))
        return {one for one in found if one is not None and one.table == table}

    def neighbours(self) -> set[Neighbour]:
        """Ours on all interfaces."""
        found = map(Neighbour.of, self._dump(Neighbour.GET, Neighbour.ALL))
        return {one for one in found if one is not None and one.link_address}

    def rules(self) -> set[Rule]:
        """Ours."""
        return {one for one in map(Rule.of, self._dump(Rule.GET, Rule.ALL)) if one is not None}

    def _put(self, fact: Fact, exclusive: bool) -> None:
        """Raises OSError."""
        self._kernel.change(fact.NEW, *fact.packed(), CREATE | (EXCLUSIVE if exclusive else REPLACE))

    def _delete(self, kind: int, head: bytes, attributes: Attributes, what: str) -> None:
        try:
            self._kernel.change(kind, head, attributes, unless=_GONE_ALREADY)
        except OSError as error:
            raise KernelRefused(what, _reason(error)) from error

    def _link(self, interface: str) -> Found:
        try:
            return self._kernel.get(GET_LINK, _ANY_LINK, {_IFLA_IFNAME: name(interface)})
        except OSError as error:
            raise KernelRefused(f"interface {interface}", _reason(error)) from error

    def _dump(self, kind: int, head: bytes, attributes: Attributes | None = None) -> list[Found]:
        try:
            return self._kernel.dump(kind, head, attributes)
        except OSError as error:
            if error.errno == errno.ENOENT:  # a table that never had a route
                return []
            raise KernelRefused("read the routing tables", _reason(error)) from error


def _reason(error: OSError) -> str:
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"
