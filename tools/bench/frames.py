"""What passed an interface of the lab, and when: the messages of a handoff, and packets for home addresses."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    ICMP_ADVERTISEMENT,
    ICMP_SOLICITATION,
    PORT,
    PROTO_ICMP,
    PROTO_UDP,
    REGISTRATION_REPLY,
    REGISTRATION_REQUEST,
)
from mip4.errors import MipError
from mip4.messages import RegistrationReply
from tools.lab.namespace import socket_in

SOLICITATION, ADVERTISEMENT, REQUEST, REPLY, PACKET = "solicitation", "advertisement", "request", "reply", "packet"

_ETH_P_ALL, _ETH_P_IP = 3, 0x0800
_SO_TIMESTAMPNS = 35
_QUEUE = 16 << 20  # octets of frames that may wait for us
_KINDS = {ICMP_SOLICITATION: SOLICITATION, ICMP_ADVERTISEMENT: ADVERTISEMENT}


@dataclass(slots=True, frozen=True)
class Seen:
    """at: wall clock, seconds, by the kernel. home_address: of an accepted reply or a packet, else 0."""

    at: float
    what: str
    outgoing: bool
    home_address: int


class Tap:
    """Everything that comes and goes on one interface."""

    def __init__(self, pid: int, interface: str) -> None:
        self._socket = socket_in(pid, socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((interface, _ETH_P_ALL))

    def close(self) -> None:
        self._socket.close()

    def seen(self, since: float) -> list[Seen]:
        """What has passed since it was asked last, in order, as far as it is of a handoff and not before `since`."""
        found: list[Seen] = []
        while True:
            try:
                packet, ancillary, _, (_, kind, direction, *_) = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return found
            except OSError:  # the link went down, which is told once
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            at = seconds + nanoseconds / 1e9
            what, home_address = _what(packet) if kind == _ETH_P_IP else ("", 0)
            if what and at >= since:
                found.append(Seen(at, what, direction == socket.PACKET_OUTGOING, home_address))


def _what(packet: bytes) -> tuple[str, int]:
    payload = packet[(packet[0] & 15) * 4 :]
    if len(payload) < 8:
        return "", 0
    if packet[9] == PROTO_ICMP:
        return _KINDS.get(payload[0], ""), 0
    if packet[9] != PROTO_UDP or len(payload) < 9:
        return "", 0
    if PORT not in struct.unpack_from("!HH", payload):
        return PACKET, int.from_bytes(packet[16:20], "big")
    if payload[8] == REGISTRATION_REQUEST:
        return REQUEST, 0
    if payload[8] != REGISTRATION_REPLY:
        return "", 0
    try:
        reply = RegistrationReply.decode(payload[8:])
    except MipError:
        return "", 0
    return (REPLY, reply.home_address) if reply.code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS) else ("", 0)
