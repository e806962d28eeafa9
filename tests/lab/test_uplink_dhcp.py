"""A node whose uplink gets an address by DHCP: it roams as fast as one without, and is served as well."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from tests.lab.conftest import MakeWorld
from tools.lab import capture, plan, programs
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.world import World

_ROAMS = ("fa2", "fa1", "fa2", "fa1")
_SOON = 30.0
_NOISE = 50  # ms that the scheduler may cost; the DHCP server alone asks around for longer before it offers


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


def addressed_at(world: World, node: str, since: int) -> int:
    """ms: when the uplink got the first address after `since`, by the node's log."""
    words = (line.split() for line in world.crew.log(node).read_text().splitlines())
    times = [int(line[0]) for line in words if line[2:4] == ["uplink", "up0"] and line[4].startswith("address=")]
    return min(time for time in times if time > since)


def await_ping(world: World, name: str, address: str) -> None:
    """A device has its address a moment before its routes."""
    ping = ["ping", "-c", "1", "-W", "0.5", address]
    wait_until(lambda: world.run(name, ping).returncode == 0, _SOON, f"{name} reaches {address}")


def test_no_handoff_waits_for_dhcp_and_the_address_comes_a_little_later(make_world: MakeWorld) -> None:
    with_dhcp = NodePlan("mn", "kleung@example.net", ("pc1",), address="dhcp")
    without = NodePlan("mn2", "ada@example.net", ("pc3",))
    world = make_world(nodes=(with_dhcp, without))
    for device in ("pc1", "pc3"):
        world.await_address(device)
    wait_until(lambda: uplink_address(world, "mn") is not None, _SOON, "mn's uplink address at fa1")
    took: dict[str, list[int]] = {"mn": [], "mn2": []}
    ahead = []

    for to in _ROAMS:
        for node in took:
            handoff = roam(world, node, to)
            took[node].append(handoff["last_reply"] - handoff["requested"])
        prefix = plan.VISITED_LINKS[to][0].rpartition(".")[0]
        wait_until(lambda p=prefix: (uplink_address(world, "mn") or "").startswith(p), _SOON, "mn's uplink address")
        moved = status(world, "mn")["handoffs"][-1]
        ahead.append(addressed_at(world, "mn", moved["link_up"]) - moved["last_reply"])

    assert min(took["mn"]) < min(took["mn2"]) + _NOISE, took
    assert max(ahead) > 0, ahead  # a solicitation that was lost makes a handoff later than DHCP now and then
    assert uplink_address(world, "mn2") is None
    for device in ("pc1", "pc3"):
        await_ping(world, device, plan.NETWORKS["cn"][0])


def test_registrations_are_renewed_from_the_address_that_dhcp_gave(make_world: MakeWorld) -> None:
    world = make_world(nodes=(NodePlan("mn", "kleung@example.net", (), address="dhcp"),), lifetime=4)
    wait_until(lambda: uplink_address(world, "mn") is not None, _SOON, "mn's uplink address")
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
