"""Carries packets between sessions and the home agent where the node's own care-of address is in use (RFC 5944 §4.2).

Packets are worked on where they lie, headers put on in place, and no object is made per packet: a board's heap is small
and its collector stops everything. A packet without room before it is copied first.
"""

from mip4.address import show
from mip4.compat import const
from mip4.const import ICMP_ECHO_REPLY, PROTO_ICMP
from mip4.errors import Malformed
from mip4.tunnel import count_down, leave_tunnel, packet_end
from runtime.icmp import TIME_EXCEEDED, TOO_BIG, UNREACHABLE, error_about, fragments

ROOM = const(64)  # octets before a packet in a buffer, for whatever its link or tunnel puts there
_LONGEST = const(65535)
_OVERHEAD = {"ipip": 20, "gre": 24, "udp": 32, "handed in": 20}
_ETHERNET = const(1500)
_EVERYBODY = b"\xff\xff\xff\xff"  # 255.255.255.255, with two octets more also the link address of all
_KEEPALIVE = b"MI"  # the identifier of our keepalives


class _Session:
    """Where packets of a home address go. local: whether that is this machine itself, so that nobody forwards.

    Addresses in halves: more than 30 bits would be an object each time on a board.
    """

    def __init__(self, home_address: int, link, link_address: bytes, gateway: int, local: bool):
        self.high = home_address >> 16
        self.link = link
        self.link_address = link_address
        self.gateway_high, self.gateway_low = gateway >> 16, gateway & 0xFFFF
        self.local = local
        self.served = False  # since delivered() was asked last

    def has_gateway(self, octets, at: int) -> bool:
        """Whether that is the address there."""
        if self.gateway_low != octets[at + 2] << 8 | octets[at + 3]:
            return False
        return self.gateway_high == octets[at] << 8 | octets[at + 1]


