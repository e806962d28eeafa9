"""Classic BPF programs on sockets: what the kernel is to throw away before we are woken for it (socket(7))."""

from __future__ import annotations

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant (linux/filter.h)

LOAD_OCTET, LOAD_HALF, LOAD_WORD = 0x30, 0x28, 0x20  # what stands at the constant, in network order
LOAD_HEADER = 0xB1  # the length of the IPv4 header there, behind which the next three look
LOAD_OCTET_BEHIND, LOAD_HALF_BEHIND, LOAD_WORD_BEHIND = 0x50, 0x48, 0x40
AND = 0x54
IF_EQUAL, IF_GREATER, IF_ANY_BIT = 0x15, 0x25, 0x45
ACCEPT: Instruction = (0x06, 0, 0, 0xFFFF)  # of what is longer, the first so many octets
REJECT: Instruction = (0x06, 0, 0, 0)

DROP_ALL = (REJECT,)


def attach(sock: socket.socket, program: tuple[Instruction, ...]) -> None:
    """Let `sock` receive only what `program` accepts. Raises OSError."""
    octets = b"".join(struct.pack("=HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(octets, len(octets))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
