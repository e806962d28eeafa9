"""Outer headers and message 4, put on and taken off in place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.address import parse
from mip4.cursor import pack
from mip4.errors import Malformed
from mip4.ip import Datagram, Packet, checksum
from mip4.tunnel import (
    GRE_HEADER,
    OUTER_HEADER,
    TUNNEL_DATA_HEADER,
    OuterHeader,
    count_down,
    leave_tunnel,
    packet_end,
    unwrap_gre,
    unwrap_ip_in_ip,
    unwrap_tunnel_data,
    wrap_gre,
    wrap_tunnel_data,
)
from tests.wire.strategies import PACKET

HERE, THERE = parse("192.0.2.77"), parse("198.51.100.1")
INNER = Datagram(parse("10.10.0.10"), 7, parse("203.0.113.9"), 7, b"payload").packet(ttl=9).encode()
TOO_SHORT_FOR_A_HEADER = bytes(19)


def roomy(packet: bytes, before: int = 40, after: int = 5) -> tuple:
    """(buffer, start, end) with room around the packet, all ones so that nothing is zero by accident."""
    return bytearray(b"\xff" * before + packet + b"\xff" * after), before, before + len(packet)


def with_checksum(packet: bytearray) -> bytearray:
    packet[10:12] = b"\0\0"
    packet[10:12] = pack("H", checksum(packet[:20]))
    return packet


@given(PACKET)
def test_what_is_wrapped_is_an_ip_packet_and_comes_out_as_it_went_in(packet):
    octets = packet.encode()
    buffer, start, end = roomy(octets)

    at = OuterHeader(HERE, THERE).wrap(buffer, start, end)

    assert Packet.decode(buffer[at:end]) == Packet(HERE, THERE, 4, 64, octets)
    assert unwrap_ip_in_ip(buffer, at, end) == start
    assert bytes(buffer[start:end]) == octets
    assert bytes(buffer[:at] + buffer[end:]) == b"\xff" * (40 - OUTER_HEADER + 5)


@given(PACKET)
def test_a_gre_header_is_four_octets_without_key_and_what_is_behind_it_comes_out(packet):
    buffer, start, end = roomy(packet.encode())

    at = wrap_gre(buffer, start)

    assert at == start - GRE_HEADER
    assert bytes(buffer[at:start]) == b"\0\0\x08\0"
    assert unwrap_gre(buffer, at, end) == unwrap_gre(memoryview(buffer), at, end) == start
    assert bytes(buffer[start:end]) == packet.encode()


@given(PACKET)
def test_a_gre_checksum_is_believed_when_it_is_right(packet):
    octets = packet.encode()
    right = checksum(b"\x80\0\x08\0" + bytes(4) + octets)
    buffer, start, end = roomy(b"\x80\0\x08\0" + pack("HH", right, 0) + octets)

    assert unwrap_gre(buffer, start, end) == start + 8
    buffer[end - 1] ^= 1
    with pytest.raises(Malformed, match="GRE checksum"):
        unwrap_gre(buffer, start, end)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x86\xdd",
        b"\0\1\x08\0",
        b"\x20\0\x08\0" + bytes(4),
        b"\x10\0\x08\0" + bytes(4),
        b"\x40\0\x08\0" + bytes(4),
        b"\x80\0\x08\0",
    ],
    ids=["nothing", "cut", "IPv6", "version 1", "key", "sequence number", "routing", "half a checksum"],
)
def test_what_is_no_gre_header_of_ours_is_refused(octets):
    with pytest.raises(Malformed, match="GRE header"):
        unwrap_gre(b"\xff" * 20 + octets, 20, 20 + len(octets))


@given(st.integers(0, 255), st.booleans())
def test_tos_and_df_are_copied_and_what_may_be_fragmented_has_an_identification(tos, whole):
    inner = bytearray(INNER)
    inner[1], inner[6] = tos, 0x40 if whole else 0
    buffer, start, end = roomy(bytes(with_checksum(inner)))
    header = OuterHeader(HERE, THERE, identification=0xFFFE)

    seen = []
    for _ in range(3):
        at = header.wrap(buffer, start, end)
        seen.append(int.from_bytes(buffer[at + 4 : at + 6], "big"))
        assert checksum(buffer[at : at + 20]) == 0
        assert (buffer[at + 1], buffer[at + 6]) == (tos, 0x40 if whole else 0)

    assert seen == ([0, 0, 0] if whole else [0xFFFF, 0, 1])


def test_a_memoryview_will_do_for_a_buffer():
    buffer, start, end = roomy(INNER)

    at = OuterHeader(HERE, THERE).wrap(memoryview(buffer), start, end)

    assert unwrap_ip_in_ip(memoryview(buffer), at, end) == start


def test_65535_octets_fit_and_one_more_does_not():
    header, buffer = OuterHeader(HERE, THERE), bytearray(65556)

    assert header.wrap(buffer, 20, 65535) == 0
    with pytest.raises(ValueError, match="65536 octets"):
        header.wrap(buffer, 20, 65536)


def test_a_tunnel_knows_what_comes_back_through_it():
    buffer, start, end = roomy(INNER)
    at = OuterHeader(THERE, HERE).wrap(buffer, start, end)

    assert OuterHeader(HERE, THERE).is_reversed_in(buffer, at)
    assert not OuterHeader(THERE, HERE).is_reversed_in(buffer, at)
    for changed in range(12, 20):
        buffer[at + changed] ^= 1
        assert not OuterHeader(HERE, THERE).is_reversed_in(buffer, at)
        buffer[at + changed] ^= 1


def test_every_cut_through_a_tunnel_packet_is_refused():
    buffer, start, end = roomy(INNER)
    at = OuterHeader(HERE, THERE).wrap(buffer, start, end)

    for cut in range(at, end):
        with pytest.raises(Malformed):
            unwrap_ip_in_ip(buffer, at, cut)


@pytest.mark.parametrize(
    "octet, value, complaint",
    [
        (0, 0x65, "not IPv4"),
        (0, 0x44, "IPv4 lengths"),
        (9, 17, "protocol 17"),
        (6, 0x20, "fragment"),
        (7, 1, "fragment"),
        (8, 63, "checksum"),
        (20, 0x65, "not IPv4"),
        (23, 0xFF, "IPv4 lengths"),
    ],
)
def test_what_is_no_tunnel_packet_is_refused(octet, value, complaint):
    buffer, start, end = roomy(INNER)
    at = OuterHeader(HERE, THERE).wrap(buffer, start, end)
    buffer[at + octet] = value

    with pytest.raises(Malformed, match=complaint):
        unwrap_ip_in_ip(buffer, at, end)


@given(st.binary(max_size=80))
def test_any_octets_are_a_place_in_them_or_malformed(octets):
    for attempt in (octets, b"\x45\0\0" + bytes([len(octets) % 256]) + octets, b"\x04\x04\0\0" + octets):
        for unwrap in (unwrap_ip_in_ip, unwrap_tunnel_data, packet_end):
            try:
                assert 0 < unwrap(attempt, 0, len(attempt)) <= len(attempt)
            except Malformed as error:
                assert str(error)


def test_options_of_the_outer_header_are_stepped_over():
    octets = bytearray(
        b"\x46\0" + pack("H", 24 + len(INNER)) + bytes(4) + b"\x40\x04\0\0" + bytes(8) + b"\x01\x01\x01\0"
    )
    octets[10:12] = pack("H", checksum(octets))

    assert unwrap_ip_in_ip(octets + INNER, 0, 24 + len(INNER)) == 24


def test_message_4_is_four_octets_around_the_keepalive_of_the_specification():
    """Vector V10."""
    echo = bytes.fromhex("0800d9df4d490001") + b"keep"
    keepalive = Packet(parse("203.0.113.11"), THERE, 1, 64, echo).encode()
    buffer, start, end = roomy(keepalive)

    at = wrap_tunnel_data(buffer, start)

    assert bytes(buffer[at:end]) == bytes.fromhex("04040000") + keepalive
    assert unwrap_tunnel_data(buffer, at, end) == start == at + TUNNEL_DATA_HEADER


def test_another_next_header_than_was_negotiated_is_refused_and_reserved_octets_are_ignored():
    assert unwrap_tunnel_data(b"\x04\x2f\xff\xff!", 0, 5, next_header=47) == 4
    with pytest.raises(Malformed, match="next header"):
        unwrap_tunnel_data(b"\x04\x2f\0\0!", 0, 5)


@pytest.mark.parametrize("octets", [b"", b"\x04", b"\x04\x04\0\0", b"\x01\x04\0\0!"])
def test_what_is_no_tunnel_data_is_refused(octets):
    with pytest.raises(Malformed, match="not tunnel data"):
        unwrap_tunnel_data(octets, 0, len(octets))


@given(st.integers(2, 255))
def test_counting_down_keeps_the_checksum_right(ttl):
    packet = with_checksum(bytearray(INNER[:8] + bytes([ttl]) + INNER[9:]))

    assert count_down(packet, 0)
    assert packet[8] == ttl - 1
    assert checksum(packet[:20]) == 0


@pytest.mark.parametrize("ttl", [0, 1])
def test_a_packet_at_its_end_is_not_counted_down(ttl):
    packet = bytearray(INNER[:8] + bytes([ttl]) + INNER[9:])
    before = bytes(packet)

    assert not count_down(packet, 0)
    assert packet == before


@given(st.integers(0, 255), st.integers(0, 255), st.binary(min_size=8, max_size=8))
def test_leaving_a_tunnel_changes_ecn_at_most_and_keeps_the_checksum_right(tos, outer, addresses):
    packet = with_checksum(bytearray(INNER[:1] + bytes([tos]) + INNER[2:12] + addresses + INNER[20:]))
    before = bytes(packet)

    if leave_tunnel(packet, 0, outer):
        assert packet[1] & 0xFC == tos & 0xFC
        assert checksum(packet[:20]) == 0
        assert packet[2:10] + packet[12:] == before[2:10] + before[12:]
    else:
        assert (outer & 3, tos & 3) == (3, 0)
        assert packet == before