class Forwarder:
    """Off until use() names a tunnel. dropped: reason -> packets.

    longest: octets of a packet that has to be copied. link_mtu: what is sure to pass the way to the home agent whole.
    A link has deliver(buffer, start, end, link address); a tunnel has carry(buffer, start, end). buffer is a bytearray;
    both may write before `start`, and raise OSError. answered(packet): to be called with answers to keepalives, octets.
    """

    def __init__(self, longest: int = _LONGEST, link_mtu: int = _ETHERNET):
        self._link_mtu = link_mtu
        self.sent = self.received = 0
        self.dropped = {}
        self.answered = lambda packet: None
        self._sessions = {}  # lower half of a home address -> list of _Session
        self._home_agent = b""
        self._tunnel = None
        self.mtu = 0
        self._broadcasts = ()  # destinations, octets
        self._buffer = bytearray(ROOM + longest)

    def attach(self, home_address: int, link, link_address: bytes, gateway: int, local: bool) -> None:
        self.detach(home_address)
        session = _Session(home_address, link, link_address, gateway, local)
        self._sessions.setdefault(home_address & 0xFFFF, []).append(session)

    def detach(self, home_address: int) -> None:
        low, high = home_address & 0xFFFF, home_address >> 16
        left = [one for one in self._sessions.pop(low, []) if one.high != high]
        if left:
            self._sessions[low] = left

    def use(self, tunnel, home_agent: int, kind: str, broadcast: int) -> None:
        """tunnel None: there is none, and everything is dropped. kind, broadcast: as of UseTunnel.

        A kind more is "handed in": packets go to an agent inside packets, and come from it through the kernel.
        """
        self._tunnel = tunnel if kind else None
        self._home_agent = home_agent.to_bytes(4, "big")
        self.mtu = self._link_mtu - _OVERHEAD.get(kind, 0)
        self._broadcasts = (broadcast.to_bytes(4, "big"), _EVERYBODY) if broadcast else ()

    def may_send(self, link, octets, at: int, link_address: bytes) -> _Session | None:
        """The session whose source address is at `at` in the packet, if its place is `link_address` on `link`."""
        session = self._find(octets, at)
        if session is None or session.link is not link or session.link_address != link_address:
            self.drop("source")
            return None
        return session

    def from_device(self, link, octets, start: int, end: int, link_address: bytes) -> None:
        """An IPv4 packet that came on `link`; one that is not a session's, from its very place, goes nowhere."""
        try:
            end = packet_end(octets, start, end)
        except Malformed as error:
            self.drop(str(error))
            return
        session = self.may_send(link, octets, start + 12, link_address)
        if session is None or session.has_gateway(octets, start + 16):  # this machine answers
            return
        if octets[start + 16] >= 224:
            self.drop("multicast")
            return
        if _has_no_room(octets, start):
            octets, start, end = self._take(octets, start, end), ROOM, ROOM + end - start
        if not session.local and not count_down(octets, start):
            self._complain(session, octets, start, end, TIME_EXCEEDED, 0, 0)
            return
        other = self._find(octets, start + 16)
        if other is not None:
            self._deliver(other, octets, start, end)
        elif end - start <= self.mtu:
            self._carry(octets, start, end)
        elif octets[start + 6] & 0x40:
            self._complain(session, octets, start, end, UNREACHABLE, TOO_BIG, self.mtu)
        else:
            for piece in fragments(bytes(memoryview(octets)[start:end]), self.mtu):
                self.send(piece)

    def from_tunnel(self, octets, start: int, end: int, outer_tos: int) -> None:
        """What came from the home agent, itself already made sure of; the inner packet is in octets[start:end]."""
        try:
            end = packet_end(octets, start, end)
        except Malformed as error:
            self.drop(str(error))
            return
        session = self._find(octets, start + 16)
        if session is None:
            if bytes(octets[start + 16 : start + 20]) in self._broadcasts:
                self._tell_all(octets, start, end, outer_tos)
            else:
                self.drop("destination")
            return
        if octets[start + 9] == PROTO_ICMP and self._answers_us(octets, start, end):
            self.answered(bytes(octets[start:end]))
            return
        if _has_no_room(octets, start):
            octets, start, end = self._take(octets, start, end), ROOM, ROOM + end - start
        if not leave_tunnel(octets, start, outer_tos):
            self.drop("congestion")
        elif not session.local and not count_down(octets, start):
            self.drop("TTL")
        else:
            self._deliver(session, octets, start, end)

    def _tell_all(self, octets, start: int, end: int, outer_tos: int) -> None:
        """A broadcast of the home network: once on every link that a session is on, as if it were a part of it."""
        buffer = self._take(octets, start, end)
        if not leave_tunnel(buffer, ROOM, outer_tos):
            self.drop("congestion")
            return
        links = []
        for sessions in self._sessions.values():
            for session in sessions:
                if session.link not in links:
                    links.append(session.link)
                    everybody = _Session(0, session.link, _EVERYBODY + b"\xff\xff", 0, True)
                    self._deliver(everybody, buffer, ROOM, ROOM + end - start)

    def send(self, packet: bytes) -> None:
        """Into the tunnel with a packet of our own."""
        self._carry(self._take(packet, 0, len(packet)), ROOM, ROOM + len(packet))

    def drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def delivered(self) -> list:
        """Home addresses, octets, for which packets were delivered since it was asked last."""
        found = []
        for low, sessions in self._sessions.items():
            for session in sessions:
                if session.served:
                    session.served = False
                    found.append((session.high << 16 | low).to_bytes(4, "big"))
        return found

    def status(self) -> dict:
        home_agent = int.from_bytes(self._home_agent, "big") if self._tunnel is not None else 0
        return {
            "sent": self.sent,
            "received": self.received,
            "dropped": self.dropped,
            "home_agent": show(home_agent) if home_agent else None,
        }

    def _find(self, octets, at: int) -> _Session | None:
        """The session with the home address at `at`."""
        sessions = self._sessions.get(octets[at + 2] << 8 | octets[at + 3])
        if sessions is not None:
            high = octets[at] << 8 | octets[at + 1]
            for session in sessions:
                if session.high == high:
                    return session
        return None

    def _take(self, octets, start: int, end: int) -> bytearray:
        """A copy of the packet, with room before it."""
        self._buffer[ROOM : ROOM + end - start] = memoryview(octets)[start:end]
        return self._buffer

    def _carry(self, octets, start: int, end: int) -> None:
        if self._tunnel is None:
            self.drop("no tunnel")
            return
        try:
            self._tunnel.carry(octets, start, end)
            self.sent += 1
        except OSError:  # a full queue, a link that has just gone: a packet lost, as on any link
            self.drop("uplink")

    def _deliver(self, session: _Session, octets, start: int, end: int) -> None:
        try:
            session.link.deliver(octets, start, end, session.link_address)
            self.received += 1
            session.served = True
        except OSError:
            self.drop("downlink")

    def _complain(self, session: _Session, octets, start: int, end: int, kind: int, code: int, mtu: int) -> None:
        """ICMP to a device, in the name of its gateway."""
        self.drop("too big" if kind == UNREACHABLE else "TTL")
        gateway = (session.gateway_high << 16 | session.gateway_low).to_bytes(4, "big")
        message = error_about(memoryview(octets)[start:end], gateway, kind, code, mtu)
        if message:
            self._deliver(session, self._take(message, 0, len(message)), ROOM, ROOM + len(message))

    def _answers_us(self, octets, start: int, end: int) -> bool:
        """Whether an ICMP message from the tunnel is the home agent's answer to a keepalive."""
        at = start + (octets[start] & 15) * 4
        if end - at < 8 or octets[at] != ICMP_ECHO_REPLY or octets[at + 4 : at + 6] != _KEEPALIVE:
            return False
        return octets[start + 12 : start + 16] == self._home_agent


def _has_no_room(octets, start: int) -> bool:
    return start < ROOM or type(octets) is not bytearray
