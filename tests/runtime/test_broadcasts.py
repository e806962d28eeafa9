"""Broadcasts of the home network reach the mobile nodes that asked, in one layer or two (RFC 5944 §4.3)."""

from __future__ import annotations

import socket

import pytest
from scapy.layers.inet import IP, UDP

from host_agents.effects import InstallTunnel
from mip4.address import parse
from tests.runtime.chain import CN, FA, HA, Chain, H, datagram, end, envelope, run, until

HOP = "192.0.2.254"
OTHER, THIRD, STRANGER = "10.10.0.11", "10.10.0.12", "10.11.0.5"
DIRECTED, LIMITED = "10.10.0.255", "255.255.255.255"


def install(world: Chain, home_address: str, *ends) -> None:
    world.home.install(InstallTunnel(parse(home_address), parse(HA), ends))


def layers(packets: list[bytes]) -> list[list[tuple[str, str]]]:
    """(source, destination) of each IP header, outermost first, of what the home agent tunnelled."""
    found = []
    for packet in map(IP, packets):
        headers = [packet.getlayer(IP, number) for number in (1, 2, 3) if packet.getlayer(IP, number)]
        if packet.src == HA and packet.proto == 4:
            found.append([(one.src, one.dst) for one in headers])
    return found


def say(world: Chain, node: str, source: str, destination: str) -> None:
    """A packet with any source, from `node`."""
    with world.network.inside(node), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.sendto(datagram(source, destination), (destination, 0))


def test_one_layer_for_a_co_located_node_and_two_through_a_foreign_agent(network):
    async def story(world: Chain) -> None:
        install(world, H, end(FA, broadcast=True))
        install(world, OTHER, end(HOP, broadcast=True, co_located=True))
        install(world, THIRD, end(HOP))

        with world.captured() as packets, world.captured("mn", "up0") as delivered:
            say(world, "ha", HA, DIRECTED)
            await until(lambda: world.visited.counters(parse(H)).packets_in == 1)
            await world.ping("fa", "10.99.1.2", 84, "-c", "1")  # behind it on the same way

        assert layers(packets) == [[(HA, FA), (HA, H), (HA, DIRECTED)], [(HA, HOP), (HA, DIRECTED)]]
        inside = next(IP(one) for one in delivered if one[16:20] == socket.inet_aton(H))
        assert (inside.src, inside.proto, inside.getlayer(IP, 2).dst) == (HA, 4, DIRECTED)  # one layer off, no more
        assert bytes(inside[UDP].payload) == b"forged"

    run(network, story)


@pytest.mark.parametrize("everybody", [DIRECTED, LIMITED])
def test_what_one_mobile_node_broadcasts_the_others_hear_and_itself_does_not(network, everybody):
    async def story(world: Chain) -> None:
        install(world, H, end(FA, broadcast=True))
        install(world, OTHER, end(HOP, "gre", broadcast=True, co_located=True))
        install(world, STRANGER, end(HOP, broadcast=True, co_located=True))

        with world.captured() as packets:
            world.send("fa", HA, envelope("ipip", datagram(H, everybody)))
            await until(lambda: world.home.counters(parse(OTHER)).packets_in == 1)

        assert layers(packets) == []
        (gre,) = [one for one in packets if one[9] == 47]
        assert (IP(gre[24:]).src, IP(gre[24:]).dst) == (H, everybody)
        assert world.home.counters(parse(H)).packets_in == world.home.counters(parse(STRANGER)).packets_in == 0

    run(network, story)


def test_from_outside_the_home_network_nobody_is_flooded(network):
    async def story(world: Chain) -> None:
        install(world, H, end(FA, broadcast=True))

        say(world, "cn", CN, DIRECTED)
        await until(lambda: world.dropped(world.home) == {"broadcast": 1})

        assert world.home.counters(parse(H)).packets_in == 0

    run(network, story)


def test_a_storm_is_cut_to_fifty_a_second(network):
    async def story(world: Chain) -> None:
        install(world, H, end(FA, broadcast=True))

        for _ in range(200):
            say(world, "ha", HA, DIRECTED)
        await until(lambda: world.home.counters(parse(H)).packets_in + world.home.dropped["broadcast"] == 200)

        assert 50 <= world.home.counters(parse(H)).packets_in < 100

    run(network, story)
