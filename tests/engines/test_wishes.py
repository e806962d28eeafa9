"""What a node asks for besides a binding, where, and what it does when it is denied (MN-02, MN on 72, 79, 135, 139)."""

from dataclasses import replace

import pytest

from host_agents.home_agent.simultaneous import each
from mip4.address import parse, show
from mip4.const import FLAG_B, FLAG_D, FLAG_G, FLAG_M, FLAG_S, FLAG_T, REGISTRATION_REQUEST
from mip4.extensions import EncapsulatingDelivery, MobileForeignAuthentication, MobileHomeAuthentication, find
from mip4.messages import RegistrationRequest
from tests.helpers.builders import FOREIGN_AGENTS, NAI, PC1, VISITED
from tests.helpers.messages import MOBILE_FOREIGN
from tests.helpers.world import World

DISCOVER = 1
BOTH = {"encapsulations": ("gre", "minimal"), "advertise_interval": 600_000}
FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]


def _a_world(home_agent=None, **foreign_agents):
    world = World(home_agent=home_agent, foreign_agents={**BOTH, **foreign_agents})
    world.requests = []
    world.watch = lambda source, _, datagram: world.requests.append(datagram) if source == "mn1" else None
    return world


def _requests(world):
    """What the node has sent since the last time, as messages."""
    payloads = [one[28:] if one[0] == 0x45 else one for one in world.requests]
    world.requests.clear()
    return [RegistrationRequest.decode(one) for one in payloads if one[:1] == bytes((REGISTRATION_REQUEST,))]


def _asked(world, wanted=FLAG_S | FLAG_B | FLAG_M | FLAG_G):
    """Of the flags in question, those of each request."""
    return [request.flags & wanted for request in _requests(world)]


def _kinds(station):
    return {end.encapsulation for installed in station.installed.values() for end in installed.ends}


# ---- encapsulation


@pytest.mark.parametrize(
    "wish, offered, flag, kind",
    [
        ("gre", ("gre", "minimal"), FLAG_G, "gre"),
        ("minimal", ("gre", "minimal"), FLAG_M, "minimal"),
        ("gre", ("minimal",), 0, "ipip"),
        ("minimal", (), 0, "ipip"),
        ("ipip", ("gre", "minimal"), 0, "ipip"),
    ],
)
def test_mn_02_an_encapsulation_is_asked_for_where_it_is_advertised_and_both_agents_have_it(wish, offered, flag, kind):
    world = _a_world(encapsulations=offered)

    world.add_node(encapsulation=wish)
    world.pass_time(seconds=1)

    assert _asked(world) == [flag]
    assert _kinds(world.home_agent) == _kinds(world.foreign_agents["fa1"]) == {kind}
    assert world.warnings() == []


@pytest.mark.parametrize("wish, flag, kind", [("gre", FLAG_G, "gre"), ("minimal", 0, "ipip")])
def test_mn_02_with_an_address_of_its_own_a_node_asks_for_what_it_can_unwrap(wish, flag, kind):
    world = _a_world()

    node = world.add_node(at="cafe", encapsulation=wish)
    world.pass_time(seconds=2)

    assert _asked(world) == [flag]
    assert _kinds(world.home_agent) == {kind}
    assert node.tunnel.kind == node.engine.status(node.now)["tunnel"] == kind


def test_behind_a_nat_it_is_udp_whatever_was_wished_for():
    world = _a_world()

    node = world.add_node(at="nat", encapsulation="gre")
    world.pass_time(seconds=2)

    assert _kinds(world.home_agent) == {"udp"}
    assert node.tunnel.kind == "udp"


def test_mn_72_a_home_agent_that_says_139_is_asked_once_by_each_session_and_it_is_said_once():
    world = _a_world(home_agent={"encapsulations": ()})

    node = world.add_node(encapsulation="gre", applications=["a", "b"])
    world.pass_time(seconds=5)
    node.move("fa2")
    world.pass_time(seconds=5)

    assert _asked(world) == [FLAG_G] * 3 + [0] * 6
    assert {state for state, _ in node.sessions().values()} == {"registered"}
    told = [one for one in world.warnings() if not one.startswith("denied ")]
    assert told == ["the home agent has no gre encapsulation: packets travel in IP-in-IP"]


