"""Sees the packets of one node's sessions on every interface of this machine: plain, tunnelled, and registrations.

The kernel throws away what is certainly somebody else's (a classic BPF program, made anew when an address changes);
what is left is looked at here, so that an agent's whole traffic costs nothing.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import (
    ACCEPT,
    AND,
    DROP_ALL,
    IF_EQUAL,
    LOAD_HALF,
    LOAD_OCTET,
    LOAD_WORD,
    REJECT,
    Instruction,
    attach,
)
from mip4.const import (
    PORT,
    PROTO_GRE,
    PROTO_IPIP,
    PROTO_MINIMAL,
    PROTO_UDP,
    REGISTRATION_REPLY,
    REGISTRATION_REQUEST,
    TUNNEL_DATA,
)
from mip4.cursor import pack

_ETH_P_ALL, _ETH_P_IP = 3, 0x0800
_SO_TIMESTAMPNS = 35
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_QUEUE = 16 << 20  # octets of packets that may wait for us
_LONGEST = 65535
_MOST = 64  # addresses that the kernel's program compares with
_BATCH = 256  # packets between two looks at the time
_MESSAGES = (REGISTRATION_REQUEST, REGISTRATION_REPLY)
# Where an inner IPv4 header begins, in octets behind that of the outer one without options
_INNER = {PROTO_IPIP: 20, PROTO_GRE: 24, PROTO_UDP: 32}
# Offsets of words that may be a session's address: plain; minimal encapsulation's two (RFC 2004); the inner ones
_PLACES = (12, 16, 24, 28, 32, 36, 40, 44, 48)


@dataclass(slots=True, frozen=True)
class Packet:
    """time: ns since 1970, by the kernel. size: octets it had; octets: at most the first 65535 of them."""

    interface: str
    time: int
    octets: bytes
    size: int


class SessionCapture:
    """taken: packets so far."""

    def __init__(self, nai: str, sub_nai: str | None) -> None:
        """sub_nai: None for all of the node's sessions. Raises KernelRefused."""
        self._names = (nai.encode(), (sub_nai or "").encode())
        self._all = sub_nai is None
        self._addresses: frozenset[bytes] = frozenset()
        self.taken = 0
        self._dropped = 0
        try:
            # Python cannot bind to all interfaces at once: it hears everything until the filter is there
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
            attach(self._socket, DROP_ALL)
            self._socket.setblocking(False)
            self._forget()
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
            attach(self._socket, program([]))
        except OSError as error:
            reason = "CAP_NET_RAW is needed: run as root" if isinstance(error, PermissionError) else error.strerror
            raise KernelRefused("capture", str(reason))

    def close(self) -> None:
        self._socket.close()

    def _forget(self) -> None:
        """What came before the filter."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)

    def follow(self, addresses: set[int]) -> None:
        """The home addresses that the sessions have now. Those they had are still theirs for this capture."""
        more = self._addresses | {pack("I", one) for one in addresses}
        if more != self._addresses:
            self._addresses = frozenset(more)
            attach(self._socket, program(sorted(more)[:_MOST]))

    def packets(self, seconds: float) -> Iterator[Packet]:
        """What comes within that time, a batch at most; none after a quiet time. One that is forwarded comes twice."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return
        for _ in range(_BATCH):
            try:
                octets, ancillary, _, (interface, kind, *_) = self._socket.recvmsg(_LONGEST, 64, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            except OSError:  # an interface went down, which is told once
                continue
            if kind in (_ETH_P_IP, 0) and self.wants(octets):  # 0: of a device that has no link layer
                at = next((struct.unpack("qq", data) for _, _, data in ancillary), None)
                self.taken += 1
                yield Packet(interface, at[0] * 1_000_000_000 + at[1] if at else time.time_ns(), octets, len(octets))

    def dropped(self) -> int:
        """Packets that came faster than they were read."""
        counts = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._dropped += int(struct.unpack("II", counts)[1])
        return self._dropped

    def wants(self, packet: bytes) -> bool:
        """Whether it is one of theirs."""
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return False
        if self._is_end(packet[12:20]):
            return True
        protocol, header = packet[9], (packet[0] & 15) * 4
        if protocol == PROTO_MINIMAL:
            return self._is_end(packet[header + 4 : header + 12])
        if protocol == PROTO_UDP and len(packet) > header + 8:
            ports = struct.unpack_from("!HH", packet, header)
            if PORT not in ports:
                return False
            if packet[header + 8] in _MESSAGES:
                return self._is_message(packet[header + 8 :])
            if packet[header + 8] != TUNNEL_DATA:
                return False
        inner = header - 20 + _INNER.get(protocol, len(packet))
        return self._is_end(packet[inner + 12 : inner + 20])

    def _is_end(self, ends: bytes) -> bool:
        return ends[:4] in self._addresses or ends[4:8] in self._addresses

    def _is_message(self, message: bytes) -> bool:
        """By its home address or its names: it may be a session's first, and nothing of it needs to be true."""
        nai, sub_nai = self._names
        if message[4:8] in self._addresses:
            return True
        return nai in message and (self._all or (bool(sub_nai) and sub_nai in message))


def program(addresses: Sequence[bytes]) -> tuple[Instruction, ...]:
    """Accepts registration messages, and IPv4 packets in which one of `addresses` is where an address may be."""
    found: list[Instruction] = [
        (LOAD_OCTET, 0, 0, 0),
        (AND, 0, 0, 0xF0),
        (IF_EQUAL, 1, 0, 0x40),
        REJECT,
        (LOAD_OCTET, 0, 0, 9),
        (IF_EQUAL, 0, 8, PROTO_UDP),
        (LOAD_HALF, 0, 0, 20),  # an outer header with options does not hide a registration for long: it is rare
        (IF_EQUAL, 2, 0, PORT),
        (LOAD_HALF, 0, 0, 22),
        (IF_EQUAL, 0, 4, PORT),
        (LOAD_OCTET, 0, 0, 28),
        (IF_EQUAL, 1, 0, REGISTRATION_REQUEST),
        (IF_EQUAL, 0, 1, REGISTRATION_REPLY),
        ACCEPT,
    ]
    for place in _PLACES:
        found.append((LOAD_WORD, 0, 0, place))  # behind the end of a short packet this rejects it
        for address in addresses:
            found += [(IF_EQUAL, 0, 1, int.from_bytes(address, "big")), ACCEPT]
    return (*found, REJECT)
