"""A disk that takes its time holds up what is promised, not what is carried."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3

from tests.lab.conftest import MakeWorld
from tests.lab.test_main_job import addresses, await_all_at, await_ping, bindings
from tests.lab.test_uplink_dhcp import status
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan

_SOON = 30.0


def test_a_foreign_agent_delivers_to_a_visitor_before_its_disk_knows_of_it(make_world: MakeWorld) -> None:
    world = make_world(nodes=(NodePlan("mn", "kleung@example.net", ("pc1",)),))
    world.await_address("pc1")
    wait_until(lambda: len(bindings(world)) == 2, _SOON, "two bindings")
    expected = addresses(world)

    with contextlib.closing(sqlite3.connect(world.directory / "fa2/fa.sqlite", isolation_level=None)) as disk:
        disk.execute("BEGIN IMMEDIATE")  # nobody else writes
        world.roam("mn", "fa2")
        await_ping(world, "cn", expected["KleungPC1"])
        (durable,) = disk.execute("SELECT count(*) FROM visitor").fetchone()
        handoff = status(world, "mn")["handoffs"][-1]

    assert durable == 0
    assert (handoff["care_of_address"], handoff["registered"]) == (plan.NETWORKS["fa2"][0], 0)
    await_all_at(world, "fa2", expected)


def test_what_was_delivered_before_the_disk_knew_of_it_is_gone_after_a_kill(make_world: MakeWorld) -> None:
    world = make_world(nodes=(NodePlan("mn", "kleung@example.net", ("pc1",)),))
    world.await_address("pc1")
    wait_until(lambda: len(bindings(world)) == 2, _SOON, "two bindings")
    agent = world.crew.process("fa2")
    assert agent is not None

    def routes() -> list[str]:
        return world.run("fa2", ["ip", "route", "show", "table", "all", "root", "10.10.0.0/24"]).stdout.splitlines()

    def caught() -> bool:
        """Stopped in the moment between."""
        os.kill(agent.pid, signal.SIGSTOP)
        if len(routes()) == 2:
            return True
        os.kill(agent.pid, signal.SIGCONT)
        return False

    with contextlib.closing(sqlite3.connect(world.directory / "fa2/fa.sqlite", isolation_level=None)) as disk:
        disk.execute("BEGIN IMMEDIATE")
        world.roam("mn", "fa2")
        wait_until(caught, _SOON, "both delivered to")
        world.kill("fa2")
        world.kill("mn")  # which would come again at once
    assert len(routes()) == 2
    world.start("fa2")

    assert routes() == []
    assert world.entourage("fa2", "show", "visitors")["visitors"] == []
