"""Addresses, routes, neighbours and rules of the node, all marked as ours, so that a restart can sweep them."""

import struct

from mip4.address import show, show_link
from mip4.const import PORT, PROTO_UDP
from port_unix.netlink import CREATE, EXCLUSIVE, REPLACE, Netlink, attribute, attributes

PROTOCOL = 144  # of our routes, rules, neighbours and addresses; 143 is the agents', iproute2 knows neither
RULE_PRIORITY = 100  # after the local table, before the main one
_BLIND_PRIORITY = 101  # one of its own: a rule is deleted by what is said of it, and the other says more

_GET_LINK = 18
_NEW_ADDRESS, _DELETE_ADDRESS, _GET_ADDRESS = 20, 21, 22
_NEW_ROUTE, _DELETE_ROUTE, _GET_ROUTE = 24, 25, 26
_NEW_NEIGHBOUR, _DELETE_NEIGHBOUR, _GET_NEIGHBOUR = 28, 29, 30
_NEW_RULE, _DELETE_RULE, _GET_RULE = 32, 33, 34

_AF_INET = 2
_TABLE_MAIN = 254
_UNICAST = 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_ONLINK = 4  # the gateway is on the link, whatever our addresses suggest
_NO_PREFIX_ROUTE = 0x200
_PERMANENT = 0x80
_BLACKHOLE = 6

_IFLA_IFNAME = 3
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_PROTO = 1, 2, 8, 11
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_NDA_DST, _NDA_LLADDR, _NDA_PROTOCOL = 1, 2, 12
_FRA_IIFNAME, _FRA_PRIORITY, _FRA_PROTOCOL, _FRA_IP_PROTO, _FRA_SPORT, _FRA_DPORT = 3, 6, 21, 22, 23, 24

_GONE = (2, 3, 19, 99)  # ENOENT, ESRCH, ENODEV, EADDRNOTAVAIL: what we delete is not there
_THERE = (17,)  # EEXIST


def _address(value: int) -> bytes:
    return struct.pack("!I", value)


def _index(value: int) -> bytes:
    return struct.pack("I", value)


