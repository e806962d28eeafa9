"""A node whose uplink gets an address by DHCP: it roams without waiting for one, and is served as well."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from tests.lab.conftest import MakeWorld
from tools.lab import capture, plan, programs
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.world import World

_SOON = 30.0
_SILENT_SERVER = "add table ip silent; add chain ip silent in { type filter hook input priority 0; udp dport 67 drop; }"


def status(world: World, node: str) -> dict[str, Any]:
    control = world.crew.program(node).control
    assert control is not None
    found: dict[str, Any] = programs.ask_node(control)
    return found


def uplink_address(world: World, node: str) -> str | None:
    found: str | None = status(world, node)["runtime"]["uplink"]["address"]
    return found


def roam(world: World, node: str, to: str) -> dict[str, Any]:
    """Move, wait until every session is registered there, and give the handoff as the node saw it; times in ms."""
    agent = plan.VISITED_LINKS[to][0].split("/")[0]
    world.roam(node, to)

    def done() -> bool:
        last = status(world, node)["handoffs"][-1]
        return bool(last["agent"] == agent and last["registered"] == last["sessions"])

    wait_until(done, _SOON, f"{node} registered at {to}")
    handoff: dict[str, Any] = status(world, node)["handoffs"][-1]
    return handoff


def await_ping(world: World, name: str, address: str) -> None:
    """A device has its address a moment before its routes."""
    ping = ["ping", "-c", "1", "-W", "0.5", address]
    wait_until(lambda: world.run(name, ping).returncode == 0, _SOON, f"{name} reaches {address}")


def test_no_handoff_waits_for_dhcp_and_the_address_comes_when_there_is_a_server(make_world: MakeWorld) -> None:
    world = make_world(nodes=(NodePlan("mn", "kleung@example.net", ("pc1",), address="dhcp"),))
    world.await_address("pc1")
    wait_until(lambda: uplink_address(world, "mn") is not None, _SOON, "mn's uplink address at fa1")
    prefix = plan.VISITED_LINKS["fa2"][0].rpartition(".")[0]

    assert world.run("fa2", ["nft", _SILENT_SERVER]).returncode == 0
    roam(world, "mn", "fa2")
    await_ping(world, "pc1", plan.NETWORKS["cn"][0])
    assert not (uplink_address(world, "mn") or "").startswith(prefix)
    assert world.run("fa2", ["nft", "delete table ip silent"]).returncode == 0

    wait_until(lambda: (uplink_address(world, "mn") or "").startswith(prefix), _SOON, "mn's uplink address at fa2")
    await_ping(world, "pc1", plan.NETWORKS["cn"][0])


def test_registrations_are_renewed_from_the_address_that_dhcp_gave(make_world: MakeWorld) -> None:
    world = make_world(nodes=(NodePlan("mn", "kleung@example.net", (), address="dhcp"),), lifetime=4)
    wait_until(lambda: uplink_address(world, "mn") is not None, _SOON, "mn's uplink address")
    wait_until(lambda: status(world, "mn")["sessions"][0]["state"] == "registered", _SOON, "the first reply")
    pcap = world.directory / "up0.pcap"
    two_renewals = ["dumpcap", "-q", "-P", "-i", "up0", "-f", "udp port 434", "-c", "4", "-w", str(pcap)]

    assert world.run("mn", two_renewals, timeout=_SOON).returncode == 0

    own = IPv4Address(str(uplink_address(world, "mn")).split("/")[0])
    agent = IPv4Address(plan.VISITED_LINKS["fa1"][0].split("/")[0])
    headers = [frame[14:34] for _, frame in capture.frames(pcap)]
    ends = [(IPv4Address(header[12:16]), IPv4Address(header[16:20])) for header in headers]
    assert ends == [(own, agent), (agent, own)] * 2
    assert len(world.entourage("ha", "show", "bindings")["bindings"]) == 1


def test_a_device_that_comes_later_is_registered_from_that_address_too(make_world: MakeWorld) -> None:
    world = make_world(nodes=(NodePlan("mn", "kleung@example.net", ("pc1",), address="dhcp"),))
    held = world.await_address("pc1")
    world.release("pc1")
    wait_until(lambda: uplink_address(world, "mn") is not None, _SOON, "mn's uplink address")

    world.start("pc1")

    assert world.await_address("pc1") == held
    await_ping(world, "cn", held)
