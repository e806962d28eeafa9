"""UDP of applications on the node: datagrams as octets, one way into the forwarder, the other out of it."""

from __future__ import annotations

import asyncio
import errno

import pytest

from mip4.address import parse
from mip4.ip import Datagram, Packet, checksum
from runtime.applications import Applications
from runtime.forwarder import Forwarder

HOME, PEER = "10.10.0.7", "198.51.100.2"


class Tunnel:
    def __init__(self) -> None:
        self.carried: list[bytes] = []

    def carry(self, buffer: bytearray, start: int, end: int) -> None:
        self.carried.append(bytes(buffer[start:end]))


class Node:
    """Applications with a session named telemetry, on a forwarder with a tunnel."""

    def __init__(self, link_mtu: int = 1500) -> None:
        self.tunnel = Tunnel()
        self.forwarder = Forwarder(1600, link_mtu)
        self.forwarder.use(self.tunnel, parse("192.0.2.1"), "ipip", 0)
        self.applications = Applications(self.forwarder)
        self.forwarder.attach(parse(HOME), self.applications, b"", 0, True)
        self.applications.settle([{"sub_nai": "telemetry", "home_address": HOME, "downlink": ""}])

    def hears(self, packet: bytes) -> None:
        self.forwarder.from_tunnel(packet, 0, len(packet), 0)

    def datagram(self, port: int, payload: bytes) -> bytes:
        return Datagram(parse(PEER), 5000, parse(HOME), port, payload).packet(60).encode()


@pytest.fixture
def node() -> Node:
    return Node()


def test_what_an_application_sends_goes_into_the_tunnel_from_its_home_address(node: Node) -> None:
    node.applications.open("telemetry", 4000).sendto(b"23.5", (PEER, 5000))

    sent = Datagram.decode(Packet.decode(node.tunnel.carried[0]))
    assert sent == Datagram(parse(HOME), 4000, parse(PEER), 5000, b"23.5")


def test_what_comes_for_its_port_is_the_applications_with_the_sender_to_answer_to(node: Node) -> None:
    sock = node.applications.open("telemetry", 4000)
    node.hears(node.datagram(4000, b"hello"))

    assert asyncio.run(asyncio.wait_for(sock.recvfrom(), 1)) == (b"hello", (PEER, 5000))


def test_nobody_on_a_port_is_said_to_the_sender(node: Node) -> None:
    datagram = node.datagram(4001, b"anybody?")
    node.hears(datagram)

    packet = Packet.decode(node.tunnel.carried[0])
    assert packet.payload[:2] == b"\3\3"  # port unreachable (RFC 792)
    assert packet.payload[8:28][12:20] == datagram[12:20]


def test_a_ping_is_answered(node: Node) -> None:
    request = b"\x08\0\0\0\x12\x34\0\1payload"
    request = request[:2] + checksum(request).to_bytes(2, "big") + request[4:]
    node.hears(Packet(parse(PEER), parse(HOME), 1, 60, request).encode())

    reply = Packet.decode(node.tunnel.carried[0])
    assert (reply.source, reply.destination) == (parse(HOME), parse(PEER))
    assert reply.payload[:1] == b"\0" and reply.payload[4:] == request[4:]
    assert checksum(reply.payload) == 0


def test_what_is_damaged_is_lost(node: Node) -> None:
    sock = node.applications.open("telemetry", 4000)
    damaged = bytearray(node.datagram(4000, b"hello"))
    damaged[-1] ^= 1
    node.hears(bytes(damaged))

    assert sock._arrived == []
    assert node.tunnel.carried == []


def test_without_a_home_address_nothing_can_be_sent(node: Node) -> None:
    sock = node.applications.open("telemetry")
    node.applications.settle([])

    with pytest.raises(OSError) as error:
        sock.sendto(b"23.5", (PEER, 5000))
    assert error.value.args[0] == errno.ENOTCONN
    assert sock.address is None


def test_what_would_not_travel_whole_is_refused() -> None:
    node = Node(link_mtu=1280)
    sock = node.applications.open("telemetry")
    room = 1280 - 20 - 28  # the outer header, and those of IP and UDP

    assert sock.sendto(bytes(room), (PEER, 5000)) == room
    with pytest.raises(OSError) as error:
        sock.sendto(bytes(room + 1), (PEER, 5000))
    assert error.value.args[0] == errno.EINVAL


def test_a_port_is_one_sockets_and_free_again_once_it_is_closed(node: Node) -> None:
    sock = node.applications.open("telemetry", 4000)
    with pytest.raises(OSError) as error:
        node.applications.open("telemetry", 4000)
    assert error.value.args[0] == errno.EADDRINUSE

    sock.close()
    assert node.applications.open("telemetry", 4000).port == 4000


def test_sockets_and_what_waits_for_them_are_bounded(node: Node) -> None:
    first = node.applications.open("telemetry", 4000)
    for _ in range(40):
        node.hears(node.datagram(4000, b"hello"))
    assert len(first._arrived) == 16

    with pytest.raises(OSError) as error:
        for _ in range(40):
            node.applications.open("telemetry")
    assert error.value.args[0] == errno.ENOMEM
