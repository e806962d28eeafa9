"""Several care-of addresses of one session at a time: what each request, end and restart makes of them (HA-25, HA-26).

The table of RFC 5944 §3.8.2.2: lifetime 0 ends one of them, or from home all; S keeps the others; without S they go.
"""

import pytest
from msgspec.structs import replace

from host_agents.home_agent.simultaneous import each
from mip4.address import parse, show
from mip4.const import FLAG_B, FLAG_D, FLAG_G, FLAG_S, FLAG_x
from mip4.extensions import ForeignHomeAuthentication, RevocationSupport, UdpTunnelRequest
from mip4.identification import seconds
from mip4.revocation import RegistrationRevocation
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, NTP_2026, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, a_request, an_identification, octets_of

FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]
THIRD, FOURTH = parse("198.51.100.77"), parse("198.51.100.78")
HOME_ADDRESS = parse("10.10.0.10")


@pytest.fixture
def agent():
    return HomeAgentAlone()


def _ask(agent, care_of_address, flags=FLAG_S, **request):
    return agent.ask("pc1", flags=flags, care_of_address=care_of_address, source=care_of_address, **request)


def _care_ofs(agent):
    """Those of the only session, each with its tunnel, the one registered last first."""
    agent.bindings()  # durable, and every one with its tunnel
    return [one.care_of_address for session in agent.engine.bindings for one in each(session)]


def test_ha_26_a_further_care_of_address_stands_beside_the_first_and_packets_go_to_both(agent):
    _ask(agent, FA1)

    reply = _ask(agent, FA2)

    assert reply.code == 0
    assert _care_ofs(agent) == [FA2, FA1]
    assert [show(end.remote) for end in agent.installed[HOME_ADDRESS].ends] == ["203.0.113.2", "203.0.113.66"]
    assert agent.world.said[-1][1].startswith("bound ")
    assert "care_of=203.0.113.66 also=203.0.113.2" in agent.world.said[-1][1]


def test_each_has_the_encapsulation_and_the_broadcasts_that_it_asked_for(agent):
    _ask(agent, FA1, flags=FLAG_S | FLAG_G)

    _ask(agent, THIRD, flags=FLAG_S | FLAG_B | FLAG_D)

    ends = agent.installed[HOME_ADDRESS].ends
    assert [(end.encapsulation, end.broadcast, end.co_located) for end in ends] == [
        ("ipip", True, True),
        ("gre", False, False),
    ]


def test_a_renewal_of_either_is_no_move_and_leaves_the_tunnel_alone(agent):
    _ask(agent, FA1)
    _ask(agent, FA2)
    before, said = agent.installed[HOME_ADDRESS], len(agent.world.said)

    for care_of_address in (FA1, FA2, FA1, FA2, FA1):
        assert _ask(agent, care_of_address).code == 0

    assert _care_ofs(agent) == [FA1, FA2]
    assert agent.installed[HOME_ADDRESS] is before
    assert len(agent.world.said) == said


def test_ha_25_beyond_the_limit_135_and_what_there_was_stands():
    agent = HomeAgentAlone(simultaneous_bindings=2)
    _ask(agent, FA1)
    _ask(agent, FA2)

    refused = _ask(agent, THIRD)

    assert refused.code == 135
    assert _care_ofs(agent) == [FA2, FA1]
    assert _ask(agent, FA1).code == 0  # a renewal is not one more
    assert _ask(agent, THIRD, flags=0).code == 0  # nor is what takes the place of all


def test_ha_25_what_is_over_does_not_count():
    agent = HomeAgentAlone(simultaneous_bindings=2)
    _ask(agent, FA1, lifetime=10)
    _ask(agent, FA2)
    agent.world.now += 11_000  # and nobody has woken the agent yet

    assert _ask(agent, THIRD).code == 0
    assert _care_ofs(agent) == [THIRD, FA2]


def test_without_s_all_earlier_ones_are_replaced(agent):
    _ask(agent, FA1)
    _ask(agent, FA2)

    _ask(agent, FA2, flags=0)

    assert _care_ofs(agent) == [FA2]


