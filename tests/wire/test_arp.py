"""ARP packets (RFC 826): any bytes are one or are refused. The octets themselves are in tests/vectors/arp.json."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mip4.arp import ARP_REPLY, ARP_REQUEST, Arp, gratuitous, question
from mip4.errors import Malformed
from tests.wire.strategies import U32

NODE, AGENT, HOME_ADDRESS, HOST = b"\2node\1", b"\2agent", 0x0A0A000A, 0x0A0A00C8
LINK = st.binary(min_size=6, max_size=6)
ARP = st.builds(Arp, st.sampled_from([ARP_REQUEST, ARP_REPLY]), LINK, U32, LINK, U32)


@given(ARP, st.binary(max_size=18))
def test_what_is_made_is_read_again(arp, filling):
    assert Arp.decode(arp.encode() + filling) == arp


@given(ARP, st.integers(0, 27))
def test_what_ends_early_is_refused(arp, end):
    with pytest.raises(Malformed):
        Arp.decode(arp.encode()[:end])


@given(st.binary(max_size=40))
def test_any_octets_are_arp_or_malformed(octets):
    with contextlib.suppress(Malformed):
        assert Arp.decode(octets).encode() == octets[:28]


def test_the_answer_to_a_question_goes_to_who_asked():
    answer = question(HOME_ADDRESS, NODE, HOST).answer(AGENT)

    assert answer == Arp(ARP_REPLY, AGENT, HOME_ADDRESS, NODE, HOST)


def test_only_who_says_where_it_is_itself_is_gratuitous():
    assert gratuitous(HOME_ADDRESS, AGENT).is_gratuitous()
    assert not question(HOME_ADDRESS, NODE, HOST).is_gratuitous()
