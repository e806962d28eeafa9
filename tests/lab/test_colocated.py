"""A node that is its own care-of address: behind a NAT and without one, and its devices' connections live on."""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_agents.cli.main import main
from tests.lab.conftest import MakeWorld
from tests.lab.test_main_job import addresses, await_all_at, await_ping, bindings, pings
from tests.lab.test_uplink_dhcp import status
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.traffic import Download
from tools.lab.world import World

_CN = plan.NETWORKS["cn"][0]
_SOON = 30.0
_NO_REGISTRATION = {"registration_required": False}


def a_world(make_world: MakeWorld, at: str = "fa1", settings: dict[str, object] | None = None, **more: Any) -> World:
    """mn with the device pc1 and the application telemetry, and an address on its uplink."""
    settings = {"applications": ["telemetry"], **(settings or {})}
    node = NodePlan("mn", "kleung@example.net", ("pc1",), at=at, address="dhcp", settings=settings)
    world = make_world(nodes=(node,), **more)
    world.await_address("pc1")
    wait_until(lambda: len(bindings(world)) == 3, _SOON, "three bindings")
    await_ping(world, "pc1", _CN)
    return world


def await_direct(world: World, expected: dict[str, str], tunnel: str) -> None:
    """Every expected session has its address, registered by the node itself."""

    def there() -> bool:
        ways = {(one["via"], one["tunnel"]) for one in bindings(world)}
        return ways == {("direct", tunnel)} and addresses(world) == expected

    wait_until(there, _SOON, f"{sorted(expected)} registered directly, tunnel {tunnel}")


def assert_whole(report: dict[str, Any]) -> None:
    assert report["wrong"] is None
    assert report["received"] == report["sent"] > 0
    assert report["connections"] == 1
    assert report["peer"] == report["local"]


@contextlib.contextmanager
def no_further_file(pid: int) -> Iterator[None]:
    """The smallest descriptor that is free is one too many for the process."""
    used = {int(one.name) for one in Path(f"/proc/{pid}/fd").iterdir()}
    free = next(number for number in itertools.count() if number not in used)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def dropped(world: World) -> dict[str, int]:
    """By the node's forwarder, why and how many."""
    found: dict[str, int] = status(world, "mn")["runtime"]["forwarder"]["dropped"]
    return found


def test_one_tcp_connection_and_all_addresses_survive_agent_nat_agent(make_world: MakeWorld) -> None:
    world = a_world(make_world)
    expected = addresses(world)
    download = Download(world, "cn", "pc1", _CN)

    world.roam("mn", "nat")
    await_direct(world, expected, "udp")
    assert {one["care_of_address"].rpartition(".")[0] for one in bindings(world)} == {"192.168.7"}
    await_ping(world, "pc1", _CN)
    for name in expected.values():
        await_ping(world, "cn", name)
    assert pings(world, "mn", _CN)
    world.roam("mn", "fa2")
    await_all_at(world, "fa2", expected)
    await_ping(world, "pc1", _CN)

    assert world.await_address("pc1") == expected["KleungPC1"]
    assert_whole(download.finish())


def test_a_nat_that_forgets_in_the_middle_of_a_download_costs_a_pause_and_nothing_else(make_world: MakeWorld) -> None:
    world = a_world(make_world, at="nat", home_agent={"udp_keepalive": 10})
    expected = addresses(world)
    await_direct(world, expected, "udp")
    download = Download(world, "cn", "pc1", _CN)
    carried = status(world, "mn")["runtime"]["forwarder"]["received"]
    wait_until(lambda: status(world, "mn")["runtime"]["forwarder"]["received"] > carried + 200, _SOON, "a download")

    world.rebind("nat")

    moved = re.compile(r"rebound .*udp=203\.0\.113\.130:(\d+)")
    wait_until(lambda: moved.search(world.crew.log("ha").read_text()), 25, "the home agent notices")
    await_ping(world, "cn", expected["KleungPC1"])
    assert addresses(world) == expected
    assert_whole(download.finish())


