"""The encapsulating delivery style: what a visitor hands in to its foreign agent goes home, the rest does not."""

from __future__ import annotations

import socket

import pytest
from scapy.layers.inet import ICMP, IP

from host_agents.effects import InstallTunnel
from host_agents.runtime.errors import KernelRefused
from mip4.address import parse
from tests.runtime.chain import CN, FA, HA, Chain, H, datagram, end, run, until

AGENT = "10.99.1.1"  # the foreign agent, as its visitors know it


def encapsulating(world: Chain, encapsulation: str = "ipip", link: str = "vis0") -> None:
    """The visitor has asked for this delivery style."""
    world.home.install(InstallTunnel(parse(H), parse(HA), (end(FA, encapsulation),)))
    with world.network.inside("fa"):
        world.visited.install(InstallTunnel(parse(H), parse(FA), (end(HA, encapsulation),), link))


def hand_in(world: Chain, inner: bytes, source: str = H, agent: str = AGENT) -> None:
    """From the mobile node: the pair of RFC 3024 §5.2."""
    packet = bytes(IP(src=source, dst=agent, proto=4) / IP(inner))
    with world.network.inside("mn"), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(packet, (agent, 0))


@pytest.mark.parametrize("encapsulation", ["ipip", "gre", "minimal", "udp"])
def test_what_is_handed_in_goes_through_the_reverse_tunnel(network, encapsulation):
    async def story(world: Chain) -> None:
        encapsulating(world, encapsulation)

        with world.captured("cn", "net0") as packets:
            hand_in(world, bytes(IP(src=H, dst=CN, ttl=9) / ICMP()))
            await until(lambda: world.home.counters(parse(H)).packets_out == 1)
            await world.ping("cn", HA, 84, "-c", "1")  # behind it on the same way

        routers = 3 if encapsulation == "minimal" else 2  # both agents, and hop where it is the packet's own header
        assert [one[8] for one in packets if one[12:16] == socket.inet_aton(H)] == [9 - routers]
        assert world.visited.counters(parse(H)).packets_out == 1

    run(network, story, encapsulation=encapsulation, reverse=False)


def test_the_care_of_address_is_an_address_of_the_agent_too(network):
    async def story(world: Chain) -> None:
        encapsulating(world)

        hand_in(world, datagram(H, CN), agent=FA)
        await until(lambda: world.home.counters(parse(H)).packets_out == 1)

        assert world.visited.counters(parse(H)).packets_out == 1

    run(network, story, reverse=False)


@pytest.mark.parametrize("everybody", ["255.255.255.255", "10.10.0.255", "239.1.2.3"])
def test_broadcasts_and_multicasts_reach_the_home_agent_with_the_ttl_they_had(network, everybody):
    async def story(world: Chain) -> None:
        encapsulating(world)

        with world.captured() as packets:
            hand_in(world, bytes(IP(src=H, dst=everybody, ttl=2) / ICMP()))
            await until(lambda: world.home.counters(parse(H)).packets_out == 1)

        inner = IP(packets[0][20:])
        assert (inner.src, inner.dst, inner.ttl) == (H, everybody, 1 if everybody == "10.10.0.255" else 2)

    run(network, story, reverse=False)


def test_what_is_not_handed_in_is_routed_like_anything_else(network):
    async def story(world: Chain) -> None:
        encapsulating(world)

        assert "3 received" in await world.ping("cn", H, 84)
        assert world.visited.counters(parse(H)).packets_out == 0

    run(network, story, reverse=False)


def test_only_a_visitor_that_asked_for_it_under_its_own_address_and_on_its_link(network):
    async def story(world: Chain) -> None:
        encapsulating(world)

        hand_in(world, datagram("10.10.0.99", CN), source="10.10.0.99")
        hand_in(world, datagram(H, CN), source="10.99.1.2")
        hand_in(world, datagram("10.10.0.99", CN))
        await until(lambda: world.visited.dropped["delivery"] == 3)
        encapsulating(world, link="")
        hand_in(world, datagram(H, CN))
        await until(lambda: world.visited.dropped["delivery"] == 4)
        encapsulating(world, link="up0")
        hand_in(world, datagram(H, CN))
        await until(lambda: world.visited.dropped["delivery"] == 5)

        assert world.visited.counters(parse(H)).packets_out == 0

    run(network, story, reverse=False)


def test_a_ttl_that_ends_at_the_agent_is_told_to_the_visitor(network):
    async def story(world: Chain) -> None:
        encapsulating(world)

        with world.captured("mn", "up0") as packets:
            hand_in(world, bytes(IP(src=H, dst=CN, ttl=1) / ICMP()))
            await until(lambda: world.visited.dropped["TTL"] == 1)
            await world.ping("fa", "10.99.1.2", 84, "-c", "1")  # behind it on the same way

        told = [IP(one) for one in packets if one[9] == 1 and one[20] == 11]
        assert [(one.dst, one[ICMP].payload.dst) for one in told] == [(H, CN)]

    run(network, story, reverse=False)


def test_a_link_that_was_made_anew_is_listened_to_again(network):
    async def story(world: Chain) -> None:
        encapsulating(world)
        network.ip("fa", "link", "delete", "vis0")
        network.link("fa", "vis0", f"{AGENT}/24", "mn", "up0", "10.99.1.2/24")
        network.ip("mn", "route", "add", "default", "via", AGENT, "src", H)
        encapsulating(world)

        hand_in(world, datagram(H, CN))
        await until(lambda: world.visited.counters(parse(H)).packets_out == 1)

    run(network, story, reverse=False)


def test_a_link_that_is_not_there_is_refused(network):
    async def story(world: Chain) -> None:
        with pytest.raises(KernelRefused, match="encapsulating delivery on vis9"):
            encapsulating(world, link="vis9")

    run(network, story)
