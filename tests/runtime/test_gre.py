"""GRE headers: the plain one is carried, everything that somebody would have had to negotiate is refused."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import GRE

from host_agents.datapath.gre import quoted, unwrap, wrap
from host_agents.datapath.inner import read_inner
from mip4.address import parse
from mip4.errors import Malformed
from tests.runtime.chain import CN, FA, HA, Chain, H, datagram, run, until


def arriving(gre: GRE, inner: bytes | None = None, source: str = FA) -> memoryview:
    """What a raw socket gives for a packet that scapy made."""
    return memoryview(bytearray(bytes(IP(src=source, dst=HA, proto=47) / gre / IP(inner or datagram(H, CN)))))


def test_what_scapy_encapsulates_comes_out_as_it_went_in():
    for gre in (GRE(), GRE(chksum_present=1)):
        inner = unwrap(arriving(gre))

        assert bytes(inner.packet) == datagram(H, CN)


def test_scapy_reads_what_we_encapsulate():
    head, rest, ttl = wrap(read_inner(memoryview(datagram(CN, H))), parse(HA))

    read = GRE(head + bytes(rest))
    assert ttl == 64
    assert (read.proto, read.version, read.chksum_present, read.key_present, read.seqnum_present) == (0x800, 0, 0, 0, 0)
    assert bytes(read[IP]) == datagram(CN, H)


@pytest.mark.parametrize(
    ("gre", "reason"),
    [
        (GRE(key_present=1, key=7), "GRE key or sequence number"),
        (GRE(seqnum_present=1, sequence_number=7), "GRE key or sequence number"),
        (GRE(chksum_present=1, chksum=0xBAD), "GRE checksum"),
        (GRE(version=1), "GRE header"),
        (GRE(routing_present=1), "GRE header"),
        (GRE(strict_route_source=1), "GRE header"),
        (GRE(proto=0x86DD), "GRE header"),
    ],
)
def test_what_nobody_negotiated_is_refused(gre, reason):
    with pytest.raises(Malformed, match=reason):
        unwrap(arriving(gre))


def test_reserved_bits_that_are_to_be_ignored_are():
    octets = arriving(GRE())
    octets[20:22] = b"\x03\xf8"

    assert bytes(unwrap(octets).packet) == datagram(H, CN)


@pytest.mark.parametrize("cut", range(20, 24))
def test_a_truncated_header_is_refused(cut):
    with pytest.raises(Malformed, match="GRE header"):
        unwrap(arriving(GRE())[:cut])


def test_what_icmp_quotes_is_the_packet_behind_our_header():
    assert quoted(memoryview(b"\0\0\x08\0" + datagram(CN, H))).destination == parse(H)
    assert quoted(memoryview(b"\x20\0\x08\0" + datagram(CN, H))) is None
    assert quoted(memoryview(b"\0\0\x08\0" + datagram(CN, H)[:27])) is None


def test_a_packet_back_to_the_encapsulator_is_a_loop():
    with pytest.raises(Malformed, match="loop"):
        unwrap(arriving(GRE(), datagram(H, FA)))


def test_the_decapsulator_counts_the_ttl_down_once(network):
    async def story(world: Chain) -> None:
        inner = bytes(IP(src=H, dst=CN, ttl=9) / ICMP())
        with world.captured("cn", "net0") as packets:
            world.send("fa", HA, (47, b"\0\0\x08\0" + inner))
            await until(lambda: world.home.counters(parse(H)).packets_out == 1)
            await world.ping("cn", HA, 84, "-c", "1")  # behind it on the same way

        assert [one[8] for one in packets if one[12:16] == parse(H).to_bytes(4, "big")] == [8]

    run(network, story, encapsulation="gre")
