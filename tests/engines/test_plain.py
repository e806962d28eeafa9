"""The short way of a plain request leads where the long one does, or nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_agents.effects import (
    ExtendTunnel,
    InstallTunnel,
    MobilityBinding,
    RenewBinding,
    Said,
    StoreBinding,
    Turn,
)
from host_agents.home_agent.home_agent import HomeAgent
from host_agents.home_agent.policy import Associations, Subscriber
from mip4.authentication import SecurityAssociation
from mip4.const import CONFIG_REQUEST, FLAG_D, FLAG_S, FLAG_T, PORT
from mip4.extensions import (
    ForeignHomeAuthentication,
    RevocationSupport,
    UdpTunnelRequest,
    find,
    host_configuration,
)
from mip4.sub_nai import SubNai
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, NAI, NTP_2026, a_home_agent_policy, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, a_request, an_identification, octets_of

FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]
ASKS = [host_configuration(CONFIG_REQUEST, b"")]
OFFER = RevocationSupport(True, 9).encode()
OF_AGENTS = [
    RevocationSupport(False, 2**32 - 1),
    UdpTunnelRequest(True, False, 0),
    SubNai(b"pc2", 0, None).extension(),
]


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


def _is_renewal(binding: MobilityBinding, before: dict[int, MobilityBinding]) -> bool:
    """As the store and the data path believe of a RenewBinding."""
    new = {name: getattr(binding, name) for name in ("lifetime", "expires", "identification", "revocation")}
    return before[binding.home_address].but(**new) == binding


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


def test_a_session_that_is_new_stays_or_moves_goes_the_short_way_and_its_tunnel_and_its_line_in_the_log_are_the_same():
    agent = HomeAgentAlone()
    accepted = []
    accept = agent.engine.accept
    agent.engine.accept = lambda *args: accepted.append(accept(*args)) or accepted[-1]

    for place in (FA1, FA1, FA2, FA2):
        agent.ask("pc1", care_of_address=place, source=place)

    rows = [type(one.row) for one in accepted]
    further = [[type(effect) for effect in one.further] for one in accepted]
    assert rows == [StoreBinding, RenewBinding, StoreBinding, RenewBinding]
    assert further == [[InstallTunnel, Said], [], [InstallTunnel, Said], []]
    assert accepted[2].further[1].text.startswith("moved ")


@pytest.mark.parametrize("offer", [b"", OFFER], ids=["without an offer", "with one"])
def test_what_an_agent_with_a_key_relays_goes_the_short_way_too(offer):
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME})
    turns = []
    receive = agent.engine.receive
    agent.engine.receive = lambda *args: turns.append(receive(*args)) or turns[-1]

    replies = [agent.ask("pc1", after=offer, foreign_home=FOREIGN_HOME) for _ in range(2)]

    assert [_took_the_short_way(turn) for turn in turns] == [False, True]
    for sent, reply in zip(agent.sent, replies, strict=True):
        (signature,) = find(reply.extensions, ForeignHomeAuthentication)
        FOREIGN_HOME.verify(sent.datagram, signature)
        assert len(find(reply.extensions, RevocationSupport)) == bool(offer)


@pytest.mark.parametrize(
    "first",
    [
        {"sub_nai": "pc2", "flags": FLAG_T},
        {"sub_nai": "pc2", "after": octets_of(UdpTunnelRequest(True, False, 0))},
        {"sub_nai": "", "after": octets_of(SubNai(b"pc2", 0, None).extension())},
        {"sub_nai": "pc2", "care_of_address": FA2, "source": FA2},
    ],
    ids=["reverse tunnel", "UDP tunnel", "named by its agent", "elsewhere"],
)
def test_a_session_that_was_something_else_before_is_no_renewal(first):
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME, FA2: FOREIGN_HOME})
    turns = []
    receive = agent.engine.receive
    agent.engine.receive = lambda *args: turns.append(receive(*args)) or turns[-1]

    for request in (first, {"sub_nai": "pc2"}, {"sub_nai": "pc2"}):
        assert agent.ask(**request, foreign_home=FOREIGN_HOME).code == 0

    assert [_took_the_short_way(turn) for turn in turns] == [False, False, True]


OTHERS = SecurityAssociation(512, b"another key"), SecurityAssociation(513, b"foreign agent and home agent")
SESSIONS = st.sampled_from(["", "pc1", "pc2"])
REQUESTS = st.fixed_dictionaries(
    {
        "sub_nai": SESSIONS,
        "lifetime": st.sampled_from([600, 600, 600, 600, 60, 0, 65535]),
        "flags": st.sampled_from([0, 0, 0, 0, FLAG_T, FLAG_D, FLAG_S]),
        "care_of_address": st.sampled_from([None, None, None, FA1, FA2]),  # None: of who relays it
        "home_address": st.sampled_from([0, 0, 0, 0x0A0A000A]),
        "before": st.sampled_from([[], [], [], ASKS, [UdpTunnelRequest(True, False, 0)]]),
        "after": st.sampled_from([b"", b"", OFFER, OFFER, *(octets_of(one) for one in OF_AGENTS), OFFER * 2]),
    }
)
KEYS = st.sampled_from([{}, {FA2: FOREIGN_HOME}, {FA1: FOREIGN_HOME, FA2: FOREIGN_HOME}])
SUBSCRIBERS = st.builds(
    a_subscriber,
    sessions=st.sampled_from([2, 2, 1]),
    addresses=st.sampled_from([{}, {"pc1": 0x0A0A000A}, {"": 0x0A0A000B, "pc2": 0x0A0A000A}]),
)
RELOADS = st.one_of(*[st.none()] * 9, st.tuples(SUBSCRIBERS, KEYS))
EVENTS = st.tuples(
    REQUESTS,
    st.sampled_from([FA1, FA1, FA1, FA2]),  # where it comes from
    st.sampled_from([1, 1, 1, 1, 1, 0, -1, 20_000]),  # by how much its Identification is above the last, ms
    st.sampled_from([0, 0, 500, 40_000, 700_000]),  # ms that pass before
    st.sampled_from(["settled", "settled", "settled", "settled", "refused", "later"]),
    st.one_of(st.none(), st.none(), st.integers(0, 100), st.integers(-30, -1)),  # an octet that is damaged on the way
    st.sampled_from([*[FOREIGN_HOME] * 5, None, *OTHERS]),  # how an agent with a key signs it; without: the contrary
    RELOADS,  # what the operator has changed before
)


class Both:
    """Two home agents that are told the same, of which one knows no short way."""

    def __init__(self, subscriber: Subscriber, keys: Associations, required: bool) -> None:
        self.short, self.long = (
            _home_agent(subscribers={NAI: subscriber}, foreign_agents=dict(keys), require_foreign_agent_key=required)
            for _ in range(2)
        )
        self.long._plain.find = lambda *_: None  # type: ignore[method-assign]

    def do(self, what: str, *words: Any) -> Turn:
        """The turn that it leads to, of the one with a short way; the other's is the same."""
        before = {one.home_address: one for one in self.short.bindings}
        turn, other = (getattr(engine, what)(*words) for engine in (self.short, self.long))
        assert _plain(turn) == _plain(other)
        assert all(_is_renewal(one.binding, before) for one in turn.effects if isinstance(one, RenewBinding))
        assert list(self.short.bindings) == list(self.long.bindings)
        assert self.short.deadline() == self.long.deadline()
        return turn


