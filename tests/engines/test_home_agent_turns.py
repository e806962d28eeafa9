"""Turns of the home agent: order of effects, what the store or the kernel refuses, requests in between, expiry."""

import pytest

from host_agents.effects import (
    InstallTunnel,
    RemoveBinding,
    RemoveTunnel,
    RenewBinding,
    Said,
    SendDatagram,
    StoreBinding,
    StoreIdentification,
)
from host_agents.home_agent.policy import HomeNetwork
from mip4.address import parse
from mip4.messages import RegistrationReply
from tests.helpers.alone import HomeAgentAlone, an_authentic_reply
from tests.helpers.builders import FOREIGN_AGENTS, NAI, NTP_2026, a_subscriber
from tests.helpers.messages import a_request, an_identification

FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]


@pytest.fixture
def agent():
    return HomeAgentAlone()


def _kinds(turn):
    return [type(effect) for effect in turn.effects if not isinstance(effect, Said)]


def _request(low, sub_nai="pc1", **changes):
    return a_request(sub_nai, identification=an_identification(low=low), **changes)


def _slow(agent, commit=20):
    agent.commit_time = lambda: commit
    return agent


def test_ha_26_a_first_registration_is_durable_then_carried_then_answered(agent):
    turn = agent.engine.receive(_request(1), FA1, 434, 0)

    assert _kinds(turn) == [StoreBinding, InstallTunnel, SendDatagram]
    assert turn.session == (NAI, "pc1")


def test_a_renewal_leaves_the_tunnel_alone(agent):
    agent.take(_request(1))

    turn = agent.engine.receive(_request(2), FA1, 434, 0)

    assert _kinds(turn) == [RenewBinding, SendDatagram]


def test_ha_26_a_deregistration_takes_everything_away_before_it_is_answered(agent):
    agent.take(_request(1))

    turn = agent.engine.receive(_request(2, lifetime=0), FA1, 434, 0)

    assert _kinds(turn) == [RemoveBinding, RemoveTunnel, StoreIdentification, SendDatagram]


def test_a_denial_is_durable_before_it_is_sent(agent):
    turn = agent.engine.receive(_request(1, flags=1), FA1, 434, 0)

    assert _kinds(turn) == [StoreIdentification, SendDatagram]
    assert turn.session is None


# ---- refusals


def test_while_nothing_at_all_can_be_made_durable_there_is_silence_and_then_it_goes_on(agent):
    """Not even that the former state stands again: the node asks once more."""
    agent.failing = "no space left on device"
    silent = agent.take(_request(1))
    agent.failing = ""

    answered = agent.take(_request(2))

    assert (silent is None, answered is None) == (True, False)
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_a_move_that_the_kernel_refuses_together_with_the_way_back_is_given_up_in_the_log(agent):
    agent.take(_request(1))
    agent.refusing = "no buffer space"

    assert agent.take(_request(2, care_of_address=FA2), FA2) is None

    assert agent.rows[NAI, "pc1"].care_of_address == FA1
    assert agent.world.warnings()[-1].startswith("gave up on nai=")


def _refuse_once(agent, what):
    """The next attempt alone is refused."""
    setattr(agent, what, "no space left on device")
    refused = agent.engine.refused

    def once(session, reason, now):
        setattr(agent, what, "")
        agent.engine.refused = refused
        return refused(session, reason, now)

    agent.engine.refused = once


@pytest.mark.parametrize("what", ["failing", "refusing"])
def test_ha_26_when_a_first_registration_is_refused_nothing_stays_and_130_goes(agent, what):
    _refuse_once(agent, what)
    datagram = _request(1)

    reply = an_authentic_reply(agent.take(datagram).datagram, to=datagram)

    assert reply.code == 130
    assert agent.bindings() == {}
    assert agent.identifications == {(NAI, "pc1"): an_identification(low=1)}
    assert "no space left on device" in agent.world.warnings()[-1]


