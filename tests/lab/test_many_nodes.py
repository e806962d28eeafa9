"""A lab of many nodes: every session of the largest has its address, and a machine that cannot says so first."""

from __future__ import annotations

import ipaddress
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mip4.address import parse
from tests.lab.conftest import MakeWorld
from tools.lab import configuration, plan
from tools.lab.anchor import PROJECT, environment
from tools.lab.plan import MOST_NODES, WorldPlan, device_link_address, node_link_address, usual_nodes


def addresses(pool: list[str]) -> set[int]:
    ends = [tuple(map(parse, ends.split("-"))) for ends in pool]
    return {address for first, last in ends for address in range(first, last + 1)}


@pytest.mark.parametrize("nodes", [1, 94, 95, MOST_NODES])
@pytest.mark.parametrize("home_link", [False, True])
def test_the_home_network_has_an_address_for_each_session(nodes: int, home_link: bool) -> None:
    world = WorldPlan(usual_nodes(nodes), home_link=home_link)
    network = ipaddress.ip_network(world.home_prefix)

    free = addresses(world.pool)

    assert len(free) >= len(world.nodes) + len(world.devices())
    assert all(ipaddress.ip_address(address) in network for address in (min(free), max(free)))
    assert parse(plan.HOME_GATEWAY) not in free
    assert not home_link or parse(plan.HOME_HOST) not in free
    assert (world.home_prefix == plan.HOME_PREFIX) == (nodes < 95)


def test_each_node_and_device_has_a_link_address_and_a_visited_link_room_for_all() -> None:
    world = WorldPlan(usual_nodes(MOST_NODES))
    links = [node_link_address(one.name) for one in world.nodes] + [device_link_address(one) for one in world.devices()]

    (first, last) = (line.split()[1] for line in configuration.write(world)["fa1/udhcpd.conf"].splitlines()[1:3])

    assert len(set(links)) == len(links) == 2 * MOST_NODES + 1
    assert all(len(bytes.fromhex(link.replace(":", ""))) == 6 for link in links)
    assert parse(last) - parse(first) >= MOST_NODES


def test_sessions_beyond_the_usual_home_network_are_reached_too(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_ROOM", 2)
    monkeypatch.setattr(plan, "POOL", "10.10.0.10-10.10.0.10")
    world = make_world()

    there = {device: world.await_address(device) for device in world.plan.devices()}

    assert any(address.startswith("10.10.1.") for address in there.values())
    for address in there.values():
        assert world.run("cn", ["ping", "-c", "1", "-W", "2", address]).returncode == 0


def test_where_too_few_files_may_be_open_it_is_said_before_anything_is_made(tmp_path: Path) -> None:
    up = [sys.executable, "-m", "host_agents.cli.main", "lab", "up", "--nodes", "100", "--dir", str(tmp_path / "lab")]
    argv = ["sh", "-c", f"ulimit -n 512 && exec {shlex.join(up)}"]

    done = subprocess.run(argv, cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "entourage lab up: 207 places take 1135 open files, and 512 are allowed here: ulimit -Hn\n"
    assert not (tmp_path / "lab").exists()
