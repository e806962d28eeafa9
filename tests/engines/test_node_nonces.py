"""A mobile node that uses nonces (RFC 5944 §5.7.2): MN-05 in the other style, and with a home agent in bad weather."""

import pytest

from mip4.identification import seconds
from tests.helpers.builders import NAI, PC1, a_subscriber
from tests.helpers.driven_node import DrivenNode
from tests.helpers.world import World

DISCOVER = 1
NONCE = 0xDECAFBAD


@pytest.fixture
def node():
    return DrivenNode(replay="nonces").up()


@pytest.fixture
def world():
    return World(
        home_agent={"subscribers": {NAI: a_subscriber(nonces=True)}}, foreign_agents={"advertise_interval": 600_000}
    )


def _reply(node, nonce, code=0, **reply):
    """The home agent's, with the low word of the last request."""
    low = node.request().identification & 0xFFFFFFFF
    return node.answer(code, identification=nonce << 32 | low, **reply)


def test_mn_05_the_next_request_begins_with_the_home_agents_last_word_and_ends_with_one_of_our_own(node):
    words = []
    for nonce in (NONCE, NONCE + 1, 3):
        words.append(node.request().identification & 0xFFFFFFFF)
        _reply(node, nonce)
        node.pass_time(seconds=310)

        assert seconds(node.request().identification) == nonce
    assert node.state() == "registered"
    assert len(set(words)) == len(words)


def test_mn_05_a_request_without_an_answer_is_sent_again_octet_for_octet_and_not_faster_than_ever(node):
    node.pass_time(seconds=16)

    assert node.times() == [0, 1000, 3000, 7000, 15000]
    assert {datagram for _, datagram in node.requests} == {node.last()}


def test_the_lifetime_began_when_the_request_first_left(node):
    node.pass_time(seconds=8)
    _reply(node, NONCE, lifetime=100)

    assert node.status()["expires_in"] == 92


def test_after_133_the_request_is_made_anew_with_the_nonce_that_came(node):
    first = node.request()
    _reply(node, NONCE, code=133)

    node.pass_time(seconds=1.5)

    assert node.times() == [0, 1000]
    assert seconds(node.request().identification) == NONCE
    assert (node.request().identification ^ first.identification) & 0xFFFFFFFF
    _reply(node, NONCE + 1)
    assert node.state() == "registered"


def test_every_authentic_denial_of_the_home_agent_brings_a_nonce_and_no_denial_of_a_foreign_agent_does(node):
    _reply(node, NONCE, code=128)
    node.pass_time(seconds=1.5)
    assert seconds(node.request().identification) == NONCE

    _reply(node, 77, code=78)
    node.pass_time(seconds=1.5)

    assert seconds(node.request().identification) == NONCE
    assert len({datagram for _, datagram in node.requests}) == 3


def test_a_reply_that_is_not_authentic_brings_none(node):
    _reply(node, NONCE, home=None)
    _reply(node, NONCE, code=133, home=None)
    node.up("fa2")

    assert seconds(node.request().identification) == 0


def test_at_another_agent_an_unanswered_request_is_made_anew(node):
    first = node.last()

    node.up("fa2")

    assert node.last() != first
    assert node.request().identification != DrivenNode(replay="nonces").up().request().identification


def test_who_leaves_while_nobody_answers_sends_no_repetition_but_a_goodbye():
    node = DrivenNode(replay="nonces", names={"02:00:00:00:00:11": "pc1"}).up()
    _reply(node, NONCE)
    node.device(DISCOVER, PC1)
    asked = node.request("pc1")
    node.run(node.engine.downlink_down("down0", node.now))
    node.pass_time(seconds=5)

    goodbye = node.request("pc1")

    assert (asked.lifetime, goodbye.lifetime) == (600, 0)
    assert goodbye.identification != asked.identification


def test_each_session_has_the_nonce_of_its_own_and_no_two_requests_have_one_low_word():
    node = DrivenNode(replay="nonces", applications=["a", "b", "c"]).up()
    asked = {name: node.request(name).identification for name in ("", "a", "b", "c")}
    for nonce, name in enumerate(asked, start=100):
        node.answer(0, name, identification=nonce << 32 | asked[name] & 0xFFFFFFFF)

    node.pass_time(seconds=310)

    assert [seconds(node.request(name).identification) for name in asked] == [100, 101, 102, 103]
    used = [node.request(name).identification for name in asked] + list(asked.values())
    assert len({one & 0xFFFFFFFF for one in used}) == 8


# ---- with a home agent


def test_a_node_is_registered_after_one_133_and_renews_without_another(world):
    node = world.add_node(replay="nonces")
    world.pass_time(seconds=1.2)
    assert node.sessions() == {"": ("registered", "10.10.0.10")}

    world.pass_time(seconds=4 * 3600)

    assert [text for _, text in world.said if "133" in text][2:] == []  # the agent and the node said it once each
    assert world.warnings() == []
    assert world.home_agent.bindings() == {"": ("10.10.0.10", "203.0.113.2")}


def test_a_lost_reply_is_given_again_and_the_node_is_where_it_would_have_been(world):
    node = world.add_node(replay="nonces")
    world.pass_time(seconds=0.5)
    world.lose_next("ha", "fa1")
    world.pass_time(seconds=2)

    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert world.foreign_agents["fa1"].visitors() == {"": "10.10.0.10"}
    assert sum("133" in text for _, text in world.said) == 2


def test_a_handoff_takes_one_round_trip_for_all_sessions(world):
    node = world.add_node(replay="nonces", names={"02:00:00:00:00:11": "pc1"}, applications=["telemetry"])
    world.pass_time(seconds=2)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=2)

    node.move("fa2")
    world.pass_time(seconds=0.05)

    assert {care_of for _, care_of in world.home_agent.bindings().values()} == {"203.0.113.66"}
    assert len(world.home_agent.bindings()) == 3


def test_a_home_agent_that_was_restarted_knows_its_nonces_and_one_that_lost_them_resynchronises(world):
    node = world.add_node(replay="nonces")
    world.pass_time(seconds=5)
    world.home_agent.kill()
    world.home_agent.start(0)
    world.pass_time(seconds=600)
    said = sum("133" in text for _, text in world.said)
    world.home_agent.kill()
    world.home_agent.nonces.clear()
    world.home_agent.start(0)

    world.pass_time(seconds=600)

    assert (said, sum("133" in text for _, text in world.said)) == (2, 4)
    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert world.home_agent.bindings() == {"": ("10.10.0.10", "203.0.113.2")}


def test_a_node_that_was_restarted_needs_one_133_more(world):
    node = world.add_node(replay="nonces")
    world.pass_time(seconds=5)

    node.boot()
    world.pass_time(seconds=1.2)

    assert node.sessions() == {"": ("registered", "10.10.0.10")}


def test_whoever_leaves_is_confirmed_even_if_the_confirmation_is_lost(world):
    node = world.add_node(replay="nonces", names={"02:00:00:00:00:11": "pc1"})
    world.pass_time(seconds=2)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=2)
    address = node.address_of_device(PC1)

    world.lose_next("ha", "fa1")
    node.device(7, PC1, client_address=address)
    world.pass_time(seconds=3)

    assert set(node.sessions()) == {""}
    assert set(world.home_agent.bindings()) == {""}
