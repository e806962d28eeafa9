"""Whole stories, engines only. The first one is the reading order of ARCHITECTURE.md."""

import random
from itertools import pairwise

import pytest

from mip4.address import show
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, NTP_2026, PC1, PC2, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, MOBILE_FOREIGN
from tests.helpers.world import Weather, World

DISCOVER, REQUEST, RELEASE = 1, 3, 7
FA1, FA2 = "203.0.113.2", "203.0.113.66"
DAY = 86_400


@pytest.fixture
def world():
    """Advertisements are rare, so that a test can live through a day; solicitations are answered at once anyway."""
    return World(foreign_agents={"advertise_interval": 600_000})


def test_one_registration_from_advertisement_to_renewal(world):
    node = world.add_node(at="fa1")  # link up: solicitation, advertisement, request

    world.pass_time(seconds=0.1)

    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA1)}
    assert world.foreign_agents["fa1"].visitors() == {"": "10.10.0.10"}
    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    expiry = world.home_agent.rows[NAI, ""].expires
    world.pass_time(seconds=301)  # half of its ten minutes, and a little
    assert world.home_agent.rows[NAI, ""].expires > expiry
    assert world.warnings() == []


def test_a_device_gets_its_home_address_by_dhcp_when_the_home_agent_has_given_it(world):
    node = world.add_node(names={"02:00:00:00:00:11": "KleungPC1"})
    world.pass_time(seconds=1)

    node.device(DISCOVER, PC1)
    assert node.dhcp_answers == []  # not before the home agent has answered
    world.pass_time(seconds=0.1)

    assert world.home_agent.bindings()["KleungPC1"] == ("10.10.0.11", FA1)
    assert [_address(answer) for answer in node.dhcp_answers] == ["10.10.0.11"]


def test_all_sessions_move_at_once_and_keep_their_addresses(world):
    node = _node_with_two_devices(world)
    before = {name: address for name, (address, _) in world.home_agent.bindings().items()}

    node.move("fa2")
    world.pass_time(seconds=0.05)  # one round trip to the agent, one to the home agent, for all of them together

    after = world.home_agent.bindings()
    assert {name: address for name, (address, _) in after.items()} == before
    assert {care_of for _, care_of in after.values()} == {FA2}
    assert world.foreign_agents["fa2"].visitors() == before
    assert node.engine.status(node.now)["handoffs"][-1]["registered"] == len(before)


def test_a_lost_reply_is_asked_for_again_and_the_home_agent_keeps_one_binding(world):
    world.lose_next("ha", "fa1")
    node = world.add_node()

    world.pass_time(seconds=0.9)
    assert node.sessions() == {"": ("registering", None)}
    world.pass_time(seconds=0.3)

    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA1)}


def test_a_day_of_renewals_changes_nothing(world):
    node = world.add_node(applications=["telemetry"])
    world.pass_time(seconds=1)
    before = world.home_agent.bindings()

    world.pass_time(seconds=DAY)

    assert world.home_agent.bindings() == before
    assert {state for state, _ in node.sessions().values()} == {"registered"}
    assert world.warnings() == []
    assert world.dropped == []


def test_a_released_address_is_free_and_its_device_gets_it_back(world):
    node = _node_with_two_devices(world)
    address = node.home_address("pc1")

    node.device(RELEASE, PC1, client_address=address)
    world.pass_time(seconds=1)
    assert "pc1" not in world.home_agent.bindings()
    assert "pc1" not in world.foreign_agents["fa1"].visitors()
    assert address not in node.attached
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=1)

    assert world.home_agent.bindings()["pc1"] == (show(address), FA1)


def test_a_device_that_comes_and_goes_while_its_registration_is_in_flight_ends_as_it_last_wished(world):
    node = world.add_node(names={"02:00:00:00:00:11": "pc1"})
    world.pass_time(seconds=1)

    node.device(DISCOVER, PC1)
    world.pass_time(seconds=0.005)  # the request is on its way
    node.run(node.engine.downlink_down("down0", node.now))
    world.pass_time(seconds=3.1)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=3)

    assert node.sessions()["pc1"][0] == "registered"
    assert "pc1" in world.home_agent.bindings()


