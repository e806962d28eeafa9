"""Stories of a node with a care-of address of its own: with and without a NAT, and back to a foreign agent."""

import pytest

from mip4.address import parse, show
from mip4.const import FLAG_D, FLAG_T, REGISTRATION_REQUEST
from mip4.effects import UseTunnel
from mip4.extensions import Nai, UdpTunnelReply, UdpTunnelRequest, find
from mip4.messages import RegistrationRequest
from mobile_node.reply import tunnel
from tests.helpers.builders import FOREIGN_AGENTS, NAI, PC1, PC2
from tests.helpers.driven_node import DrivenNode
from tests.helpers.messages import FOREIGN_HOME, a_request
from tests.helpers.world import World

DISCOVER = 1
FA1, FA2 = "203.0.113.2", "203.0.113.66"
BEHIND_NAT, IN_CAFE = "192.168.7.50", "198.51.100.77"


@pytest.fixture
def world():
    return World(foreign_agents={"advertise_interval": 600_000})


def a_node_with_devices(world, at="fa1", **changes):
    node = world.add_node(at=at, names={"02:00:00:00:00:11": "pc1", "02:00:00:00:00:12": "pc2"}, **changes)
    world.pass_time(seconds=2)
    for link_address in (PC1, PC2):
        node.device(DISCOVER, link_address)
    world.pass_time(seconds=1)
    assert set(world.home_agent.bindings()) == {"", "pc1", "pc2"}
    return node


def status(node):
    return node.engine.status(node.now)


def test_sessions_keep_their_addresses_from_an_agent_through_a_nat_to_another_agent(world):
    node = a_node_with_devices(world)
    addresses = {name: home for name, (home, _) in world.home_agent.bindings().items()}

    for place, care_of in (("nat", BEHIND_NAT), ("fa2", FA2), ("cafe", IN_CAFE), ("fa1", FA1)):
        node.move(place)
        world.pass_time(seconds=1.2)

        assert world.home_agent.bindings() == {name: (home, care_of) for name, home in addresses.items()}
        assert {show(address) for address in node.attached} == set(addresses.values())
        assert {state for state, _ in node.sessions().values()} == {"registered"}
    assert world.warnings() == []


def test_mn_01_three_solicitations_are_left_unanswered_before_the_node_helps_itself(world):
    node = a_node_with_devices(world)

    node.move("nat")
    world.pass_time(seconds=0.82)  # they are 300 ms apart, or an eighth less or more
    assert status(node)["mode"] is None
    world.pass_time(seconds=0.2)  # all sessions within one round trip

    assert status(node)["mode"] == "co-located"
    assert world.home_agent.ends_by_session() == {name: "udp 203.0.113.130:61001" for name in ("", "pc1", "pc2")}
    assert (node.tunnel.kind, show(node.tunnel.care_of_address)) == ("udp", BEHIND_NAT)
    assert [one for one in status(node)["handoffs"]][-1]["registered"] == 3


def test_mn_20_without_a_nat_the_tunnel_is_ip_in_ip_and_lives_as_long_as_any(world):
    node = world.add_node(at="cafe")

    world.pass_time(seconds=2)

    assert world.home_agent.ends_by_session() == {"": f"ipip {IN_CAFE}:0"}
    assert status(node)["tunnel"] == "ipip"
    assert node.registration("").lifetime > 500
    assert (status(node)["agent"], status(node)["care_of_address"]) == (None, IN_CAFE)


def test_mn_20_an_assent_that_nobody_asked_for_is_none():
    request = RegistrationRequest.decode(a_request(flags=FLAG_D))

    assert tunnel(request, [UdpTunnelReply(0, False, 20)]) == ("ipip", 0)


def test_mn_20_udp_is_used_without_a_nat_where_the_owner_forces_it(world):
    node = world.add_node(at="cafe", force_udp=True)

    world.pass_time(seconds=2)

    assert world.home_agent.ends_by_session() == {"": f"udp {IN_CAFE}:434"}
    assert status(node)["tunnel"] == "udp"


def test_mn_02_what_is_sent_directly_has_d_and_t_and_asks_for_a_udp_tunnel(world):
    sent = []
    world.watch = lambda source, destination, datagram: sent.append(datagram) if source == "mn1" else None
    world.add_node(at="cafe")
    world.pass_time(seconds=2)

    requests = [RegistrationRequest.decode(one) for one in sent if one[0] == REGISTRATION_REQUEST]

    assert requests
    for request in requests:
        assert request.flags == FLAG_D | FLAG_T
        (asked,) = find(request.extensions, UdpTunnelRequest)
        assert (asked.forced, asked.routed, asked.encapsulation) == (False, False, 4)


def test_a_udp_tunnel_lives_a_minute_and_is_renewed_all_day(world):
    world.add_node(at="nat")
    world.pass_time(seconds=2)
    port = world.home_agent.ends_by_session()

    world.pass_time(seconds=86_400)

    assert world.home_agent.ends_by_session() == port
    assert 50 <= world.home_agent.rows[NAI, ""].lifetime <= 60
    assert world.warnings() == []
    assert world.dropped == []


def test_a_nat_that_forgets_everybody_is_noticed_by_keepalives_and_everybody_registers_anew(world):
    node = a_node_with_devices(world, at="nat")
    addresses = {name: home for name, (home, _) in world.home_agent.bindings().items()}
    world.pass_time(seconds=1)

    world.gateways["nat"].rebind()
    world.pass_time(seconds=24)  # a keepalive interval, three tries, a round trip

    assert set(world.home_agent.ends_by_session().values()) == {"udp 203.0.113.130:61002"}
    assert {name: home for name, (home, _) in world.home_agent.bindings().items()} == addresses
    assert status(node)["keepalive"] == 10  # half of what it was
    assert world.warnings() == []


