"""Many UDP datagrams with one call: recvmmsg(2) and sendmmsg(2), which Python's socket module lacks.

The calls never block, and they keep the interpreter: given back for each datagram, as socket's methods do, it would
change hands with the thread that writes the store again and again.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator

BATCH = 64  # datagrams at most
LONGEST = 2048  # octets of one that is sent; one that arrives may be as long as IPv4 allows
_ANY = 65536
_CONTROL = 24  # octets of ancillary data: struct cmsghdr and an octet, aligned (cmsg(3))

_VECTOR = struct.Struct("@PN")  # struct iovec
_HEADER = struct.Struct("@PI4xPNPNi4xI4x")  # struct mmsghdr: name, vectors, control, flags, length
_LENGTHS = struct.Struct("@40xN8xI4x")  # of the same: that of the ancillary data and of the datagram
_NAME = struct.Struct("!HHI8x")  # struct sockaddr_in
_FAMILY = int.from_bytes(struct.pack("@H", socket.AF_INET), "big")
_OPTION = struct.Struct("@NiiB7x")  # struct cmsghdr and its first octet: length, level, kind, value
_TOS = (socket.IPPROTO_IP, socket.IP_TOS)
OF_THIS_ONE = (errno.EAGAIN, errno.ENOBUFS, errno.ENETUNREACH, errno.EPERM, errno.EMSGSIZE)  # and of no earlier one

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class _Batch:
    """BATCH slots for datagrams, and the headers that point at them. Of a slot that stays empty no page is touched."""

    def __init__(self, size: int, control: int) -> None:
        """Octets of each slot, and of its ancillary data."""
        self._size = size
        self._slots = bytearray(BATCH * size)
        self._names = bytearray(BATCH * _NAME.size)
        self._controls = bytearray(BATCH * _CONTROL)
        self._vectors = bytearray(BATCH * _VECTOR.size)
        self._headers = bytearray(BATCH * _HEADER.size)
        slots, names, controls, vectors, self._address = map(
            _address_of, (self._slots, self._names, self._controls, self._vectors, self._headers)
        )
        for at in range(BATCH):
            _VECTOR.pack_into(self._vectors, at * _VECTOR.size, slots + at * size, size)
            _HEADER.pack_into(
                self._headers,
                at * _HEADER.size,
                names + at * _NAME.size,
                _NAME.size,
                vectors + at * _VECTOR.size,
                1,
                controls + at * _CONTROL if control else 0,
                control,
                0,
                0,
            )
        self._view = memoryview(self._slots)
        self._count = 0


class Inbox(_Batch):
    """Iterating gives what the last receive() has brought: payload, source, port, TOS.

    The payload is there until the next one. TOS: 0 unless the socket asks for it (IP_RECVTOS), and for no other
    ancillary data.
    """

    def __init__(self) -> None:
        super().__init__(_ANY, _CONTROL)
        self._fresh = bytes(self._headers)
        self._lengths = memoryview(self._headers)
        self._sources = memoryview(self._names)
        self._options = memoryview(self._controls)

    def receive(self, descriptor: int) -> int:
        """How many have come. Raises OSError: what an earlier datagram of ours met with."""
        self._headers[:] = self._fresh  # the kernel has written its lengths there
        self._count = 0
        count: int = _libc.recvmmsg(descriptor, self._address, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0 and ctypes.get_errno() != errno.EAGAIN:
            raise OSError(ctypes.get_errno(), "recvmmsg")
        self._count = max(count, 0)
        return self._count

    def __iter__(self) -> Iterator[tuple[memoryview, int, int, int]]:
        lengths = _LENGTHS.iter_unpack(self._lengths[: self._count * _HEADER.size])
        names = _NAME.iter_unpack(self._sources[: self._count * _NAME.size])
        options = _OPTION.iter_unpack(self._options[: self._count * _CONTROL])
        start = 0
        for (control, length), (_, port, source), (*_, level, kind, value) in zip(lengths, names, options, strict=True):
            tos = value if control and (level, kind) == _TOS else 0
            yield self._view[start : start + length], source, port, tos
            start += self._size


class Outbox(_Batch):
    """Datagrams that wait to be sent together."""

    def __init__(self) -> None:
        super().__init__(LONGEST, 0)
        self._lengths = memoryview(self._vectors).cast("L")

    def __len__(self) -> int:
        return self._count

    def put(self, datagram: bytes, destination: int, port: int) -> None:
        """To be called only while len() is below BATCH, and with at most LONGEST octets."""
        at, size = self._count, len(datagram)
        start = at * LONGEST
        self._slots[start : start + size] = datagram
        self._lengths[2 * at + 1] = size
        _NAME.pack_into(self._names, at * _NAME.size, _FAMILY, port, destination)
        self._count = at + 1

    def send(self, descriptor: int) -> list[tuple[int, bytes, int, int]]:
        """All of them. Those that cannot leave: errno, payload, destination, port.

        What the socket says of an earlier datagram says nothing of the one that it is told for: that one is tried
        again.
        """
        failed, at, again = [], 0, False
        count, self._count = self._count, 0
        while at < count:
            rest = self._address + at * _HEADER.size
            sent: int = _libc.sendmmsg(descriptor, rest, count - at, socket.MSG_DONTWAIT)
            if sent > 0:
                at, again = at + sent, False
            elif again or ctypes.get_errno() in OF_THIS_ONE:
                failed.append((ctypes.get_errno(), *self._at(at)))
                at, again = at + 1, False
            else:
                again = True
        return failed

    def _at(self, at: int) -> tuple[bytes, int, int]:
        _, port, destination = _NAME.unpack_from(self._names, at * _NAME.size)
        start = at * LONGEST
        return bytes(self._view[start : start + self._lengths[2 * at + 1]]), destination, port


def _address_of(octets: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(octets))
