"""Stories of a node that comes home and leaves again (RFC 5944 §2.4.3, §3.6.1.2, §4.6)."""

from dataclasses import replace
from itertools import pairwise

import pytest

from mip4.address import parse, show
from mip4.const import ADVERT_F, ADVERT_H, ALL_SYSTEMS, FLAG_D, PROTO_ICMP
from mip4.discovery import AgentAdvertisement, MobilityAgent
from mip4.effects import AnswerDhcp, Attach, Detach, LeaveHomeLink, Send, UseAgent, UseHomeLink
from mip4.ip import Packet
from tests.helpers.builders import GATEWAY, HOME_AGENT, NAI, PC1, PC2, a_home_agent_policy, a_subscriber
from tests.helpers.driven_node import HOME_ADDRESS, DrivenNode
from tests.helpers.world import World

DISCOVER, REQUEST, RELEASE = 1, 3, 7
ROUTER_LINK = b"\2router"


@pytest.fixture
def world():
    return World()


def a_node_with_devices(world, at="fa1", **changes):
    node = world.add_node(at=at, names={"02:00:00:00:00:11": "pc1", "02:00:00:00:00:12": "pc2"}, **changes)
    world.pass_time(seconds=2)
    for link_address in (PC1, PC2):
        node.device(DISCOVER, link_address)
    world.pass_time(seconds=2)
    return node


def addresses(node):
    return {name: home for name, (_, home) in node.sessions().items()}


def states(node):
    return {state for state, _ in node.sessions().values()}


def status(node):
    return node.engine.status(node.now)


# ---- coming and going


def test_mn_01_all_sessions_come_home_within_a_round_trip_and_leave_with_their_addresses(world):
    node = a_node_with_devices(world)
    before = addresses(node)

    node.move("home")
    world.pass_time(seconds=0.02)

    assert states(node) == {"home"}
    assert world.home_agent.bindings() == {}
    assert set(world.home_agent.came_home) == {parse(one) for one in before.values()}
    assert (status(node)["mode"], status(node)["care_of_address"]) == ("home", None)
    assert {show(one) for one in node.attached} == set(before.values())
    node.move("fa2")
    world.pass_time(seconds=1)
    assert world.home_agent.bindings() == {name: (home, world.care_of(node)) for name, home in before.items()}
    assert not node.at_home
    assert world.warnings() == []


def test_ha_26_the_tunnel_is_gone_before_the_reply_comes_home(world):
    node = a_node_with_devices(world)
    seen = []
    world.watch = lambda source, destination, octets: seen.append((source, destination, dict(world.home_agent.tunnels)))

    node.move("home")
    world.pass_time(seconds=1)

    replies = [tunnels for source, destination, tunnels in seen if (source, destination) == ("ha", node.name)]
    assert replies[-1] == {}


def test_at_home_nothing_is_registered_and_nobody_is_asked_however_long_it_lasts(world):
    node = a_node_with_devices(world)
    before = addresses(node)
    node.move("home")
    world.pass_time(seconds=1)
    asked = []
    world.watch = lambda source, destination, octets: asked.append(octets) if octets[9] != PROTO_ICMP else None

    for _ in range(12):
        for link_address in (PC1, PC2):
            node.device(REQUEST, link_address, client_address=node.address_of_device(link_address))
        world.pass_time(seconds=300)

    assert asked == []
    assert addresses(node) == before
    assert states(node) == {"home"}


def test_a_lost_deregistration_is_sent_again_until_the_home_agent_has_answered(world):
    node = a_node_with_devices(world)
    for _ in range(2):
        world.lose_next("ha", node.name)
    for _ in range(5):
        world.lose_next(node.name, "ha")

    node.move("home")
    world.pass_time(seconds=40)

    assert states(node) == {"home"}
    assert world.home_agent.bindings() == {}


