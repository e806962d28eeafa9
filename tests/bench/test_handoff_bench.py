"""`entourage bench handoff`: a real node in the lab, timed by the frames on its uplink."""

from __future__ import annotations

import json

import pytest

from host_agents.cli.main import main
from tests.runtime.namespaces import why_not
from tools.bench.frames import ADVERTISEMENT, PACKET, REPLY, REQUEST, SOLICITATION, Seen
from tools.bench.handoff import moments

FRAMES = [
    Seen(1, SOLICITATION, True, 0),
    Seen(2, ADVERTISEMENT, False, 0),
    Seen(3, REQUEST, True, 0),
    Seen(4, REQUEST, True, 0),
    Seen(5, REPLY, False, 0x0A0A000A),
    Seen(6, PACKET, False, 0x0A0A000A),
    Seen(7, REQUEST, True, 0),
    Seen(8, REPLY, False, 0x0A0A000B),
    Seen(9, PACKET, False, 0x0A0A000A),
]


def test_a_handoff_ends_with_the_first_packet_after_the_last_reply():
    assert moments(FRAMES, 2) == (1, 2, 4, 5, 8, 9)


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_it_has_not_ended_before(number):
    assert moments(FRAMES[:number], 2) == ()


def test_replies_to_requests_that_were_not_seen_are_no_handoff():
    assert moments([one for one in FRAMES if one.what != REQUEST], 2) == ()


def test_a_node_that_is_told_before_it_asks_knows_its_link_by_then():
    assert moments(FRAMES[1:], 2)[:2] == (2, 2)


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_a_quick_run_has_gap_and_bound_by_sessions_and_delay(tmp_path, capsys):
    code = main(["bench", "handoff", "--quick", "--json", str(tmp_path / "bench.json")])

    assert code == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "bench.json").read_text())["handoff"]
    assert found["bound_ms"]["8"]["30"] >= 2 * 30
    assert found["gap_ms"]["8"]["30"] > found["bound_ms"]["8"]["30"]