@pytest.mark.parametrize("what", ["failing", "refusing"])
def test_when_a_move_is_refused_the_former_binding_stands_again_durably_before_130_goes(agent, what):
    agent.take(_request(1))
    former = agent.rows[NAI, "pc1"]
    _refuse_once(agent, "refusing" if what == "refusing" else "failing")
    datagram = _request(2, care_of_address=FA2)

    reply = an_authentic_reply(agent.take(datagram, FA2).datagram, to=datagram)

    assert reply.code == 130
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}
    assert agent.rows[NAI, "pc1"].expires == former.expires
    assert agent.take(_request(2, care_of_address=FA2), FA2) is not None  # its Identification stays used
    assert RegistrationReply.decode(agent.sent[-1].datagram).code == 133


def test_when_a_new_address_is_refused_the_former_one_is_held_again():
    agent = HomeAgentAlone()
    agent.take(_request(1))
    _refuse_once(agent, "refusing")

    reply = agent.take(_request(2, home_address=agent.rows[NAI, "pc1"].home_address + 5))

    assert RegistrationReply.decode(reply.datagram).code == 130
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_when_a_deregistration_is_refused_the_binding_stands(agent):
    agent.take(_request(1))
    _refuse_once(agent, "failing")

    reply = agent.take(_request(2, lifetime=0))

    assert RegistrationReply.decode(reply.datagram).code == 130
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_the_engines_table_is_the_durable_one_after_every_refusal(agent):
    for low, what in enumerate(("failing", "refusing") * 4, start=1):
        _refuse_once(agent, what)
        agent.take(_request(low, sub_nai=f"pc{low % 3}", care_of_address=(FA1, FA2)[low % 2]), (FA1, FA2)[low % 2])

        assert agent.bindings() == {}
        agent.kill()
        agent.start(NTP_2026)


# ---- while a turn is open


def test_a_request_during_an_open_turn_of_its_session_waits_for_the_end_of_it(agent):
    _slow(agent)
    agent.receive(_request(1), FA1, 434)
    agent.receive(_request(2, care_of_address=FA2), FA2, 434)

    agent.world.pass_time(seconds=0.03)
    first = [RegistrationReply.decode(one.datagram).code for one in agent.sent]
    agent.world.pass_time(seconds=0.03)

    assert first == [0]
    assert [one.destination for one in agent.sent] == [FA1, FA2]
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.66")}


def test_of_several_requests_during_an_open_turn_the_last_one_counts(agent):
    _slow(agent)
    for low in range(1, 6):
        agent.receive(_request(low), FA1, 434)

    agent.world.pass_time(seconds=1)

    assert [RegistrationReply.decode(one.datagram).identification & 0xFF for one in agent.sent] == [1, 5]


def test_a_forged_request_during_an_open_turn_does_not_displace_the_one_that_waits(agent):
    _slow(agent)
    agent.receive(_request(1), FA1, 434)
    agent.receive(_request(2), FA1, 434)
    forged = bytearray(_request(3))
    forged[2] ^= 1
    agent.receive(bytes(forged), FA1, 434)

    agent.world.pass_time(seconds=1)

    codes = {RegistrationReply.decode(one.datagram).identification & 0xFF: one for one in agent.sent}
    assert set(codes) == {1, 2, 3}
    assert [RegistrationReply.decode(codes[low].datagram).code for low in (1, 2, 3)] == [0, 0, 131]


def test_sessions_do_not_wait_for_each_other(agent):
    _slow(agent)
    for low, name in enumerate(("a", "b", "c"), start=1):
        agent.receive(_request(low, sub_nai=name), FA1, 434)

    agent.world.pass_time(seconds=0.021)

    assert len(agent.sent) == 3
    assert len(set(agent.bindings().values())) == 3


