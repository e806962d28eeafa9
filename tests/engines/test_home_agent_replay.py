"""Identifications at the home agent (RFC 5944 §5.7): replay, reordering, resynchronisation, clocks."""

import random

import pytest

from host_agents.home_agent.timestamps import TimestampCheck
from host_agents.home_agent.unbound import TooManySessions
from mip4.authentication import SecurityAssociation
from mip4.const import FLAG_S, FLAG_r
from mip4.errors import Denied
from mip4.identification import from_ms, seconds
from tests.helpers.alone import HomeAgentAlone, an_authentic_reply
from tests.helpers.builders import FOREIGN_AGENTS, NAI, NTP_2026, SPI, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, a_request, an_identification

FA1 = FOREIGN_AGENTS["fa1"]
DAY = 86_400_000  # ms


@pytest.fixture
def agent():
    return HomeAgentAlone()


@pytest.fixture
def check():
    return TimestampCheck(NTP_2026, {}, (), lambda session: None)


def _code(agent, datagram):
    return an_authentic_reply(agent.take(datagram).datagram, to=datagram).code


def test_a_duplicate_gets_133_with_an_identification_that_lets_its_sender_go_on(agent):
    datagram = a_request("pc1", identification=an_identification(low=7))
    agent.take(datagram)
    before = agent.rows[NAI, "pc1"]

    reply = an_authentic_reply(agent.take(datagram).datagram, to=datagram)

    assert reply.code == 133
    assert agent.rows[NAI, "pc1"] == before
    assert reply.identification & 0xFFFFFFFF == 7
    assert seconds(reply.identification) == seconds(an_identification()) + 1  # above the last accepted
    assert _code(agent, a_request("pc1", identification=reply.identification)) == 0


def test_of_two_requests_that_overtook_each_other_the_later_one_holds(agent):
    agent.take(a_request("pc1", identification=an_identification(low=8), care_of_address=FA1))
    other = FOREIGN_AGENTS["fa2"]

    answer = agent.take(a_request("pc1", identification=an_identification(low=7), care_of_address=other), other)

    assert an_authentic_reply(answer.datagram, to=a_request("pc1", identification=7)).code == 133
    assert agent.bindings()["pc1"] == ("10.10.0.10", "203.0.113.2")


def test_sessions_of_one_nai_do_not_wait_for_each_other(agent):
    codes = [_code(agent, a_request(name, identification=an_identification(low=9 - i))) for i, name in enumerate("abc")]

    assert codes == [0, 0, 0]


@pytest.mark.parametrize(("late", "code"), [(7000, 0), (8001, 133), (-7000, 0), (-8001, 133)])
def test_the_tolerance_is_seven_seconds_either_way(agent, late, code):
    assert _code(agent, a_request(identification=an_identification(-late))) == code


@pytest.mark.parametrize(("late", "code"), [(7000, 0), (8001, 133), (-7000, 0), (-8001, 133)])
def test_for_a_renewal_too(agent, late, code):
    agent.ask("pc1")
    agent.world.now = 60_000

    assert _code(agent, a_request("pc1", identification=an_identification(60_000 - late))) == code


@pytest.mark.parametrize("late", [-3600_000, 3600_000, NTP_2026 - 1000])
def test_133_tells_the_home_agents_clock(agent, late):
    agent.world.now = 5000
    datagram = a_request(identification=an_identification(5000 - late, low=3))

    reply = an_authentic_reply(agent.take(datagram).datagram, to=datagram)

    assert reply.identification == seconds(an_identification(5000)) << 32 | 3


def test_the_identification_of_an_authentic_denial_is_used_up_too(agent):
    datagram = a_request("pc1", flags=FLAG_r)

    assert [_code(agent, datagram), _code(agent, datagram)] == [134, 133]
    assert agent.identifications[NAI, "pc1"] == an_identification()
    agent.kill()
    agent.start(NTP_2026)
    assert _code(agent, datagram) == 133


def test_nor_is_a_renewal_believed_that_is_older_than_a_denial_or_comes_twice_after_one(agent):
    """Whichever way it takes: a binding has the Identification of what was accepted, a denial has one of its own."""
    first, second, denied, last = (an_identification(low=low) for low in range(4))
    agent.take(a_request("pc1", identification=first))
    assert _code(agent, a_request("pc1", identification=denied, flags=FLAG_r)) == 134

    assert _code(agent, a_request("pc1", identification=second)) == 133
    agent.kill()
    agent.start(NTP_2026)
    assert _code(agent, a_request("pc1", identification=denied, flags=FLAG_r)) == 133
    assert _code(agent, a_request("pc1", identification=second)) == 133
    assert [_code(agent, a_request("pc1", identification=last)) for _ in range(2)] == [0, 133]


def test_neither_a_133_nor_a_forgery_uses_up_an_identification(agent):
    later = an_identification(low=50)
    agent.take(a_request("pc1", identification=an_identification(9000, low=1)))
    agent.take(a_request("pc1", identification=later, home=SecurityAssociation(SPI, b"guessed")))

    assert agent.identifications == {}
    assert _code(agent, a_request("pc1", identification=an_identification(low=49))) == 0


def test_a_request_that_the_foreign_agent_did_not_sign_spoils_nothing_for_the_one_it_did():
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME})

    assert _code(agent, a_request()) == 132
    assert _code(agent, a_request(foreign_home=FOREIGN_HOME)) == 0


