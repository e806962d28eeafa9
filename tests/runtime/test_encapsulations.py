"""Each encapsulation on the wire: its octets as tshark and scapy read them, and what is refused of others."""

from __future__ import annotations

import contextlib
import shutil
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_agents.datapath.encapsulations import RAW
from mip4.address import parse
from mip4.const import PROTO_ICMP, PROTO_UDP
from mip4.errors import Malformed
from tests.oracle.test_tshark import dissect
from tests.runtime.chain import CN, FA, HA, OVERHEADS, Chain, H, datagram, envelope, run, until

OUTER, INNER = [("ip.src", HA), ("ip.dst", FA)], [("ip.proto", "1"), ("ip.src", CN), ("ip.dst", H)]
DECODED = {
    "ipip": [*OUTER, *INNER],
    "gre": [*OUTER, ("gre.flags_and_version", "0x0000"), ("gre.proto", "0x0800"), *INNER],
    "udp": [
        *OUTER,
        ("udp.srcport", "434"),
        ("udp.dstport", "434"),
        ("mip.type", "4"),
        ("mip.nattt.nexthdr", "4"),
        *INNER,
    ],
}
ALL = sorted(OVERHEADS)


@pytest.mark.parametrize("encapsulation", RAW, ids=[one.name for one in RAW])
@given(st.binary(max_size=80), st.sampled_from([0x45, 0x46, 0x4F]))
def test_any_octets_are_a_packet_or_malformed(encapsulation, octets, first):
    length = (first & 15) * 4
    outer = bytearray(bytes([first, 0]) + (length + len(octets)).to_bytes(2, "big") + bytes(length - 4) + octets)

    with contextlib.suppress(Malformed):
        inner = encapsulation.unwrap(memoryview(outer))
        assert len(inner.packet) <= len(outer)
    encapsulation.quoted(memoryview(octets))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("encapsulation", sorted(DECODED))
def test_tshark_reads_our_outer_packets_and_finds_nothing_malformed(network, tmp_path, encapsulation):
    async def story(world: Chain) -> None:
        with world.captured() as packets:
            assert "3 received" in await world.ping("cn", H, 84)

        shown = dissect(packets, tmp_path)
        assert len(shown) == 6
        for fields in shown:
            said = [value for name, value in fields if name.startswith(("_ws.malformed", "_ws.expert.message"))]
            assert said == []
            assert {value for name, value in fields if name.endswith("checksum.status")} <= {"1", "3"}  # good, none
        rest = iter(shown[0])
        for pair in DECODED[encapsulation]:
            assert pair in rest, f"{pair} is not there, or not in its place: {shown[0]}"

    run(network, story, encapsulation=encapsulation)


def test_tos_and_df_are_copied_outwards(network, encapsulation):
    async def story(world: Chain) -> None:
        with world.captured() as packets:
            await world.ping("cn", H, 84, "-Q", "0x48", "-M", "do", "-c", "1")
            await world.ping("cn", H, 84, "-Q", "0x28", "-M", "dont", "-c", "1")

        there = [(packet[1], packet[6] & 0x40) for packet in packets if packet[12:16] == parse(HA).to_bytes(4, "big")]
        assert there == [(0x48, 0x40), (0x28, 0)]

    run(network, story, encapsulation=encapsulation)


def test_a_congestion_mark_of_the_tunnel_arrives_with_the_packet(network, encapsulation):
    """The packet is ECT(0); a router inside the tunnel marks it; the receiver sees the mark (RFC 6040)."""

    async def story(world: Chain) -> None:
        marked = bytearray(datagram(H, CN))
        marked[1] = 2
        marked[10:12] = (int.from_bytes(marked[10:12], "big") - 2).to_bytes(2, "big")
        with world.captured("cn", "net0") as packets:
            world.send("fa", HA, envelope(encapsulation, bytes(marked)), tos=3)
            await until(lambda: world.home.counters(parse(H)).packets_out == 1)
            await world.ping("cn", HA, 84, "-c", "1")  # behind it on the same way

        assert [packet[1] for packet in packets if packet[9] == PROTO_UDP] == [3]

    run(network, story, encapsulation=encapsulation)


def test_fa_51_silence_for_forged_outer_and_inner_addresses_which_are_counted(network, encapsulation):
    async def story(world: Chain) -> None:
        with world.captured() as at_home, world.captured("hop", "fa0") as at_fa:
            world.forge("hop", H, CN, HA, encapsulation)
            world.forge("fa", "10.10.0.99", CN, HA, encapsulation)
            world.forge("hop", CN, H, FA, encapsulation)
            world.forge("ha", CN, "10.99.1.2", FA, encapsulation)
            await until(lambda: world.home.dropped["inner source"] and world.visited.dropped["inner destination"])

        assert PROTO_ICMP not in [packet[9] for packet in at_home + at_fa]
        assert world.dropped(world.home) == {"outer source": 1, "inner source": 1}
        assert world.dropped(world.visited) == {"outer source": 1, "inner destination": 1}
        assert world.home.counters(parse(H)).packets_out == world.visited.counters(parse(H)).packets_in == 0

    run(network, story, encapsulation=encapsulation)


@pytest.mark.parametrize(("sent", "negotiated"), list(permutations(ALL, 2)))
def test_fa_51_another_encapsulation_than_was_negotiated_is_dropped_and_counted(network, sent, negotiated):
    async def story(world: Chain) -> None:
        world.forge("fa", H, CN, HA, sent)
        world.forge("ha", CN, H, FA, sent)

        for side in (world.home, world.visited):
            await until(lambda side=side: side.dropped["encapsulation"] == 1)
            assert world.dropped(side) == {"encapsulation": 1}

    run(network, story, encapsulation=negotiated)


@pytest.mark.parametrize("encapsulation", [one for one in ALL if one != "minimal"])
def test_what_is_inside_has_to_be_a_whole_ipv4_packet(network, encapsulation):
    async def story(world: Chain) -> None:
        whole = datagram(H, CN)
        for inner in (b"", whole[:19], whole[:-1], b"\x65" + whole[1:]):
            world.send("fa", HA, envelope(encapsulation, inner))

        await until(lambda: sum(world.dropped(world.home).values()) == 4)
        assert set(world.dropped(world.home)) <= {"inner not IPv4", "not tunnel data"}

    run(network, story, encapsulation=encapsulation)