def test_mn_72_an_agent_that_has_it_no_longer_is_asked_once_and_others_still_are():
    world = _a_world()
    node = world.add_node(encapsulation="gre")
    world.pass_time(seconds=1)
    agent = world.foreign_agents["fa1"]
    for _ in range(4):
        world.lose_next("fa1", "mn1")
    agent.policy = replace(agent.policy, encapsulations=())
    agent.start()
    world.pass_time(seconds=60)  # and the node has not heard of it

    world.pass_time(seconds=250)
    before = _asked(world)
    node.move("fa2")
    world.pass_time(seconds=1)

    assert before == [FLAG_G, FLAG_G, 0]
    assert _asked(world) == [FLAG_G]
    told = [one for one in world.warnings() if not one.startswith("denied ")]
    assert told == ["agent 203.0.113.2 has no gre encapsulation: packets travel in IP-in-IP"]


# ---- simultaneous bindings


def test_a_node_that_wants_it_keeps_the_agent_that_it_leaves_until_that_lifetime_is_over():
    world = _a_world()
    node = world.add_node(simultaneous=True)
    world.pass_time(seconds=1)

    node.move("fa2")
    world.pass_time(seconds=1)
    both = [one.care_of_address for one in each(world.home_agent.rows[NAI, ""])]
    world.pass_time(seconds=600)

    assert both == [FA2, FA1]
    assert [one.care_of_address for one in each(world.home_agent.rows[NAI, ""])] == [FA2]
    assert set(_asked(world)) == {FLAG_S}


def test_a_node_that_does_not_want_it_has_one():
    world = _a_world()
    node = world.add_node()
    world.pass_time(seconds=1)

    node.move("fa2")
    world.pass_time(seconds=1)

    assert world.home_agent.rows[NAI, ""].others == ()


def test_one_too_many_replaces_them_all_at_once_rather_than_cutting_the_node_off():
    world = _a_world(home_agent={"simultaneous_bindings": 2})
    node = world.add_node(simultaneous=True)
    for place in ("fa2", "cafe"):
        world.pass_time(seconds=2)
        node.move(place)
    world.pass_time(seconds=3)

    (binding,) = world.home_agent.rows.values()
    assert [show(one.care_of_address) for one in each(binding)] == ["198.51.100.77"]
    assert _asked(world) == [FLAG_S, FLAG_S, FLAG_S, 0]
    node.move("fa1")
    world.pass_time(seconds=2)
    assert _asked(world) == [FLAG_S]  # the next time there is room again


@pytest.mark.parametrize("place", ["fa2", "cafe"])
def test_a_device_that_leaves_gives_all_its_care_of_addresses_back(place):
    world = _a_world()
    node = world.add_node(simultaneous=True, names={"02:00:00:00:00:11": "pc1"})
    world.pass_time(seconds=1)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=1)
    node.move(place)
    world.pass_time(seconds=2)
    home_address = node.home_address("pc1")
    assert len(each(world.home_agent.rows[NAI, "pc1"])) == 2

    node.device(7, PC1, client_address=home_address)
    world.pass_time(seconds=61)

    assert set(world.home_agent.bindings()) == {""}
    assert "pc1" not in {visitor.sub_nai for visitor in world.foreign_agents["fa2"].engine.visitors}
    assert (_requests(world)[-1].care_of_address, world.warnings()) == (home_address, [])


# ---- broadcasts


