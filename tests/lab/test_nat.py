"""The visited network behind a NAT: what passes the translator, what it forgets, and who gives addresses there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.lab.conftest import MakeWorld
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan, WorldPlan
from tools.lab.world import World

_CN = plan.NETWORKS["cn"][0]
_NAT = plan.NETWORKS["nat"][0]
_INSIDE = "192.168.7.50"
_TIMEOUT = 2  # seconds that a UDP mapping lives

# Answers each datagram to everybody heard so far, the first first; the text is where the answer goes.
_SERVER = """
import socket
heard = []
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("198.51.100.2", 5000))
    print("ready", flush=True)
    while True:
        heard.append(server.recvfrom(100)[1])
        for address, port in dict.fromkeys(heard):
            server.sendto(f"{address}:{port}".encode(), (address, port))
"""
# For each line of input: one datagram from port 434, and the first answer.
_CLIENT = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.bind(("192.168.7.50", 434))
    client.settimeout(5)
    for line in sys.stdin:
        client.sendto(line.encode(), ("198.51.100.2", 5000))
        print(client.recv(100).decode(), flush=True)
"""

Ask = Callable[[], str]


@pytest.fixture(scope="module")
def nat_world(_capable: None) -> Iterator[World]:
    """mn is at nat, with an address set by hand and nothing running."""
    world = World(plan=WorldPlan(nodes=(NodePlan("mn", "mn@example.net", (), at="nat"),), nat_timeout=_TIMEOUT))
    world.up(programs=False)
    try:
        world.links.address("mn", "up0", f"{_INSIDE}/24")
        world.links.route("mn", "0.0.0.0/0", "192.168.7.1")
        yield world
    finally:
        world.down()


@pytest.fixture
def ask(nat_world: World) -> Iterator[Ask]:
    """ask() sends a datagram from port 434 of mn to cn, and returns where cn's first answer to it went."""
    server = nat_world.spawn("cn", [sys.executable, "-c", _SERVER], stdout=subprocess.PIPE)
    client = nat_world.spawn(
        "mn", [sys.executable, "-c", _CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1
    )
    assert server.stdout and client.stdin and client.stdout
    assert server.stdout.readline() == "ready\n"

    def ask() -> str:
        assert client.stdin and client.stdout
        client.stdin.write("\n")
        return client.stdout.readline().strip()

    yield ask
    for process in (client, server):
        process.kill()
        process.communicate()


def dropped(world: World, words: str) -> int:
    """Packets that the rule with these words has dropped."""
    rules = world.run("nat", ["nft", "list", "table", "ip", "lab"]).stdout.splitlines()
    rule = next(line for line in rules if words in line).split()
    return int(rule[rule.index("packets") + 1])


def test_everything_behind_it_looks_like_the_translator(nat_world: World, ask: Ask) -> None:
    assert nat_world.run("mn", ["ping", "-c", "1", "-W", "1", _CN]).returncode == 0
    assert ask() == f"{_NAT}:434"  # kept, since nobody else has it


def test_nobody_outside_reaches_what_is_behind_it(nat_world: World) -> None:
    nat_world.run("inet", ["ip", "route", "add", "192.168.7.0/24", "via", _NAT])

    assert nat_world.run("cn", ["ping", "-c", "1", "-W", "0.3", _INSIDE]).returncode != 0
    assert nat_world.run("cn", ["ping", "-c", "1", "-W", "1", _NAT]).returncode == 0


def test_ip_in_ip_does_not_pass(nat_world: World) -> None:
    before = dropped(nat_world, "l4proto != {")
    script = (
        "import socket; raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4);"
        f"raw.sendto(bytes(20), ({plan.HOME_AGENT!r}, 0))"
    )

    assert nat_world.run("mn", [sys.executable, "-c", script]).returncode == 0

    wait_until(lambda: dropped(nat_world, "l4proto != {") == before + 1, 30, "the packet dropped")


def test_a_rebinding_moves_every_flow_to_another_port_and_closes_the_old_one(nat_world: World, ask: Ask) -> None:
    first = ask()

    nat_world.rebind()
    second = ask()
    nat_world.rebind()
    third = ask()

    # cn had answered to the former mappings before: those answers would have been read in their place
    assert len({first, second, third}) == 3
    assert ask() == third


def test_a_mapping_that_nobody_uses_is_forgotten(nat_world: World, ask: Ask) -> None:
    nat_world.rebind()
    ask()
    mappings = ["grep", "-c", "udp.*dport=5000", "/proc/net/nf_conntrack"]
    assert nat_world.run("nat", mappings).stdout.strip() == "1"

    wait_until(lambda: nat_world.run("nat", mappings).stdout.strip() == "0", _TIMEOUT + 3, "the mapping forgotten")


def test_a_node_gets_a_private_address_there_by_dhcp_and_a_public_one_elsewhere(make_world: MakeWorld) -> None:
    world = make_world(nodes=(NodePlan("mn", "mn@example.net", (), at="nat", address="dhcp"),))

    def uplink_is_in(prefix: str) -> bool:
        found = world.links.addresses("mn").get("up0", [])
        return len(found) == 1 and found[0].startswith(prefix)

    wait_until(lambda: uplink_is_in("192.168.7."), 30, "an address behind nat")
    world.roam("mn", "fa1")
    wait_until(lambda: uplink_is_in("10.99.1."), 30, "an address at fa1")
    world.roam("mn", "nat")
    wait_until(lambda: uplink_is_in("192.168.7."), 30, "an address behind nat again")

    assert {one["name"]: one.get("at") for one in world.status()["nodes"]}["mn"] == "nat"
