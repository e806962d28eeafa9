"""Several ends of one tunnel: every packet goes to each, and each may send (RFC 5944 §3.8.3.1)."""

from __future__ import annotations

import socket

from mip4.address import parse
from mip4.const import PROTO_GRE
from tests.runtime.chain import CN, FA, HA, Chain, H, datagram, end, envelope, run, until

HOP = "192.0.2.254"
NOBODY = "203.0.113.50"  # on hop's link, and not there


def destinations(packets: list[bytes]) -> list[str]:
    return [socket.inet_ntoa(one[16:20]) for one in packets if one[12:16] == socket.inet_aton(HA) and one[9] != 1]


def test_every_end_gets_a_copy_in_its_own_encapsulation(network):
    async def story(world: Chain) -> None:
        world.carry(end(FA), end(HOP, "gre"), end(HOP, "udp", port=4000), end(HOP, "minimal"))

        with world.captured() as packets:
            assert "3 received" in await world.ping("cn", H, 84)

        assert destinations(packets) == [FA, HOP, HOP, HOP] * 3
        there = [one for one in packets if one[12:16] == socket.inet_aton(HA)]
        assert [one[9] for one in there] == [4, 47, 17, 55] * 3
        assert there[0][20:] == there[1][24:] == there[2][32:]
        assert there[2][22:24] == (4000).to_bytes(2, "big")

    run(network, story)


def test_a_packet_counts_once_and_is_accepted_from_any_end(network):
    async def story(world: Chain) -> None:
        world.carry(end(FA), end(HOP, "gre"))

        await world.ping("cn", H, 84)
        counters = world.home.counters(parse(H))
        assert (counters.packets_in, counters.packets_out) == (3, 3)
        world.send("hop", HA, envelope("gre", datagram(H, CN)))
        await until(lambda: world.home.counters(parse(H)).packets_out == 4)

    run(network, story)


def test_each_end_only_with_its_own_encapsulation_and_port(network):
    async def story(world: Chain) -> None:
        world.carry(end(FA), end(HOP, "udp", port=4000), end(HOP, "udp", port=4001))

        world.forge("fa", H, CN, HA, "gre")
        world.forge("hop", H, CN, HA, "ipip")
        world.send("hop", HA, envelope("udp", datagram(H, CN), port=4002))
        for port in (4000, 4001):
            world.send("hop", HA, envelope("udp", datagram(H, CN), port=port))
        await until(lambda: world.home.counters(parse(H)).packets_out == 2)
        await until(lambda: world.home.dropped["encapsulation"] == 2)

        assert world.home.dropped["outer port"] == 1

    run(network, story)


def test_an_end_that_is_away_makes_nobody_unreachable(network):
    """Hop says "protocol unreachable" of GRE, and "host unreachable" of a host that is not there."""

    async def story(world: Chain) -> None:
        world.carry(end(FA), end(HOP, "gre"), end(NOBODY))

        with world.captured() as packets:
            pinged = await world.ping("cn", H, 84, "-c", "6")

        assert "6 received" in pinged
        assert "Unreachable" not in pinged
        assert any(one[9] == 1 and one[20] == 3 for one in packets)
        assert sum(one[9] == PROTO_GRE for one in packets) == 6

    run(network, story)


def test_the_narrowest_of_the_paths_decides_what_a_sender_may_send(network):
    async def story(world: Chain) -> None:
        world.carry(end(FA), end(HOP, "udp", port=4000))

        for size in (1480, 1468, 1380):
            await world.ping("cn", H, size, "-M", "do", "-c", "1")

        assert world.mtu_learned("cn", H) == 1380

    run(network, story, narrow=1400)


def test_only_the_end_that_a_packet_comes_from_is_spared(network):
    async def story(world: Chain) -> None:
        world.carry(end(FA), end(HOP))

        with world.captured() as packets:
            await world.ping("hop", H, 84, "-I", HOP)

        assert world.home.dropped["loop"] == 3
        assert destinations(packets).count(FA) == 3

    run(network, story)
