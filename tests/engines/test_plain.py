"""The short way of a plain request leads where the long one does, or nowhere."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from host_agents.effects import ExtendTunnel, RenewBinding, StoreBinding, Turn
from host_agents.home_agent.home_agent import HomeAgent
from mip4.const import CONFIG_REQUEST, FLAG_D, FLAG_S, FLAG_T, PORT
from mip4.extensions import RevocationSupport, UdpTunnelRequest, host_configuration
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, NAI, NTP_2026, a_home_agent_policy, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, a_request, an_identification

FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]
ASKS = [host_configuration(CONFIG_REQUEST, b"")]


def _home_agent(**changes: Any) -> HomeAgent:
    return HomeAgent(a_home_agent_policy(**changes), NTP_2026, [], {}, {}, [], bytes)


def _plain(turn: Turn) -> tuple[list[object], object]:
    """Where a turn leads, whichever way it was found."""
    effects: list[object] = []
    for one in turn.effects:
        if isinstance(one, RenewBinding):
            effects += [StoreBinding(one.binding), ExtendTunnel(one.binding.home_address, one.binding.expires)]
        else:
            effects.append(one)
    shown = [(type(one), str(one.error)) if hasattr(one, "error") else one for one in effects]
    return shown, turn.session


def _took_the_short_way(turn: Turn) -> bool:
    return any(isinstance(one, RenewBinding) for one in turn.effects)


def test_the_second_request_of_a_session_that_says_the_same_is_a_renewal():
    agent = HomeAgentAlone()
    turns = []
    receive = agent.engine.receive
    agent.engine.receive = lambda *args: turns.append(receive(*args)) or turns[-1]

    replies = [agent.ask("pc1", before=ASKS) for _ in range(3)]

    assert [_took_the_short_way(turn) for turn in turns] == [False, True, True]
    assert [reply.code for reply in replies] == [0, 0, 0]
    assert replies[0].extensions[:-1] == replies[2].extensions[:-1]  # the last one `ask` has verified


SESSIONS = st.sampled_from(["", "pc1", "pc2"])
REQUESTS = st.fixed_dictionaries(
    {
        "sub_nai": SESSIONS,
        "lifetime": st.sampled_from([600, 600, 600, 600, 60, 0, 65535]),
        "flags": st.sampled_from([0, 0, 0, 0, FLAG_T, FLAG_D, FLAG_S]),
        "care_of_address": st.sampled_from([FA1, FA1, FA1, FA2]),
        "home_address": st.sampled_from([0, 0, 0, 0x0A0A000A]),
        "before": st.sampled_from([[], [], [], ASKS, [UdpTunnelRequest(True, False, 0)]]),
        "after": st.sampled_from([b"", b"", b"", RevocationSupport(True, 9).encode()]),
        "foreign_home": st.sampled_from([None, None, None, FOREIGN_HOME]),
    }
)
EVENTS = st.tuples(
    REQUESTS,
    st.sampled_from([FA1, FA1, FA1, FA2]),  # where it comes from
    st.sampled_from([1, 1, 1, 1, 1, 0, -1, 20_000]),  # by how much its Identification is above the last, ms
    st.sampled_from([0, 0, 500, 40_000, 700_000]),  # ms that pass before
    st.sampled_from(["settled", "settled", "settled", "settled", "refused", "later"]),
    st.integers(-200, 80),  # an octet that is damaged on the way; below 0: none
)


@settings(max_examples=60, deadline=None)
@given(events=st.lists(EVENTS, max_size=25), keys=st.booleans())
def test_both_ways_lead_to_the_same_turns_over_traffic_of_every_kind(events, keys):
    changes = {"subscribers": {NAI: a_subscriber(sessions=2)}, "foreign_agents": {FA2: FOREIGN_HOME} if keys else {}}
    short, long = _home_agent(**changes), _home_agent(**changes)
    long._plain.find = lambda *_: None  # type: ignore[method-assign]
    now = sent = 0
    open_sessions: list[tuple[str, str]] = []
    for request, source, ahead, passed, end, damaged in events:
        now += passed
        for engine in (short, long):
            if (due := engine.deadline()) is not None and due <= now:
                engine.wake(now)
        sent = max(sent, now) + ahead
        datagram = bytearray(a_request(identification=an_identification(sent), **request))
        if 0 <= damaged < len(datagram):
            datagram[damaged] ^= 0x10

        turns = [engine.receive(bytes(datagram), source, PORT, now) for engine in (short, long)]

        assert _plain(turns[0]) == _plain(turns[1])
        if turns[0].session is not None:
            open_sessions.append(turns[0].session)
        while end != "later" and open_sessions:
            session = open_sessions.pop()
            ends = [
                engine.settled(session, now) if end == "settled" else engine.refused(session, "disk full", now)
                for engine in (short, long)
            ]
            assert _plain(ends[0]) == _plain(ends[1])
            if ends[0].session is not None and end == "settled":
                open_sessions.append(ends[0].session)
            elif end == "refused" and ends[0].session is not None:
                open_sessions.append(ends[0].session)
                end = "settled"
        assert list(short.bindings) == list(long.bindings)
        assert short.deadline() == long.deadline()
