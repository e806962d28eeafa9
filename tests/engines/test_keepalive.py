"""Keepalives of a UDP tunnel (RFC 3519 §4.4): how often and how many times, what answers them, what one lost means."""

import pytest

from mip4.const import ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, PROTO_ICMP
from mip4.errors import Unexpected
from mip4.ip import Packet, checksum
from mobile_node.keepalive import Keepalive
from tests.helpers.builders import HOME_AGENT

ONE, OTHER = 0x0A0A000A, 0x0A0A000B
BOTH = [ONE, OTHER]


def _started(seconds=20):
    keepalive = Keepalive()
    keepalive.start(HOME_AGENT, seconds, 0)
    return keepalive


def _asked(keepalive, now, addresses=BOTH):
    """(home addresses that are asked from, those that are given up)."""
    packets, lost = keepalive.wake(addresses, now)
    return [Packet.decode(one).source for one in packets], lost


def _answer(packet, source=HOME_AGENT, kind=ICMP_ECHO_REPLY, **changes):
    asked = Packet.decode(packet)
    message = bytes((kind, 0, 0, 0)) + asked.payload[4:]
    message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
    return Packet(source, changes.get("destination", asked.source), PROTO_ICMP, 64, message).encode()


@pytest.mark.parametrize(("said", "apart"), [(0, 110), (1, 10), (10, 10), (20, 20), (300, 300)])
def test_they_are_as_far_apart_as_the_home_agent_says_or_110_s_and_never_less_than_10(said, apart):
    keepalive = _started(said)

    assert (keepalive.seconds, keepalive.deadline()) == (apart, apart * 1000)
    assert _asked(keepalive, apart * 1000 - 1) == ([], [])
    assert _asked(keepalive, apart * 1000) == (BOTH, [])


def test_who_is_not_answered_is_asked_for_three_times_a_second_apart_then_lost_and_all_go_on_twice_as_often():
    keepalive = _started(30)

    rounds = [_asked(keepalive, now) for now in (30_000, 30_999, 31_000, 32_000, 33_000)]

    assert rounds == [(BOTH, []), ([], []), (BOTH, []), (BOTH, []), ([], BOTH)]
    assert (keepalive.seconds, keepalive.deadline()) == (15, 33_000 + 15_000)
    for now in (48_000, 49_000, 50_000, 51_000):
        _asked(keepalive, now)
    assert keepalive.seconds == 10


def test_only_who_is_not_answered_is_asked_for_again():
    keepalive = _started()
    packets, _ = keepalive.wake(BOTH, 20_000)

    keepalive.answered(_answer(packets[0]), 20_010)
    assert _asked(keepalive, 21_000) == ([OTHER], [])
    keepalive.answered(_answer(packets[1]), 21_010)

    assert keepalive.deadline() == 21_010 + 20_000
    assert _asked(keepalive, 41_010) == (BOTH, [])


@pytest.mark.parametrize(
    "change",
    [{"source": HOME_AGENT + 1}, {"kind": ICMP_ECHO_REQUEST}, {"destination": OTHER + 1}],
    ids=["of somebody else", "a question", "to nobody that waits"],
)
def test_silence_for_an_answer_that_is_none(change):
    keepalive = _started()
    packets, _ = keepalive.wake(BOTH, 20_000)

    with pytest.raises(Unexpected):
        keepalive.answered(_answer(packets[0], **change), 20_010)

    assert _asked(keepalive, 21_000) == (BOTH, [])


def test_silence_for_an_answer_of_another_round_and_for_a_second_one():
    keepalive = _started()
    former, _ = keepalive.wake([ONE], 20_000)
    keepalive.answered(_answer(former[0]), 20_010)
    with pytest.raises(Unexpected):
        keepalive.answered(_answer(former[0]), 20_020)
    _asked(keepalive, 40_010)

    with pytest.raises(Unexpected):
        keepalive.answered(_answer(former[0]), 40_020)


def test_without_a_tunnel_there_are_none():
    keepalive = _started()
    keepalive.stop()

    assert (keepalive.deadline(), _asked(keepalive, 10**9)) == (None, ([], []))
