"""A link that an agent serves, as frames: requests and solicitations with the link address that they came from.

A UDP socket would not do: it never sees a request from 0.0.0.0, nor whose frame brought it (RFC 5944 §3.7.2).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from host_agents.effects import SendFrame
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.socket_filter import (
    ACCEPT,
    DROP_ALL,
    IF_ANY_BIT,
    IF_EQUAL,
    IF_GREATER,
    LOAD_HALF,
    LOAD_HALF_BEHIND,
    LOAD_HEADER,
    LOAD_OCTET,
    LOAD_OCTET_BEHIND,
    REJECT,
    attach,
)
from host_agents.runtime.watching import watch_again, watch_no_more
from mip4.address import show
from mip4.const import ICMP_SOLICITATION, PORT, PROTO_ICMP, PROTO_UDP

_BATCH = 64  # frames per wake-up
_AGAIN = 0.2  # seconds between looks at a link that is down

_ETH_P_IP = 0x0800
_SOL_PACKET = 263
_ADD_MEMBERSHIP, _AUXDATA, _IGNORE_OUTGOING = 1, 8, 23
_MR_MULTICAST = 0
_CHECKSUM_NOT_READY = 1 << 3  # TP_STATUS_CSUMNOTREADY: left to hardware that a veth does not have
_SIOCGIFINDEX, _SIOCGIFFLAGS = 0x8933, 0x8913
_IFF_UP = 1
_GROUPS = (bytes.fromhex("01005e000002"), bytes.fromhex("01005e00000b"))  # 224.0.0.2, 224.0.0.11 (RFC 1112 §6.4)

# Offset 0 is the IPv4 header. Frames for another station (seen when somebody listens promiscuously) are type 3, our own
# are 4. Fragments are refused: an agent's message fits one frame.
_FRAME_TYPE = -0x1000 + 4 & 0xFFFFFFFF
_FILTER = (
    (LOAD_OCTET, 0, 0, _FRAME_TYPE),
    (IF_GREATER, 10, 0, 2),
    (LOAD_HALF, 0, 0, 6),
    (IF_ANY_BIT, 8, 0, 0x3FFF),
    (LOAD_HEADER, 0, 0, 0),
    (LOAD_OCTET, 0, 0, 9),
    (IF_EQUAL, 0, 2, PROTO_UDP),
    (LOAD_HALF_BEHIND, 0, 0, 2),
    (IF_EQUAL, 4, 3, PORT),
    (IF_EQUAL, 0, 2, PROTO_ICMP),
    (LOAD_OCTET_BEHIND, 0, 0, 0),
    (IF_EQUAL, 1, 0, ICMP_SOLICITATION),
    REJECT,
    ACCEPT,
)


@dataclass(slots=True, frozen=True)
class Arrived:
    """An IPv4 packet that a frame brought. link_address: the frame's source.

    checksum_ready: False where the sender is on this machine and its UDP checksum was never filled in.
    """

    interface: str
    link_address: bytes
    packet: bytes
    checksum_ready: bool


class AgentLink:
    """Receives on `interface` and sends frames there, for as long as it exists and whenever it comes back.

    addresses: int, the agent's on this link. arrived: called on the event loop. came_up: called when the link is back
    after it was down or away; the kernel has forgotten its routes. dropped: reason -> frames not sent.
    """

    def __init__(
        self,
        interface: str,
        addresses: list[int],
        arrived: Callable[[Arrived], None],
        came_up: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._interface = interface
        self._addresses = addresses
        self._arrived = arrived
        self._came_up = came_up
        self._loop = loop
        self._index = 0
        self._frames: socket.socket | None = None
        self._deaf: list[socket.socket] = []
        self._look: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Raises KernelRefused: no such interface, no privilege."""
        try:
            for address in self._addresses:
                self._keep_quiet(address)
            self._listen()
        except OSError as error:
            self.close()
            raise KernelRefused(f"listen on link {self._interface}", error) from error

    def read_no_more(self) -> None:
        """What comes from now on is left where it is; what is sent still leaves."""
        if self._look is not None:
            self._look.cancel()
        if self._frames is not None:
            watch_no_more(self._loop, self._frames)

    def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
        self._forget()
        while self._deaf:
            self._deaf.pop().close()

    def send(self, effect: SendFrame) -> None:
        """A frame that cannot be sent is dropped and counted, as a radio would."""
        try:
            if self._frames is None:
                raise OSError(errno.ENETDOWN, "down")
            self._frames.sendto(effect.packet, (self._interface, _ETH_P_IP, 0, 0, effect.link_address))
        except OSError as error:
            self.dropped[f"send: {errno.errorcode.get(error.errno or 0, error.errno)}"] += 1

    def _keep_quiet(self, address: int) -> None:
        """With a socket on the port, though deaf, the kernel does not answer requests with ICMP port unreachable."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._deaf.append(sock)
        attach(sock, DROP_ALL)
        try:
            sock.bind((show(address), PORT))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:  # then the daemon itself listens there
                raise

    def _listen(self) -> None:
        # Protocol 0 until bound: nothing comes in before the filter is there, or from another interface.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._frames = sock
        sock.setblocking(False)
        attach(sock, _FILTER)
        sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        self._index = self._query(_SIOCGIFINDEX, "i")
        for group in _GROUPS:
            membership = struct.pack("=iHH8s", self._index, _MR_MULTICAST, len(group), group)
            sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
        sock.bind((self._interface, _ETH_P_IP))
        self._loop.add_reader(sock, self._drain)

    def _forget(self) -> None:
        if self._frames is not None:
            self._loop.remove_reader(self._frames)
            self._frames.close()
            self._frames = None

    def _drain(self) -> None:
        for _ in range(_BATCH):
            if self._frames is None:  # closed by what a frame led to
                return
            try:
                packet, ancillary, _, source = self._frames.recvmsg(65535, 64)
            except BlockingIOError:
                return
            except OSError:  # ENETDOWN: the link went down, or away
                watch_again(self._loop, self._frames, self._drain)
                if self._look is None:
                    self._look = self._loop.call_later(_AGAIN, self._look_again)
                return
            self._arrived(Arrived(self._interface, source[4], packet, _is_checksum_ready(ancillary)))

    def _look_again(self) -> None:
        """The socket outlives its link going down but not its removal: a new one has a new index."""
        self._look = None
        try:
            index, flags = self._query(_SIOCGIFINDEX, "i"), self._query(_SIOCGIFFLAGS, "H")
            if flags & _IFF_UP and index != self._index:
                self._forget()
                self._listen()
        except OSError:
            flags = 0
        if flags & _IFF_UP and self._frames is not None:
            self._came_up()
        else:
            self._look = self._loop.call_later(_AGAIN, self._look_again)

    def _query(self, request: int, shape: str) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            answer = fcntl.ioctl(control, request, struct.pack("40s", self._interface.encode()))
        return int(struct.unpack_from(shape, answer, 16)[0])


def _is_checksum_ready(ancillary: list[tuple[int, int, bytes]]) -> bool:
    for level, kind, octets in ancillary:
        if level == _SOL_PACKET and kind == _AUXDATA:
            return not int.from_bytes(octets[:4], sys.byteorder) & _CHECKSUM_NOT_READY
    return True
