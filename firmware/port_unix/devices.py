"""Makes a pair of virtual Ethernet interfaces (rtnetlink link messages)."""

import struct

from port_unix.netlink import CREATE, EXCLUSIVE, Netlink, attribute

_NEW_LINK = 16
_UP = 0x1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINKINFO = 1, 3, 18
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1


def make_veth(netlink: Netlink, near: tuple, far: tuple) -> None:
    """near, far: (name, link address) of its ends. Raises KernelRefused."""
    veth = attribute(_INFO_KIND, b"veth") + attribute(_INFO_DATA, attribute(_VETH_INFO_PEER, _end(far)))
    netlink.ask(_NEW_LINK, CREATE | EXCLUSIVE, _end(near) + attribute(_IFLA_LINKINFO, veth), "veth %s" % near[0])


def set_up(netlink: Netlink, name: str) -> None:
    """Raises KernelRefused."""
    body = struct.pack("BBHiII", 0, 0, 0, 0, _UP, _UP) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
    netlink.ask(_NEW_LINK, 0, body, "interface %s up" % name)


def _end(end: tuple) -> bytes:
    name, link_address = end
    body = struct.pack("BBHiII", 0, 0, 0, 0, 0, 0)
    return body + attribute(_IFLA_IFNAME, name.encode() + b"\0") + attribute(_IFLA_ADDRESS, link_address)
