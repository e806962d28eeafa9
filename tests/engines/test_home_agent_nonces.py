"""Nonces at the home agent (RFC 5944 §5.7.2): HA-08 in the other style. What is recorded is of no use to anybody."""

import random

import pytest

from host_agents.effects import StoreBinding
from host_agents.home_agent.nonces import NonceCheck
from host_agents.home_agent.unbound import TooManySessions
from mip4.const import FLAG_r
from mip4.errors import Denied
from mip4.extensions import ForeignHomeAuthentication, RevocationSupport, find
from mip4.identification import seconds
from tests.helpers.alone import HomeAgentAlone, an_authentic_reply
from tests.helpers.builders import FOREIGN_AGENTS, NAI, NTP_2026, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, a_request

FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]
SESSION = (NAI, "pc1")


def _agent(**changes):
    return HomeAgentAlone(subscribers={NAI: a_subscriber(nonces=True, **changes)})


@pytest.fixture
def agent():
    return _agent()


def _take(agent, datagram, source=FA1):
    """The authentic reply, None for silence."""
    answer = agent.take(datagram, source)
    return None if answer is None else an_authentic_reply(answer.datagram, to=datagram)


def _ask(agent, sub_nai="pc1", nonce=0, low=1, source=FA1, **request):
    return _take(agent, a_request(sub_nai, identification=nonce << 32 | low, **request), source)


def _nonce(agent, sub_nai="pc1"):
    """Of a session that nothing is known of."""
    reply = _ask(agent, sub_nai)
    assert reply.code == 133
    return seconds(reply.identification)


def test_ha_08_the_first_request_of_a_session_gets_133_with_the_nonce_that_lets_the_next_one_pass(agent):
    first = _ask(agent, nonce=77, low=5)

    second = _ask(agent, nonce=seconds(first.identification), low=6)

    assert (first.code, first.identification & 0xFFFFFFFF) == (133, 5)
    assert (second.code, second.identification & 0xFFFFFFFF) == (0, 6)
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_every_reply_has_another_nonce_whether_it_accepts_or_denies(agent):
    nonces = [_nonce(agent)]

    for low in range(2, 50):
        reply = _ask(agent, nonce=nonces[-1], low=low, flags=FLAG_r if low % 3 == 0 else 0, lifetime=600 * (low % 2))
        assert reply.code == (134 if low % 3 == 0 else 0)
        nonces.append(seconds(reply.identification))

    assert len(set(nonces)) == len(nonces)


def test_each_session_has_its_own(agent):
    nonces = {name: _nonce(agent, name) for name in ("", "pc1", "pc2")}

    assert [_ask(agent, name, nonces[name]).code for name in nonces] == [0, 0, 0]
    assert _ask(agent, "pc2", nonces["pc1"], low=9).code == 133


def test_ha_08_an_earlier_request_gets_133_and_makes_the_nonce_of_its_owner_no_worse(agent):
    recorded = [a_request("pc1", identification=_nonce(agent) << 32 | 1)]
    for low in range(2, 5):
        reply = _take(agent, recorded[-1])
        recorded.append(a_request("pc1", identification=seconds(reply.identification) << 32 | low))
    expected = seconds(_take(agent, recorded[-1]).identification)

    answers = [_take(agent, old) for old in recorded[:-1] * 20]

    assert {one.code for one in answers} == {133}
    assert {seconds(one.identification) for one in answers} == {expected}
    assert _ask(agent, nonce=expected, low=9).code == 0


def test_a_request_whose_reply_was_lost_gets_the_same_answer_again_and_no_lifetime_begins_anew(agent):
    datagram = a_request("pc1", identification=_nonce(agent) << 32 | 2)
    first = agent.take(datagram)
    before = agent.rows[SESSION]

    agent.world.now += 900
    again = agent.take(datagram)

    assert again == first
    assert agent.rows[SESSION] == before
    agent.world.now += 59_500
    late = _take(agent, datagram)
    assert late.lifetime == an_authentic_reply(first.datagram, to=datagram).lifetime - 60
    assert agent.rows[SESSION] == before