def test_mn_02_broadcasts_are_asked_for_by_one_session_and_only_where_the_node_unwraps_them_itself():
    world = _a_world()
    node = world.add_node(broadcast=True, applications=["a", "b"])
    world.pass_time(seconds=1)
    with_agent = _asked(world)

    node.move("cafe")
    world.pass_time(seconds=2)

    assert with_agent == [0, 0, 0]
    assert sorted(_asked(world)) == [0, 0, FLAG_B]
    hearing = [end for one in world.home_agent.installed.values() for end in one.ends if end.broadcast]
    assert [(show(end.remote), end.co_located) for end in hearing] == [("198.51.100.77", True)]
    assert show(node.tunnel.broadcast) == "10.10.0.255"


def test_when_the_session_that_hears_them_ends_another_one_asks():
    world = _a_world()
    node = world.add_node(at="cafe", own_session=None, broadcast=True, names={"02:00:00:00:00:11": "pc1"})
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=2)
    node.device(DISCOVER, bytes.fromhex("020000000012"))
    world.pass_time(seconds=2)
    before = _asked(world)

    node.device(7, PC1, client_address=node.home_address("pc1"))
    world.pass_time(seconds=310)

    assert before == [FLAG_B, 0]
    assert _asked(world)[-1] == FLAG_B
    (installed,) = world.home_agent.installed.values()
    assert installed.ends[0].broadcast


# ---- encapsulating delivery style


def test_a_node_that_hands_in_says_so_to_the_agent_alone_and_does_so():
    world = _a_world(mobile_nodes={NAI: {768: MOBILE_FOREIGN}})
    key = {"care_of_address": FA1, "spi": 768, "key": b"mobile node and foreign agent", "algorithm": "hmac-md5"}

    node = world.add_node(delivery="encapsulating", foreign_agents=[key])
    world.pass_time(seconds=1)

    (request,) = _requests(world)
    order = [MobileHomeAuthentication, EncapsulatingDelivery, MobileForeignAuthentication]
    assert [type(one) for one in request.extensions][-3:] == order
    (delivery,) = world.foreign_agents["fa1"].deliveries.values()
    assert delivery.reverse is False
    assert world.foreign_agents["fa1"].installed[delivery.home_address].encapsulating_link == "vis0"
    assert (node.hands_in, node.router) == (True, VISITED["fa1"])


def test_a_node_with_an_address_of_its_own_hands_nothing_in():
    world = _a_world()

    node = world.add_node(at="cafe", delivery="encapsulating")
    world.pass_time(seconds=2)

    assert find(_requests(world)[0].extensions, EncapsulatingDelivery) == []
    assert node.hands_in is False


def test_mn_79_an_agent_with_one_delivery_style_is_given_packets_as_they_are_and_it_is_said_once():
    world = _a_world(encapsulating_delivery=False)

    node = world.add_node(delivery="encapsulating", own_session=None, applications=["a", "b"])
    world.pass_time(seconds=5)

    styles = [len(find(one.extensions, EncapsulatingDelivery)) for one in _requests(world)]
    assert styles == [1, 1, 0, 0]
    assert {delivery.reverse for delivery in world.foreign_agents["fa1"].deliveries.values()} == {True}
    assert node.hands_in is False
    told = [one for one in world.warnings() if not one.startswith("denied ")]
    assert told == ["agent 203.0.113.2 has no encapsulating delivery: packets go as they are"]


def test_an_agent_that_tunnels_nothing_back_is_handed_nothing():
    world = _a_world(reverse_tunnel=False)

    node = world.add_node(delivery="encapsulating")
    world.pass_time(seconds=2)

    assert (node.hands_in, node.sessions()[""][0]) == (False, "registered")
    assert [one.flags & FLAG_T for one in _requests(world)] == [0]


def test_the_flags_of_a_node_without_wishes_are_what_they_always_were():
    world = _a_world()

    node = world.add_node()
    world.pass_time(seconds=1)
    node.move("cafe")
    world.pass_time(seconds=2)

    assert [one.flags for one in _requests(world)] == [FLAG_T, FLAG_D | FLAG_T]
    assert parse("198.51.100.77") == world.home_agent.rows[NAI, ""].care_of_address