def test_a_node_that_leaves_before_it_was_answered_is_registered_elsewhere(world):
    node = a_node_with_devices(world)
    before = addresses(node)
    world.home_agent.kill()
    node.move("home")
    world.home_agent.start(world.home_agent.engine.clock(world.home_agent.now))
    node.move("fa2")

    world.pass_time(seconds=5)

    assert addresses(node) == before
    assert states(node) == {"registered"}
    assert set(world.home_agent.bindings()) == {"", "pc1", "pc2"}


def test_a_home_agent_that_starts_anew_is_told_once_more_who_is_at_home(world):
    node = a_node_with_devices(world)
    node.move("home")
    world.pass_time(seconds=1)
    world.home_agent.came_home.clear()
    world.home_link.reboot()

    world.pass_time(seconds=3)

    assert {show(one) for one in world.home_agent.came_home} == set(addresses(node).values())
    assert states(node) == {"home"}


def test_sessions_of_a_node_behind_a_nat_come_home_from_there(world):
    node = a_node_with_devices(world)
    before = addresses(node)
    node.move("nat")
    world.pass_time(seconds=2)
    assert status(node)["mode"] == "co-located"

    node.move("home")
    world.pass_time(seconds=1)

    assert (states(node), addresses(node)) == ({"home"}, before)
    assert node.tunnel is None


@pytest.mark.parametrize("mode", ["foreign-agent", "co-located", "auto"])
def test_every_mode_knows_its_home(world, mode):
    node = world.add_node(at="nat" if mode == "co-located" else "fa1", mode=mode)
    world.pass_time(seconds=3)
    assert states(node) == {"registered"}

    node.move("home")
    world.pass_time(seconds=1)

    assert states(node) == {"home"}


# ---- devices


def test_a_device_at_home_renews_its_lease_without_anybody_being_asked(world):
    node = a_node_with_devices(world)
    node.move("home")
    world.pass_time(seconds=1)
    answered = len(node.dhcp_answers)

    node.device(REQUEST, PC1, client_address=node.address_of_device(PC1))

    assert len(node.dhcp_answers) == answered + 1
    lease = node.dhcp_answers[-1].index(bytes((51, 4)))
    assert int.from_bytes(node.dhcp_answers[-1][lease + 2 : lease + 6], "big") == node.config["lifetime"]


def test_a_device_whose_lease_is_over_is_gone_at_home_too_and_nobody_has_to_be_told(world):
    node = a_node_with_devices(world)
    node.device(REQUEST, PC1, asked=node.address_of_device(PC1), server=GATEWAY)
    node.move("home")
    world.pass_time(seconds=1)
    sent = len(world.home_agent.came_home)

    world.pass_time(seconds=2000)

    assert set(node.sessions()) == {""}
    assert len(world.home_agent.came_home) == sent


def test_a_device_that_comes_while_the_node_is_at_home_gets_an_address(world):
    node = world.add_node(at="fa1")
    world.pass_time(seconds=1)
    node.move("home")
    world.pass_time(seconds=1)

    node.device(DISCOVER, PC1)
    world.pass_time(seconds=2)

    assert states(node) == {"home"}
    assert world.home_agent.bindings() == {}
    assert parse(addresses(node)[node.sub_nai_of(PC1)]) == node.address_of_device(PC1) != 0
    assert len(node.dhcp_answers) == 1


def test_a_device_that_comes_back_at_home_gets_the_address_it_had(world):
    node = a_node_with_devices(world)
    before = addresses(node)
    node.move("home")
    world.pass_time(seconds=1)
    node.device(RELEASE, PC1, client_address=node.address_of_device(PC1))
    world.pass_time(seconds=1)
    assert set(node.sessions()) == {"", "pc2"}

    node.device(DISCOVER, PC1)
    world.pass_time(seconds=2)

    assert addresses(node) == before
    assert world.home_agent.bindings() == {}