def test_a_dark_downlink_releases_its_devices(world):
    node = _node_with_two_devices(world)

    node.run(node.engine.downlink_down("down0", node.now))
    world.pass_time(seconds=5)

    assert set(world.home_agent.bindings()) == {""}


def test_a_downlink_that_is_dark_for_a_moment_releases_nobody(world):
    node = _node_with_two_devices(world)

    node.run(node.engine.downlink_down("down0", node.now))
    world.pass_time(seconds=1)
    node.run(node.engine.downlink_up("down0", node.now))
    world.pass_time(seconds=5)

    assert set(world.home_agent.bindings()) == {"", "pc1", "pc2"}


def test_a_device_whose_lease_is_over_is_deregistered(world):
    node = _node_with_two_devices(world)

    world.pass_time(seconds=610)

    assert set(world.home_agent.bindings()) == {""}
    assert set(node.sessions()) == {""}


def test_a_home_agent_that_was_killed_goes_on_with_everything_it_acknowledged(world):
    _node_with_two_devices(world)
    before = world.home_agent.bindings()

    world.home_agent.kill()
    world.pass_time(seconds=30)
    world.home_agent.start(NTP_2026 + world.now)

    assert world.home_agent.bindings() == before
    world.pass_time(seconds=400)
    assert world.home_agent.bindings()[""] == before[""]


def test_a_foreign_agent_that_kept_its_visitors_needs_no_new_registrations(world):
    node = _node_with_two_devices(world)
    before = world.foreign_agents["fa1"].visitors()
    identifications = dict(world.home_agent.identifications)

    world.foreign_agents["fa1"].kill()
    world.foreign_agents["fa1"].start()
    world.pass_time(seconds=5)

    assert world.foreign_agents["fa1"].visitors() == before
    assert world.home_agent.identifications == identifications
    assert node.engine.status(node.now)["agent"] == "10.99.1.1"


def test_a_foreign_agent_that_lost_its_visitors_gets_them_back_by_its_sequence_number(world):
    _node_with_two_devices(world)
    before = world.foreign_agents["fa1"].visitors()
    world.pass_time(seconds=20)

    station = world.foreign_agents["fa1"]
    station.kill()
    station.rows.clear()
    station.deliveries.clear()
    station.start()
    world.pass_time(seconds=1)

    assert station.visitors() == before


def test_silence_of_the_agent_is_noticed_and_another_one_is_looked_for():
    world = World()
    node = world.add_node()
    world.pass_time(seconds=5)

    world.foreign_agents["fa1"].kill()
    world.pass_time(seconds=4)

    assert node.engine.status(node.now)["agent"] is None
    assert node.router == 0
    world.foreign_agents["fa1"].start()
    world.pass_time(seconds=2)
    assert node.engine.status(node.now)["agent"] == "10.99.1.1"


def test_another_agents_advertisement_means_a_move_once_ours_is_overdue():
    world = World()
    node = world.add_node()
    world.pass_time(seconds=5)

    node.at = "fa2"  # the radio roamed and told nobody
    world.pass_time(seconds=3.5)

    assert node.sessions()[""] == ("registered", "10.10.0.10")
    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA2)}


def test_two_nodes_with_different_nais_do_not_meet():
    subscribers = {nai: a_subscriber(nai) for nai in ("a@example.net", "b@example.net")}
    world = World(home_agent={"subscribers": subscribers})
    one, other = world.add_node("fa1", nai="a@example.net"), world.add_node("fa2", nai="b@example.net")

    world.pass_time(seconds=1)

    assert (one.sessions()[""], other.sessions()[""]) == (("registered", "10.10.0.10"), ("registered", "10.10.0.11"))


def test_two_nodes_share_a_nai_with_different_sub_nais(world):
    one = world.add_node("fa1", own_session="car", names={"02:00:00:00:00:11": "pc1"})
    other = world.add_node("fa2", own_session="boat", names={"02:00:00:00:00:12": "pc2"})
    world.pass_time(seconds=1)

    one.device(DISCOVER, PC1)
    other.device(DISCOVER, PC2)
    world.pass_time(seconds=1)
    one.move("fa2")
    world.pass_time(seconds=1)

    assert set(world.home_agent.bindings()) == {"car", "pc1", "boat", "pc2"}
    assert {care_of for _, care_of in world.home_agent.bindings().values()} == {FA2}
    assert {state for state, _ in (one.sessions() | other.sessions()).values()} == {"registered"}