def test_lifetime_0_ends_that_care_of_address_alone(agent):
    _ask(agent, FA1)
    _ask(agent, FA2)

    assert _ask(agent, FA2, lifetime=0).code == 0

    assert _care_ofs(agent) == [FA1]
    assert "unbound nai=kleung@example.net sub_nai='pc1'" in agent.world.said[-1][1]
    assert "care_of=203.0.113.66 " in agent.world.said[-1][1]


def test_lifetime_0_of_a_care_of_address_that_is_not_among_them_ends_nothing(agent):
    _ask(agent, FA1)
    _ask(agent, FA2)

    assert _ask(agent, THIRD, lifetime=0).code == 0

    assert _care_ofs(agent) == [FA2, FA1]


def test_lifetime_0_from_home_ends_all_of_that_session_and_of_no_other(agent):
    agent.ask("other")
    _ask(agent, FA1, home_address=parse("10.10.0.20"))
    _ask(agent, FA2)

    home = parse("10.10.0.20")
    assert _ask(agent, home, home_address=home, lifetime=0).code == 0

    assert set(agent.bindings()) == {"other"}
    assert len(agent.installed) == 1


def test_the_lifetime_of_one_ends_that_one_and_the_other_stays(agent):
    _ask(agent, FA1, lifetime=100)
    _ask(agent, FA2, lifetime=600)

    agent.world.pass_time(seconds=101)
    first = _care_ofs(agent)
    agent.world.pass_time(seconds=500)

    assert first == [FA2]
    assert _care_ofs(agent) == []
    assert agent.installed == {}


def test_the_one_registered_last_may_end_first(agent):
    _ask(agent, FA1, lifetime=600)
    _ask(agent, FA2, lifetime=100)

    agent.world.pass_time(seconds=101)

    assert _care_ofs(agent) == [FA1]


def test_a_restart_keeps_them_all_and_the_last_identification_is_not_taken_twice(agent):
    _ask(agent, FA1, lifetime=100)
    _ask(agent, FA2)
    _ask(agent, FA2, lifetime=0)
    _ask(agent, THIRD)
    last = agent.identifications[NAI, "pc1"]

    agent.kill()
    agent.start(NTP_2026)

    assert _care_ofs(agent) == [THIRD, FA1]
    assert _ask(agent, THIRD, identification=last).code == 133
    agent.world.pass_time(seconds=101)
    assert _care_ofs(agent) == [THIRD]


def test_where_lifetimes_never_end_they_stay_together_over_a_restart():
    agent = HomeAgentAlone(lifetime=0xFFFF)
    for care_of_address in (FA1, FA2, FA1):
        assert _ask(agent, care_of_address, lifetime=0xFFFF).lifetime == 0xFFFF
    agent.kill()
    agent.start(NTP_2026)

    agent.world.pass_time(seconds=1_000_000)

    assert _care_ofs(agent) == [FA1, FA2]
    assert agent.engine.deadline() is None


@pytest.mark.parametrize(("flags", "code"), [(FLAG_S, 1), (FLAG_D, 0)])
def test_ha_26_where_one_is_the_most_code_1_is_for_those_that_wanted_more(flags, code):
    agent = HomeAgentAlone(simultaneous_bindings=1)

    assert [_ask(agent, one, flags=flags).code for one in (FA1, FA2)] == [code, code]
    assert _care_ofs(agent) == [FA2]


def test_a_clock_that_was_put_back_lengthens_the_lifetime_of_none_of_them(agent):
    _ask(agent, FA1, lifetime=100)
    _ask(agent, FA2, lifetime=600)
    agent.kill()
    row = agent.rows[NAI, "pc1"]
    ahead = tuple(replace(one, expires=one.expires + 86_400_000) for one in row.others)
    agent.rows[NAI, "pc1"] = replace(row, expires=row.expires + 86_400_000, others=ahead)

    agent.start(NTP_2026)
    agent.world.pass_time(seconds=101)

    assert _care_ofs(agent) == [FA2]
    agent.world.pass_time(seconds=500)
    assert _care_ofs(agent) == []


