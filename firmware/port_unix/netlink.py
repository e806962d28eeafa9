"""rtnetlink requests packed by hand (RFC 3549): a fork of `ip` would cost a handoff more than everything else in it."""

import errno
import socket
import struct

from runtime.errors import KernelRefused

AF_NETLINK = 16
_SOCK_RAW = 3
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10  # errors come without a copy of the request ...
_NETLINK_EXT_ACK = 11  # ... and with the kernel's own words
_DUMP_PART = 32768  # octets; the kernel never makes a larger part of a dump
_ANSWER = 1024  # an errno and a sentence; a handoff of many sessions asks so often that more would wear out the heap

ERROR = 2  # message types
DONE = 3

REQUEST = 0x1  # flags
ACK = 0x4
REPLACE = 0x100
EXCLUSIVE = 0x200
CREATE = 0x400
DUMP = 0x300

_HEADER = "IHHII"  # length, type, flags, sequence, port; native byte order, as all of netlink


def attribute(kind: int, value: bytes) -> bytes:
    """One route attribute, padded to four octets."""
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) & 3)


def attributes(octets, at: int) -> dict:
    """The attributes in `octets` from `at` on: type -> octets, nested ones unopened."""
    found = {}
    while at + 4 <= len(octets):
        length, kind = struct.unpack_from("HH", octets, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = bytes(octets[at + 4 : at + length])
        at += length + 3 & ~3
    return found


def messages(octets) -> list:
    """The netlink messages in one datagram: list of (type, sequence, octets after the header)."""
    found = []
    at = 0
    while at + 16 <= len(octets):
        length, kind, _, sequence, _ = struct.unpack_from(_HEADER, octets, at)
        if length < 16:
            break
        found.append((kind, sequence, octets[at + 16 : at + length]))
        at += length + 3 & ~3
    return found


def error_name(number: int | None) -> str:
    return errno.errorcode.get(number, "errno %d" % number)


class Netlink:
    """Requests to the kernel, one at a time. They block, for the microseconds that the kernel takes."""

    def __init__(self):
        """Raises KernelRefused."""
        try:
            self._socket = socket.socket(AF_NETLINK, _SOCK_RAW, 0)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        except OSError as error:
            raise KernelRefused("netlink socket: %s" % error_name(error.errno))
        self._sequence = 0

    def ask(self, kind: int, flags: int, body: bytes, what: str, unless: tuple = ()) -> None:
        """Have the kernel do it. what: for the error line. unless: errnos that mean it is so already.

        Raises KernelRefused, with the kernel's explanation where it gives one.
        """
        self._send(kind, flags | ACK, body)
        for _, octets in self._answers(_ANSWER):
            number = -struct.unpack_from("i", octets, 0)[0]
            if number and number not in unless:
                said = attributes(octets, 20).get(1, b"").rstrip(b"\0").decode()
                raise KernelRefused("%s: %s" % (what, " ".join([said, error_name(number)]).strip()))
            return

    def dump(self, kind: int, body: bytes, what: str) -> list:
        """All that the kernel has of one kind: list of octets after the header. Raises KernelRefused."""
        self._send(kind, DUMP, body)
        found = []
        for answer, octets in self._answers(_DUMP_PART):
            if answer == DONE:
                break
            if answer == ERROR:
                raise KernelRefused("%s: %s" % (what, error_name(-struct.unpack_from("i", octets, 0)[0])))
            found.append(octets)
        return found

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence = self._sequence + 1 & 0xFFFF
        head = struct.pack(_HEADER, 16 + len(body), kind, flags | REQUEST, self._sequence, 0)
        self._socket.send(head + body)

    def _answers(self, longest: int):
        while True:
            for kind, sequence, octets in messages(self._socket.recv(longest)):
                if sequence == self._sequence:  # not what an interrupted request left behind, which may come cut off
                    yield kind, octets
