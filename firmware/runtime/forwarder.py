"""Carries packets between sessions and the home agent where the node's own care-of address is in use (RFC 5944 §4.2).

One buffer, and packets worked on in it: a copy in, headers put on in place, a copy out.
"""

from mip4.address import show
from mip4.compat import const
from mip4.const import ICMP_ECHO_REPLY, PROTO_ICMP
from mip4.errors import Malformed
from mip4.tunnel import count_down, leave_tunnel, packet_end
from runtime.icmp import TIME_EXCEEDED, TOO_BIG, UNREACHABLE, error_about, fragments

ROOM = const(64)  # octets before a packet in the buffer, for whatever its link or tunnel puts there
_SIZE = const(65536)
_OVERHEAD = {"ipip": 20, "gre": 24, "udp": 32, "handed in": 20}
_ETHERNET = const(1500)
_EVERYBODY = b"\xff\xff\xff\xff"  # 255.255.255.255, with two octets more also the link address of all


class _Session:
    """Where packets of a home address go. local: whether that is this machine itself, so that nobody forwards."""

    def __init__(self, link, link_address: bytes, local: bool):
        self.link = link
        self.link_address = link_address
        self.local = local


class Forwarder:
    """Off until use() names a tunnel. dropped: reason -> packets.

    A link has deliver(buffer, start, end, link address); a tunnel has carry(buffer, start, end). Both may write before
    `start`, and raise OSError. answered(packet): to be called with answers to keepalives, octets.
    """

    def __init__(self, link_mtu: int = _ETHERNET):
        """link_mtu: the largest packet that is sure to pass the way to the home agent whole."""
        self._link_mtu = link_mtu
        self.sent = self.received = 0
        self.dropped = {}
        self.answered = lambda packet: None
        self._sessions = {}  # home address, octets -> _Session
        self._gateways = {}  # home address, octets -> the address we answer for, octets
        self._home_agent = b""
        self._tunnel = None
        self.mtu = 0
        self._broadcasts = ()  # destinations, octets
        self._buffer = bytearray(ROOM + _SIZE)
        self._view = memoryview(self._buffer)

    def attach(self, home_address: int, link, link_address: bytes, gateway: int, local: bool) -> None:
        key = home_address.to_bytes(4, "big")
        self._sessions[key] = _Session(link, link_address, local)
        self._gateways[key] = gateway.to_bytes(4, "big")

    def detach(self, home_address: int) -> None:
        key = home_address.to_bytes(4, "big")
        self._sessions.pop(key, None)
        self._gateways.pop(key, None)

    def use(self, tunnel, home_agent: int, kind: str, broadcast: int) -> None:
        """tunnel None: there is none, and everything is dropped. kind, broadcast: as of UseTunnel.

        A kind more is "handed in": packets go to an agent inside packets, and come from it through the kernel.
        """
        self._tunnel = tunnel if kind else None
        self._home_agent = home_agent.to_bytes(4, "big")
        self.mtu = self._link_mtu - _OVERHEAD.get(kind, 0)
        self._broadcasts = (broadcast.to_bytes(4, "big"), _EVERYBODY) if broadcast else ()

    def from_device(self, link, packet, link_address: bytes) -> None:
        """An IPv4 packet that came on `link`; one that is not a session's, from its very place, goes nowhere."""
        try:
            end = packet_end(packet, 0, len(packet))
        except Malformed as error:
            self._drop(str(error))
            return
        source, destination = bytes(packet[12:16]), bytes(packet[16:20])
        session = self._sessions.get(source)
        if session is None or session.link is not link or session.link_address != link_address:
            self._drop("source")
            return
        if destination == self._gateways[source]:
            return  # this machine answers
        if destination[0] >= 224:
            self._drop("multicast")
            return
        view = self._take(packet, 0, end)
        end += ROOM
        if not session.local and not count_down(view, ROOM):
            self._complain(session, source, TIME_EXCEEDED, 0, 0, end)
            return
        other = self._sessions.get(destination)
        if other is not None:
            self._deliver(other, ROOM, end)
        elif end - ROOM <= self.mtu:
            self._carry(ROOM, end)
        elif view[ROOM + 6] & 0x40:
            self._complain(session, source, UNREACHABLE, TOO_BIG, self.mtu, end)
        else:
            for piece in fragments(bytes(view[ROOM:end]), self.mtu):
                self._carry(ROOM, ROOM + len(self._put(piece)))

    def from_tunnel(self, octets, start: int, outer_tos: int) -> None:
        """A datagram or packet from the home agent, itself already made sure of; the inner packet begins at `start`."""
        try:
            end = packet_end(octets, start, len(octets))
        except Malformed as error:
            self._drop(str(error))
            return
        destination = bytes(octets[start + 16 : start + 20])
        session = self._sessions.get(destination)
        if session is None:
            if destination in self._broadcasts:
                self._tell_all(octets, start, end, outer_tos)
            else:
                self._drop("destination")
            return
        if octets[start + 9] == PROTO_ICMP and octets[start + 12 : start + 16] == self._home_agent:
            if octets[start + (octets[start] & 15) * 4] == ICMP_ECHO_REPLY and _is_ours(octets, start):
                self.answered(bytes(octets[start:end]))
                return
        view = self._take(octets, start, end)
        end += ROOM - start
        if not leave_tunnel(view, ROOM, outer_tos):
            self._drop("congestion")
        elif not session.local and not count_down(view, ROOM):
            self._drop("TTL")
        else:
            self._deliver(session, ROOM, end)

    def _tell_all(self, octets, start: int, end: int, outer_tos: int) -> None:
        """A broadcast of the home network: once on every link that a session is on, as if it were a part of it."""
        view = self._take(octets, start, end)
        if not leave_tunnel(view, ROOM, outer_tos):
            self._drop("congestion")
            return
        links = []
        for session in self._sessions.values():
            if session.link not in links:
                links.append(session.link)
                everybody = _Session(session.link, _EVERYBODY + b"\xff\xff", True)
                self._deliver(everybody, ROOM, ROOM + end - start)

    def send(self, packet: bytes) -> None:
        """Into the tunnel with a packet of our own."""
        self._put(packet)
        self._carry(ROOM, ROOM + len(packet))

    def status(self) -> dict:
        home_agent = int.from_bytes(self._home_agent, "big") if self._tunnel is not None else 0
        return {
            "sent": self.sent,
            "received": self.received,
            "dropped": self.dropped,
            "home_agent": show(home_agent) if home_agent else None,
        }

    def _take(self, octets, start: int, end: int):
        self._view[ROOM : ROOM + end - start] = memoryview(octets)[start:end]
        return self._view

    def _put(self, packet: bytes) -> bytes:
        self._view[ROOM : ROOM + len(packet)] = packet
        return packet

    def _carry(self, start: int, end: int) -> None:
        if self._tunnel is None:
            self._drop("no tunnel")
            return
        try:
            self._tunnel.carry(self._view, start, end)
            self.sent += 1
        except OSError:  # a full queue, a link that has just gone: a packet lost, as on any link
            self._drop("uplink")

    def _deliver(self, session: _Session, start: int, end: int) -> None:
        try:
            session.link.deliver(self._view, start, end, session.link_address)
            self.received += 1
        except OSError:
            self._drop("downlink")

    def _complain(self, session: _Session, source: bytes, kind: int, code: int, mtu: int, end: int) -> None:
        """ICMP to a device, in the name of its gateway."""
        self._drop("too big" if kind == UNREACHABLE else "TTL")
        message = error_about(self._view[ROOM:end], self._gateways[source], kind, code, mtu)
        if message:
            self._deliver(session, ROOM, ROOM + len(self._put(message)))

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def _is_ours(octets, start: int) -> bool:
    at = start + (octets[start] & 15) * 4 + 4
    return octets[at : at + 2] == b"MI"  # the identifier of our keepalives