def test_with_nonces_a_reply_that_was_lost_is_said_again_and_nothing_changes():
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(nonces=True)})
    nonce = 0
    for low, care_of_address in enumerate((FA1, FA1, FA2)):  # the first gets 133, with a nonce
        word = nonce << 32 | low
        reply = _ask(agent, care_of_address, identification=word)
        nonce = seconds(reply.identification)
    before = agent.rows[NAI, "pc1"]

    again = _ask(agent, FA2, identification=word)

    assert (again.code, again.home_address, _care_ofs(agent)) == (0, HOME_ADDRESS, [FA2, FA1])
    assert agent.rows[NAI, "pc1"] is before


def test_an_identification_that_was_denied_stays_used_when_one_of_them_ends(agent):
    _ask(agent, FA1, lifetime=100)
    _ask(agent, FA2)
    assert _ask(agent, FA2, flags=FLAG_S | FLAG_x).code == 134
    used = agent.identifications[NAI, "pc1"]

    agent.world.pass_time(seconds=101)

    assert _care_ofs(agent) == [FA2]
    assert agent.identifications[NAI, "pc1"] == used


def test_when_one_more_is_refused_by_the_kernel_the_others_stand_durably_before_130_goes(agent):
    _ask(agent, FA1)
    _ask(agent, FA2)
    refused = agent.engine.refused
    agent.refusing = "no buffer space"

    def once(session, reason, now):
        agent.refusing = ""
        return refused(session, reason, now)

    agent.engine.refused = once

    assert _ask(agent, THIRD).code == 130
    assert _care_ofs(agent) == [FA2, FA1]
    assert [one.care_of_address for one in each(agent.rows[NAI, "pc1"])] == [FA2, FA1]


def test_another_home_address_begins_with_one_care_of_address(agent):
    _ask(agent, FA1)

    _ask(agent, FA2, home_address=parse("10.10.0.33"))

    assert _care_ofs(agent) == [FA2]
    assert list(agent.installed) == [parse("10.10.0.33")]


def test_a_keepalive_finds_the_one_that_waits_for_its_port(agent):
    """RFC 3519 §4.6.2: of a request that a foreign agent relayed, the node's own port is not known yet."""
    _ask(agent, FA1)
    wish = UdpTunnelRequest(False, True, 4)
    agent.ask("pc1", flags=FLAG_S | FLAG_D, care_of_address=THIRD, source=FOURTH, before=[wish])

    agent.run(agent.engine.rebound(HOME_ADDRESS, FOURTH, 4711, agent.now))

    assert _care_ofs(agent) == [THIRD, FA1]
    assert [end.port for end in agent.installed[HOME_ADDRESS].ends] == [4711, 0]


# ---- revocation (RFC 3543)


@pytest.fixture
def signing():
    """A home agent that shares a key with both foreign agents."""
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME, FA2: FOREIGN_HOME})
    for care_of_address in (FA1, FA2):
        support = octets_of(RevocationSupport(True, 7))
        _ask(agent, care_of_address, after=support, foreign_home=FOREIGN_HOME)
    return agent


def test_a_foreign_agent_revokes_what_it_has_and_no_more(signing):
    message = RegistrationRevocation(False, False, HOME_ADDRESS, HOME_AGENT, FA1, 99, [])
    octets = FOREIGN_HOME.sign(message.encode(), ForeignHomeAuthentication)

    assert signing.take(octets, FA1) is not None

    assert _care_ofs(signing) == [FA2]


def test_a_release_is_told_to_every_foreign_agent(signing):
    before = len(signing.sent)

    signing.run(signing.engine.release((NAI, "pc1"), False, signing.now))

    assert [one.destination for one in signing.sent[before:]] == [FA2, FA1]
    assert _care_ofs(signing) == []


# ---- while a turn is open


def test_an_end_during_an_open_turn_leaves_what_that_turn_makes(agent):
    _ask(agent, FA1, lifetime=10)
    agent.world.now += 9_500
    agent.commit_time = lambda: 1000
    fresh = an_identification(agent.now, low=99)

    agent.receive(a_request("pc1", flags=FLAG_S, care_of_address=FA2, identification=fresh), FA2, 434)
    agent.world.pass_time(seconds=3)

    assert _care_ofs(agent) == [FA2]
