"""A home agent that is assigned and not configured (RFC 4433): who chooses, who redirects, and what is kept."""

import pytest

from mip4.address import parse
from mip4.extensions import Experimental, HomeAgentAddress, MobileHomeAuthentication, Nai, find
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.helpers.alone import ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import HOME_AGENT, NAI, a_subscriber
from tests.helpers.driven_node import HOME_ADDRESS, DrivenNode
from tests.helpers.messages import FOREIGN_HOME, HOME, a_reply, a_request, octets_of
from tests.helpers.world import World

ANY, ALL = 0, 0xFFFFFFFF
OTHER = parse("192.0.2.9")
THIRD = parse("192.0.2.17")
PRINTER = parse("10.10.0.7")
LEFT_OPEN = pytest.mark.parametrize("left_open", [ANY, ALL], ids=["all zeros", "all ones"])


# ---- the home agent


@LEFT_OPEN
@pytest.mark.parametrize("before", [(), (HomeAgentAddress(1, HOME_AGENT),)], ids=["unasked", "requested"])
def test_ha_11_a_request_that_leaves_the_choice_open_is_answered_with_our_own_address(left_open, before):
    agent = HomeAgentAlone()

    reply = agent.ask(home_agent=left_open, before=before)

    assert (reply.code, reply.home_agent) == (0, HOME_AGENT)
    assert agent.bindings() == {"": ("10.10.0.10", "203.0.113.2")}


@LEFT_OPEN
def test_ha_11_not_without_nai(left_open):
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(addresses={"printer": PRINTER})})

    reply = agent.ask(nai=None, home_address=PRINTER, home_agent=left_open)

    assert (reply.code, reply.home_agent) == (136, HOME_AGENT)


@LEFT_OPEN
def test_ha_11_policy_sends_the_node_to_another_home_agent_with_143(left_open):
    agent = HomeAgentAlone(redirect=OTHER)

    reply = agent.ask("pc1", home_agent=left_open)

    assert (reply.code, reply.home_agent) == (143, HOME_AGENT)
    told = [one for one in reply.extensions if one.at < find(reply.extensions, MobileHomeAuthentication)[0].at]
    assert find(told, HomeAgentAddress) == [HomeAgentAddress(2, OTHER)]
    assert agent.bindings() == {}


def test_ha_11_who_asks_for_this_very_home_agent_is_not_sent_away():
    agent = HomeAgentAlone(redirect=OTHER)

    assert agent.ask().code == 0
    assert agent.ask(lifetime=0, home_agent=ANY).code == 0


# ---- the foreign agent


@LEFT_OPEN
def test_fa_10_it_forwards_to_the_home_agent_that_the_node_would_like_best(left_open):
    agent = ForeignAgentAlone(home_agent_default=THIRD)
    datagram = a_request(home_agent=left_open, before=[HomeAgentAddress(1, OTHER)])

    assert agent.take(datagram) == datagram
    assert agent.relayed[0].destination == OTHER


@LEFT_OPEN
def test_fa_10_else_to_its_own_choice(left_open):
    agent = ForeignAgentAlone(home_agent_default=THIRD)

    agent.take(a_request(home_agent=left_open))

    assert agent.relayed[0].destination == THIRD


def test_fa_10_with_the_signature_for_that_home_agent():
    agent = ForeignAgentAlone(home_agent_default=HOME_AGENT, home_agents={HOME_AGENT: FOREIGN_HOME})

    relayed = agent.take(a_request(home_agent=ANY))

    FOREIGN_HOME.verify(relayed, RegistrationRequest.decode(relayed).extensions[-1])


@pytest.mark.parametrize("wish", [ANY, ALL, parse("224.0.0.5"), parse("127.0.0.1")])
def test_fa_10_a_wish_that_is_no_hosts_address_gets_90(wish):
    agent = ForeignAgentAlone(home_agent_default=THIRD)

    assert agent.denial(a_request(home_agent=ANY, before=[HomeAgentAddress(1, wish)])).code == 90


def test_fa_10_a_wish_behind_the_nodes_authenticator_is_none():
    agent = ForeignAgentAlone()

    assert agent.denial(a_request(home_agent=ANY, after=octets_of(HomeAgentAddress(1, OTHER)))).code == 90


def test_fa_39_the_visitor_has_the_home_agent_that_answered():
    agent = ForeignAgentAlone(home_agent_default=OTHER)
    datagram = a_request("pc1", home_agent=ANY)
    agent.take(datagram)

    agent.answer(a_reply(datagram, home_address=HOME_ADDRESS, home_agent=OTHER), source=OTHER)

    (visitor,) = agent.engine.visitors
    assert (visitor.sub_nai, visitor.home_agent) == ("pc1", OTHER)
    assert agent.tunnels == {HOME_ADDRESS: OTHER}


def test_fa_33_nobody_but_the_chosen_home_agent_may_answer():
    agent = ForeignAgentAlone(home_agent_default=OTHER)
    datagram = a_request("pc1", home_agent=ANY)
    agent.take(datagram)

    assert agent.answer(a_reply(datagram, home_address=HOME_ADDRESS, home_agent=THIRD), source=THIRD) is None


# ---- the node


def _accepted(node, home_agent, sub_nai=None, **reply):
    return node.answer(sub_nai=sub_nai, home_agent=home_agent, **reply)