def test_the_answer_that_is_given_again_is_signed_for_the_foreign_agent_anew():
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(nonces=True)}, foreign_agents={FA1: FOREIGN_HOME})
    nonce = seconds(_ask(agent, foreign_home=FOREIGN_HOME).identification)
    request = {"identification": nonce << 32 | 2, "foreign_home": FOREIGN_HOME}
    agent.take(a_request("pc1", after=RevocationSupport(True, 5).encode(), **request))

    agent.world.now += 3000
    answer = agent.take(a_request("pc1", after=RevocationSupport(True, 8).encode(), **request))

    reply = an_authentic_reply(answer.datagram, to=a_request("pc1", **request))
    FOREIGN_HOME.verify(answer.datagram, find(reply.extensions, ForeignHomeAuthentication)[0])
    assert [one.timestamp for one in find(reply.extensions, RevocationSupport)] == [NTP_2026 // 1000 + 3]
    assert _take(agent, a_request("pc1", **{**request, "foreign_home": None})).code == 132  # nobody vouches for that


def test_a_denial_that_was_lost_is_said_again(agent):
    datagram = a_request("pc1", flags=FLAG_r, identification=_nonce(agent) << 32 | 2)

    answers = [agent.take(datagram) for _ in range(3)]

    assert an_authentic_reply(answers[0].datagram, to=datagram).code == 134
    assert answers[0] == answers[1] == answers[2]


def test_an_earlier_denial_is_not_said_to_a_later_request(agent):
    denied = _ask(agent, nonce=_nonce(agent), low=2, flags=FLAG_r)
    datagram = a_request("pc1", identification=seconds(denied.identification) << 32 | 3)
    agent.take(datagram)

    assert _take(agent, datagram).code == 0


def test_a_deregistration_whose_reply_was_lost_is_confirmed_again(agent):
    granted = _ask(agent, nonce=_nonce(agent))
    request = {"home_address": granted.home_address, "identification": seconds(granted.identification) << 32 | 2}
    datagram = a_request("pc1", lifetime=0, **request)

    answers = [agent.take(datagram) for _ in range(3)]

    reply = an_authentic_reply(answers[0].datagram, to=datagram)
    assert (reply.code, reply.lifetime) == (0, 0)
    assert answers[0] == answers[1] == answers[2]
    assert agent.bindings() == {}


@pytest.mark.parametrize("end", ["released", "lifetime over"])
def test_the_last_request_brings_a_binding_that_is_over_not_back(agent, end):
    datagram = a_request("pc1", lifetime=60, identification=_nonce(agent) << 32 | 2)
    agent.take(datagram)
    if end == "released":
        agent.run(agent.engine.release(SESSION, False, agent.now))
    else:
        agent.world.pass_time(seconds=61)

    reply = _take(agent, datagram)

    assert reply.code == 133
    assert agent.bindings() == {}
    assert _ask(agent, nonce=seconds(reply.identification), low=3).code == 0


def test_nonces_survive_a_restart_and_so_does_the_answer_to_the_last_request(agent):
    datagram = a_request("pc1", identification=_nonce(agent) << 32 | 2)
    first = _take(agent, datagram)
    agent.kill()
    agent.start(NTP_2026)

    again = _take(agent, datagram)

    assert (again.code, again.identification, again.home_address) == (0, first.identification, first.home_address)
    assert _ask(agent, nonce=seconds(first.identification), low=3).code == 0


def test_after_a_restart_a_denial_is_no_longer_known_and_133_takes_its_place():
    agent = _agent(sessions=1)
    granted = _ask(agent, "other", _nonce(agent, "other"))
    datagram = a_request("pc1", identification=_nonce(agent) << 32 | 2)
    denied = _take(agent, datagram)
    _ask(agent, "other", seconds(granted.identification), low=2, lifetime=0)
    repeated = _take(agent, datagram)
    agent.kill()
    agent.start(NTP_2026)

    reply = _take(agent, datagram)

    assert (denied.code, repeated.code, reply.code) == (130, 130, 133)
    assert _ask(agent, nonce=seconds(reply.identification), low=3).code == 0


def test_who_moves_the_tunnels_port_loses_no_nonce(agent):
    granted = _ask(agent, nonce=_nonce(agent))
    binding = agent.rows[SESSION]

    agent.run(type(agent.engine.start())([agent.engine._replay.of(SESSION).store(binding)]))
    agent.kill()
    agent.start(NTP_2026)

    assert _ask(agent, nonce=seconds(granted.identification), low=2).code == 0


@pytest.mark.parametrize("what", ["failing", "refusing"])
def test_when_the_turn_fails_130_is_said_and_said_again_and_its_nonce_holds(agent, what):
    nonce = _nonce(agent)
    setattr(agent, what, "no")
    datagram = a_request("pc1", identification=nonce << 32 | 2)
    before = len(agent.sent)

    agent.receive(datagram, FA1, 434)

    denials = [one.datagram for one in agent.sent[before:]]
    if what == "failing":  # nothing can be made durable, the way back neither: silence, and later the same answer
        assert denials == []
        setattr(agent, what, "")
        denials = [agent.take(datagram).datagram]
    reply = an_authentic_reply(denials[-1], to=datagram)
    setattr(agent, what, "")
    assert reply.code == 130
    assert agent.take(datagram).datagram == denials[-1]
    assert agent.bindings() == {}
    assert _ask(agent, nonce=seconds(reply.identification), low=3).code == 0


def test_a_renewal_that_failed_is_not_taken_for_the_registration_that_still_stands(agent):
    granted = _ask(agent, nonce=_nonce(agent), low=2)
    moved = a_request("pc1", care_of_address=FA2, identification=seconds(granted.identification) << 32 | 3)
    agent.refusing = "no"
    agent.receive(moved, FA2, 434)
    agent.refusing = ""
    agent.kill()
    agent.start(NTP_2026)

    assert _take(agent, moved, FA2).code == 133
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_a_forged_request_makes_no_nonce(agent):
    agent.take(a_request("pc1", home=FOREIGN_HOME))

    assert agent.engine._replay.next_forget() is None
    assert agent.identifications == {}


def test_no_recorded_request_changes_anything_whenever_it_comes():
    """Over a long time, with sessions that come and go, restarts, and a state that was lost."""
    chance = random.Random(5944)
    agent = _agent(sessions=3)
    recorded, nonces, latest = [], {}, {}
    for low in range(2, 400):
        agent.world.pass_time(seconds=chance.choice((0.2, 2, 9, 40, 900)))
        name = chance.choice("abc")
        request = {"lifetime": chance.choice((0, 60, 600)), "identification": nonces.get(name, 0) << 32 | low}
        datagram = a_request(name, **request)
        reply = _take(agent, datagram)
        nonces[name], latest[name] = seconds(reply.identification), datagram
        if reply.code == 0:
            recorded.append((name, datagram))
        if chance.random() < 0.1:
            agent.kill()
            if chance.random() < 0.3:
                agent.identifications.clear()
                agent.nonces.clear()
            agent.start(NTP_2026 + agent.world.now)
        for owner, old in chance.sample(recorded, min(len(recorded), 20)):
            before = agent.rows.copy(), agent.nonces.copy()
            code = _take(agent, old).code
            assert (agent.rows, agent.nonces) == before
            assert code == 133 or (code == 0 and old == latest[owner])
    assert len(recorded) > 100


def test_what_nobody_uses_is_forgotten_after_ten_minutes(agent):
    _ask(agent, "pc1", _nonce(agent, "pc1"), lifetime=0)
    _nonce(agent, "pc2")
    kept = _ask(agent, "pc3", _nonce(agent, "pc3"), lifetime=1800)

    agent.world.pass_time(seconds=601)

    assert set(agent.nonces) == {(NAI, "pc3")}
    assert set(agent.engine._replay._nonces._exchanges) == {(NAI, "pc3")}
    assert _ask(agent, "pc3", seconds(kept.identification), low=2).code == 0


def test_for_ten_minutes_a_session_that_left_may_come_back_without_a_133(agent):
    gone = _ask(agent, nonce=_nonce(agent), lifetime=0)

    agent.world.pass_time(seconds=590)

    assert _ask(agent, nonce=seconds(gone.identification), low=2).code == 0


def test_a_nai_that_tries_one_sub_nai_after_another_fills_no_table():
    agent = _agent(sessions=2)

    answers = [_ask(agent, f"x{number}") for number in range(1000)]

    assert sum(answer is not None for answer in answers) == 66  # its sessions and 64 more
    assert type(agent.world.dropped[-1][1]) is TooManySessions


def test_nonces_say_nothing_about_the_time():
    other = "other@example.net"
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(nonces=True), other: a_subscriber(other)})
    agent.world.random_octets = lambda count: b"\xff" * count
    agent.start(NTP_2026)
    reply = _ask(agent, nonce=_nonce(agent))
    agent.kill()
    agent.start(NTP_2026)

    assert seconds(reply.identification) == 0x000000FF  # 0xFFFFFFFF + 1 + 0xFF, in 32 bits
    assert agent.engine.clock(agent.now) == NTP_2026 + agent.now
    assert agent.ask(nai=other).code == 0


