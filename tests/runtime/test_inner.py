"""What an inner packet is, what its ECN field becomes, and when ICMP may speak of it."""

from __future__ import annotations

import pytest

from host_agents.datapath.icmp import Bucket, may_be_answered, unreachable
from host_agents.datapath.inner import quoted_inner, read_inner
from mip4.address import parse
from mip4.ip import Datagram, Packet, checksum
from mip4.tunnel import leave_tunnel

CN, H = parse("198.51.100.2"), parse("10.10.0.10")
NOT_ECT, ECT1, ECT0, CE = range(4)


def octets(tos: int = 0, source: int = CN, destination: int = H, fragment: int = 0) -> bytearray:
    made = bytearray(Datagram(source, 7, destination, 7, b"payload").packet(ttl=9).encode())
    made[1], made[6], made[7] = tos, fragment >> 8, fragment & 255
    made[10:12] = b"\0\0"
    made[10:12] = checksum(made[:20]).to_bytes(2, "big")
    return made


def icmp(kind: int) -> memoryview:
    return memoryview(Packet(CN, H, 1, 9, bytes((kind, 0)) + bytes(6)).encode())


def test_an_inner_packet_ends_where_its_header_says():
    inner = read_inner(memoryview(octets(tos=0x48, fragment=0x4000) + b"padding"))

    assert bytes(inner.packet) == octets(tos=0x48, fragment=0x4000)
    assert (inner.tos, inner.dont_fragment, inner.ttl, inner.source, inner.destination) == (0x48, True, 9, CN, H)


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 34])
def test_a_truncated_packet_is_none(cut):
    assert read_inner(memoryview(octets()[:cut])) is None


def test_another_ip_version_and_a_short_header_are_none():
    for first in (0x65, 0x44, 0x4F):
        packet = octets()
        packet[0] = first
        assert read_inner(memoryview(packet)) is None


def test_a_quoted_packet_needs_its_header_and_eight_octets():
    assert quoted_inner(memoryview(octets()[:27])) is None
    assert quoted_inner(memoryview(octets()[:28])).destination == H


@pytest.mark.parametrize(
    ("inner", "outer", "leaving"),
    [
        *((NOT_ECT, outer, NOT_ECT) for outer in (NOT_ECT, ECT0, ECT1)),
        (NOT_ECT, CE, None),
        *((ECT0, outer, leaving) for outer, leaving in ((NOT_ECT, ECT0), (ECT0, ECT0), (ECT1, ECT1), (CE, CE))),
        *((ECT1, outer, leaving) for outer, leaving in ((NOT_ECT, ECT1), (ECT0, ECT1), (ECT1, ECT1), (CE, CE))),
        *((CE, outer, CE) for outer in (NOT_ECT, ECT0, ECT1, CE)),
    ],
)
def test_the_ecn_field_on_leaving_the_tunnel_is_the_table_of_rfc_6040(inner, outer, leaving):
    packet = octets(tos=0xB8 | inner)

    passed = leave_tunnel(memoryview(packet), 0, 0x14 | outer)

    assert passed == (leaving is not None)
    if passed:
        assert packet[1] == 0xB8 | leaving  # the inner DSCP stays
        assert checksum(packet[:20]) == 0


def test_icmp_speaks_of_queries_and_datagrams_but_of_no_icmp_error():
    assert may_be_answered(memoryview(octets()))
    assert [may_be_answered(icmp(kind)) for kind in (8, 0, 13, 3, 5, 11, 12)] == [True] * 3 + [False] * 4
    assert not may_be_answered(icmp(8)[:20])


def test_icmp_is_silent_about_later_fragments_and_those_who_are_no_single_host():
    assert may_be_answered(memoryview(octets(fragment=0x2000)))
    assert not may_be_answered(memoryview(octets(fragment=0x2001)))
    for nobody in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"):
        assert not may_be_answered(memoryview(octets(source=parse(nobody))))
        assert not may_be_answered(memoryview(octets(destination=parse(nobody))))


def test_unreachable_carries_the_mtu_and_no_more_than_576_octets_in_all():
    message = unreachable(memoryview(octets() + bytes(1400)), 4, 1380)

    assert (message[0], message[1], message[6:8]) == (3, 4, (1380).to_bytes(2, "big"))
    assert checksum(message) == 0
    assert message[8:36] == octets()[:28]
    assert len(message) == 576 - 20


def test_a_bucket_gives_its_rate_at_once_and_then_its_rate_a_second():
    bucket = Bucket(10)

    assert [bucket.take(100.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [bucket.take(100.25) for _ in range(4)] == [True] * 2 + [False] * 2
