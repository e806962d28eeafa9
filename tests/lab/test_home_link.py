"""The home network as a real link: its router, a host that lives there, and a node that comes and goes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest

from tools.lab import configuration, plan
from tools.lab.crew import wait_until
from tools.lab.errors import LabFailed
from tools.lab.plan import WorldPlan
from tools.lab.world import World

_AGENT = "02:00:00:00:04:01"  # link address of the home agent on the home link
_NODE = "02:00:00:00:01:01"  # of mn's uplink
_HOME_ADDRESS = "10.10.0.10"
_CN = plan.NETWORKS["cn"][0]


@pytest.fixture(scope="module")
def home(_capable: None) -> Iterator[World]:
    """Nothing runs: what a node and its agent would do is done by hand."""
    world = World(plan=WorldPlan(home_link=True))
    world.up(programs=False)
    yield world
    world.down()


def pings(world: World, name: str, address: str) -> bool:
    return world.run(name, ["ping", "-c", "1", "-W", "1", address]).returncode == 0


def neighbour(world: World, address: str) -> str:
    """The link address at which home1 has `address`, "" for none."""
    words = world.run("home1", ["ip", "neighbour", "show", address]).stdout.split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else ""


def come_home(world: World) -> None:
    """mn's uplink is on the home link with its home address, as RFC 5944 §4.6 wants it to be there."""
    world.roam("mn", "home")
    world.run("mn", ["ip", "address", "replace", f"{_HOME_ADDRESS}/24", "dev", "up0"])
    assert world.run("mn", ["ip", "route", "replace", "default", "via", plan.HOME_GATEWAY]).returncode == 0


def say(world: World, name: str, interface: str) -> None:
    """A gratuitous ARP for the home address, from this place."""
    arping = ["busybox", "arping", "-U", "-c", "1", "-I", interface, "-s", _HOME_ADDRESS, _HOME_ADDRESS]
    world.run(name, arping)


def test_the_home_agent_is_the_router_of_the_home_link(home: World) -> None:
    assert pings(home, "home1", _CN)
    assert pings(home, "cn", plan.HOME_HOST)

    assert neighbour(home, plan.HOME_GATEWAY) == _AGENT


def test_a_node_at_home_is_a_neighbour_among_others(home: World) -> None:
    come_home(home)

    assert pings(home, "home1", _HOME_ADDRESS)
    assert neighbour(home, _HOME_ADDRESS) == _NODE
    assert pings(home, "cn", _HOME_ADDRESS)
    assert pings(home, "mn", _CN)
    assert {one["name"]: one.get("at") for one in home.status()["nodes"]}["mn"] == "home"


def test_gratuitous_arp_moves_a_neighbour_to_the_agent_and_back(home: World) -> None:
    come_home(home)
    assert pings(home, "home1", _HOME_ADDRESS)
    assert neighbour(home, _HOME_ADDRESS) == _NODE

    home.roam("mn", "fa1")
    home.run("ha", ["ip", "address", "add", f"{_HOME_ADDRESS}/32", "dev", "lo"])  # arping sends only what is its own
    say(home, "ha", "home0")
    wait_until(lambda: neighbour(home, _HOME_ADDRESS) == _AGENT, 3, "home1 sends to the agent")
    home.run("ha", ["ip", "address", "delete", f"{_HOME_ADDRESS}/32", "dev", "lo"])
    come_home(home)
    say(home, "mn", "up0")

    wait_until(lambda: neighbour(home, _HOME_ADDRESS) == _NODE, 3, "home1 sends to the node")
    assert pings(home, "home1", _HOME_ADDRESS)


def test_the_agents_kernel_answers_arp_for_a_node_that_is_away(home: World) -> None:
    home.roam("mn", "fa1")
    ask = ["busybox", "arping", "-c", "3", "-w", "3", "-f", "-I", "net0", _HOME_ADDRESS]
    assert home.run("home1", ask).returncode != 0

    home.run("ha", ["ip", "route", "add", f"{_HOME_ADDRESS}/32", "dev", "net0"])  # proxied only if not on this link
    home.run("ha", ["ip", "neighbour", "add", "proxy", _HOME_ADDRESS, "dev", "home0"])
    answered = home.run("home1", ask)
    home.run("ha", ["ip", "neighbour", "delete", "proxy", _HOME_ADDRESS, "dev", "home0"])
    home.run("ha", ["ip", "route", "delete", f"{_HOME_ADDRESS}/32", "dev", "net0"])

    assert _AGENT in answered.stdout


def test_the_home_agent_is_told_of_the_link_and_gives_nobody_the_hosts_address() -> None:
    network = tomllib.loads(configuration.write(WorldPlan(home_link=True))["ha/ha.toml"])["network"][0]

    assert network["interface"] == "home0"
    assert network["pool"] == ["10.10.0.10-10.10.0.199"]


def test_where_the_home_network_is_virtual_nobody_can_go_there(bare_world: World) -> None:
    with pytest.raises(LabFailed, match="lab up --home-link"):
        bare_world.roam("mn", "home")
    with pytest.raises(LabFailed, match="no place is named home1"):
        bare_world.run("home1", ["true"])
