"""A restart is not a move: tables come back as they were, before any node registers again."""

from __future__ import annotations

import os
import random
import subprocess
import time
from typing import Any

import pytest

from tests.lab.conftest import MakeWorld
from tools.lab.crew import wait_until
from tools.lab.plan import device_name
from tools.lab.world import World

CUTS = int(os.environ.get("POWER_CUTS", "8"))
SEED = int(os.environ.get("POWER_SEED", "5944"))


def addresses(world: World) -> dict[str, str]:
    """device -> its address, by its own word."""
    return {device: world.await_address(device) for device in world.plan.devices()}


def table(world: World, agent: str, name: str) -> dict[str, tuple[str, str]]:
    """sub-NAI -> (home address, care-of address at the home agent or home agent at a foreign agent)."""
    entries: list[dict[str, Any]] = world.entourage(agent, "show", name)[name]
    other = "care_of_address" if name == "bindings" else "home_agent"
    held = [one for one in entries if one["home_address"] is not None]  # a request under way has none yet
    return {one["sub_nai"]: (one["home_address"], one[other]) for one in held}


def packets_in(world: World) -> dict[str, int]:
    """sub-NAI -> packets that the home agent has sent towards it."""
    bindings: list[dict[str, Any]] = world.entourage("ha", "show", "bindings")["bindings"]
    return {one["sub_nai"]: one["packets_in"] for one in bindings}


def await_answers(world: World, held: dict[str, str]) -> None:
    """cn reaches every device."""
    for address in held.values():
        ping = ["ping", "-c", "1", "-W", "0.2", address]
        wait_until(lambda ping=ping: world.run("cn", ping).returncode == 0, 30, f"an answer from {address}")


def test_while_both_agents_are_killed_and_come_back_no_packet_is_lost(make_world: MakeWorld) -> None:
    """Nor does the node miss them: what they advertise holds for half a minute here."""
    world = make_world(advertise_interval=10)
    held = addresses(world)
    await_answers(world, held)
    log = world.crew.log("ha").read_text()
    if "datapath bpf" not in log:
        pytest.skip(next(line for line in log.splitlines() if "datapath" in line))
    before = packets_in(world)
    train = ["ping", "-n", "-q", "-i", "0.02", "-c", "150", held["pc1"]]
    pinging = world.spawn("cn", train, stdout=subprocess.PIPE)
    for act in (world.kill, world.start):
        act("ha")
        act("fa1")
    said, _ = pinging.communicate(timeout=30)

    assert "150 packets transmitted, 150 received" in said
    assert packets_in(world)[device_name("pc1")] >= before[device_name("pc1")] + 150


def test_a_tunnel_device_that_somebody_deletes_is_made_anew(world: World) -> None:
    held = addresses(world)
    for agent in ("ha", "fa1"):
        assert world.run(agent, ["ip", "link", "delete", "mip0"]).returncode == 0

        await_answers(world, held)


def test_a_home_agent_that_is_killed_comes_back_with_every_binding(world: World) -> None:
    held, known = addresses(world), table(world, "ha", "bindings")

    world.kill("ha")
    world.start("ha")

    assert table(world, "ha", "bindings") == known
    await_answers(world, held)


def test_a_foreign_agent_that_restarts_still_knows_its_visitors(world: World) -> None:
    held, known = addresses(world), table(world, "fa1", "visitors")

    assert world.stop("fa1") == 0
    world.start("fa1")

    assert table(world, "fa1", "visitors") == known
    await_answers(world, held)


def test_a_node_that_loses_power_twice_comes_back_and_its_devices_keep_their_addresses(world: World) -> None:
    held, known = addresses(world), table(world, "ha", "bindings")

    for _ in range(2):
        world.kill("mn")
        world.start("mn")
        await_answers(world, held)

    assert addresses(world) == held
    wait_until(lambda: table(world, "ha", "bindings") == known, 30, "every session registered again")


def test_power_that_goes_at_any_moment_leaves_a_node_that_comes_back_by_itself(world: World) -> None:
    """While it starts, registers, saves its sessions, and changes the kernel's tables.

    Lives are up to twice as long as one needs to register, which is measured again when the machine has become busier.
    """
    held, known = addresses(world), table(world, "ha", "bindings")
    print(f"POWER_CUTS={CUTS} POWER_SEED={SEED}")
    dice = random.Random(SEED)
    world.kill("mn")
    needed = live(world, None)
    assert needed is not None

    registered = 0
    for _ in range(CUTS):
        share = dice.random() * 2
        if live(world, share * needed) is not None:
            registered += 1
        elif share > 1:
            needed = live(world, None) or needed
    world.start("mn")

    await_answers(world, held)
    wait_until(lambda: table(world, "ha", "bindings") == known, 30, "every session registered again")
    assert addresses(world) == held
    assert registered > 0  # some lives were long enough for that
    assert "ignored" not in world.crew.log("mn").read_text()  # no state file was half written


def live(world: World, seconds: float | None) -> float | None:
    """One life of the node, `seconds` long, None: until pc1 is registered; after how many it was, None if not."""
    log, began = world.crew.log("mn"), time.monotonic()
    begun = log.stat().st_size
    with open(log, "a") as file:
        life = world.spawn("mn", world.crew.program("mn").argv, cwd=world.directory / "mn", stderr=file)
    while seconds is None or time.monotonic() < began + seconds:
        if seconds is None and "registered sub_nai=KleungPC1" in log.read_text()[begun:]:
            break
        assert time.monotonic() < began + 30
        time.sleep(0.005)
    took = time.monotonic() - began
    life.kill()
    life.wait()
    return took if "registered sub_nai=KleungPC1" in log.read_text()[begun:] else None


def test_either_dhcp_client_gives_its_address_back_and_gets_the_same_when_it_returns(world: World) -> None:
    held = addresses(world)
    for device, address in held.items():
        name = device_name(device)

        world.release(device)
        wait_until(lambda name=name: name not in table(world, "ha", "bindings"), 30, f"{device} out of the table")
        world.start(device)

        assert world.await_address(device) == address
    await_answers(world, held)
