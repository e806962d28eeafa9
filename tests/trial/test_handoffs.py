"""What a handoff was, from the records of a node, and why it took as long as it did."""

import pytest

from tests.trial.builders import T0, a_handoff, event, packet, reply, request
from tools.trial.handoffs import handoffs


def test_a_handoff_has_its_parts_and_the_silence_of_its_session():
    (found,) = handoffs(a_handoff())

    assert {part: end - begin for part, (begin, end) in found.parts().items()} == {
        "link": 40, "discovery": 5, "registration": 15, "delivery": 2,
    }  # fmt: skip
    assert found.interruption == 63
    assert (found.network, found.rssi, found.cause()) == ("203.0.113.2", -61, "link: 40 ms")


def test_without_a_packet_shortly_before_silence_counts_from_the_loss_of_the_link():
    for last in (None, -60_000):
        events = [*a_handoff()[:-1], packet(62, last)]

        assert handoffs(events)[0].interruption == 62


def test_without_traffic_it_lasts_until_all_are_registered():
    events = [*a_handoff()[:-1], request(46, 2, "pc2"), reply(90, 2, "pc2")]

    found = handoffs(events)[0]

    assert (found.interruption, found.has_traffic) == (90, False)


def test_a_packet_that_was_read_before_its_reply_still_belongs_to_the_handoff():
    events = [*a_handoff()[:3], request(45, 1, home_address="0.0.0.0"), packet(58, -1), reply(60, 1)]

    assert handoffs(events)[0].interruption == 59


def test_another_agent_without_a_lost_link_is_a_handoff_too():
    events = [*a_handoff(), request(5000, 2, care_of="203.0.113.66"), reply(5020, 2), packet(5021, 4999)]

    first, second = handoffs(events)

    assert (second.link_down, second.interruption, second.network) == (None, 22, "203.0.113.66")
    assert first.ended == second.began == T0 + 5000


def test_renewals_are_no_handoffs():
    events = [*a_handoff(), request(290_000, 2), reply(290_010, 2)]

    (found,) = handoffs(events)
    assert len(found.sessions["pc1"].asked) == 1


def test_the_start_of_a_node_is_no_handoff():
    assert handoffs([event(0, "start"), event(1, "link_up"), *a_handoff()[2:]]) == []


@pytest.mark.parametrize(
    "events, cause, length",
    [
        (a_handoff()[:1], "no link", None),
        ([event(0, "link_down"), event(40, "link_up")], "discovery: no agent and no address", None),
        (a_handoff()[:3], "agent heard, but not asked", None),
        (a_handoff()[:4], "no answer to 1 request: agent or home agent unreachable", None),
        ([*a_handoff()[:4], reply(60, 1, code=80)], "home agent unreachable: 80 home network unreachable", None),
        (
            [*a_handoff()[:4], reply(60, 1, code=133), request(61, 2), reply(70, 2)],
            "denied: 133 registration Identification mismatch",
            70,
        ),
        (
            [*a_handoff()[:4], request(1045, 2), reply(1060, 2), packet(1062, -1)],
            "registration lost: asked 2 times",
            1063,
        ),
        (
            [event(0, "link_down"), event(40, "link_up"), request(940, 1), reply(950, 1)],
            "discovery: no agent, own address instead",
            950,
        ),
        ([event(0, "link_down"), event(9, "link_up"), event(9, "agent", agent="a"), request(10, 1), reply(70, 1)],
         "registration: 60 ms", 70),
    ],
)  # fmt: skip
def test_the_cause_is_what_went_wrong_or_else_the_longest_part(events, cause, length):
    found = handoffs(events)[0]

    assert (found.cause(), found.interruption) == (cause, length)
