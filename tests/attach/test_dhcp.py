"""The DHCP client of `entourage attach` against the node's own server, and against what no server should say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP

from mip4.address import parse, show
from mip4.const import CONFIG_DNS
from mip4.ip import Datagram, Packet
from mobile_node.dhcp import ACK, NAK, OFFER, RELEASE, DhcpMessage, answer
from tools.attach.dhcp import DhcpClient

LINK = bytes.fromhex("02e700000099")
HOME, OTHER, GATEWAY, DNS = (parse(one) for one in ("10.10.0.12", "10.10.0.13", "10.10.0.1", "198.51.100.53"))
EVERYBODY = "255.255.255.255"


class Line:
    """A client, and the node's words for it. now: seconds."""

    def __init__(self) -> None:
        dice: Iterator[int] = count(1)
        self.client = DhcpClient(LINK, "laptop", lambda: next(dice))
        self.now = 0.0

    def ask(self) -> DhcpMessage:
        """What it sends at its deadline."""
        self.now = self.client.deadline
        (packet,) = self.client.wake(self.now)
        return DhcpMessage.decode(Datagram.decode(Packet.decode(packet)).payload)

    def say(self, kind: int, message: DhcpMessage, home: int = HOME, lease: int = 600) -> bool:
        dns = {CONFIG_DNS: DNS.to_bytes(4, "big")}
        octets = answer(kind, message, home, GATEWAY, lease, dns, 1468)
        return self.client.receive(Datagram(GATEWAY, 67, 0xFFFFFFFF, 68, octets).packet(64).encode(), self.now)

    def bound(self) -> Line:
        self.say(OFFER, self.ask())
        self.say(ACK, self.ask())
        return self


@pytest.fixture
def line() -> Line:
    return Line()


def test_it_asks_is_offered_requests_and_has_everything_the_node_said(line: Line) -> None:
    first = line.ask()
    assert (first.kind, first.link_address, first.names) == (1, LINK, ["laptop"])
    assert line.say(OFFER, first)
    second = line.ask()
    assert (second.kind, second.asked, second.server) == (3, HOME, GATEWAY)
    assert line.say(ACK, second)

    lease = line.client.lease
    assert lease is not None
    assert (lease.address, lease.gateway, lease.mtu, lease.dns) == ("10.10.0.12", "10.10.0.1", 1468, ("198.51.100.53",))
    assert lease.routes == (("10.10.0.1/32", ""), ("0.0.0.0/0", "10.10.0.1"))


def test_what_it_sends_is_dhcp_to_scapy_too(line: Line) -> None:
    (packet,) = line.client.wake(0)

    read = IP(packet)
    assert (read.src, read.dst, read[UDP].sport, read[UDP].dport) == ("0.0.0.0", EVERYBODY, 68, 67)
    assert read[BOOTP].chaddr[:6] == LINK
    assert ("message-type", 1) in read[DHCP].options


def test_silence_is_asked_again_ever_more_slowly(line: Line) -> None:
    times = []
    for _ in range(8):
        line.ask()
        times.append(line.now)

    assert times == [0, 1, 3, 7, 15, 31, 47, 63]


def test_an_offer_that_leads_nowhere_is_forgotten(line: Line) -> None:
    line.say(OFFER, line.ask())

    assert [line.ask().kind for _ in range(5)] == [3, 3, 3, 1, 1]


def test_it_renews_at_half_time_where_the_lease_came_from(line: Line) -> None:
    line.bound()

    again = line.ask()

    assert line.now == 300
    assert (again.kind, again.client_address, again.asked, again.server) == (3, HOME, 0, 0)
    line.say(ACK, again)
    assert line.client.deadline == 600


def test_a_lease_that_nobody_renews_ends_and_it_asks_anew(line: Line) -> None:
    line.bound()
    while line.client.lease is not None:
        last = line.ask()

    assert line.now == 600
    assert last.kind == 1


def test_an_address_that_changed_is_refused_and_the_new_one_taken(line: Line) -> None:
    line.bound()

    line.say(NAK, line.ask())
    assert line.client.lease is None
    line.say(OFFER, line.ask(), OTHER)
    line.say(ACK, line.ask(), OTHER)

    assert line.client.lease is not None
    assert line.client.lease.address == show(OTHER)


def test_an_answer_to_somebody_else_changes_nothing(line: Line) -> None:
    message = line.ask()
    message.transaction += 1

    line.say(OFFER, message)

    assert line.ask().kind == 1


def test_what_was_given_is_given_back_once(line: Line) -> None:
    line.bound()

    (packet,) = line.client.release()

    message = DhcpMessage.decode(Datagram.decode(Packet.decode(packet)).payload)
    assert (message.kind, message.client_address, message.server) == (RELEASE, HOME, GATEWAY)
    assert line.client.release() == []


@pytest.mark.parametrize("cut", range(0, 330, 7))
def test_an_answer_that_is_cut_or_no_dhcp_is_nothing(line: Line, cut: int) -> None:
    message = line.ask()
    octets = answer(OFFER, message, HOME, GATEWAY, 600, {}, 1480)[:cut]

    line.client.receive(Datagram(GATEWAY, 67, 0xFFFFFFFF, 68, octets).packet(64).encode(), 0)
    assert not line.client.receive(bytes(IP(src="1.2.3.4", dst="5.6.7.8") / UDP(sport=67, dport=53)), 0)

    assert line.client.lease is None
