"""Stories of a node whose platform cannot make the tunnel that its home agent has granted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from mip4.const import REGISTRATION_REQUEST
from mip4.messages import RegistrationRequest
from tests.helpers.world import World

IN_CAFE = "198.51.100.77"


@pytest.fixture
def world() -> World:
    return World(foreign_agents={"advertise_interval": 600_000})


def a_node_in_the_cafe(world: World, makes_tunnels: bool) -> Any:
    """With a session of its own and an application's."""
    node = world.add_node(at=None, applications=["telemetry"])
    node.makes_tunnels = makes_tunnels
    node.move("cafe")
    world.pass_time(seconds=3)
    return node


def registrations(world: World) -> list[tuple[int, int]]:
    """(when, lifetime) of each request that leaves the node from now on."""
    found: list[tuple[int, int]] = []

    def note(source: str, destination: str, datagram: bytes) -> None:
        if source == "mn1" and datagram[0] == REGISTRATION_REQUEST:
            found.append((world.now, RegistrationRequest.decode(datagram).lifetime))

    world.watch = note
    return found


def test_without_its_tunnel_no_session_stays_registered_and_status_says_why(world: World) -> None:
    node = a_node_in_the_cafe(world, makes_tunnels=False)

    status = node.engine.status(node.now)

    assert world.home_agent.bindings() == {}
    assert node.attached == {}
    assert [one["state"] for one in status["sessions"]] == ["idle", "idle"]
    assert (status["tunnel"], status["tunnel_refused"], status["mode"]) == (None, "out of tunnels", None)
    assert world.warnings() == [f"no tunnel care_of={IN_CAFE}, next after 10s"]
    assert world.dropped == []


def test_it_is_tried_again_later_each_time_and_at_most_every_five_minutes(world: World) -> None:
    a_node_in_the_cafe(world, makes_tunnels=False)
    sent = registrations(world)

    world.pass_time(seconds=3600)

    tries = sorted({when // 1000 for when, lifetime in sent if lifetime})
    pauses = [round(later - earlier, -1) for earlier, later in pairwise(tries)]  # from the answer on, not the request
    assert pauses[:5] == [20, 40, 80, 160, 300]
    assert set(pauses[5:]) == {300}
    assert len(sent) < 4 * 20  # asked for and given back, by each
    assert world.home_agent.bindings() == {}


def test_when_the_tunnel_can_be_made_the_sessions_come_back_with_their_addresses(world: World) -> None:
    node = a_node_in_the_cafe(world, makes_tunnels=True)
    addresses = {name: home for name, (home, _) in world.home_agent.bindings().items()}
    assert set(addresses) == {"", "telemetry"}
    node.move(None)
    node.makes_tunnels = False
    node.move("cafe")
    world.pass_time(seconds=3)
    assert world.home_agent.bindings() == {}

    node.makes_tunnels = True
    world.pass_time(seconds=10)

    assert world.home_agent.bindings() == {name: (home, IN_CAFE) for name, home in addresses.items()}
    assert {state for state, _ in node.sessions().values()} == {"registered"}
    assert node.engine.status(node.now)["tunnel_refused"] is None
    assert node.tunnel.kind == "ipip"


def test_another_link_is_tried_at_once(world: World) -> None:
    node = a_node_in_the_cafe(world, makes_tunnels=False)
    world.pass_time(seconds=100)
    node.makes_tunnels = True

    node.move("nat")
    world.pass_time(seconds=2)

    assert set(world.home_agent.ends_by_session().values()) == {"udp 203.0.113.130:61001"}


def test_an_agent_that_is_heard_meanwhile_carries_the_sessions(world: World) -> None:
    node = a_node_in_the_cafe(world, makes_tunnels=False)

    node.move("fa1")
    world.pass_time(seconds=2)

    assert {state for state, _ in node.sessions().values()} == {"registered"}
    assert node.engine.status(node.now)["mode"] == "foreign-agent"
