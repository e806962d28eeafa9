"""Classic BPF programs on sockets: what the kernel is to throw away before we are woken for it (socket(7))."""

from __future__ import annotations

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26
_RETURN = 0x06

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant (linux/filter.h)

DROP_ALL: tuple[Instruction, ...] = ((_RETURN, 0, 0, 0),)


def attach(sock: socket.socket, program: tuple[Instruction, ...]) -> None:
    """Let `sock` receive only what `program` accepts. Raises OSError."""
    octets = b"".join(struct.pack("=HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(octets, len(octets))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
