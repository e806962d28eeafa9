"""The node's forwarder: what goes into the tunnel, what comes out of it, what goes nowhere; and cutting TCP (scapy)."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from mip4.address import parse
from port_unix.offload import finish, is_finished
from runtime.forwarder import Forwarder

HOME, OTHER = "10.10.0.11", "10.10.0.12"
HOME_AGENT, CN, GATEWAY = "192.0.2.1", "198.51.100.2", "10.10.0.1"
PC1, PC2 = bytes.fromhex("020000000011"), bytes.fromhex("020000000012")


class Link:
    """A link of devices, or a tunnel: what it was given. failing: whether its queue is full."""

    def __init__(self) -> None:
        self.packets: list[Any] = []
        self.failing = False

    def deliver(self, buffer: bytearray, start: int, end: int, link_address: bytes) -> None:
        self.packets.append((link_address, IP(bytes(buffer[start:end]))))

    def carry(self, buffer: bytearray, start: int, end: int) -> None:
        if self.failing:
            raise OSError(105)
        self.packets.append(IP(bytes(buffer[start:end])))


class Node:
    """Two devices on one link, and a UDP tunnel."""

    def __init__(self) -> None:
        self.link, self.tunnel = Link(), Link()
        self.forwarder = Forwarder()
        for address, link_address in ((HOME, PC1), (OTHER, PC2)):
            self.forwarder.attach(parse(address), self.link, link_address, parse(GATEWAY), False)
        self.forwarder.use(self.tunnel, parse(HOME_AGENT), "udp", 0)

    def send(self, packet: Any, link_address: bytes = PC1) -> None:
        self.forwarder.from_device(self.link, bytes(packet), 0, len(packet), link_address)

    def receive(self, packet: Any, tos: int = 0) -> None:
        self.forwarder.from_tunnel(b"\4\4\0\0" + bytes(packet), 4, 4 + len(packet), tos)


@pytest.fixture
def node() -> Node:
    return Node()


def whole(packet: Any) -> Any:
    """Again from its octets, with every checksum as scapy reckons it."""
    again = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in again:
            del again[layer].chksum
    rebuilt = IP(bytes(again))
    assert bytes(rebuilt) == bytes(packet)
    return packet


def test_a_devices_packet_goes_into_the_tunnel_one_hop_older(node: Node) -> None:
    node.send(IP(src=HOME, dst=CN, ttl=64) / UDP(sport=1, dport=2) / b"hello")

    (packet,) = node.tunnel.packets
    assert (packet.ttl, packet[Raw].load) == (63, b"hello")
    whole(packet)


def test_a_packet_from_the_tunnel_goes_to_the_device_that_has_the_address(node: Node) -> None:
    node.receive(IP(src=CN, dst=OTHER, ttl=9) / UDP() / b"hello")

    ((link_address, packet),) = node.link.packets
    assert (link_address, packet.ttl) == (PC2, 8)
    whole(packet)


def test_two_devices_reach_each_other_without_the_home_agent(node: Node) -> None:
    node.send(IP(src=HOME, dst=OTHER) / ICMP())

    assert node.tunnel.packets == []
    assert node.link.packets[0][0] == PC2


@pytest.mark.parametrize(
    "packet, link_address, reason",
    [
        (IP(src=OTHER, dst=CN) / UDP(), PC1, "source"),
        (IP(src="10.10.0.99", dst=CN) / UDP(), PC1, "source"),
        (IP(src=HOME, dst="224.0.0.251") / UDP(), PC1, "multicast"),
        (IP(src=HOME, dst=CN, ttl=1) / UDP(), PC1, "TTL"),
        (b"\x45\0\0\x30" + bytes(10), PC1, "not IPv4"),
    ],
)
def test_what_a_device_may_not_send_is_dropped_and_counted(
    node: Node, packet: Any, link_address: bytes, reason: str
) -> None:
    node.send(packet, link_address)

    assert node.tunnel.packets == []
    assert node.forwarder.dropped == {reason: 1}


def test_what_is_for_the_gateway_is_the_machines_own(node: Node) -> None:
    node.send(IP(src=HOME, dst=GATEWAY) / ICMP())

    assert (node.tunnel.packets, node.link.packets, node.forwarder.dropped) == ([], [], {})


def test_a_packet_too_big_for_the_tunnel_is_answered_with_what_fits(node: Node) -> None:
    node.send(IP(src=HOME, dst=CN, flags="DF") / UDP() / bytes(1468 - 28))
    node.send(IP(src=HOME, dst=CN, flags="DF") / UDP() / bytes(1468 - 27))

    assert len(node.tunnel.packets) == 1
    ((link_address, answer),) = node.link.packets
    assert (link_address, answer.src, answer.dst) == (PC1, GATEWAY, HOME)
    assert (answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (3, 4, 1468)


def test_a_packet_that_may_be_cut_is_cut_before_it_is_tunnelled(node: Node) -> None:
    node.send(IP(src=HOME, dst=CN, id=77) / UDP(sport=1, dport=2) / bytes(range(200)) / bytes(3000))

    pieces = node.tunnel.packets
    assert [whole(IP(bytes(one)[:20])) for one in pieces]
    assert [len(one) <= 1468 for one in pieces] == [True, True, True]
    assert {one.id for one in pieces} == {77}
    assert [one.frag * 8 for one in pieces] == [0, 1448, 2896]
    assert [bool(one.flags.MF) for one in pieces] == [True, True, False]
    assert sum(len(one.payload) for one in pieces) == 3208


@pytest.mark.parametrize("kind, fits", [("ipip", 1480), ("gre", 1476), ("udp", 1468), ("handed in", 1480)])
def test_what_fits_depends_on_the_tunnel(node: Node, kind: str, fits: int) -> None:
    node.forwarder.use(node.tunnel, parse(HOME_AGENT), kind, 0)

    node.send(IP(src=HOME, dst=CN, flags="DF") / UDP() / bytes(fits - 28))
    node.send(IP(src=HOME, dst=CN, flags="DF") / UDP() / bytes(fits - 27))

    assert len(node.tunnel.packets) == 1
    assert node.link.packets[0][1][ICMP].nexthopmtu == fits


@pytest.mark.parametrize("everybody", ["10.10.0.255", "255.255.255.255"])
def test_a_broadcast_of_the_home_network_is_heard_once_on_every_link_as_it_was(node: Node, everybody: str) -> None:
    other = Link()
    node.forwarder.attach(parse("10.10.0.13"), other, PC1, parse(GATEWAY), True)
    node.forwarder.use(node.tunnel, parse(HOME_AGENT), "ipip", parse("10.10.0.255"))

    node.receive(IP(src="10.10.0.99", dst=everybody, ttl=1) / UDP() / b"who is there")

    for link in (node.link, other):
        ((link_address, packet),) = link.packets
        assert (link_address, packet.ttl, packet[Raw].load) == (b"\xff" * 6, 1, b"who is there")


def test_broadcasts_that_nobody_asked_for_go_nowhere(node: Node) -> None:
    for everybody in ("10.10.0.255", "255.255.255.255"):
        node.receive(IP(src="10.10.0.99", dst=everybody) / UDP())

    assert (node.link.packets, node.forwarder.dropped) == ([], {"destination": 2})


def test_a_traceroute_sees_the_gateway(node: Node) -> None:
    node.send(IP(src=HOME, dst=CN, ttl=1) / UDP())

    assert (node.link.packets[0][1].src, node.link.packets[0][1][ICMP].type) == (GATEWAY, 11)


def test_a_full_queue_loses_a_packet_and_a_missing_tunnel_all(node: Node) -> None:
    node.tunnel.failing = True
    node.send(IP(src=HOME, dst=CN) / UDP())
    node.forwarder.use(None, parse(HOME_AGENT), "", 0)
    node.send(IP(src=HOME, dst=CN) / UDP())

    assert node.forwarder.dropped == {"uplink": 1, "no tunnel": 1}


def test_only_answers_to_keepalives_are_the_engines(node: Node) -> None:
    told: list[bytes] = []
    node.forwarder.answered = told.append
    ours = IP(src=HOME_AGENT, dst=HOME) / ICMP(type=0, id=0x4D49, seq=1) / b"keep"

    node.receive(ours)
    node.receive(IP(src=HOME_AGENT, dst=HOME) / ICMP(type=0, id=5, seq=1))
    node.receive(IP(src=CN, dst=HOME) / ICMP(type=0, id=0x4D49, seq=1))

    assert told == [bytes(ours)]
    assert len(node.link.packets) == 2


@pytest.mark.parametrize(
    "packet", [IP(src=CN, dst="10.10.0.99") / UDP(), IP(src=CN, dst=HOME, ttl=1) / UDP(), b"", b"\x60" + bytes(40)]
)
def test_what_the_tunnel_brings_for_nobody_is_dropped(node: Node, packet: Any) -> None:
    node.receive(packet)

    assert node.link.packets == []
    assert sum(node.forwarder.dropped.values()) == 1


def test_a_congestion_mark_is_carried_inside(node: Node) -> None:
    node.receive(IP(src=CN, dst=HOME, tos=2) / UDP(), tos=3)
    node.receive(IP(src=CN, dst=HOME, tos=0) / UDP(), tos=3)

    assert [packet.tos for _, packet in node.link.packets] == [3]
    assert node.forwarder.dropped == {"congestion": 1}


# ---- what a network card would have done


def frame(flags: int, gso: int, size: int, packet: bytes, start: int, offset: int) -> bytes:
    return struct.pack("=BBHHHH", flags, gso, 0, size, start + 14, offset) + bytes(12) + b"\x08\0" + packet


def test_a_frame_from_a_wire_is_finished() -> None:
    assert is_finished(frame(0, 0, 0, bytes(IP() / UDP()), 0, 0))
    assert is_finished(frame(2, 0, 0, bytes(IP() / UDP()), 0, 0))  # VIRTIO_NET_HDR_F_DATA_VALID


@pytest.mark.parametrize("size", [0, 1, 2, 33, 1400])
@pytest.mark.parametrize("layer, offset", [(UDP(sport=5, dport=6), 6), (TCP(sport=5, dport=6), 16)])
def test_a_checksum_that_was_left_to_the_card_is_filled_in(size: int, layer: Any, offset: int) -> None:
    right = bytes(IP(src=HOME, dst=CN) / layer / bytes(at % 251 for at in range(size)))
    pseudo = right[12:20] + struct.pack("!HH", right[9], len(right) - 20)
    partial = sum(struct.unpack("!6H", pseudo))
    partial = (partial & 0xFFFF) + (partial >> 16)
    left = right[: 20 + offset] + struct.pack("!H", partial) + right[22 + offset :]

    (packet,) = finish(frame(1, 0, 0, left, 20, offset))

    assert bytes(packet) == right


@pytest.mark.parametrize("length", [1, 1400, 1401, 5600, 60_000])
def test_tcp_is_cut_into_segments_that_any_receiver_takes(length: int) -> None:
    payload = bytes(at % 251 for at in range(length))
    tcp = TCP(sport=5, dport=6, seq=0xFFFFFF00, ack=9, flags="PAF", options=[("Timestamp", (7, 8))])
    big = bytes(IP(src=HOME, dst=CN, id=0xFFFE, flags="DF") / tcp / payload)

    segments = [whole(IP(bytes(one))) for one in finish(frame(1, 1, 1400, big, 20, 16))]

    assert b"".join(bytes(one[TCP].payload) for one in segments) == payload
    assert [one[TCP].seq for one in segments] == [0xFFFFFF00 + 1400 * at & 0xFFFFFFFF for at in range(len(segments))]
    assert [one.id for one in segments] == [0xFFFE + at & 0xFFFF for at in range(len(segments))]
    assert [str(one[TCP].flags) for one in segments] == ["A"] * (len(segments) - 1) + ["FPA"]
    assert all(one[TCP].options == segments[0][TCP].options for one in segments)


def test_a_kind_of_uncut_packet_that_we_do_not_know_is_dropped() -> None:
    assert finish(frame(1, 3, 1400, bytes(IP() / UDP() / bytes(9000)), 20, 6)) == []
    assert finish(frame(1, 1, 0, bytes(IP() / TCP() / bytes(9000)), 20, 16)) == []
