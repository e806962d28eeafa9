"""Subscribers and keys that are read anew while everything runs."""

from __future__ import annotations

import pytest

from host_agents.home_agent.policy import Subscriber
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.errors import BadAuthenticator
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, SPI, a_subscriber
from tests.helpers.world import World

KEY = SecurityAssociation(512, bytes(range(16)))
AGENTS = {address: KEY for address in FOREIGN_AGENTS.values()}
GUEST = "guest@example.net"


@pytest.fixture
def world() -> World:
    return World(
        home_agent={"foreign_agents": dict(AGENTS), "subscribers": {NAI: a_subscriber(), GUEST: a_subscriber(GUEST)}},
        foreign_agents={"home_agents": {HOME_AGENT: KEY}, "advertise_interval": 600_000},
    )


def reload(world: World, *subscribers: Subscriber) -> None:
    station = world.home_agent
    known = {one.nai: one for one in subscribers}
    station.run(station.engine.reload(known, dict(AGENTS), station.now))


def test_a_removed_subscribers_sessions_end_at_both_agents_and_nobody_elses(world: World) -> None:
    world.add_node(applications=["telemetry"])
    world.add_node(nai=GUEST)
    world.pass_time(seconds=1)
    assert len(world.home_agent.rows) == 3

    reload(world, a_subscriber(GUEST))
    world.pass_time(seconds=0.1)

    assert set(world.home_agent.rows) == {(GUEST, "")}
    assert {one.nai for one in world.foreign_agents["fa1"].rows.values()} == {GUEST}


def test_a_removed_subscriber_whose_turn_is_open_goes_when_it_has_ended(world: World) -> None:
    world.home_agent.commit_time = lambda: 500
    world.add_node()
    world.pass_time(seconds=0.3)
    assert len(world.home_agent.engine.bindings) == 1

    reload(world)
    assert len(world.home_agent.engine.bindings) == 1
    world.pass_time(seconds=1.5)

    assert len(world.home_agent.engine.bindings) == 0
    assert world.home_agent.rows == {}


def test_a_turn_that_fails_after_its_subscriber_was_removed_leaves_nothing(world: World) -> None:
    world.home_agent.commit_time = lambda: 500
    world.add_node()
    world.pass_time(seconds=0.3)

    world.home_agent.refusing = "no room in the kernel"
    reload(world)
    world.pass_time(seconds=1.5)

    assert len(world.home_agent.engine.bindings) == 0
    assert world.home_agent.rows == {}


def test_a_changed_key_counts_from_the_next_request_on(world: World) -> None:
    node = world.add_node()
    world.pass_time(seconds=1)
    other = SecurityAssociation(SPI, bytes(16))

    reload(world, Subscriber(NAI, {SPI: other}, 8))

    assert set(world.home_agent.rows) == {(NAI, "")}
    node.move("fa2")
    world.pass_time(seconds=1)
    (binding,) = world.home_agent.rows.values()
    assert binding.care_of_address == FOREIGN_AGENTS["fa1"]
    assert any(who == "ha" and isinstance(error, BadAuthenticator) for who, error in world.dropped)


def test_an_added_subscriber_registers_at_once(world: World) -> None:
    reload(world, a_subscriber(NAI))
    reload(world, a_subscriber(NAI), a_subscriber(GUEST))

    world.add_node(nai=GUEST)
    world.pass_time(seconds=1)

    assert set(world.home_agent.rows) == {(GUEST, "")}


def test_a_newly_reserved_address_is_its_sessions_and_no_strangers(world: World) -> None:
    reserved = parse("10.10.0.10")
    reload(world, a_subscriber(NAI, addresses={"printer": reserved}), a_subscriber(GUEST))

    world.add_node(nai=GUEST)
    world.add_node(applications=["printer"])
    world.pass_time(seconds=1)

    assert world.home_agent.rows[NAI, "printer"].home_address == reserved
    assert world.home_agent.rows[GUEST, ""].home_address != reserved


def test_a_sessions_replay_protection_stays_what_it_was(world: World) -> None:
    node = world.add_node()
    world.pass_time(seconds=1)

    reload(world, a_subscriber(NAI, nonces=True))
    node.move("fa2")
    world.pass_time(seconds=1)

    (binding,) = world.home_agent.rows.values()
    assert binding.care_of_address == FOREIGN_AGENTS["fa2"]
    assert any(level == "warning" and "replay protection" in text for level, text in world.said)


def test_a_foreign_agents_new_key_is_the_one_it_signs_with(world: World) -> None:
    other = SecurityAssociation(513, bytes(16))
    for station in world.foreign_agents.values():
        station.engine.reload({HOME_AGENT: other}, {}, {})
    world.home_agent.run(
        world.home_agent.engine.reload(
            {NAI: a_subscriber()}, {address: other for address in FOREIGN_AGENTS.values()}, world.home_agent.now
        )
    )

    world.add_node()
    world.pass_time(seconds=1)

    assert set(world.home_agent.rows) == {(NAI, "")}
    assert world.dropped == []
