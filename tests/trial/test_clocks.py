"""The clocks of a trial: an offset is found by what both ends saw, with bounds that hold whatever the way did."""

import random

import pytest

from tests.trial.builders import T0, a_handoff, event, reply, request
from tools.trial import clocks
from tools.trial.errors import TrialFailed
from tools.trial.trial_file import Trial


def seen_by_agent(there: int, back: int, number: int, ahead: int) -> list:
    """A request and its reply at an agent whose clock is ahead, ms."""
    return [
        {"at": T0 + there + ahead, "source": "ha", "event": "request", "identification": number},
        {"at": T0 + back + ahead, "source": "ha", "event": "reply", "identification": number},
    ]


def a_drive(ahead: int, seed: int = 1) -> tuple[Trial, Trial]:
    """Twenty registrations on a way that is slower there than back, or the other way round, as chance has it."""
    chance = random.Random(seed)
    node, agent, at = [], [], 0
    for number in range(20):
        at += chance.randrange(5_000)
        there, back = at + chance.randrange(1, 60), 0
        back = there + chance.randrange(1, 5)
        node += [request(at, number), reply(back + chance.randrange(1, 60), number)]
        agent += seen_by_agent(there, back, number, ahead)
    return Trial("node", node, "kleung@example.net"), Trial("ha", agent)


@pytest.mark.parametrize("ahead", [0, 2500, -86_400_000])
@pytest.mark.parametrize("seed", range(10))
def test_the_true_offset_is_within_the_bounds(ahead, seed):
    node, agent = a_drive(ahead, seed)

    (found,) = clocks.offsets(node.events, agent.events)

    assert abs(found.offset - ahead) <= found.uncertainty
    assert found.uncertainty < 30 and found.registrations == 20


def test_merged_the_agents_events_stand_where_the_node_would_have_seen_them():
    node, agent = a_drive(2500)

    merged = clocks.merge([node, agent])

    sent = {
        one["identification"]: one["at"]
        for one in merged.events
        if (one["source"], one["event"]) == ("node", "request")
    }
    for one in merged.events:
        if one["source"] == "ha" and one["event"] == "request":
            assert -30 <= one["at"] - sent[one["identification"]] <= 90
    (clock,) = merged.clocks
    assert clock["offset_ms"] == pytest.approx(2500, abs=clock["uncertainty_ms"])


def test_a_node_without_a_date_gets_the_agents():
    node, agent = a_drive(0)
    undated = Trial("node", [{**one, "at": one["at"] - T0} for one in node.events], node.nai)

    merged = clocks.merge([undated, agent])

    for before, after in zip(node.events, [one for one in merged.events if one["source"] == "node"], strict=True):
        assert abs(after["at"] - before["at"]) < 30


def test_an_agent_that_saw_none_of_it_has_an_unknown_clock():
    merged = clocks.merge([Trial("node", a_handoff()), Trial("ha", seen_by_agent(0, 1, 99, 0))])

    assert merged.clocks == [{"source": "ha", "at": T0, "offset_ms": None}]


def test_a_track_is_taken_as_it_is():
    track = Trial("gpx", [event(5, "sample", "gpx", latitude=47.0, longitude=8.5)])

    merged = clocks.merge([Trial("node", a_handoff()), track])

    assert track.events[0] in merged.events and merged.clocks == []


def test_files_of_no_node_or_of_two_are_not_merged():
    with pytest.raises(TrialFailed, match="none of the files is a node's"):
        clocks.merge([Trial("ha", [])])
    with pytest.raises(TrialFailed, match="of several nodes: a@x, b@x"):
        clocks.merge([Trial("node", [], "a@x"), Trial("node", [], "b@x")])