@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS, max_size=25), keys=KEYS, subscriber=SUBSCRIBERS, required=st.booleans())
def test_both_ways_lead_to_the_same_turns_over_traffic_of_every_kind(events, keys, subscriber, required):
    both = Both(subscriber, keys, required)
    now = sent = 0
    open_sessions: list[tuple[str, str]] = []
    for request, source, ahead, passed, end, damaged, signature, reload in events:
        now += passed
        if (due := both.short.deadline()) is not None and due <= now:
            both.do("wake", now)
        if reload is not None:
            subscriber, keys = reload
            both.do("reload", {NAI: subscriber}, keys, now)
        sent = max(sent, now) + ahead
        signed = signature if source in keys else FOREIGN_HOME if signature is None else None
        changes = {**request, "care_of_address": request["care_of_address"] or source, "foreign_home": signed}
        datagram = bytearray(a_request(identification=an_identification(sent), **changes))
        if damaged is not None and damaged < len(datagram):
            datagram[damaged] ^= 0x10

        turn = both.do("receive", bytes(datagram), source, PORT, now)

        if turn.session is not None:
            open_sessions.append(turn.session)
        while end != "later" and open_sessions:
            words = (now,) if end == "settled" else ("disk full", now)
            turn = both.do(end, open_sessions.pop(), *words)
            end = "settled"
            if turn.session is not None:
                open_sessions.append(turn.session)