def _redirect(node, by, to):
    asked = node.request()
    echoes = [one for one in asked.extensions if isinstance(one, Nai | Experimental)]
    return node.answer(143, home_agent=by, before=[*echoes, HomeAgentAddress(2, to)])


@LEFT_OPEN
def test_the_node_says_which_home_agent_it_would_like_best(left_open):
    node = DrivenNode(home_agent=left_open, requested_home_agent=OTHER).up()

    asked = node.request()

    assert (asked.home_agent, asked.home_address) == (left_open, 0)
    assert find(asked.extensions, HomeAgentAddress) == [HomeAgentAddress(1, OTHER)]
    HOME.verify(node.last(), find(asked.extensions, MobileHomeAuthentication)[0])


def test_the_node_without_a_wish_leaves_it_to_the_foreign_agent():
    assert find(DrivenNode(home_agent=ANY).up().request().extensions, HomeAgentAddress) == []


def test_the_assigned_home_agent_is_kept_for_the_whole_session():
    node = DrivenNode(home_agent=ANY, requested_home_agent=OTHER).up()
    _accepted(node, THIRD)
    assert node.engine.status(node.now)["home_agent"] == "192.0.2.17"

    node.pass_time(seconds=310)
    renewal = node.request()
    _accepted(node, THIRD)
    node.run(node.engine.link_down(node.now))
    node.pass_time(seconds=2)
    node.up("fa2")

    for one in (renewal, node.request()):
        assert (one.home_agent, one.home_address) == (THIRD, HOME_ADDRESS)
        assert find(one.extensions, HomeAgentAddress) == []


def test_when_the_lifetime_is_over_the_choice_is_open_again():
    node = DrivenNode(home_agent=ANY, requested_home_agent=OTHER).up()
    _accepted(node, THIRD)

    node.pass_time(seconds=700)

    asked = node.request()
    assert (asked.home_agent, find(asked.extensions, HomeAgentAddress)) == (ANY, [HomeAgentAddress(1, OTHER)])


def test_mn_143_the_node_follows_within_seconds():
    node = DrivenNode(home_agent=ANY, requested_home_agent=HOME_AGENT).up()

    _redirect(node, HOME_AGENT, OTHER)
    node.pass_time(seconds=2)

    asked = node.request()
    assert (asked.home_agent, find(asked.extensions, HomeAgentAddress)) == (ANY, [HomeAgentAddress(1, OTHER)])
    _accepted(node, OTHER)
    assert node.state() == "registered"


def test_mn_143_the_node_does_not_go_in_circles():
    node = DrivenNode(home_agent=ANY, requested_home_agent=HOME_AGENT).up()
    _redirect(node, HOME_AGENT, OTHER)
    node.pass_time(seconds=2)
    _redirect(node, OTHER, HOME_AGENT)
    sent = len(node.requests)

    node.pass_time(seconds=5)

    assert len(node.requests) == sent
    assert node.status()["code"] == 143


@pytest.mark.parametrize("to", [ANY, ALL, parse("224.0.0.5"), HOME_AGENT])
def test_a_143_to_nowhere_waits_for_the_owner(to):
    node = DrivenNode(home_agent=ANY, requested_home_agent=HOME_AGENT).up()

    _redirect(node, HOME_AGENT, to)
    node.pass_time(seconds=5)

    assert len(node.requests) == 1


def test_a_143_to_a_node_with_a_home_agent_of_its_own_changes_nothing():
    node = DrivenNode().up()

    _redirect(node, HOME_AGENT, OTHER)
    node.pass_time(seconds=15)

    assert node.request().home_agent == HOME_AGENT


def test_a_143_that_does_not_verify_is_not_followed():
    node = DrivenNode(home_agent=ANY, requested_home_agent=HOME_AGENT).up()

    node.answer(143, home=None, home_agent=HOME_AGENT, before=[Nai(NAI.encode()), HomeAgentAddress(2, OTHER)])
    node.pass_time(seconds=2)

    assert find(node.request().extensions, HomeAgentAddress) == [HomeAgentAddress(1, HOME_AGENT)]


# ---- together


@pytest.mark.parametrize("wish", [0, HOME_AGENT], ids=["the foreign agent's choice", "the node's choice"])
def test_all_sessions_are_assigned_a_home_agent_roam_and_renew(wish):
    default = {"home_agent_default": 0 if wish else HOME_AGENT}
    world = World(foreign_agents={"advertise_interval": 600_000, **default})
    node = world.add_node(home_agent=ANY, requested_home_agent=wish, applications=["telemetry"])
    world.pass_time(seconds=1)
    before = {name: address for name, (address, _) in world.home_agent.bindings().items()}
    assert set(before) == {"", "telemetry"}

    node.move("fa2")
    world.pass_time(seconds=1000)

    assert world.home_agent.bindings() == {name: (address, "203.0.113.66") for name, address in before.items()}
    assert (world.dropped, world.warnings()) == ([], [])


def test_the_reply_to_a_redirected_request_is_read_as_it_was_written():
    agent = HomeAgentAlone(redirect=OTHER)

    answer = agent.take(a_request(home_agent=ANY))

    assert octets_of(HomeAgentAddress(2, OTHER)) == bytes.fromhex("8b0502c0000209")
    assert bytes.fromhex("8b0502c0000209") in answer.datagram
    assert RegistrationReply.decode(answer.datagram).code == 143