class Routes:
    """What the node has the kernel do for it. interface: int, its index. Every method raises KernelRefused."""

    def __init__(self, netlink: Netlink):
        self._netlink = netlink

    def put_address(self, interface: int, address: int, length: int) -> None:
        """Without the route to its prefix: on a visited link everything goes by the agent (RFC 5944 §3.6.1.1)."""
        flags = attribute(_IFA_FLAGS, struct.pack("I", _NO_PREFIX_ROUTE)) + attribute(_IFA_PROTO, bytes([PROTOCOL]))
        self._ask_address(_NEW_ADDRESS, CREATE | REPLACE, interface, address, length, flags)

    def remove_address(self, interface: int, address: int, length: int) -> None:
        self._ask_address(_DELETE_ADDRESS, 0, interface, address, length, b"")

    def _ask_address(self, kind: int, flags: int, interface: int, address: int, length: int, more: bytes) -> None:
        body = struct.pack("BBBBI", _AF_INET, length, 0, _SCOPE_UNIVERSE, interface)
        body += attribute(_IFA_LOCAL, _address(address)) + attribute(_IFA_ADDRESS, _address(address)) + more
        what = "address %s/%d" % (show(address), length)
        self._netlink.ask(kind, flags, body, what, _GONE if kind == _DELETE_ADDRESS else ())

    def put_default(self, interface: int, gateway: int, source: int) -> None:
        """Replace the default route in one step. source: preferred for the node's own packets, 0: none."""
        more = attribute(_RTA_GATEWAY, _address(gateway))
        if source:
            more += attribute(_RTA_PREFSRC, _address(source))
        what = "default route via %s" % show(gateway)
        self._ask_route(_NEW_ROUTE, CREATE | REPLACE, 0, _SCOPE_UNIVERSE, _ONLINK, interface, more, what)

    def remove_default(self, interface: int, gateway: int) -> None:
        more = attribute(_RTA_GATEWAY, _address(gateway))
        what = "default route via %s" % show(gateway)
        self._ask_route(_DELETE_ROUTE, 0, 0, _SCOPE_UNIVERSE, 0, interface, more, what, _GONE)

    def put_way(self, interface: int, destination: int, gateway: int, source: int) -> None:
        """A route to one host by a gateway on the link."""
        more = attribute(_RTA_DST, _address(destination)) + attribute(_RTA_GATEWAY, _address(gateway))
        more += attribute(_RTA_PREFSRC, _address(source))
        what = "route to %s via %s" % (show(destination), show(gateway))
        self._ask_route(_NEW_ROUTE, CREATE | REPLACE, 32, _SCOPE_UNIVERSE, _ONLINK, interface, more, what)

    def remove_way(self, interface: int, destination: int) -> None:
        more = attribute(_RTA_DST, _address(destination))
        self._ask_route(
            _DELETE_ROUTE, 0, 32, _SCOPE_UNIVERSE, 0, interface, more, "route to %s" % show(destination), _GONE
        )

    def put_host(self, interface: int, home_address: int) -> None:
        more = attribute(_RTA_DST, _address(home_address))
        what = "route to %s" % show(home_address)
        self._ask_route(_NEW_ROUTE, CREATE | REPLACE, 32, _SCOPE_LINK, 0, interface, more, what)

    def remove_host(self, interface: int, home_address: int) -> None:
        more = attribute(_RTA_DST, _address(home_address))
        what = "route to %s" % show(home_address)
        self._ask_route(_DELETE_ROUTE, 0, 32, _SCOPE_LINK, 0, interface, more, what, _GONE)

    def _ask_route(self, kind, flags, length, scope, route_flags, interface, more, what, unless=()) -> None:
        body = struct.pack("BBBBBBBBI", _AF_INET, length, 0, 0, _TABLE_MAIN, PROTOCOL, scope, _UNICAST, route_flags)
        self._netlink.ask(kind, flags, body + attribute(_RTA_OIF, _index(interface)) + more, what, unless)

    def put_neighbour(self, interface: int, address: int, link_address: bytes) -> None:
        """Permanent: nothing is ever asked by ARP there."""
        more = attribute(_NDA_LLADDR, link_address) + attribute(_NDA_PROTOCOL, bytes([PROTOCOL]))
        what = "neighbour %s at %s" % (show(address), show_link(link_address))
        self._ask_neighbour(_NEW_NEIGHBOUR, CREATE | REPLACE, interface, address, more, what)

    def remove_neighbour(self, interface: int, address: int) -> None:
        self._ask_neighbour(_DELETE_NEIGHBOUR, 0, interface, address, b"", "neighbour %s" % show(address), _GONE)

    def _ask_neighbour(self, kind, flags, interface, address, more, what, unless=()) -> None:
        body = struct.pack("BBHiHBB", _AF_INET, 0, 0, interface, _PERMANENT, 0, _UNICAST)
        self._netlink.ask(kind, flags, body + attribute(_NDA_DST, _address(address)) + more, what, unless)

    def put_blind_rule(self, name: str) -> None:
        """What arrives on interface `name` for others goes no further: the forwarder takes it from the frames."""
        self._ask_blind_rule(_NEW_RULE, CREATE | EXCLUSIVE, name, _THERE)

    def remove_blind_rule(self, name: str) -> None:
        self._ask_blind_rule(_DELETE_RULE, 0, name, _GONE)

    def _ask_blind_rule(self, kind: int, flags: int, name: str, unless: tuple) -> None:
        body = struct.pack("BBBBBBBBI", _AF_INET, 0, 0, 0, 0, 0, 0, _BLACKHOLE, 0)
        body += attribute(_FRA_PRIORITY, struct.pack("I", _BLIND_PRIORITY))
        body += attribute(_FRA_PROTOCOL, bytes([PROTOCOL])) + attribute(_FRA_IIFNAME, name.encode() + b"\0")
        self._netlink.ask(kind, flags, body, "rule for packets on %s" % name, unless)

    def put_deaf_rule(self, name: str) -> None:
        """Registration traffic that arrives on interface `name` goes no further: the node reads it from the frames.

        An agent answers to a home address that the node would forward, and a stranger could reach a device that way.
        """
        ports = struct.pack("HH", PORT, PORT)
        body = struct.pack("BBBBBBBBI", _AF_INET, 0, 0, 0, 0, 0, 0, _BLACKHOLE, 0)
        body += attribute(_FRA_PRIORITY, struct.pack("I", RULE_PRIORITY)) + attribute(_FRA_PROTOCOL, bytes([PROTOCOL]))
        body += attribute(_FRA_IIFNAME, name.encode() + b"\0") + attribute(_FRA_IP_PROTO, bytes([PROTO_UDP]))
        body += attribute(_FRA_SPORT, ports) + attribute(_FRA_DPORT, ports)
        self._netlink.ask(_NEW_RULE, CREATE | EXCLUSIVE, body, "rule for port 434 on %s" % name, _THERE)

    def index_of(self, name: str) -> int:
        """The index of interface `name`, 0 while it is not there."""
        body = struct.pack("BBHiII", 0, 0, 0, 0, 0, 0)
        for octets in self._netlink.dump(_GET_LINK, body, "interfaces"):
            if attributes(octets, 16).get(_IFLA_IFNAME) == name.encode() + b"\0":
                return struct.unpack_from("i", octets, 4)[0]
        return 0

    def sweep(self, interfaces: list, names: list) -> int:
        """Remove what a former run of the node left on `interfaces` (indices), and rules about `names`; how many.

        Each goes by the very octets that the kernel listed it with.
        """
        swept = 0
        for octets in self._netlink.dump(_GET_ROUTE, _dump("BBBBBBBBI", 9), "routes"):
            route = attributes(octets, 12)
            if octets[5] == PROTOCOL and _one_of(route.get(_RTA_OIF), interfaces):
                swept += self._take_back(_DELETE_ROUTE, octets)
        for octets in self._netlink.dump(_GET_NEIGHBOUR, _dump("BBHiHBB", 7), "neighbours"):
            index = struct.unpack_from("i", octets, 4)[0]
            if attributes(octets, 12).get(_NDA_PROTOCOL) == bytes([PROTOCOL]) and index in interfaces:
                swept += self._take_back(_DELETE_NEIGHBOUR, octets)
        for octets in self._netlink.dump(_GET_ADDRESS, _dump("BBBBI", 5), "addresses"):
            index = struct.unpack_from("I", octets, 4)[0]
            if attributes(octets, 8).get(_IFA_PROTO) == bytes([PROTOCOL]) and index in interfaces:
                swept += self._take_back(_DELETE_ADDRESS, octets)
        for octets in self._netlink.dump(_GET_RULE, _dump("BBBBBBBBI", 9), "rules"):
            rule = attributes(octets, 12)
            name = rule.get(_FRA_IIFNAME, b"").rstrip(b"\0").decode()
            if rule.get(_FRA_PROTOCOL) == bytes([PROTOCOL]) and name in names:
                swept += self._take_back(_DELETE_RULE, octets)
        return swept

    def _take_back(self, kind: int, octets: bytes) -> int:
        self._netlink.ask(kind, 0, bytes(octets), "sweep", _GONE)
        return 1


def _dump(layout: str, fields: int) -> bytes:
    return struct.pack(layout, _AF_INET, *([0] * (fields - 1)))


def _one_of(index: bytes | None, interfaces: list) -> bool:
    return index is not None and struct.unpack("I", index)[0] in interfaces
