"""Cables, bridges, addresses and routes of the lab, through netlink sockets that live in the namespaces they change."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.interfaces import connected_prefixes
from mip4.address import show
from tools.lab.namespace import in_namespace

_AF_INET = 2
_LINK_MODE_DORMANT = 1  # linux/if.h

T = TypeVar("T")


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    from pyroute2.netlink.exceptions import NetlinkError  # as everywhere in here not before it is needed: 0.3 s

    try:
        yield
    except NetlinkError as error:
        raise KernelRefused(what, os.strerror(error.code)) from error


class Links:
    """Every method takes the name of a place. Raises KernelRefused, naming place and interface."""

    def __init__(self, anchors: Mapping[str, int]) -> None:
        """anchors: place -> pid of the process that holds its namespaces."""
        self._anchors = anchors
        self._sockets: dict[str, Any] = {}

    def close(self) -> None:
        while self._sockets:
            self._sockets.popitem()[1].close()

    def _at(self, place: str) -> Any:
        if place not in self._sockets:
            from pyroute2 import IPRoute

            with _refusals(f"netlink in {place}"):
                self._sockets[place] = IPRoute(netns=f"/proc/{self._anchors[place]}/ns/net", flags=0)
        return self._sockets[place]

    @contextmanager
    def _namespace(self, place: str) -> Iterator[int]:
        descriptor = os.open(f"/proc/{self._anchors[place]}/ns/net", os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def index(self, place: str, interface: str) -> int:
        found = self._at(place).link_lookup(ifname=interface)
        if not found:
            raise KernelRefused(f"{interface} in {place}", "no such interface")
        return int(found[0])

    def cable(self, here: str, interface: str, there: str, peer: str, link_address: str | None = None) -> None:
        """A veth pair, both ends up. link_address: of `interface`; the kernel chooses the other."""
        settings = {"address": link_address} if link_address else {}
        with self._namespace(there) as descriptor, _refusals(f"veth {interface} in {here} to {peer} in {there}"):
            far = {"ifname": peer, "net_ns_fd": descriptor}
            self._at(here).link("add", kind="veth", ifname=interface, peer=far, **settings)
        self.set(here, interface, state="up")
        self.set(there, peer, state="up")

    def bridge(self, place: str, interface: str, link_address: str) -> None:
        """A bridge without spanning tree, that forwards from the first frame and floods multicast. Up."""
        with _refusals(f"bridge {interface} in {place}"):
            self._at(place).link(
                "add",
                kind="bridge",
                ifname=interface,
                address=link_address,
                br_stp_state=0,
                br_forward_delay=0,
                br_mcast_snooping=0,
            )
        self.set(place, interface, state="up")

    def keep_carrier(self, place: str, bridge: str) -> None:
        """A bridge without ports has no carrier, an access point without stations has: a port to nowhere mends that."""
        port = f"{bridge}-up"
        self.cable(place, port, place, f"{bridge}-end")
        with _refusals(f"{port} in {place}"):
            at = self._at(place)
            at.link("set", index=self.index(place, port), master=self.index(place, bridge))
            # else the other end would answer ARP for the bridge's address with its own
            at.brport("set", index=self.index(place, port), unicast_flood=0, mcast_flood=0, bcast_flood=0, learning=0)

    def set(self, place: str, interface: str, **settings: object) -> None:
        with _refusals(f"{interface} in {place}"):
            self._at(place).link("set", index=self.index(place, interface), **settings)

    def enslave(self, place: str, port: str, bridge: str) -> None:
        self.set(place, port, master=self.index(place, bridge), state="up")

    def address(self, place: str, interface: str, address: str) -> None:
        """address: "A.B.C.D/N"."""
        host, length = address.split("/")
        with _refusals(f"{address} on {interface} in {place}"):
            self._at(place).addr("add", index=self.index(place, interface), address=host, prefixlen=int(length))

    def route(self, place: str, prefix: str, gateway: str) -> None:
        with _refusals(f"route {prefix} via {gateway} in {place}"):
            self._at(place).route("add", dst=prefix, gateway=gateway)

    def move(self, interface: str, here: str, there: str) -> None:
        """To another namespace. The kernel takes it down on the way, so its peer loses carrier."""
        with self._namespace(there) as descriptor:
            self.set(here, interface, net_ns_fd=descriptor)

    def carrier(self, place: str, interface: str) -> bool:
        with _refusals(f"{interface} in {place}"):
            link = self._at(place).link("get", index=self.index(place, interface))[0]
            return bool(link.get_attr("IFLA_CARRIER"))

    def operational(self, place: str, interface: str) -> str:
        """The kernel's last word to those who listen: RFC 2863's ifOperStatus, UP, DOWN, DORMANT, ..."""
        with _refusals(f"{interface} in {place}"):
            link = self._at(place).link("get", index=self.index(place, interface))[0]
            return str(link.get_attr("IFLA_OPERSTATE"))

    def ask_to_be_admitted(self, place: str, interface: str) -> None:
        """From now on a carrier makes the link DORMANT, until admit(): as on Wi-Fi, where stations must be let in."""
        self.set(place, interface, linkmode=_LINK_MODE_DORMANT)

    def admit(self, place: str, interface: str) -> None:
        """What is DORMANT is UP."""
        self.set(place, interface, operstate="UP")

    def interfaces(self, place: str) -> list[str]:
        """Names of all of them."""
        return [name for _, name in self._inside(place, socket.if_nameindex)]

    def addresses(self, place: str) -> dict[str, list[str]]:
        """interface -> IPv4 addresses "A.B.C.D/N", without loopback."""
        found: dict[str, list[str]] = {}
        names, addresses = self._inside(place, lambda: (dict(socket.if_nameindex()), connected_prefixes()))
        for one in addresses:
            interface = names.get(one.index, "lo")
            if interface != "lo":
                found.setdefault(interface, []).append(f"{show(one.address)}/{one.length}")
        return found

    def _inside(self, place: str, look: Callable[[], T]) -> T:
        """Far quicker than through a socket of pyroute2's, for which it starts a process in each place."""
        try:
            return in_namespace(self._anchors[place], look)
        except OSError as error:
            raise KernelRefused(f"look into {place}", str(error.strerror)) from error

    def has_default_route(self, place: str) -> bool:
        with _refusals(f"routes in {place}"):
            return bool(self._at(place).get_default_routes(family=_AF_INET))
