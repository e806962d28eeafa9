"""The home network as a real link: a node comes and goes, and its neighbours there always find its addresses."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mip4.address import parse, parse_link, show, show_link
from mip4.arp import Arp, gratuitous
from tests.lab.conftest import MakeWorld
from tests.lab.test_colocated import assert_whole, await_direct
from tests.lab.test_main_job import addresses, await_all_at, await_ping, bindings, pings
from tests.lab.test_uplink_dhcp import status
from tools.lab import capture, configuration, plan
from tools.lab.crew import wait_until
from tools.lab.errors import LabFailed
from tools.lab.plan import NodePlan, WorldPlan
from tools.lab.traffic import Download, ping_train
from tools.lab.world import World

_AGENT = "02:00:00:00:04:01"  # link address of the home agent on the home link
_NODE = "02:00:00:00:01:01"  # of mn's uplink
_CN = plan.NETWORKS["cn"][0]
_SOON = 30.0
_ARP = b"\x08\x06"


@pytest.fixture(scope="module")
def bare_home(_capable: None) -> Iterator[World]:
    """Nothing runs."""
    world = World(plan=WorldPlan(home_link=True))
    world.up(programs=False)
    yield world
    world.down()


def a_world(make_world: MakeWorld, *devices: str, **more: object) -> World:
    """mn at fa1 with these devices and an address on its uplink where there is one to be had."""
    node = NodePlan("mn", "kleung@example.net", devices, address="dhcp")
    world = make_world(nodes=(node,), home_link=True, **more)
    for device in devices:
        world.await_address(device)
    wait_until(lambda: len(bindings(world)) == 1 + len(devices), _SOON, "a binding for each session")
    return world


def control(world: World) -> list[str]:
    return ["--control", str(world.crew.program("mn").control)]


def await_home(world: World, expected: dict[str, str]) -> None:
    """Every expected session is at home with its address, and the home agent has no binding of it."""

    def there() -> bool:
        sessions = status(world, "mn")["sessions"]
        at_home = {one["sub_nai"]: one["home_address"] for one in sessions if one["state"] == "home"}
        return at_home == expected and bindings(world) == []

    wait_until(there, _SOON, f"{sorted(expected)} at home")


def asked(world: World, address: str) -> str | None:
    """Who answers a host on the home link that asks for `address`: a link address, None for nobody."""
    argv = ["busybox", "arping", "-c", "2", "-w", "2", "-f", "-I", "net0", address]
    found = re.search(r"\[([0-9a-f:]{17})\]", world.run("home1", argv).stdout)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Heard:
    """An ARP packet on the home link. by: link address of the frame that brought it."""

    by: str
    arp: Arp


@contextmanager
def all_arp_heard(world: World) -> Iterator[list[Heard]]:
    """What home1 hears inside the block; complete behind it."""
    path: Path = world.directory / "home1.pcap"
    path.unlink(missing_ok=True)
    heard: list[Heard] = []
    world.crew.start_capture("home1", path)
    yield heard
    world.crew.stop_capture("home1", path)
    for _, frame in capture.frames(path):
        if frame[12:14] == _ARP:
            heard.append(Heard(show_link(frame[6:12]), Arp.decode(frame[14:])))


def gratuitous_for(address: str, heard: list[Heard]) -> list[tuple[str, str]]:
    """Who said where the address is, in order: (link address of who said it, the one that was said)."""
    return [(one.by, show_link(one.arp.sender_link)) for one in heard if one.arp == _gratuitous(address, one.arp)]


def _gratuitous(address: str, arp: Arp) -> Arp:
    return gratuitous(parse(address), arp.sender_link)


def test_one_tcp_connection_and_all_addresses_survive_agent_nat_agent_home_agent(make_world: MakeWorld) -> None:
    world = a_world(make_world, "pc1", "pc2")
    expected = addresses(world)
    address = expected["KleungPC1"]
    download = Download(world, "cn", "pc1", _CN)
    assert asked(world, address) == _AGENT

    world.roam("mn", "nat")
    await_direct(world, expected, "udp")
    await_ping(world, "home1", address)
    world.roam("mn", "fa2")
    await_all_at(world, "fa2", expected)
    await_ping(world, "home1", address)
    world.roam("mn", "home")
    await_home(world, expected)
    for one in expected.values():
        await_ping(world, "cn", one)
        assert asked(world, one) == _NODE
    for device in ("pc1", "pc2"):
        assert pings(world, device, _CN)
        assert pings(world, device, plan.HOME_HOST)
    assert status(world, "mn")["mode"] == "home"
    shown = world.run("mn", [sys.executable, "-m", "host_agents.cli.main", "node", "status", *control(world)])
    assert shown.stdout.startswith("kleung@example.net at home, home agent 192.0.2.1\n")
    world.roam("mn", "fa1")
    await_all_at(world, "fa1", expected)
    assert asked(world, address) == _AGENT

    assert world.await_address("pc1") == address
    assert world.await_address("pc2") == expected["KleungPC2"]
    assert_whole(download.finish())


def test_ha_26_arp_says_where_an_address_is_in_the_order_of_the_rfc(make_world: MakeWorld) -> None:
    world = a_world(make_world, "pc1")
    expected = addresses(world)
    address = expected["KleungPC1"]

    with all_arp_heard(world) as coming:
        world.roam("mn", "home")
        await_home(world, expected)
        wait_until(lambda: arps(world, address, _NODE) >= 6, _SOON, "three of the node's and three of the agent's")
    with all_arp_heard(world) as going:
        world.roam("mn", "fa1")
        await_all_at(world, "fa1", expected)
        wait_until(lambda: arps(world, address, _AGENT) >= 3, _SOON, "three of the agent's")

    came, went = gratuitous_for(address, coming), gratuitous_for(address, going)
    # The node, before it registers; the agent, once it has ended the registration; both repeat it. Until then the agent
    # may still be repeating that the node is away.
    ended = came.index((_AGENT, _NODE))
    assert (_NODE, _NODE) in came[:ended] and (_AGENT, _AGENT) not in came[ended:]
    assert (came.count((_NODE, _NODE)), came.count((_AGENT, _NODE))) == (3, 3)
    assert went == [(_AGENT, _AGENT)] * 3
    questions = [one.arp.target for one in coming + going if one.by == _NODE and not one.arp.is_gratuitous()]
    assert questions == [], f"the node asks for {[show(one) for one in questions]}"


def arps(world: World, address: str, at: str) -> int:
    """Gratuitous ones so far that say that `address` is at link address `at`."""
    found = (frame for _, frame in capture.frames(world.directory / "home1.pcap") if frame[12:14] == _ARP)
    return sum(Arp.decode(frame[14:]) == gratuitous(parse(address), parse_link(at)) for frame in found)


def test_mn_01_at_home_devices_keep_their_leases_longer_than_any_registration(make_world: MakeWorld) -> None:
    world = a_world(make_world, "pc1", lifetime=20)
    expected = addresses(world)
    world.roam("mn", "home")
    await_home(world, expected)

    with ping_train(world, "cn", expected["KleungPC1"], 0.2) as train:
        wait_until(lambda: len(train.replies()) > 125, 40, "longer than a lifetime")

    assert train.lost() == 0
    await_home(world, expected)
    world.release("pc1")
    wait_until(lambda: asked(world, expected["KleungPC1"]) is None, _SOON, "nobody answers for what was given back")
    world.start("pc1")
    world.roam("mn", "fa1")
    assert world.await_address("pc1") == expected["KleungPC1"]


@pytest.mark.parametrize("at", ["fa1", "home"])
def test_neighbours_find_every_address_again_when_the_home_agent_was_restarted(make_world: MakeWorld, at: str) -> None:
    world = a_world(make_world, "pc1")
    expected = addresses(world)
    if at == "home":
        world.roam("mn", "home")
        await_home(world, expected)

    world.kill("ha")
    assert asked(world, expected["KleungPC1"]) == (_NODE if at == "home" else None)
    world.start("ha")

    assert asked(world, expected["KleungPC1"]) == (_NODE if at == "home" else _AGENT)
    await_ping(world, "home1", expected["KleungPC1"])
    await_ping(world, "cn", expected["KleungPC1"])


def test_a_node_that_is_restarted_at_home_takes_its_devices_addresses_up_again(make_world: MakeWorld) -> None:
    settings = {"state": "node.state", "own_session": None}
    node = NodePlan("mn", "kleung@example.net", ("pc1",), settings=settings)
    world = make_world(nodes=(node,), home_link=True)
    address = world.await_address("pc1")
    world.roam("mn", "home")
    await_home(world, {"KleungPC1": address})

    world.kill("mn")
    assert asked(world, address) is None
    world.start("mn")

    await_home(world, {"KleungPC1": address})
    assert asked(world, address) == _NODE
    await_ping(world, "cn", address)


def test_the_home_agent_is_the_router_of_the_home_link(bare_home: World) -> None:
    assert pings(bare_home, "home1", _CN)
    assert pings(bare_home, "cn", plan.HOME_HOST)

    neighbours = bare_home.run("home1", ["ip", "neighbour", "show", plan.HOME_GATEWAY]).stdout.split()
    assert parse_link(neighbours[neighbours.index("lladdr") + 1]) == parse_link(_AGENT)


def test_the_home_agent_is_told_of_the_link_and_gives_nobody_the_hosts_address() -> None:
    network = tomllib.loads(configuration.write(WorldPlan(home_link=True))["ha/ha.toml"])["network"][0]

    assert network["interface"] == "home0"
    assert network["pool"] == ["10.10.0.10-10.10.0.199"]


def test_where_the_home_network_is_virtual_nobody_can_go_there(bare_world: World) -> None:
    with pytest.raises(LabFailed, match="lab up --home-link"):
        bare_world.roam("mn", "home")
    with pytest.raises(LabFailed, match="no place is named home1"):
        bare_world.run("home1", ["true"])
