"""The home agent and a node that is on its home link (RFC 5944 §3.8.2.2, §4.6): HA-26."""

import pytest

from host_agents.effects import CameHome, InstallTunnel, RemoveBinding, RemoveTunnel, SendDatagram, StoreIdentification
from host_agents.home_agent.advertiser import Advertiser
from host_agents.home_agent.policy import HomeNetwork
from mip4.address import parse
from mip4.const import ADVERT_H, CONFIG_GATEWAY, CONFIG_REQUEST
from mip4.discovery import AgentAdvertisement, MobilityAgent, PrefixLengths
from mip4.extensions import find_host_configuration, host_configuration
from mip4.ip import Packet
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import GATEWAY, HOME_AGENT, a_home_agent_policy
from tests.helpers.messages import a_request, an_identification


@pytest.fixture
def agent():
    return HomeAgentAlone()


def at_home(agent, sub_nai, home_address):
    return agent.ask(sub_nai, lifetime=0, home_address=home_address, care_of_address=home_address, source=home_address)


def test_ha_26_a_deregistration_from_home_names_the_home_address_as_care_of_address(agent):
    home_address = agent.ask("pc1").home_address
    agent.ask("pc2")

    reply = at_home(agent, "pc1", home_address)

    assert reply.code == 0
    assert set(agent.bindings()) == {"pc2"}
    assert agent.came_home == [home_address]


def test_ha_26_it_may_be_repeated_and_come_after_the_binding(agent):
    home_address = agent.ask("pc1").home_address

    replies = [at_home(agent, "pc1", home_address).code for _ in range(2)]

    assert replies == [0, 0]
    assert agent.came_home == [home_address] * 2


def test_ha_26_a_deregistration_from_elsewhere_says_nothing_of_the_home_link(agent):
    agent.ask("pc1")

    agent.ask("pc1", lifetime=0)

    assert agent.came_home == []


def test_ha_18_nobody_comes_home_with_an_address_that_is_not_his(agent):
    home_address = agent.ask("pc1").home_address
    gateway, foreign = GATEWAY, parse("198.51.100.9")

    codes = [at_home(agent, "pc2", address).code for address in (home_address, gateway, foreign)]

    assert codes == [129, 129, 129]
    assert set(agent.bindings()) == {"pc1"}
    assert agent.came_home == []


def test_ha_26_an_address_that_is_in_use_at_home_is_kept_for_its_session():
    only = parse("10.10.0.10")
    network = HomeNetwork((parse("10.10.0.0"), 24), ((only, only),), GATEWAY, ())
    agent = HomeAgentAlone(networks=(network,))
    home_address = agent.ask("pc1").home_address
    at_home(agent, "pc1", home_address)
    agent.engine.occupied(home_address, True)

    assert agent.ask("pc2").code == 130
    assert agent.ask("pc1").home_address == home_address


def test_ha_26_what_a_node_asks_for_when_it_comes_home_it_is_told(agent):
    home_address = agent.ask("pc1").home_address

    reply = agent.ask(
        "pc1",
        lifetime=0,
        home_address=home_address,
        care_of_address=home_address,
        source=home_address,
        before=[host_configuration(CONFIG_REQUEST, b"\0")],
    )

    assert find_host_configuration(reply.extensions)[CONFIG_GATEWAY] == GATEWAY.to_bytes(4, "big")


def test_ha_26_the_order_is_row_tunnel_link_reply(agent):
    home_address = agent.ask("pc1").home_address
    changes = {"lifetime": 0, "home_address": home_address, "care_of_address": home_address}
    request = a_request("pc1", identification=an_identification(agent.now, low=99), **changes)

    turn = agent.engine.receive(request, home_address, 434, agent.now)

    kinds = [type(effect) for effect in turn.effects]
    wanted = [RemoveBinding, RemoveTunnel, StoreIdentification, CameHome, SendDatagram]
    assert [kind for kind in kinds if kind in wanted] == wanted
    assert InstallTunnel not in kinds


# ---- what it advertises there


def advertised(own, gateway=GATEWAY, **policy):
    network = HomeNetwork((parse("10.10.0.0"), 24), (), gateway, (), "home0", own, 2000)
    advertiser = Advertiser(a_home_agent_policy(networks=(network,), **policy), network, 0)
    frame = advertiser.advertise(False, 0)
    packet = Packet.decode(frame.packet)
    assert (frame.interface, packet.source, packet.ttl) == ("home0", own, 1)
    return AgentAdvertisement.decode(packet.payload)


def test_an_advertisement_on_the_home_link_names_the_address_that_nodes_register_with():
    assert advertised(GATEWAY) == AgentAdvertisement(
        code=0,
        lifetime=6,
        routers=[(GATEWAY, 0), (HOME_AGENT, 0x80000000)],
        extensions=[MobilityAgent(0, 1800, ADVERT_H, []), PrefixLengths([24, 32])],
    )


def test_where_another_router_is_the_gateway_hosts_are_to_go_on_using_that():
    assert advertised(parse("10.10.0.2")).code == 16


def test_a_home_agent_whose_address_is_on_the_link_names_it_once():
    assert advertised(GATEWAY, address=GATEWAY).routers == [(GATEWAY, 0)]