def test_a_node_that_wakes_up_at_home_asks_with_the_address_that_its_uplink_has(world):
    node = world.add_node(at=None)
    node.move("home")
    world.pass_time(seconds=2)
    assert states(node) == {"registering"}

    node.run(node.engine.address(parse("10.10.0.230"), node.now))
    node.address = parse("10.10.0.230")
    world.pass_time(seconds=2)

    assert states(node) == {"home"}
    assert world.home_agent.bindings() == {}


def test_a_node_that_wakes_up_at_home_with_the_address_that_is_reserved_for_it_may_ask_from_that():
    """Both servers know it by this address: that of DHCP on its home link, and the home agent."""
    own = parse("10.10.0.7")
    network = replace(a_home_agent_policy().networks[0], interface="home0")
    subscribers = {NAI: a_subscriber(addresses={"": own})}
    world = World(home_agent={"networks": (network,), "subscribers": subscribers})
    node = world.add_node(at=None)
    node.move("home")
    world.pass_time(seconds=2)

    node.run(node.engine.address(own, node.now))
    node.address = own
    world.pass_time(seconds=2)

    assert node.sessions()[""] == ("home", "10.10.0.7")
    assert world.home_agent.bindings() == {}


def test_devices_remembered_over_a_power_cut_at_home_are_confirmed_by_the_home_agent(world):
    node = a_node_with_devices(world, own_session=None)
    before = addresses(node)
    node.move("home")
    world.pass_time(seconds=1)

    node.boot()
    assert node.attached == {}
    world.pass_time(seconds=3)

    assert (states(node), addresses(node)) == ({"home"}, before)
    assert {show(one) for one in node.attached} == set(before.values())
    assert {one.gateway for one in node.engine._sessions} == {GATEWAY}


# ---- what is believed to be home


def an_advertisement(source=GATEWAY, flags=ADVERT_H, routers=(GATEWAY, HOME_AGENT), sequence=300, lifetime=3):
    care_of = [parse("203.0.113.2")] if flags & ADVERT_F else []
    message = AgentAdvertisement(
        0, lifetime, [(one, 0) for one in routers], [MobilityAgent(sequence, 600, flags, care_of)]
    )
    return bytes(Packet(source, ALL_SYSTEMS, PROTO_ICMP, 1, message.encode()).encode())


def a_registered_node(**config):
    node = DrivenNode(**config).up("fa1")
    node.answer(0)
    return node


def hear(node, **advertisement):
    return node.run(node.engine.heard(an_advertisement(**advertisement), ROUTER_LINK, node.now))


@pytest.mark.parametrize(
    "advertisement",
    [
        {},
        {"source": HOME_AGENT, "routers": (HOME_AGENT,)},
        {"source": HOME_AGENT, "routers": ()},
        {"flags": ADVERT_H | ADVERT_F},
    ],
    ids=["named among routers", "itself", "without routers", "also a foreign agent"],
)
def test_the_home_agents_own_advertisement_is_home(advertisement):
    node = a_registered_node().up(None)

    effects = hear(node, **advertisement)

    request = node.request()
    assert UseHomeLink(ROUTER_LINK, HOME_ADDRESS) in effects
    assert (request.lifetime, request.care_of_address, request.home_address) == (0, HOME_ADDRESS, HOME_ADDRESS)
    assert (request.flags, request.home_agent) == (0, HOME_AGENT)
    sent = next(one for one in effects if isinstance(one, Send))
    assert (sent.destination, sent.link_address, sent.source) == (HOME_AGENT, ROUTER_LINK, HOME_ADDRESS)


@pytest.mark.parametrize(
    "advertisement",
    [
        {"routers": (GATEWAY,)},
        {"routers": (GATEWAY, parse("192.0.2.9"))},
        {"flags": ADVERT_F},
    ],
    ids=["another home agent of a network with our prefix", "another home agent", "our home agent as a foreign agent"],
)
def test_anybody_elses_is_not(advertisement):
    node = a_registered_node().up(None)

    effects = hear(node, **advertisement)

    assert [one for one in effects if isinstance(one, UseHomeLink)] == []


