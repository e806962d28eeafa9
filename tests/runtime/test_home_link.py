"""HomeLink on a veth: what a neighbour on the home link hears, who is answered for, and who is known to be there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from host_agents.home_agent.advertiser import Advertiser
from host_agents.home_agent.policy import HomeNetwork
from host_agents.runtime import arp as arp_room
from host_agents.runtime import home_link
from host_agents.runtime.home_link import HomeLink
from host_agents.runtime.interfaces import link_address
from host_agents.runtime.meters import Meters
from mip4.address import parse
from mip4.arp import ARP_REPLY, ETHERTYPE_ARP, Arp, gratuitous, question
from mip4.const import ADVERT_H, PROTO_ICMP
from mip4.discovery import AgentAdvertisement, AgentSolicitation
from mip4.ip import Packet
from tests.helpers.builders import a_home_agent_policy
from tests.runtime.namespaces import Network

AGENT, NEIGHBOUR = parse("10.10.0.1"), parse("10.10.0.200")
AWAY, OTHER, OUTSIDE = parse("10.10.0.10"), parse("10.10.0.11"), parse("10.10.0.199")
NETWORK = HomeNetwork((parse("10.10.0.0"), 24), ((AWAY, OTHER),), AGENT, (), "home0", AGENT, 600_000)
EVERYBODY = b"\xff" * 6
ETH_P_IP = 0x0800


class Home:
    """A HomeLink on `home0`, and its neighbour at the other end of a veth, who speaks ARP by hand."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.told: asyncio.Queue[tuple[int, bool]] = asyncio.Queue()
        self.agent = link_address("home0")
        with network.inside("host"):
            self.neighbour = link_address("net0")
        self.arp = self.listen(ETHERTYPE_ARP)
        self.ip = self.listen(ETH_P_IP)
        loop = asyncio.get_running_loop()
        advertiser = Advertiser(a_home_agent_policy(networks=(NETWORK,)), NETWORK, 0)
        occupied: Callable[[int, bool], None] = lambda address, by: self.told.put_nowait((address, by))  # noqa: E731
        self.link = HomeLink(NETWORK, advertiser, occupied, lambda: round(loop.time() * 1000), loop, Meters())
        self.link.open()

    def listen(self, kind: int) -> socket.socket:
        with self.network.inside("host"):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
            sock.bind(("net0", kind))
        sock.setblocking(False)
        return sock

    def say(self, packet: Arp, to: bytes = EVERYBODY) -> None:
        self.arp.sendto(packet.encode(), ("net0", ETHERTYPE_ARP, 0, 0, to))

    async def hears(self) -> tuple[Arp, bool]:
        """The next ARP packet of the agent's, and whether it was for everybody."""
        octets, source = await self._next(self.arp)
        return Arp.decode(octets), source[2] == socket.PACKET_BROADCAST

    async def silence(self) -> None:
        """Nothing more is said: what we ask now is the next thing to be answered."""
        self.link.away(OTHER)
        assert await self.hears() == (gratuitous(OTHER, self.agent), True)

    async def advertisement(self) -> AgentAdvertisement:
        while True:
            octets, _ = await self._next(self.ip)
            packet = Packet.decode(octets)
            if packet.protocol == PROTO_ICMP:
                return AgentAdvertisement.decode(packet.payload)

    @staticmethod
    async def _next(sock: socket.socket) -> tuple[bytes, tuple]:
        while True:
            octets, source = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(sock, 2048), 5)
            if source[2] != socket.PACKET_OUTGOING:
                return octets, source


@contextlib.asynccontextmanager
async def at_home(network: Network) -> AsyncIterator[Home]:
    network.node("ha")
    network.node("host")
    # Neither end's kernel says anything of its own: no addresses, no IPv6
    network.ip("ha", "link", "add", "home0", "type", "veth", "peer", "name", "net0", "netns", network.full("host"))
    for node, end in (("ha", "home0"), ("host", "net0")):
        network.sysctl(node, f"net.ipv6.conf.{end}.disable_ipv6", 1)
        network.ip(node, "link", "set", end, "up")
    with network.inside("ha"):
        made = Home(network)
        try:
            yield made
        finally:
            made.link.close()
            made.arp.close()
            made.ip.close()