def test_a_keepalive_from_elsewhere_moves_nothing(world):
    world.add_node(at="nat")
    world.pass_time(seconds=2)
    before = world.home_agent.ends_by_session()

    said = world.home_agent.engine.rebound(parse("10.10.0.10"), parse("198.51.100.66"), 5000, world.now)
    world.home_agent.run(said)

    assert world.home_agent.ends_by_session() == before
    assert any("where no tunnel ends" in text for _, text in world.said)


def test_a_lost_keepalive_is_repeated_and_nobody_registers(world):
    node = world.add_node(at="nat")
    world.pass_time(seconds=2)
    identification = world.home_agent.rows[NAI, ""].identification

    world.pass_time(seconds=18)
    world.lose_next("mn1", "ha")
    world.pass_time(seconds=4)

    assert world.home_agent.rows[NAI, ""].identification == identification
    assert status(node)["keepalive"] == 20


def test_an_agent_that_appears_is_taken_and_one_that_goes_is_replaced_by_the_own_address(world):
    node = world.add_node(at="nat")
    world.pass_time(seconds=2)
    assert status(node)["mode"] == "co-located"

    node._get_address(0)
    node.at = "fa1"
    node.run(node.engine.link_up(node.now))
    node.run(node.engine.address(parse("10.99.1.20"), node.now))
    world.pass_time(seconds=2)

    assert status(node)["mode"] == "foreign-agent"
    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA1)}


def test_a_node_that_shall_use_agents_only_waits_for_one(world):
    node = world.add_node(at="nat", mode="foreign-agent")

    world.pass_time(seconds=120)

    assert status(node)["mode"] is None
    assert world.home_agent.bindings() == {}


def test_mn_01_a_node_that_shall_use_its_own_address_asks_an_agent_that_demands_it():
    """RFC 5944 §2.1.1: the R bit."""
    for required, via in ((True, "fa1"), (False, "ha")):
        keys = {"foreign_agents": {FOREIGN_AGENTS["fa1"]: FOREIGN_HOME}}
        world = World(
            home_agent=keys,
            foreign_agents={"registration_required": required, "home_agents": {parse("192.0.2.1"): FOREIGN_HOME}},
        )
        node = world.add_node(at="fa1", mode="co-located")
        sent = []
        world.watch = lambda source, destination, datagram, sent=sent: sent.append((source, destination, datagram))
        world.pass_time(seconds=0.2)
        world.gateways["fa1"] = world.gateways.pop("cafe")  # an ordinary router, beside the agent
        world.gateways["fa1"].name = "fa1"
        node._get_address(parse(IN_CAFE))

        world.pass_time(seconds=1)

        assert world.home_agent.bindings() == {"": ("10.10.0.10", IN_CAFE)}
        assert world.home_agent.ends_by_session() == {"": f"ipip {IN_CAFE}:0"}
        assert node.tunnel.kind == "ipip"
        assert [one for one in sent if one[:2] == ("mn1", via) and one[2][0] in (REGISTRATION_REQUEST, 0x45)]
        assert world.foreign_agents["fa1"].visitors() == {}


def test_a_device_behind_a_udp_tunnel_is_told_how_little_fits(world):
    node = a_node_with_devices(world, at="nat")

    node.device(DISCOVER, PC1)

    answer = node.dhcp_answers[-1]
    assert bytes((26, 2)) + (1468).to_bytes(2, "big") in answer


def test_a_device_that_leaves_is_deregistered_through_the_nat(world):
    node = a_node_with_devices(world, at="nat")

    node.device(7, PC1, client_address=node.home_address("pc1"))
    world.pass_time(seconds=1)

    assert set(world.home_agent.bindings()) == {"", "pc2"}


def test_a_lease_that_is_lost_stops_everything_and_a_new_one_goes_on(world):
    node = a_node_with_devices(world, at="nat")

    node._get_address(0)
    world.pass_time(seconds=5)
    assert (status(node)["mode"], node.tunnel.kind, node.tunnel.care_of_address) == (None, "", 0)
    node._get_address(parse("192.168.7.51"))
    world.pass_time(seconds=1)

    assert {care_of for _, care_of in world.home_agent.bindings().values()} == {"192.168.7.51"}


@pytest.fixture
def alone():
    """A node with an address of its own, its first request on its way to the home agent."""
    node = DrivenNode(mode="co-located")
    node.run(node.engine.link_up(0))
    node.run(node.engine.address(parse(IN_CAFE), 0))
    return node


ANSWERS = {"0": 0, "63": 63, "64": 64, "255": 255, "none": None}


@pytest.mark.parametrize("code", ANSWERS.values(), ids=ANSWERS)
def test_mn_20_only_a_udp_tunnel_reply_that_assents_makes_a_udp_tunnel(alone, code):
    answer = [] if code is None else [UdpTunnelReply(code, False, 20)]

    alone.answer(before=[Nai(NAI.encode()), *answer])

    assert alone.said(UseTunnel)[-1].kind == ("udp" if code in (0, 63) else "ipip")


def test_mn_20_an_answer_that_nobody_signed_is_none(alone):
    alone.answer(before=[Nai(NAI.encode())], after=UdpTunnelReply(0, False, 20).encode())

    assert alone.said(UseTunnel)[-1].kind == "ipip"


def test_mn_142_a_udp_tunnel_that_is_not_to_be_had_is_asked_for_no_more_until_the_node_moves(alone):
    alone.answer(142)
    alone.pass_time(seconds=1)
    again = alone.request()
    alone.run(alone.engine.address(parse(IN_CAFE) + 1, alone.now))

    assert find(again.extensions, UdpTunnelRequest) == []
    assert len(find(alone.request().extensions, UdpTunnelRequest)) == 1