def test_a_node_without_a_clock_learns_the_time_from_a_133_at_every_start(world):
    node = world.add_node(ntp_ms=0, applications=["telemetry"])
    world.pass_time(seconds=2.5)
    assert {state for state, _ in node.sessions().values()} == {"registered"}

    for _ in range(2):  # the second time within the tolerance of what was accepted before
        node.boot()
        world.pass_time(seconds=3)
        assert {state for state, _ in node.sessions().values()} == {"registered"}

    assert world.warnings() == []


def test_a_home_agents_clock_that_stepped_back_a_day_locks_nobody_out(world):
    node = _node_with_two_devices(world)
    before = world.home_agent.bindings()

    world.home_agent.kill()
    world.pass_time(seconds=5)
    world.home_agent.start(NTP_2026 + world.now - DAY * 1000)
    node.move("fa2")
    world.pass_time(seconds=5)

    assert {name: address for name, (address, _) in world.home_agent.bindings().items()} == {
        name: address for name, (address, _) in before.items()
    }
    assert {care_of for _, care_of in world.home_agent.bindings().values()} == {FA2}


def test_the_end_of_the_ntp_era_in_2036_passes_unnoticed():
    era = 2**32 * 1000  # ms; 2036-02-07 06:28:16 UTC
    world = World(foreign_agents={"advertise_interval": 600_000})
    world.home_agent.start(era - 3600_000)
    node = world.add_node(ntp_ms=era - 3600_000)
    world.pass_time(seconds=3595)
    node.move("fa2")
    world.pass_time(seconds=2)

    world.pass_time(seconds=2 * 3600)
    world.home_agent.kill()
    world.home_agent.start(era - 3600_000 + world.now)
    world.pass_time(seconds=3600)

    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA2)}
    assert world.home_agent.identifications[NAI, ""] < 2**48  # it did wrap
    assert world.warnings() == []


def test_a_node_whose_power_was_cut_takes_up_its_devices_by_itself(world):
    node = _node_with_two_devices(world)
    before = world.home_agent.bindings()

    node.boot()
    world.pass_time(seconds=1)

    assert world.home_agent.bindings() == before
    assert {show(address) for address in node.attached} == {address for address, _ in before.values()}


def test_no_agent_and_then_one(world):
    node = world.add_node(at=None)
    world.pass_time(seconds=120)
    assert node.sessions() == {"": ("idle", None)}

    node.move("fa1")
    world.pass_time(seconds=1)

    assert node.sessions()[""][0] == "registered"


def test_a_silent_home_agent_is_asked_ever_more_rarely_and_never_given_up(world):
    world.home_agent.kill()
    node = world.add_node()
    asked = []
    world.watch = lambda source, destination, datagram: (
        asked.append(world.now) if (source, destination) == ("fa1", "ha") else None
    )

    world.pass_time(seconds=600)
    waits = [later - earlier for earlier, later in pairwise(asked)]
    world.home_agent.start(NTP_2026 + world.now)
    world.pass_time(seconds=120)

    assert min(waits) >= 1000
    assert max(waits) > 30_000
    assert node.sessions()[""][0] == "registered"


def test_a_home_agent_that_refuses_for_a_while_is_asked_until_it_no_longer_does(world):
    world.home_agent.refusing = "no buffer space"
    node = world.add_node(applications=["telemetry"])
    world.pass_time(seconds=20)
    assert {state for state, _ in node.sessions().values()} == {"registering"}
    assert world.home_agent.rows == {}

    world.home_agent.refusing = ""
    world.pass_time(seconds=70)

    assert {state for state, _ in node.sessions().values()} == {"registered"}
    assert set(world.home_agent.bindings()) == {"", "telemetry"}


