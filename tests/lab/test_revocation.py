"""The operator ends sessions, with the real daemons: `ha release` and `fa drain`."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.test_main_job import addresses, visitors
from tools.lab.crew import wait_until
from tools.lab.world import World

NAI = "kleung@example.net"
_SOON = 30.0  # seconds


def entourage(world: World, agent: str, *words: str) -> subprocess.CompletedProcess[str]:
    config = str(world.crew.program(agent).config)
    command = [sys.executable, "-m", "host_agents.cli.main", agent.rstrip("12"), *words, "--config", config]
    return world.run(agent, command)


def test_a_quiet_release_ends_the_session_at_both_agents(world: World) -> None:
    wait_until(lambda: len(visitors(world, "fa1")) == 3, _SOON, "three visitors")

    done = entourage(world, "ha", "release", NAI, "KleungPC2", "--quietly")

    assert (done.returncode, done.stdout) == (0, "1 released\n")
    assert "KleungPC2" not in addresses(world)
    wait_until(lambda: "KleungPC2" not in visitors(world, "fa1"), _SOON, "the visitor gone")


def test_a_session_that_is_not_there_cannot_be_released(world: World) -> None:
    done = entourage(world, "ha", "release", NAI, "nobody")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"entourage: no binding of nai={NAI} sub_nai='nobody'\n"


def test_a_node_that_is_told_of_a_release_registers_anew(world: World) -> None:
    before = addresses(world)["KleungPC1"]

    assert entourage(world, "ha", "release", NAI, "KleungPC1").returncode == 0

    wait_until(lambda: addresses(world).get("KleungPC1") == before, _SOON, "pc1 registered anew")
    wait_until(lambda: visitors(world, "fa1").get("KleungPC1") == before, _SOON, "and visiting")


@contextmanager
def a_state_file_that_cannot_grow(world: World, agent: str) -> Iterator[None]:
    process = world.crew.process(agent)
    assert process is not None
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    size = (world.crew.program(agent).config.parent / "fa.sqlite-wal").stat().st_size
    assert size > 2 * world.crew.log(agent).stat().st_size  # which has to have room
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def test_a_drained_agent_has_no_visitors_and_its_nodes_go_elsewhere(world: World) -> None:
    """Not in its kernel either, although there was no room on its disk when they went."""
    routes = ["ip", "route", "show", "table", "all", "root", "10.10.0.0/24"]
    wait_until(lambda: len(visitors(world, "fa1")) == 3, _SOON, "three visitors")
    assert len(world.run("fa1", routes).stdout.splitlines()) == 3
    with a_state_file_that_cannot_grow(world, "fa1"):
        done = entourage(world, "fa1", "drain")
        wait_until(lambda: "disk I/O error" in world.crew.log("fa1").read_text(), _SOON, "a disk without room")

    assert done.returncode == 0
    assert visitors(world, "fa1") == {}
    wait_until(lambda: addresses(world) == {}, _SOON, "no bindings")
    wait_until(lambda: world.run("fa1", routes).stdout == "", _SOON, "no routes to visitors")
    world.roam("mn", "fa2")
    wait_until(lambda: len(visitors(world, "fa2")) == 3, _SOON, "three visitors at fa2")
