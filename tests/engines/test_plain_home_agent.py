"""A node whose home agent knows no sub-NAI (MN-18): one session is carried, and it is said once."""

import pytest

from mip4.extensions import Experimental, Nai, find
from mip4.messages import RegistrationRequest
from tests.helpers.agent_stations import PlainHomeAgentStation
from tests.helpers.builders import NAI, PC1, PC2
from tests.helpers.driven_node import HOME_ADDRESS, DrivenNode
from tests.helpers.world import World

DISCOVER, RELEASE = 1, 7
FA1, FA2 = "203.0.113.2", "203.0.113.66"
NAMES = {"02:00:00:00:00:11": "pc1", "02:00:00:00:00:12": "pc2"}
ONCE = "home agent 192.0.2.1 knows no sub-NAI: it carries one session alone"


@pytest.fixture
def world():
    world = World(foreign_agents={"advertise_interval": 600_000})
    world.home_agent = PlainHomeAgentStation(world, {})
    return world


def _nothing_dangles(world, node):
    """What the home agent holds, the foreign agent delivers and the node uses."""
    bound = {address for address, _ in world.home_agent.bindings().values()}
    assert bound == {address for _, address in node.sessions().values() if address}
    assert bound == set(world.foreign_agents[node.at].visitors().values())


def test_mn_18_the_node_goes_on_with_its_own_session_and_refuses_its_devices(world):
    node = world.add_node(names=NAMES)
    world.pass_time(seconds=1)

    for link_address in (PC1, PC2):
        node.device(DISCOVER, link_address)
    world.pass_time(seconds=10)

    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert node.dhcp_answers == []
    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA1)}
    _nothing_dangles(world, node)
    assert world.warnings().count(ONCE) == 1
    assert "session pc1 is refused: its home agent carries another one alone" in world.warnings()


def test_a_device_that_asks_again_is_refused_without_a_word_to_the_home_agent(world):
    node = world.add_node(names=NAMES)
    world.pass_time(seconds=1)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=10)
    before = dict(world.home_agent.identifications)

    node.device(DISCOVER, PC1)
    world.pass_time(seconds=10)

    assert world.home_agent.identifications == before
    assert str(world.dropped[-1][1]) == "device pc1 is refused: the home agent carries another session alone"
    assert world.warnings().count(ONCE) == 1


def test_the_session_whose_address_was_given_twice_registers_anew(world):
    node = world.add_node(names=NAMES)
    world.pass_time(seconds=1)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=0.021)  # the reply is at the foreign agent
    assert world.foreign_agents["fa1"].visitors() == {"pc1": "10.10.0.10"}  # they were confused

    world.pass_time(seconds=3)

    assert world.foreign_agents["fa1"].visitors() == {"": "10.10.0.10"}


def test_applications_wait_and_the_carried_session_roams_and_renews(world):
    node = world.add_node(applications=["a", "b"])
    world.pass_time(seconds=10)
    assert node.sessions() == {"": ("registered", "10.10.0.10"), "a": ("idle", None), "b": ("idle", None)}

    node.move("fa2")
    world.pass_time(seconds=1000)

    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA2)}
    assert node.sessions()["a"] == ("idle", None)
    _nothing_dangles(world, node)
    assert world.warnings().count(ONCE) == 1


def test_without_a_session_of_its_own_the_first_device_is_carried_without_its_name(world):
    node = world.add_node(own_session=None, names=NAMES)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=10)

    assert node.sessions() == {"pc1": ("registered", "10.10.0.10")}
    assert len(node.dhcp_answers) == 1
    _nothing_dangles(world, node)
    node.device(DISCOVER, PC2)
    world.pass_time(seconds=10)
    assert set(node.sessions()) == {"pc1"}
    assert node.sub_nai_of(PC2) == ""


def test_the_place_of_a_device_that_leaves_is_the_next_ones(world):
    node = world.add_node(own_session=None, names=NAMES)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=10)

    node.device(RELEASE, PC1, client_address=node.home_address("pc1"))
    world.pass_time(seconds=5)
    assert world.home_agent.bindings() == {}
    node.device(DISCOVER, PC2)
    world.pass_time(seconds=5)

    assert node.sessions() == {"pc2": ("registered", "10.10.0.10")}
    _nothing_dangles(world, node)


def test_an_application_takes_the_place_of_a_device_that_leaves(world):
    node = world.add_node(at=None, own_session=None, applications=["a", "b"], names=NAMES)
    node.move("fa1")
    world.pass_time(seconds=20)
    carried = [name for name, (state, _) in node.sessions().items() if state == "registered"]

    assert len(carried) == 1
    assert sorted(state for state, _ in node.sessions().values()) == ["idle", "registered"]
    _nothing_dangles(world, node)


def test_a_home_agent_that_forgot_about_sub_nais_keeps_one_session(world):
    knowing = World(foreign_agents={"advertise_interval": 600_000})
    node = knowing.add_node(names=NAMES)
    knowing.pass_time(seconds=1)
    node.device(DISCOVER, PC1)
    knowing.pass_time(seconds=1)

    knowing.home_agent = PlainHomeAgentStation(knowing, {})
    knowing.pass_time(seconds=700)

    assert set(node.sessions()) == {""}
    assert set(node.attached) == {HOME_ADDRESS}
    assert set(knowing.home_agent.bindings()) == {""}


def test_mn_18_an_address_that_no_session_holds_is_given_back():
    node = DrivenNode(own_session=None, applications=["a"]).up()

    node.answer(sub_nai="a", before=[Nai(NAI.encode())])
    node.pass_time(seconds=1)

    goodbye = node.request()
    assert (goodbye.lifetime, goodbye.home_address) == (0, HOME_ADDRESS)
    node.answer(before=[Nai(NAI.encode())])
    node.pass_time(seconds=1)
    again = node.request()
    assert (again.lifetime, again.home_address, find(again.extensions, Experimental)) == (600, 0, [])
    node.answer(before=[Nai(NAI.encode())])
    assert node.state("a") == "registered"


def test_mn_18_a_goodbye_that_gets_no_answer_ends_all_the_same():
    node = DrivenNode(own_session=None, applications=["a"]).up()
    node.answer(sub_nai="a", before=[Nai(NAI.encode())])

    node.pass_time(seconds=30)

    lifetimes = [RegistrationRequest.decode(datagram).lifetime for _, datagram in node.requests]
    assert lifetimes[:5] == [600, 0, 0, 0, 600]


def test_a_copy_of_the_reply_is_no_second_surprise():
    node = DrivenNode(own_session=None, applications=["a"]).up()
    node.answer(sub_nai="a", before=[Nai(NAI.encode())])
    sent = len(node.requests)

    node.answer(sub_nai="a", before=[Nai(NAI.encode())])

    assert len(node.requests) == sent


def test_another_sub_nai_than_ours_is_as_good_as_none():
    node = DrivenNode(own_session=None, applications=["a"]).up()

    node.answer(sub_nai="a", before=[Nai(NAI.encode()), Experimental(1, b"b")])

    assert node.state("a") == "leaving"
    assert node.status("a")["expires_in"] is None


def test_a_sub_nai_for_a_session_that_has_none_is_not_believed():
    node = DrivenNode().up()

    node.answer(before=[Nai(NAI.encode()), Experimental(1, b"b")])

    assert node.state() == "registering"
