"""What only message 4 has: ports, next headers, keepalives, and pieces that fit (RFC 3519)."""

from __future__ import annotations

import socket

import pytest

from host_agents.effects import RemoveTunnel
from mip4.address import parse
from mip4.const import PROTO_ICMP
from mip4.ip import Packet, checksum
from tests.runtime.chain import CN, FA, HA, Chain, H, datagram, end, envelope, run, until

pytestmark = pytest.mark.usefixtures("datapath")


def keepalive(sequence: int = 1, source: str = H) -> bytes:
    echo = bytes((8, 0, 0, 0, 0x4D, 0x49, 0, sequence)) + b"keep"
    echo = echo[:2] + checksum(echo).to_bytes(2, "big") + echo[4:]
    return Packet(parse(source), parse(HA), PROTO_ICMP, 64, echo).encode()


def test_a_keepalive_is_answered_through_the_tunnel(network):
    async def story(world: Chain) -> None:
        with world.captured() as packets:
            world.send("fa", HA, envelope("udp", keepalive()))
            await until(lambda: world.home.counters(parse(H)).packets_in == 1)

        answer = Packet.decode(packets[1][32:])
        assert packets[1][28:32] == b"\x04\x04\0\0"
        assert (answer.source, answer.destination, answer.payload[:2]) == (parse(HA), parse(H), b"\0\0")
        assert answer.payload[4:] == keepalive()[24:]
        assert world.rebound == []

    run(network, story, encapsulation="udp")


def test_a_keepalive_from_elsewhere_is_reported_and_not_believed(network):
    async def story(world: Chain) -> None:
        world.send("fa", HA, envelope("udp", keepalive(), port=61001))
        world.send("hop", HA, envelope("udp", keepalive(), port=61002))
        await until(lambda: len(world.rebound) == 2)

        assert world.rebound == [
            (parse(H), parse(FA), 61001),
            (parse(H), parse("192.0.2.254"), 61002),
        ]
        assert world.dropped(world.home) == {"outer port": 1, "outer source": 1}
        assert world.home.counters(parse(H)).packets_out == 0

    run(network, story, encapsulation="udp")


def test_no_more_than_ten_keepalives_are_reported_at_once(network):
    async def story(world: Chain) -> None:
        for number in range(100):
            world.send("fa", HA, envelope("udp", keepalive(number), port=61001))
        await until(lambda: world.home.dropped["outer port"] == 100)

        assert 10 <= len(world.rebound) <= 12

    run(network, story, encapsulation="udp")


def test_only_an_echo_request_of_a_home_address_with_a_udp_tunnel_is_a_keepalive(network):
    async def story(world: Chain) -> None:
        world.send("fa", HA, envelope("udp", datagram(H, HA), port=61001))
        world.send("fa", HA, envelope("udp", keepalive(source="10.10.0.99"), port=61001))
        world.carry(encapsulation="ipip")
        world.send("fa", HA, envelope("udp", keepalive(), port=61001))
        await until(lambda: sum(world.dropped(world.home).values()) == 3)

        assert world.rebound == []

    run(network, story, encapsulation="udp")


def test_an_end_whose_port_is_not_known_yet_gets_nothing_but_its_keepalive_is_reported(network):
    async def story(world: Chain) -> None:
        world.carry(end(FA, "udp", port=0), encapsulation="udp")

        await world.ping("cn", H, 84)
        world.send("fa", HA, envelope("udp", keepalive(), port=434))
        world.send("fa", HA, envelope("udp", keepalive(), port=0))
        await until(lambda: world.home.dropped["outer port"] == 2)

        assert world.home.dropped["send: ENOTCONN"] == 3
        assert world.rebound == [(parse(H), parse(FA), 434)]

    run(network, story, encapsulation="udp")


@pytest.mark.parametrize("next_header", [0, 47, 55])
def test_ha_20_fa_54_silence_for_another_next_header_and_the_reserved_octets_are_ignored(network, next_header):
    async def story(world: Chain) -> None:
        for sender, agent, inner in (("fa", HA, datagram(H, CN)), ("ha", FA, datagram(CN, H))):
            protocol, payload = envelope("udp", inner)
            world.send(sender, agent, (protocol, payload[:9] + bytes((next_header,)) + payload[10:]))
            world.send(sender, agent, (protocol, payload[:10] + b"\xff\xff" + payload[12:]))
        await until(lambda: world.home.counters(parse(H)).packets_out and world.visited.counters(parse(H)).packets_in)
        await until(lambda: world.dropped(world.home) and world.dropped(world.visited))

        for side in (world.home, world.visited):
            assert world.dropped(side) == {"next header": 1}

    run(network, story, encapsulation="udp")


def test_packets_that_may_be_fragmented_are_before_they_enter_the_tunnel(network):
    async def story(world: Chain) -> None:
        with world.captured() as packets:
            assert "3 received" in await world.ping("cn", H, 1480, "-M", "dont")

        from_home = [one for one in packets if one[12:16] == parse(HA).to_bytes(4, "big")]
        assert len(from_home) == 6
        assert all(len(one) <= 1500 and one[6] & 0x3F == one[7] == 0 for one in packets)

    run(network, story, encapsulation="udp")


def test_somebody_behind_the_same_nat_may_speak_to_the_mobile_node(network):
    """His packets come from the very address where the tunnel ends (RFC 2003 §4.4 would call that a loop)."""

    async def story(world: Chain) -> None:
        with world.network.inside("hop"), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            sock.sendto(datagram(FA, H), (H, 0))
        await until(lambda: world.visited.counters(parse(H)).packets_in == 1)

        assert world.home.dropped["loop"] == 0

    run(network, story, encapsulation="udp")


def test_registrations_and_packets_share_the_socket(network):
    async def story(world: Chain) -> None:
        world.send("fa", HA, envelope("udp", datagram(H, CN)))
        world.send("fa", HA, (17, bytes.fromhex("01b201b2000a00000100")))
        await until(lambda: len(world.messages) == 1)

        assert world.messages == [(b"\x01\x00", parse(FA), 434)]
        assert world.home.counters(parse(H)).packets_out == 1

    run(network, story, encapsulation="udp")


def test_after_its_removal_a_tunnel_brings_nothing(network):
    async def story(world: Chain) -> None:
        world.home.remove(RemoveTunnel(parse(H)))
        world.forge("fa", H, CN, HA, "udp")
        await until(lambda: world.home.dropped["inner source"] == 1)

        assert world.home.counters(parse(H)).packets_out == 0

    run(network, story, encapsulation="udp")