def test_mn_01_arp_is_answered_before_the_request_and_no_longer_before_the_next_one_elsewhere():
    node = a_registered_node().up(None)

    came = [type(one) for one in hear(node)]
    went = [type(one) for one in node.run(node.engine.link_down(node.now))]
    node.up("fa2")

    assert came.index(UseHomeLink) < came.index(Send)
    assert went == [LeaveHomeLink]
    assert node.said(UseAgent)[-1].address != 0


def test_a_foreign_agent_on_the_home_link_is_left_for_home():
    node = a_registered_node()

    hear(node)

    assert node.engine.status(node.now)["mode"] == "home"
    node.pass_time(2.5)  # fa1 goes on being heard
    assert node.engine.status(node.now)["mode"] == "home"


def test_a_home_agent_that_is_silent_for_its_lifetime_is_no_home_any_more():
    node = a_registered_node().up(None)
    hear(node)

    node.pass_time(4)

    assert node.engine.status(node.now)["mode"] is None
    assert node.said(LeaveHomeLink) != []


def test_a_denial_at_home_changes_nothing_but_the_time_of_the_next_try():
    node = a_registered_node().up(None)
    hear(node)

    node.answer(128)
    asked = len(node.requests)
    node.pass_time(1.1)

    assert node.state() == "returning"
    assert len(node.requests) == asked + 1
    assert node.status()["home_address"] == show(HOME_ADDRESS)
    assert node.said(Detach) == []


def test_an_address_that_is_another_sessions_by_now_is_given_up():
    node = a_registered_node().up(None)
    node.pass_time(601)
    hear(node)
    assert node.said(Attach)[-1].home_address == HOME_ADDRESS

    node.answer(129)

    assert node.said(Detach)[-1].home_address == HOME_ADDRESS
    assert (node.state(), node.status()["home_address"]) == ("registering", None)
    assert node.engine.deadline() is not None


def test_another_address_is_asked_for_with_the_address_of_another_session():
    node = DrivenNode(applications=["telemetry"]).up("fa1")
    node.answer(0, sub_nai="")
    node.answer(0, sub_nai="telemetry", home_address=HOME_ADDRESS + 1)
    node.up(None)
    node.pass_time(601)
    hear(node)
    assert node.request("telemetry").care_of_address == HOME_ADDRESS + 1

    node.answer(129, sub_nai="telemetry")
    node.pass_time(1.1)

    request = node.request("telemetry")
    assert (request.home_address, request.care_of_address) == (0, HOME_ADDRESS)
    assert request.flags & FLAG_D and request.lifetime


def test_an_address_at_home_outlives_the_registration_that_nobody_would_end():
    node = a_registered_node().up(None)

    for _ in range(700):
        hear(node)
        node.pass_time(1)

    assert node.state() == "returning"
    assert node.said(Detach) == []
    gaps = [later - earlier for earlier, later in pairwise(node.times()[1:])]
    assert gaps[:3] == [1000, 2000, 4000]
    assert max(gaps) == 60_000


def test_mn_05_an_identification_that_is_refused_at_home_is_mended_as_everywhere():
    node = a_registered_node().up(None)
    hear(node)

    node.answer(133, identification=(node.request().identification & 0xFFFFFFFF) | (0xED100000 << 32))
    node.pass_time(1.1)
    hear(node)
    node.answer(0, lifetime=0, before=None)

    assert node.state() == "home"


def test_dhcp_at_home_names_the_same_server_and_gateway():
    node = DrivenNode(own_session=None).up("fa1")
    node.device(DISCOVER, PC1)
    node.answer(0)
    offered = node.said(AnswerDhcp)[-1]
    node.up(None)
    hear(node)

    node.device(DISCOVER, PC1)

    again = node.said(AnswerDhcp)[-1]
    assert (again.source, again.datagram[16:20]) == (offered.source, offered.datagram[16:20])
