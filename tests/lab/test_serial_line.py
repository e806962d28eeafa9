"""pc2 on a serial line: `entourage attach` there, SLIP between, and the node's forwarder for its packets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.test_colocated import assert_whole, await_direct
from tests.lab.test_main_job import addresses, await_all_at, await_ping, bindings, pings
from tests.lab.test_uplink_dhcp import status
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan, WorldPlan
from tools.lab.traffic import Download
from tools.lab.world import World

_CN = plan.NETWORKS["cn"][0]
_SOON = 30.0


@pytest.fixture(scope="module")
def line_world(_capable: None) -> Iterator[World]:
    """mn with pc1 on Ethernet and pc2 on a serial line, at fa1."""
    node = NodePlan("mn", "kleung@example.net", ("pc1", "pc2"), address="dhcp", serial=("pc2",))
    with World(plan=WorldPlan(nodes=(node,))) as world:
        for device in world.plan.devices():
            world.await_address(device)
        wait_until(lambda: len(bindings(world)) == 3, _SOON, "three bindings")
        yield world


def test_a_connection_over_a_serial_line_survives_agent_nat_agent(line_world: World) -> None:
    expected = addresses(line_world)
    assert line_world.await_address("pc2") == expected["pc2"]
    await_ping(line_world, "pc2", _CN)
    download = Download(line_world, "cn", "pc2", _CN)

    line_world.roam("mn", "nat")
    await_direct(line_world, expected, "udp")
    await_ping(line_world, "cn", expected["pc2"])
    line_world.roam("mn", "fa2")
    await_all_at(line_world, "fa2", expected)
    await_ping(line_world, "cn", expected["pc2"])

    assert_whole(download.finish())
    assert line_world.await_address("pc2") == expected["pc2"]
    assert status(line_world, "mn")["runtime"]["forwarder"]["sent"] > 0


def test_what_the_node_tells_is_what_the_machine_on_the_line_has(line_world: World) -> None:
    routes = line_world.run("pc2", ["ip", "route"]).stdout
    link = line_world.run("pc2", ["ip", "link", "show", "net0"]).stdout

    assert f"default via {plan.HOME_GATEWAY} dev net0" in routes
    assert "mtu 1480" in link
    assert line_world.run("pc2", ["cat", "/etc/resolv.conf"]).stdout == f"nameserver {plan.DNS_SERVER}\n"


def test_devices_on_ethernet_and_on_the_line_and_the_node_reach_each_other(line_world: World) -> None:
    expected = addresses(line_world)

    await_ping(line_world, "pc1", expected["pc2"])
    await_ping(line_world, "pc2", expected["KleungPC1"])
    await_ping(line_world, "mn", expected["pc2"])
    await_ping(line_world, "pc2", plan.HOME_GATEWAY)


def test_who_sends_as_somebody_else_is_not_heard(line_world: World) -> None:
    stranger = "10.10.0.99"
    line_world.run("pc2", ["ip", "address", "add", f"{stranger}/32", "dev", "net0"])

    assert not pings(line_world, "pc2", "-I", stranger, _CN)

    assert status(line_world, "mn")["runtime"]["forwarder"]["dropped"]["source"] >= 1
    line_world.run("pc2", ["ip", "address", "del", f"{stranger}/32", "dev", "net0"])


def test_who_ends_gives_the_address_back_and_leaves_nothing_behind_and_gets_it_again(line_world: World) -> None:
    before = line_world.await_address("pc2")

    assert line_world.stop("pc2") == 0
    wait_until(lambda: "pc2" not in addresses(line_world), _SOON, "the session deregistered")
    assert line_world.run("pc2", ["ip", "route"]).stdout == ""
    assert line_world.run("pc2", ["cat", "/etc/resolv.conf"]).stdout != f"nameserver {plan.DNS_SERVER}\n"
    line_world.start("pc2")

    assert line_world.await_address("pc2") == before


def test_a_line_that_is_pulled_ends_the_session_and_one_that_is_plugged_in_brings_it_back(line_world: World) -> None:
    before = line_world.await_address("pc2")

    line_world.crew.pull_cable("pc2")
    wait_until(lambda: "pc2" not in addresses(line_world), _SOON, "the session deregistered")
    wait_until(lambda: line_world.crew.process("pc2") is None, _SOON, "the attachment ended")
    assert line_world.crew.log("pc2").read_text().splitlines()[-1].startswith("entourage attach: ")
    line_world.crew.start_cables()
    line_world.start("pc2")

    assert line_world.await_address("pc2") == before
    await_ping(line_world, "cn", before)