def test_without_a_nat_packets_go_in_ip_in_ip_and_devices_send_as_well_as_receive(make_world: MakeWorld) -> None:
    settings = {"mode": "co-located"}
    world = a_world(make_world, settings=settings, foreign_agent=_NO_REGISTRATION)
    expected = addresses(world)
    await_direct(world, expected, "ipip")
    assert world.entourage("fa1", "show", "visitors")["visitors"] == []

    upload = Download(world, "pc1", "cn", expected["KleungPC1"])
    wait_until(lambda: status(world, "mn")["runtime"]["forwarder"]["sent"] > 1000, _SOON, "an upload")

    assert_whole(upload.finish())
    await_ping(world, "cn", expected["telemetry"])


def test_a_node_that_can_make_no_tunnel_gives_its_sessions_back_and_has_them_again_when_it_can(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world = a_world(make_world, at="nat", settings={"mode": "co-located"}, foreign_agent=_NO_REGISTRATION)
    expected = addresses(world)
    await_direct(world, expected, "udp")
    node = world.crew.process("mn")
    assert node is not None

    with no_further_file(node.pid):  # and so no socket for IP-in-IP
        world.roam("mn", "fa1")
        wait_until(lambda: bindings(world) == [], _SOON, "no binding is left")

    said = status(world, "mn")
    assert (said["tunnel"], said["tunnel_refused"]) == (None, f"raw socket: errno {errno.EMFILE}")
    assert {one["state"] for one in said["sessions"]} <= {"leaving", "idle"}
    assert main(["node", "status", "--config", str(world.crew.program("mn").config)]) == 0
    assert f"no tunnel: raw socket: errno {errno.EMFILE}" in capsys.readouterr().out
    assert not pings(world, "pc1", _CN)

    world.roam("mn", "fa2")
    await_direct(world, expected, "ipip")
    await_ping(world, "pc1", _CN)


def test_an_agent_that_demands_it_relays_for_a_node_with_its_own_address(make_world: MakeWorld) -> None:
    world = a_world(make_world, settings={"mode": "co-located"})
    expected = addresses(world)

    await_direct(world, expected, "ipip")

    assert status(world, "mn")["agent"] == "10.99.1.1"
    await_ping(world, "cn", expected["KleungPC1"])


def test_a_device_learns_what_fits_into_the_tunnel_and_larger_packets_pass_in_pieces(make_world: MakeWorld) -> None:
    world = a_world(make_world, at="nat")

    whole = world.run("pc1", ["ping", "-c", "1", "-W", "1", "-M", "do", "-s", str(1468 - 28), _CN])
    too_big = world.run("pc1", ["ping", "-c", "1", "-W", "1", "-M", "do", "-s", str(1468 - 27), _CN])
    pieces = world.run("pc1", ["ping", "-c", "1", "-W", "1", "-M", "dont", "-s", "4000", _CN])

    assert whole.returncode == 0, whole.stdout
    assert "1468" in too_big.stdout + too_big.stderr
    assert pieces.returncode == 0, pieces.stdout


def test_what_is_not_from_the_home_agent_or_not_from_its_device_goes_nowhere(make_world: MakeWorld) -> None:
    world = a_world(make_world, at="nat")
    expected = addresses(world)
    uplink = str(status(world, "mn")["care_of_address"])
    # A neighbour on the visited link sends to the device, plainly and in a tunnel of its own
    world.run("nat", ["ip", "route", "replace", expected["KleungPC1"], "via", uplink, "dev", "vis0"])
    assert not pings(world, "nat", expected["KleungPC1"])
    world.run("nat", ["ip", "route", "del", expected["KleungPC1"]])
    # The device sends with an address that is not its own
    world.run("pc1", ["ip", "address", "add", expected["telemetry"], "dev", "net0"])
    assert not pings(world, "pc1", "-I", expected["telemetry"], _CN)

    assert dropped(world).get("source", 0) >= 1
    assert pings(world, "pc1", "-I", expected["KleungPC1"], _CN)