def test_an_old_request_says_nothing_new_after_a_deregistration(agent):
    agent.take(a_request("pc1", identification=an_identification(low=1)))
    agent.take(a_request("pc1", identification=an_identification(low=2), lifetime=0))

    assert _code(agent, a_request("pc1", identification=an_identification(low=1))) == 133
    assert agent.bindings() == {}


def test_no_recorded_request_is_ever_believed_again_whenever_it_comes(agent):
    """Over a long time, with sessions that come and go, restarts and a clock that is put back."""
    chance = random.Random(5944)
    recorded = []
    for _ in range(300):
        agent.world.pass_time(seconds=chance.choice((0.2, 2, 9, 40)))
        datagram = a_request(
            chance.choice("abcd"),
            lifetime=chance.choice((0, 600)),
            identification=an_identification(agent.world.now, low=len(recorded)),
        )
        recorded.append(datagram)
        assert agent.take(datagram) is not None
        if chance.random() < 0.05:
            agent.kill()
            agent.start(NTP_2026 + agent.world.now - chance.choice((0, DAY)))
        for old in chance.sample(recorded, min(len(recorded), 20)):
            assert _code(agent, old) == 133


@pytest.mark.parametrize("restarted", [False, True], ids=["", "over a restart"])
def test_identifications_of_sessions_that_are_gone_are_forgotten_when_the_tolerance_refuses_them(agent, restarted):
    agent.ask("pc1")
    agent.ask("pc1", lifetime=0)
    agent.world.pass_time(seconds=15)
    agent.ask("pc2")

    if restarted:
        agent.kill()
        agent.start(NTP_2026 + 15_000)

    agent.world.pass_time(seconds=30)

    assert set(agent.identifications) == {(NAI, "pc2")}
    assert agent.engine._replay.timestamps.last((NAI, "pc1")) == 0
    assert agent.engine.deadline() - agent.now > 500_000  # nothing goes on ticking


def test_a_clock_that_was_put_back_starts_where_the_last_request_was(agent):
    agent.world.now = 60_000
    agent.ask("pc1")
    agent.kill()
    agent.start(NTP_2026 - DAY)

    late = agent.engine.clock(agent.now) - (NTP_2026 + 60_000)

    assert -7000 <= late <= 0
    assert agent.ask("pc1", identification=an_identification(61_000)).code == 0


def test_a_denied_request_is_not_new_again_after_the_clock_was_put_back_and_put_right(agent):
    """At the first start the binding lasts a shorter time, and is stored anew."""
    agent.ask("pc1")
    denied = a_request("pc1", flags=FLAG_r, identification=an_identification(1000))
    assert _code(agent, denied) == 134

    for ntp_ms in (NTP_2026 - DAY, NTP_2026):
        agent.kill()
        agent.start(ntp_ms)

    assert _code(agent, denied) == 133


@pytest.mark.parametrize("later", [1, 7, 13, 14])
def test_nor_is_one_close_to_the_largest_forgotten_for_the_same_day(agent, later):
    """The clock begins a little below the largest then, where the tolerance lets a while of before that pass."""
    datagram = a_request("pc1", identification=an_identification(low=0))
    agent.take(datagram)
    assert agent.ask("pc1", lifetime=0).code == 0
    agent.world.pass_time(seconds=later)
    agent.ask("pc2")
    agent.world.pass_time(seconds=300)
    agent.kill()
    agent.start(NTP_2026 - DAY)

    for _ in range(20):
        assert _code(agent, datagram) == 133
        agent.world.pass_time(seconds=1)


def test_the_largest_identification_is_remembered_for_the_day_when_the_clock_is_put_back(agent):
    datagram = a_request("pc1", lifetime=0, identification=an_identification())
    agent.take(datagram)
    agent.world.pass_time(seconds=3600)
    agent.kill()
    agent.start(NTP_2026 - DAY)

    for _ in range(60):
        agent.world.pass_time(seconds=1)

        assert _code(agent, datagram) == 133


def test_a_nai_that_tries_one_sub_nai_after_another_fills_no_table():
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(sessions=2)})
    for name in ("pc1", "pc2"):
        agent.ask(name)

    answers = [agent.take(a_request(f"x{number}", flags=FLAG_r)) for number in range(1000)]

    assert sum(answer is not None for answer in answers) == 66  # its sessions and 64 more
    assert len(agent.identifications) == 68
    assert type(agent.world.dropped[-1][1]) is TooManySessions
    assert agent.ask("pc2", flags=FLAG_S).code == 0
    agent.world.pass_time(seconds=15)
    assert agent.ask("pc1").code == 0
    agent.world.pass_time(seconds=15)
    assert agent.take(a_request("x999", flags=FLAG_r, identification=an_identification(30_000))) is not None


def test_check_by_itself_believes_a_larger_identification_within_the_tolerance_and_nothing_else(check):
    session = ("a@example.net", "")
    check.accept(session, from_ms(NTP_2026), 0)

    check.check(session, from_ms(NTP_2026) + 1, 0, 8)

    for identification in (from_ms(NTP_2026), from_ms(NTP_2026) - 1, 0, from_ms(NTP_2026 + 9000), 0xFFFFFFFF << 32):
        with pytest.raises(Denied) as denied:
            check.check(session, identification, 0, 8)
        assert denied.value.code == 133


def test_resynchronising_stays_above_what_was_accepted_ahead_of_the_clock(check):
    session = ("a@example.net", "")
    check.accept(session, from_ms(NTP_2026 + 6500), 0)

    answer = check.resynchronising(session, 5, 0)

    assert answer == (seconds(from_ms(NTP_2026 + 6500)) + 1) << 32 | 5
    check.check(session, answer, 0, 8)
