"""What passed an interface of the lab, and when: the messages of a handoff, and packets for home addresses."""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from concurrent.futures import Future
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

SOLICITATION, ADVERTISEMENT, REQUEST, REPLY, PACKET = "solicitation", "advertisement", "request", "reply", "packet"

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
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


def socket_in(pid: int, *what: int) -> socket.socket:
    """socket.socket(*what), of the network namespace of process `pid`. Raises OSError.

    A thread opens it, which goes there and never comes back: without root nobody may leave the lab's user namespace.
    """
    made: Future[socket.socket] = Future()

    def go() -> None:
        try:
            with open(f"/proc/{pid}/ns/net") as there:
                if _libc.setns(there.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.set_result(socket.socket(*what))
        except OSError as error:
            made.set_exception(error)

    thread = threading.Thread(target=go, name="socket_in")
    thread.start()
    thread.join()
    return made.result()


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
