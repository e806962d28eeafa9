"""IPv4 and UDP headers: checksums, lengths, and what is no packet of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.cursor import pack
from mip4.errors import Malformed, MipError
from mip4.ip import Datagram, Packet, checksum
from tests.wire.strategies import DATAGRAM, PACKET

PACKET_OF_FOUR = Packet(0xC0000201, 0xC6336401, 17, 64, b"four")


def with_checksum(octets: bytes, header: int = 20) -> bytes:
    zeroed = octets[:10] + b"\0\0" + octets[12:header]
    return octets[:10] + pack("H", checksum(zeroed)) + octets[12:]


def changed(octets: bytes, at: int, value: int) -> bytes:
    return with_checksum(octets[:at] + bytes([value]) + octets[at + 1 :])


@given(st.binary(max_size=300))
def test_the_checksum_is_the_ones_complement_of_the_ones_complement_sum(octets):
    number = int.from_bytes(octets + b"\0" * (len(octets) % 2), "big")
    expected = 0xFFFF - (number % 0xFFFF or 0xFFFF * bool(number))  # 65536 is 1, modulo 65535

    assert checksum(octets) == expected
    assert checksum(memoryview(octets)) == expected


def test_the_example_of_the_checksums_own_rfc():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_nothing_sums_to_all_ones_and_an_odd_octet_counts_as_a_high_one():
    assert checksum(b"") == 0xFFFF
    assert checksum(b"\x12") == checksum(b"\x12\x00")


@given(PACKET)
def test_a_packet_comes_back_as_it_was_sent(packet):
    octets = packet.encode()

    assert checksum(octets[:20]) == 0
    assert Packet.decode(octets) == packet
    assert Packet.decode(memoryview(octets)) == packet


@given(DATAGRAM, st.integers(1, 255))
def test_a_datagram_comes_back_as_it_was_sent(datagram, ttl):
    assert Datagram.decode(Packet.decode(datagram.packet(ttl).encode())) == datagram


@given(st.binary(max_size=80))
def test_any_octets_are_a_datagram_or_a_mip_error(octets):
    for attempt in (octets, with_checksum((b"\x45\0" + pack("H", len(octets) % 100) + octets)[:60])):
        try:
            Datagram.decode(Packet.decode(attempt))
        except MipError as error:
            assert str(error)


def test_every_cut_through_a_packet_is_refused():
    octets = PACKET_OF_FOUR.encode()

    for end in range(len(octets)):
        with pytest.raises(Malformed):
            Packet.decode(octets[:end])


def test_octets_behind_the_total_length_are_the_link_layers_padding():
    assert Packet.decode(PACKET_OF_FOUR.encode() + bytes(22)) == PACKET_OF_FOUR


def test_options_are_stepped_over():
    octets = PACKET_OF_FOUR.encode()
    longer = b"\x46\0" + pack("H", 28) + octets[4:20] + b"\x01\x01\x01\x00" + b"four"

    assert Packet.decode(with_checksum(longer, 24)) == PACKET_OF_FOUR


@pytest.mark.parametrize(
    "first", [0x44, 0x4F, 0x65, 0x05], ids=["short header", "header past end", "IPv6", "version 0"]
)
def test_another_version_or_an_impossible_header_is_refused(first):
    with pytest.raises(Malformed, match="not an IPv4 packet"):
        Packet.decode(changed(PACKET_OF_FOUR.encode(), 0, first))


def test_a_total_length_within_the_header_is_refused():
    with pytest.raises(Malformed, match="not an IPv4 packet"):
        Packet.decode(changed(PACKET_OF_FOUR.encode(), 3, 19))


@pytest.mark.parametrize("at, value", [(6, 0x20), (7, 0x01), (6, 0x1F)], ids=["first", "second", "far"])
def test_a_fragment_is_refused(at, value):
    with pytest.raises(Malformed, match="fragment"):
        Packet.decode(changed(PACKET_OF_FOUR.encode(), at, value))


def test_the_dont_fragment_flag_alone_makes_no_fragment_and_ours_carry_it():
    octets = PACKET_OF_FOUR.encode()

    assert octets[6:8] == b"\x40\0"
    assert Packet.decode(changed(octets, 6, 0)) == PACKET_OF_FOUR


def test_every_changed_bit_of_the_header_is_noticed():
    octets = PACKET_OF_FOUR.encode()

    for bit in range(160):
        damaged = bytearray(octets)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed):
            Packet.decode(bytes(damaged))


def test_65535_octets_fit_a_packet_and_one_more_does_not():
    assert len(Packet(1, 2, 17, 64, bytes(65515)).encode()) == 65535
    with pytest.raises(ValueError, match="65536"):
        Packet(1, 2, 17, 64, bytes(65516)).encode()


def test_a_damaged_datagram_is_refused_unless_its_checksum_is_yet_to_be_filled_in():
    packet = Datagram(1, 434, 2, 434, b"hello").packet(64)
    packet.payload = packet.payload[:-1] + b"0"

    with pytest.raises(Malformed, match="UDP checksum"):
        Datagram.decode(packet)
    assert Datagram.decode(packet, checked=False).payload == b"hell0"


def test_the_udp_checksum_covers_the_addresses():
    packet = Datagram(1, 434, 2, 434, b"hello").packet(64)
    packet.source = 3

    with pytest.raises(Malformed, match="UDP checksum"):
        Datagram.decode(packet)


def test_a_zero_checksum_means_none_and_is_never_sent():
    zero = next(
        octets
        for octets in (Datagram(0, 0, 0, 0, pack("H", value)).packet(64).payload for value in range(65536))
        if octets[6:8] == b"\xff\xff"
    )
    packet = Packet(0, 0, 17, 64, zero)

    assert Datagram.decode(packet).payload == zero[8:]
    packet.payload = zero[:6] + b"\0\0" + b"xx"
    assert Datagram.decode(packet).payload == b"xx"


def test_octets_behind_the_udp_length_are_dropped():
    packet = Packet(1, 2, 17, 64, pack("HHHH", 1, 434, 10, 0) + b"hi" + b"trailing")

    assert Datagram.decode(packet).payload == b"hi"


@pytest.mark.parametrize("size", [0, 7, 13, 0xFFFF])
def test_a_udp_length_that_cannot_be_is_refused(size):
    with pytest.raises(Malformed, match="not a UDP datagram"):
        Datagram.decode(Packet(1, 2, 17, 64, pack("HHHH", 1, 434, size, 0) + b"four"))


def test_another_protocol_is_no_datagram():
    with pytest.raises(Malformed, match="not a UDP datagram"):
        Datagram.decode(Packet(1, 2, 6, 64, pack("HHHH", 1, 434, 8, 0)))
    with pytest.raises(Malformed):
        Datagram.decode(Packet(1, 2, 17, 64, bytes(7)))