def test_what_waited_is_looked_at_after_a_refusal_too(agent):
    _slow(agent)
    _refuse_once(agent, "failing")
    agent.receive(_request(1), FA1, 434)
    agent.receive(_request(2), FA1, 434)

    agent.world.pass_time(seconds=1)

    assert [RegistrationReply.decode(one.datagram).code for one in agent.sent] == [130, 0]
    assert set(agent.bindings()) == {"pc1"}


def test_an_address_given_back_while_its_removal_is_being_written_has_one_owner_in_the_end(agent):
    _slow(agent)
    agent.receive(_request(1), FA1, 434)
    agent.world.pass_time(seconds=1)
    agent.receive(_request(2, lifetime=0), FA1, 434)
    agent.receive(_request(3, sub_nai="other", home_address=agent.rows[NAI, "pc1"].home_address), FA1, 434)

    agent.world.pass_time(seconds=1)

    assert agent.bindings() == {"other": ("10.10.0.10", "203.0.113.2")}


# ---- deregistration and expiry


def test_ha_26_a_deregistration_through_another_care_of_address_is_accepted_and_leaves_the_binding(agent):
    agent.ask("pc1")

    reply = agent.ask("pc1", lifetime=0, care_of_address=FA2, source=FA2)

    assert (reply.code, reply.lifetime) == (0, 0)
    assert set(agent.bindings()) == {"pc1"}
    assert [text for _, text in agent.world.said if text.startswith("unbound")] == []


def test_ha_18_a_deregistration_of_an_address_that_is_free_ends_no_other_one(agent):
    home_address = agent.ask("pc1").home_address

    assert agent.ask("pc1", lifetime=0, home_address=home_address + 1).code == 129
    assert set(agent.bindings()) == {"pc1"}


def test_a_deregistration_without_home_address_is_told_which_one_it_was(agent):
    home_address = agent.ask("pc1").home_address

    assert agent.ask("pc1", lifetime=0).home_address == home_address
    assert agent.bindings() == {}


def test_a_deregistration_of_nothing_is_accepted(agent):
    reply = agent.ask("pc1", lifetime=0)

    assert (reply.code, reply.lifetime, reply.home_address) == (0, 0, 0)


def test_a_binding_ends_with_its_lifetime_and_nobody_is_told(agent):
    granted = agent.ask("pc1", lifetime=60).lifetime
    agent.ask("pc2", lifetime=600)
    sent = len(agent.sent)

    agent.world.pass_time(seconds=granted - 0.001)
    assert set(agent.bindings()) == {"pc1", "pc2"}
    agent.world.pass_time(seconds=0.001)

    assert set(agent.bindings()) == {"pc2"}
    assert len(agent.sent) == sent


def test_bindings_that_ended_while_the_agent_was_down_end_when_it_is_up(agent):
    agent.ask("pc1", lifetime=60)
    agent.ask("pc2", lifetime=600)
    agent.kill()
    agent.world.pass_time(seconds=100)

    agent.start(NTP_2026 + agent.world.now)
    agent.world.pass_time(seconds=0.001)

    assert set(agent.bindings()) == {"pc2"}


def test_hundreds_of_bindings_that_end_at_once_end_in_several_turns():
    pool = ((parse("10.10.0.10"), parse("10.10.3.250")),)
    network = HomeNetwork(prefix=(parse("10.10.0.0"), 16), pool=pool, gateway=parse("10.10.0.1"), dns=())
    agent = HomeAgentAlone(networks=(network,), subscribers={NAI: a_subscriber(sessions=1000)})
    for number in range(300):
        agent.ask(f"pc{number}", lifetime=10)

    ended = [_kinds(agent.engine.wake(20_000)).count(RemoveBinding) for _ in range(3)]

    assert ended == [256, 44, 0]


def test_two_care_of_addresses_in_turn_are_a_warning(agent):
    for number in range(6):
        source = (FA1, FA2)[number % 2]
        agent.ask("pc1", care_of_address=source, source=source)
        agent.world.pass_time(seconds=1)

    assert len(agent.world.warnings()) == 1
    assert "alternates between two care-of addresses" in agent.world.warnings()[0]
