"""Follows network interfaces by name: whether they are there, and whether a carrier is (rtnetlink link messages)."""

import asyncio
import errno
import socket
import struct

from port_unix.netlink import AF_NETLINK, DUMP, REQUEST, attribute, attributes, error_name, messages
from runtime.errors import KernelRefused
from runtime.sockets import readable, would_block

_SOCK_RAW = 3
_GROUP_LINK = 1
_NEW_LINK, _DELETE_LINK, _GET_LINK = 16, 17, 18
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_CARRIER_DOWN_COUNT = 1, 3, 48
_UP, _RUNNING, _LOWER_UP = 0x1, 0x40, 0x10000
_IFLA_EXT_MASK, _SKIP_STATISTICS = 29, 8
_RECEIVE = 8192
_HURRY_MS = 25
_LOOK_AROUND = 80  # times that, between looks for a link that is not there


class Link:
    """One interface. index: int, 0 while it is not there. link_address: octets. up: bool, it has a carrier."""

    def __init__(self, name: str):
        self.name = name
        self.index = 0
        self.link_address = b""
        self.up = False
        self.downs = 0  # how often the carrier went, as the kernel counts it


class Links:
    """Link events of the interfaces `names`. Their state is in `links`: name -> Link."""

    def __init__(self, names: list):
        """Raises KernelRefused."""
        self.links = {name: Link(name) for name in names}
        try:
            self._socket = socket.socket(AF_NETLINK, _SOCK_RAW, 0)
            self._socket.bind(struct.pack("HHII", AF_NETLINK, 0, 0, _GROUP_LINK))
        except OSError as error:
            raise KernelRefused("netlink events: %s" % error_name(error.errno))
        self._socket.setblocking(False)

    async def follow(self, changed) -> None:
        """Call changed(link, event) for ever. event: "appeared" (also under a new index or link address), "up", "down".

        The state at the beginning comes as events too. changed may set link.index to 0 to be told of it again later.
        """
        self._ask_for_all()
        while True:
            await readable(self._socket)
            try:
                octets = self._socket.recv(_RECEIVE)
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # events were lost: compare with the present
                    self._ask_for_all()
                elif not would_block(error):
                    raise
                continue
            for kind, _, message in messages(octets):
                if kind == _NEW_LINK or kind == _DELETE_LINK:
                    self._take(kind, message, changed)

    async def hurry(self, name: str) -> None:
        """For ever, keep `follow` well informed of one link: the kernel may hold news of a carrier back for a second.

        It does so for everything but a carrier that comes to a link it has announced as down (net/core/link_watch.c),
        so a short flap as a whole would come late, and a handoff with it. Also looks for links that are not there.
        """
        rounds = 0
        while True:
            await asyncio.sleep_ms(_HURRY_MS)
            rounds += 1
            index = self.links[name].index
            if index:
                self._ask(0, index)
            if rounds % _LOOK_AROUND == 0 and not all([link.index for link in self.links.values()]):
                self._ask_for_all()

    def _ask_for_all(self) -> None:
        self._ask(DUMP, 0)

    def _ask(self, flags: int, index: int) -> None:
        body = struct.pack("BBHiII", 0, 0, 0, index, 0, 0)
        body += attribute(_IFLA_EXT_MASK, struct.pack("I", _SKIP_STATISTICS))
        self._socket.send(struct.pack("IHHII", 16 + len(body), _GET_LINK, REQUEST | flags, 1, 0) + body)

    def _take(self, kind: int, message: bytes, changed) -> None:
        family, _, _, index, flags, _ = struct.unpack_from("BBHiII", message, 0)
        if family != 0:  # a bridge speaks of its port, in the same words
            return
        found = attributes(message, 16)
        link = self.links.get(found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode())
        if link is None or (kind == _DELETE_LINK and link.index != index):
            return
        # A Wi-Fi link has its carrier before the access point lets us in; RUNNING says that frames pass (RFC 2863)
        wanted = _UP | _RUNNING | _LOWER_UP
        up = kind == _NEW_LINK and flags & wanted == wanted
        downs = struct.unpack("I", found.get(_IFLA_CARRIER_DOWN_COUNT, b"\0\0\0\0"))[0]
        link_address = found.get(_IFLA_ADDRESS, b"")
        # A flap can be over before its first message is made; the count remembers it
        if link.up and (not up or downs != link.downs or index != link.index):
            link.up = False
            changed(link, "down")
        link.downs = downs
        if kind == _DELETE_LINK:
            link.index = 0
            return
        if (index, link_address) != (link.index, link.link_address):
            link.index = index
            link.link_address = link_address
            changed(link, "appeared")
        if up and link.index and not link.up:
            link.up = True
            changed(link, "up")