def run(network: Network, story: Callable[[Home], Awaitable[None]]) -> None:
    async def told() -> None:
        async with at_home(network) as home:
            await story(home)

    asyncio.run(told())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repetitions and looks follow each other at once."""
    monkeypatch.setattr(arp_room, "_APART", 0.02)
    monkeypatch.setattr(home_link, "_LOOK", 0.05)


def test_ha_26_who_is_away_is_said_to_be_here_three_times_and_answered_for(network, hasty):
    async def story(home: Home) -> None:
        home.link.away(AWAY)

        assert [await home.hears() for _ in range(3)] == [(gratuitous(AWAY, home.agent), True)] * 3
        home.say(question(AWAY, home.neighbour, NEIGHBOUR))
        assert await home.hears() == (Arp(ARP_REPLY, home.agent, AWAY, home.neighbour, NEIGHBOUR), False)
        home.say(question(AWAY, home.neighbour, 0), to=home.agent)  # a probe, and a question asked again
        assert (await home.hears())[0].operation == ARP_REPLY

    run(network, story)


def test_ha_26_a_move_to_another_care_of_address_is_no_news_on_the_home_link(network):
    async def story(home: Home) -> None:
        home.link.away(AWAY)
        await home.hears()

        home.link.away(AWAY)

        await home.silence()

    run(network, story)


def test_ha_26_who_is_registered_nowhere_is_not_answered_for_and_no_longer_announced(network, hasty):
    async def story(home: Home) -> None:
        home.link.away(AWAY)
        await home.hears()

        home.link.back(AWAY)
        home.say(question(AWAY, home.neighbour, NEIGHBOUR))

        await home.silence()

    run(network, story)


def test_nobody_else_is_answered_for(network):
    async def story(home: Home) -> None:
        home.link.away(AWAY)
        await home.hears()

        for packet in (question(OUTSIDE, home.neighbour, NEIGHBOUR), gratuitous(AWAY, home.neighbour)):
            home.say(packet)
        home.say(Arp(ARP_REPLY, home.neighbour, NEIGHBOUR, home.agent, AWAY))
        home.arp.sendto(b"\0\1 no ARP", ("net0", ETHERTYPE_ARP, 0, 0, EVERYBODY))

        await home.silence()

    run(network, story)


def test_ha_26_whoever_comes_home_is_announced_with_the_link_address_he_has_said(network, hasty):
    async def story(home: Home) -> None:
        home.link.away(AWAY)
        for _ in range(3):
            await home.hears()
        home.say(gratuitous(AWAY, home.neighbour))  # before its registration (RFC 5944 §4.6)
        await asyncio.sleep(0)

        await until(lambda: home.link._away[AWAY] == home.neighbour)
        home.link.back(AWAY)
        home.link.came_home(AWAY)

        assert [await home.hears() for _ in range(3)] == [(gratuitous(AWAY, home.neighbour), True)] * 3

    run(network, story)


def test_ha_26_or_else_asked_where_he_is_and_then_announced(network, hasty):
    async def story(home: Home) -> None:
        home.link.came_home(AWAY)

        assert await home.hears() == (question(AWAY, home.agent, AGENT), True)
        home.say(question(AWAY, home.agent, AGENT).answer(home.neighbour), to=home.agent)
        assert [await home.hears() for _ in range(3)] == [(gratuitous(AWAY, home.neighbour), True)] * 3

    run(network, story)


def test_who_is_at_home_is_asked_after_until_he_is_gone(network, hasty):
    async def story(home: Home) -> None:
        home.link.start([])
        home.link.came_home(AWAY)
        assert await home.told.get() == (AWAY, True)
        for _ in range(6):  # answers are followed by announcements
            packet, _ = await home.hears()
            if not packet.is_gratuitous():
                home.say(packet.answer(home.neighbour), to=home.agent)
        assert home.told.empty()

        assert await asyncio.wait_for(home.told.get(), 5) == (AWAY, False)

    run(network, story)


def test_a_host_that_has_an_address_of_the_pool_is_noticed_by_what_it_asks(network):
    async def story(home: Home) -> None:
        home.say(question(AGENT, home.neighbour, NEIGHBOUR))
        home.say(question(AGENT, home.neighbour, OTHER))

        assert await asyncio.wait_for(home.told.get(), 5) == (OTHER, True)
        assert home.told.empty()

    run(network, story)


def test_after_a_restart_every_address_that_was_given_back_is_asked_for(network):
    async def story(home: Home) -> None:
        given_back = [AGENT + number for number in range(20, 120)]

        home.link.start(given_back)

        assert [(await home.hears())[0].target for _ in given_back] == given_back

    run(network, story)


def test_it_is_advertised_at_once_and_to_whoever_solicits(network):
    async def story(home: Home) -> None:
        home.link.start([])
        first = await home.advertisement()

        solicitation = Packet(0, parse("224.0.0.2"), PROTO_ICMP, 1, AgentSolicitation().encode()).encode()
        home.ip.sendto(solicitation, ("net0", ETH_P_IP, 0, 0, bytes.fromhex("01005e000002")))

        second = await home.advertisement()
        assert first.agent().flags == second.agent().flags == ADVERT_H
        assert [one.agent().sequence for one in (first, second)] == [0, 1]

    run(network, story)


def test_a_link_that_comes_back_as_another_interface_is_served_on(network):
    async def story(home: Home) -> None:
        home.link.away(AWAY)
        await home.hears()
        full = network.full("host")
        network.ip("ha", "link", "delete", "home0")
        network.ip("ha", "link", "add", "home0", "type", "veth", "peer", "name", "net0", "netns", full)
        for node, end in (("ha", "home0"), ("host", "net0")):
            network.ip(node, "link", "set", end, "up")
        home.arp.close()
        home.arp = home.listen(ETHERTYPE_ARP)
        with network.inside("host"):
            home.neighbour = link_address("net0")
        assert home.agent != link_address("home0")

        async def asked() -> None:
            while True:
                home.say(question(AWAY, home.neighbour, NEIGHBOUR))
                with contextlib.suppress(TimeoutError):
                    packet, _ = await asyncio.wait_for(home.hears(), 0.2)
                    if packet.operation == ARP_REPLY:
                        assert packet.sender_link == link_address("home0")
                        return

        await asyncio.wait_for(asked(), 10)

    run(network, story)


async def until(true: Callable[[], bool]) -> None:
    async def asked() -> None:
        while not true():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(asked(), 30)