def test_a_clock_that_was_put_back_makes_no_binding_last_longer(agent):
    granted = _ask(agent, nonce=_nonce(agent), lifetime=600)
    agent.kill()
    agent.start(NTP_2026 - 86_400_000)

    assert agent.rows[SESSION].expires - agent.engine.clock(agent.now) == granted.lifetime * 1000
    agent.world.pass_time(seconds=600)
    assert agent.bindings() == {}


def test_a_subscriber_may_change_from_one_style_to_the_other_with_bindings_in_force(agent):
    granted = _ask(agent, nonce=_nonce(agent))
    agent.kill()
    agent.policy = HomeAgentAlone(subscribers={NAI: a_subscriber()}).policy
    agent.start(NTP_2026)
    renewed = agent.ask("pc1")
    agent.kill()
    agent.policy = _agent().policy
    agent.start(NTP_2026)

    met = _ask(agent, nonce=seconds(granted.identification), low=3)
    reply = _ask(agent, nonce=seconds(met.identification), low=4)

    assert (renewed.code, met.code, reply.code) == (0, 133, 0)
    assert renewed.home_address == reply.home_address == granted.home_address


def test_check_by_itself_lets_pass_the_nonce_and_knows_the_last_request_again():
    check = NonceCheck({SESSION: (7 << 32 | 1, 9)}, lambda session: None, lambda count: bytes(count))

    assert check.check(SESSION, 9 << 32 | 2, 0, 8) is None
    assert check.check(SESSION, 7 << 32 | 1, 0, 8).denial is None
    for identification in (7 << 32 | 2, 8 << 32 | 1, 0, 10 << 32):
        with pytest.raises(Denied) as denied:
            check.check(SESSION, identification, 0, 8)
        assert denied.value.code == 133


def test_what_is_made_durable_is_the_last_identification_and_the_next_nonce(agent):
    turns = []
    agent.run = turns.append
    nonce = 0
    for low in (1, 2):
        agent.receive(a_request("pc1", identification=nonce << 32 | low), FA1, 434)
        nonce = agent.engine._replay._nonces._exchanges[SESSION].nonce

    assert [type(effect) for effect in turns[0].effects if isinstance(effect, StoreBinding)] == []
    (stored,) = [effect for effect in turns[1].effects if isinstance(effect, StoreBinding)]
    assert (stored.binding.identification & 0xFFFFFFFF, stored.nonce) == (2, nonce)


def test_what_was_remembered_of_nonces_takes_no_timestamp_away():
    agent = _agent()
    _ask(agent, nonce=_nonce(agent), lifetime=0)
    agent.kill()
    agent.policy = HomeAgentAlone(subscribers={NAI: a_subscriber()}).policy
    agent.start(NTP_2026)
    agent.ask("pc1", lifetime=1800)

    agent.world.pass_time(seconds=700)

    assert set(agent.identifications) == {SESSION}
