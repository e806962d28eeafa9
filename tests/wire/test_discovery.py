"""Agent Advertisement and Solicitation: what makes one, what is overlooked, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.cursor import pack
from mip4.discovery import (
    AdvertisedChallenge,
    AgentAdvertisement,
    AgentSolicitation,
    MobilityAgent,
    PrefixLengths,
)
from mip4.errors import Malformed, MipError, UnknownExtension
from mip4.ip import checksum
from tests.wire.strategies import ADVERTISEMENT

AGENT = MobilityAgent(1, 1800, 0x9000, [0xC0000201])
PLAIN = AgentAdvertisement(0, 30, [(0xC0000201, 0)], [AGENT])


def with_checksum(message: bytes) -> bytes:
    zeroed = message[:2] + b"\0\0" + message[4:]
    return message[:2] + pack("H", checksum(zeroed)) + message[4:]


def advertised(octets: bytes, code: int = 0, count: int = 0, words: int = 2) -> AgentAdvertisement:
    return AgentAdvertisement.decode(with_checksum(pack("BBHBBH", 9, code, 0, count, words, 30) + octets))


@given(ADVERTISEMENT)
def test_an_advertisement_comes_back_as_it_was_sent(advertisement):
    message = advertisement.encode()

    assert checksum(message) == 0
    assert len(message) % 2 == 0
    assert AgentAdvertisement.decode(message) == advertisement
    assert AgentAdvertisement.decode(memoryview(message)) == advertisement


@given(st.binary(max_size=120), st.integers(0, 4))
def test_any_octets_are_an_advertisement_or_a_mip_error(octets, count):
    for message in (octets, with_checksum(pack("BBHBBH", 9, 0, 0, count, 2, 30) + AGENT.encode() + octets)):
        try:
            found = AgentAdvertisement.decode(message)
        except MipError:
            continue
        assert AgentAdvertisement.decode(found.encode()) == found


@given(st.binary(max_size=60))
def test_any_octets_are_a_solicitation_or_a_mip_error(octets):
    for message in (octets, with_checksum(b"\x0a\0\0\0" + octets)):
        try:
            assert AgentSolicitation.decode(message) == AgentSolicitation()
        except MipError:
            assert len(message) < 8 or message[:2] != b"\x0a\0" or checksum(message) != 0


def test_every_cut_with_a_good_checksum_is_refused():
    message = AgentAdvertisement(0, 30, [(1, 0), (2, 0)], [AGENT]).encode()

    for end in range(4, len(message)):
        with pytest.raises(Malformed):
            AgentAdvertisement.decode(with_checksum(message[:end]))


def test_every_changed_bit_spoils_the_checksum():
    message = PLAIN.encode()

    for bit in range(8, len(message) * 8):
        changed = bytearray(message)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed):
            AgentAdvertisement.decode(bytes(changed))


def test_a_plain_router_is_no_agent():
    with pytest.raises(Malformed, match="no agent's"):
        advertised(pack("II", 1, 0), count=1)


def test_an_agent_may_name_no_router_and_no_care_of_address():
    home = MobilityAgent(0, 0xFFFF, 0x2000, [])

    assert advertised(home.encode()) == AgentAdvertisement(0, 30, [], [home])


def test_the_first_agent_extension_is_the_agents():
    second = MobilityAgent(2, 60, 0x1000, [7])

    assert advertised(PrefixLengths([24]).encode() + AGENT.encode() + second.encode()).agent() == AGENT


@pytest.mark.parametrize("code", [0, 16])
def test_both_codes_of_an_agent_are_understood(code):
    assert advertised(AGENT.encode(), code=code).code == code


@pytest.mark.parametrize("code", [1, 15, 17, 255])
def test_another_code_is_refused(code):
    with pytest.raises(Malformed, match=f"code {code}"):
        advertised(AGENT.encode(), code=code)


def test_longer_router_entries_are_stepped_through():
    entry = pack("IIII", 1, 2, 3, 4)

    assert advertised(entry + entry + AGENT.encode(), count=2, words=4).routers == [(1, 2), (1, 2)]


@pytest.mark.parametrize("words", [0, 1])
def test_router_entries_without_room_for_a_preference_are_refused_unless_there_are_none(words):
    with pytest.raises(Malformed):
        advertised(pack("II", 1, 0) + AGENT.encode(), count=1, words=words)

    assert advertised(AGENT.encode(), count=0, words=words).agent() == AGENT


def test_more_routers_announced_than_present_are_refused():
    with pytest.raises(Malformed):
        advertised(AGENT.encode(), count=255)


@pytest.mark.parametrize("size", [0, 5, 7, 9, 11])
def test_an_agent_extension_with_a_broken_address_is_refused(size):
    with pytest.raises(Malformed):
        advertised(bytes([16, size]) + bytes(size))


@pytest.mark.parametrize("kind", [1, 15, 17, 18, 20, 23, 25, 126])
def test_an_unknown_extension_below_128_condemns_the_advertisement(kind):
    with pytest.raises(UnknownExtension, match=str(kind)):
        advertised(AGENT.encode() + bytes([kind, 0]))


@pytest.mark.parametrize("kind", [127, 128, 136, 255])
def test_experiments_and_skippable_extensions_are_stepped_over(kind):
    found = advertised(AGENT.encode() + bytes([kind, 2, 16, 16]) + PrefixLengths([24]).encode())

    assert found.extensions == [AGENT, PrefixLengths([24])]


def test_reserved_flags_are_kept_and_never_a_reason_to_refuse():
    assert advertised(MobilityAgent(0, 0, 0xFFFF, [1]).encode()).agent().flags == 0xFFFF


def test_padding_may_stand_anywhere_between_extensions():
    octets = b"\0\0" + AGENT.encode() + b"\0" + AdvertisedChallenge(b"1234").encode() + b"\0"

    assert advertised(octets).extensions == [AGENT, AdvertisedChallenge(b"1234")]


def test_at_most_one_octet_of_padding_is_sent():
    odd = AgentAdvertisement(0, 30, [], [AGENT, PrefixLengths([24])]).encode()
    even = AgentAdvertisement(0, 30, [], [AGENT]).encode()

    assert (len(odd), odd[-2:]) == (8 + 12 + 3 + 1, b"\x18\0")
    assert len(even) == 8 + 12


def test_62_care_of_addresses_fit_and_63_do_not():
    assert advertised(MobilityAgent(0, 0, 0, [1] * 62).encode()).agent().care_of_addresses == [1] * 62
    with pytest.raises(ValueError, match="258 does not fit"):
        MobilityAgent(0, 0, 0, [1] * 63).encode()


def test_whatever_follows_a_solicitation_is_ignored():
    assert AgentSolicitation.decode(with_checksum(b"\x0a\0\0\0\xff\xff\xff\xff\x01\x01")) == AgentSolicitation()


@pytest.mark.parametrize(
    "message", [b"", b"\x0a\0\0\0", b"\x0a\0\xf5\xff\0\0\0", b"\x0a\0\0\0\0\0\0\0", b"\x09\0\xf6\xff\0\0\0\0"]
)
def test_a_short_damaged_or_other_message_is_no_solicitation(message):
    with pytest.raises(Malformed):
        AgentSolicitation.decode(message)


def test_a_solicitation_has_code_zero():
    with pytest.raises(Malformed, match="code 1"):
        AgentSolicitation.decode(with_checksum(b"\x0a\x01" + bytes(6)))