def test_a_foreign_agent_that_cannot_carry_a_session_says_so_and_another_one_can():
    world = World()
    world.foreign_agents["fa1"].refusing = "no buffer space"
    node = world.add_node()

    world.pass_time(seconds=5)
    assert node.sessions()[""][0] == "registering"
    assert node.engine.status(node.now)["sessions"][0]["code"] == 66
    world.foreign_agents["fa1"].visitors()
    node.move("fa2")
    world.pass_time(seconds=1)

    assert node.sessions()[""][0] == "registered"


def test_one_more_session_than_the_subscriber_may_have_gets_its_place_when_another_leaves():
    world = World(home_agent={"subscribers": {NAI: a_subscriber(sessions=2)}})
    node = world.add_node(names={"02:00:00:00:00:11": "pc1", "02:00:00:00:00:12": "pc2"})
    world.pass_time(seconds=1)
    for link_address in (PC1, PC2):
        node.device(DISCOVER, link_address)
        world.pass_time(seconds=2)
    assert (node.sessions()["pc1"][0], node.sessions()["pc2"][0]) == ("registered", "registering")

    node.device(RELEASE, PC1, client_address=node.home_address("pc1"))
    world.pass_time(seconds=60)

    assert set(world.home_agent.bindings()) == {"", "pc2"}


def test_every_message_twice_and_out_of_order_changes_nothing_in_the_end(world):
    world.weather = Weather(random.Random(5944), duplication=1.0, delay=400)
    node = world.add_node(names={"02:00:00:00:00:11": "pc1"}, applications=["telemetry"])
    world.pass_time(seconds=10)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=10)
    node.move("fa2")
    world.pass_time(seconds=20)

    assert {state for state, _ in node.sessions().values()} == {"registered"}
    assert {care_of for _, care_of in world.home_agent.bindings().values()} == {FA2}
    assert set(world.foreign_agents["fa2"].visitors()) == {"", "telemetry", "pc1"}


def test_agents_with_keys_for_each_other_register_as_others_do():
    keys = {FOREIGN_AGENTS[name]: FOREIGN_HOME for name in ("fa1", "fa2")}
    world = World(
        home_agent={"foreign_agents": keys, "require_foreign_agent_key": True},
        foreign_agents={"home_agents": {HOME_AGENT: FOREIGN_HOME}, "mobile_nodes": {NAI: {768: MOBILE_FOREIGN}}},
    )
    shared = {"spi": 768, "key": b"mobile node and foreign agent", "algorithm": "hmac-md5"}
    node = world.add_node(
        names={"02:00:00:00:00:11": "pc1"},
        foreign_agents=[{"care_of_address": care_of, **shared} for care_of in keys],
    )
    world.pass_time(seconds=1)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=1)
    node.move("fa2")
    world.pass_time(seconds=1)
    node.device(RELEASE, PC1, client_address=node.home_address("pc1"))
    world.pass_time(seconds=5)

    assert world.home_agent.bindings() == {"": ("10.10.0.10", FA2)}
    assert world.foreign_agents["fa2"].visitors() == {"": "10.10.0.10"}
    assert (world.dropped, world.warnings()) == ([], [])


@pytest.mark.parametrize(("vendor", "sub_type"), [(0, 1), (0, 2), (40000, 1), (40000, 2)])
def test_every_form_of_the_sub_nai_tells_sessions_apart(vendor, sub_type):
    world = World(home_agent={"sub_nai_vendor": vendor}, foreign_agents={"sub_nai_vendor": vendor})

    node = world.add_node(applications=["telemetry"], sub_nai_vendor=vendor, sub_nai_type=sub_type)
    world.pass_time(seconds=2)

    assert set(world.home_agent.bindings()) == set(world.foreign_agents["fa1"].visitors()) == {"", "telemetry"}
    assert {state for state, _ in node.sessions().values()} == {"registered"}


def _node_with_two_devices(world):
    node = world.add_node(names={"02:00:00:00:00:11": "pc1", "02:00:00:00:00:12": "pc2"})
    world.pass_time(seconds=1)
    for link_address in (PC1, PC2):
        node.device(DISCOVER, link_address)
    world.pass_time(seconds=1)
    assert set(world.home_agent.bindings()) == {"", "pc1", "pc2"}
    return node


def _address(answer: bytes) -> str:
    """yiaddr of a DHCP answer."""
    return show(int.from_bytes(answer[16:20], "big"))
