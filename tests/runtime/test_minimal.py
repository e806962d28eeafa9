"""Minimal encapsulation: its header, what it leaves as it was, and what it cannot carry."""

from __future__ import annotations

import struct

import pytest

from host_agents.datapath.inner import read_inner
from host_agents.datapath.minimal import quoted, takes, unwrap, wrap
from mip4.address import parse
from mip4.const import PROTO_MINIMAL
from mip4.errors import Malformed
from mip4.ip import checksum
from tests.runtime.chain import CN, FA, HA, Chain, H, datagram, envelope, run, until


def tunnelled(inner: bytes, local: str = HA) -> memoryview:
    """What a raw socket gives for a packet that we encapsulated at HA."""
    head, rest, ttl = wrap(read_inner(memoryview(inner)), parse(local))
    size = 20 + len(head) + len(rest)
    ends = struct.pack("!II", parse(local), parse(FA))
    outer = struct.pack("!BBHHHBBH", 0x45, inner[1], size, 0, inner[6] << 8, ttl, PROTO_MINIMAL, 0) + ends
    return memoryview(bytearray(outer + head + bytes(rest)))


def test_the_header_is_the_one_of_the_specification():
    packet = bytearray(datagram("192.0.2.9", "203.0.113.10"))

    head, rest, ttl = wrap(read_inner(memoryview(packet)), parse(HA))

    assert head == bytes.fromhex("1180f06acb00710ac0000209")
    assert (bytes(rest), ttl) == (packet[20:], 64)


@pytest.mark.parametrize(("source", "length"), [(CN, 12), (HA, 8)])
def test_what_goes_in_comes_out(source, length):
    packet = datagram(source, H)
    octets = tunnelled(packet)

    assert len(octets) == len(packet) + length
    inner = unwrap(octets)
    assert bytes(inner.packet) == packet
    assert checksum(inner.packet[:20]) == 0


def test_the_ttl_is_what_the_tunnel_left_of_it():
    octets = tunnelled(datagram(CN, H))
    octets[8] = 7

    inner = unwrap(octets)

    assert inner.ttl == 7
    assert checksum(inner.packet[:20]) == 0


def test_options_and_a_stale_fragment_field_of_the_outer_header_do_no_harm():
    octets = tunnelled(datagram(CN, H))
    longer = bytearray(b"\x46" + bytes(octets[1:6]) + b"\x60\x03" + bytes(octets[8:20]) + b"\1\1\1\0" + octets[20:])
    struct.pack_into("!H", longer, 2, len(longer))

    inner = unwrap(memoryview(longer))

    assert (inner.fragment, inner.dont_fragment, inner.source) == (False, True, parse(CN))
    assert bytes(inner.payload()) == datagram(CN, H)[20:]
    assert checksum(inner.packet[:24]) == 0


@pytest.mark.parametrize("cut", [*range(20, 32)])
def test_a_truncated_header_is_refused(cut):
    with pytest.raises(Malformed, match="minimal header"):
        unwrap(tunnelled(datagram(CN, H))[:cut])


def test_every_changed_bit_of_the_header_is_noticed():
    for bit in range(96):
        octets = tunnelled(datagram(CN, H))
        octets[20 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed, match="minimal header checksum"):
            unwrap(octets)


def test_a_fragment_and_a_packet_with_options_cannot_travel_so():
    first = bytearray(datagram(CN, H))
    first[6] = 0x20
    later = bytearray(datagram(CN, H))
    later[7] = 1
    options = b"\x46" + datagram(CN, H)[1:]

    assert takes(read_inner(memoryview(datagram(CN, H))))
    for packet in (first, later, options):
        assert not takes(read_inner(memoryview(packet)))


def test_what_icmp_quotes_is_enough_for_a_sender_to_know_his_packet():
    inner = quoted(tunnelled(datagram(CN, H))[20:])

    assert (inner.source, inner.destination, inner.protocol) == (parse(CN), parse(H), 17)
    assert bytes(inner.payload()) == datagram(CN, H)[20:]
    assert checksum(inner.packet[:20]) == 0
    assert quoted(tunnelled(datagram(CN, H))[20:39]) is None
    assert quoted(tunnelled(datagram(HA, H))[20:]) is None


def test_tcpdump_reads_our_outer_packets(network, tmp_path):
    """Neither tshark nor scapy know the protocol."""

    async def story(world: Chain) -> None:
        with world.captured() as packets:
            assert "3 received" in await world.ping("cn", H, 84)
            assert "3 received" in await world.ping("ha", H, 84, "-I", HA)

        path = tmp_path / "ours.pcap"
        pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        pcap += b"".join(struct.pack("<IIII", 0, 0, len(one), len(one)) + one for one in packets)
        path.write_bytes(pcap)
        shown = await world.network.run("cn", "tcpdump", "-n", "-v", "-r", str(path))
        assert shown.count(f"{HA} > {FA}: mobile: [S] {CN} > {H} (oproto=1)") == 3
        assert shown.count(f"{HA} > {FA}: mobile: [] > {H} (oproto=1)") == 3
        assert "bad checksum" not in shown

    run(network, story, encapsulation="minimal")


def test_the_senders_ttl_counts_the_hops_of_the_tunnel(network):
    """It is the packet's own header that travels, so every router on the way takes one."""

    async def story(world: Chain) -> None:
        assert "3 received" in await world.ping("cn", H, 84, "-t", "5")
        with world.captured() as packets:
            await world.ping("cn", H, 84, "-t", "9", "-c", "1")

        assert packets[0][8] == 8

    run(network, story, encapsulation="minimal")


def test_our_own_packets_have_four_octets_more_room(network):
    async def story(world: Chain) -> None:
        await world.ping("ha", H, 1440, "-M", "do", "-I", HA)

        assert world.mtu_learned("ha", H) == 1400 - 8

    run(network, story, encapsulation="minimal", narrow=1400)


def test_fragments_go_in_ip_in_ip_and_only_they_are_accepted_so(network):
    async def story(world: Chain) -> None:
        with world.captured() as packets:
            assert "3 received" in await world.ping("cn", H, 4000, "-M", "dont")
            assert "3 received" in await world.ping("cn", H, 1480, "-M", "dont")
        assert {one[9] for one in packets} == {4, 55}
        assert world.dropped(world.home) == world.dropped(world.visited) == {}

        world.send("fa", HA, envelope("ipip", datagram(H, CN)))
        await until(lambda: world.dropped(world.home) == {"encapsulation": 1})

    run(network, story, encapsulation="minimal")
