"""Counts the messages that pass an agent, by what RFC 2006 wants to know of them, and how long registrations took."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from host_agents.effects import SendFrame
from mip4.const import PROTO_ICMP, REGISTRATION_REPLY, REGISTRATION_REQUEST

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds

_GROUP = 1  # bit of a link address that is more than one station's
_UDP_PAYLOAD, _PROTOCOL, _ICMP_TYPE = 28, 9, 20  # of an IPv4 packet without options, as ours are


class Messages:
    """Those that went one way. replies: (code, whether it is about a registration and not its end) -> how many.

    requests: of deregistrations, of registrations. icmp: (type, whether to one node alone) -> how many.
    """

    def __init__(self) -> None:
        self.requests = [0, 0]
        self.replies: Counter[tuple[int, bool]] = Counter()
        self.icmp: Counter[tuple[int, bool]] = Counter()

    def count(self, message: bytes) -> None:
        """The payload of a UDP datagram, whatever is in it."""
        kind = message[0] if len(message) > 3 else 0
        if kind == REGISTRATION_REQUEST:
            self.requests[message[2:4] != b"\0\0"] += 1
        elif kind == REGISTRATION_REPLY:
            self.replies[message[1], message[2:4] != b"\0\0"] += 1

    def count_frame(self, frame: SendFrame) -> None:
        self.count_packet(frame.packet, not frame.link_address[0] & _GROUP)

    def count_packet(self, packet: bytes, to_one: bool) -> None:
        """An IPv4 packet on a visited link."""
        if len(packet) > _UDP_PAYLOAD and packet[_PROTOCOL] == PROTO_ICMP:
            self.icmp[packet[_ICMP_TYPE], to_one] += 1
        else:
            self.count(packet[_UDP_PAYLOAD:])

    def answered(self) -> tuple[int, int]:
        """Replies that say yes, replies that deny."""
        yes = sum(count for (code, _), count in self.replies.items() if code <= 1)
        return yes, sum(self.replies.values()) - yes


class Durations:
    """A histogram. buckets: how many took no longer than each of BOUNDS, and longer than all; not cumulative."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def took(self, seconds: float, count: int = 1) -> None:
        """So many took so long."""
        self.buckets[bisect_left(BOUNDS, seconds)] += count
        self.sum += seconds * count


class Meters:
    """received, sent: of an agent's UDP socket. nodes_received, nodes_sent: of visited links and home links."""

    def __init__(self) -> None:
        self.received, self.sent = Messages(), Messages()
        self.nodes_received, self.nodes_sent = Messages(), Messages()
        self.registrations = Durations()
        self.arp = {"gratuitous": 0, "proxy": 0}  # sent for addresses that are away, or came home
