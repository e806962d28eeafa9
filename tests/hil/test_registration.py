"""The node's engine on the board registers with the agents' engines on this machine, in real time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mip4.address import show
from tests.helpers.builders import FOREIGN_AGENTS
from tests.hil.remote_node import RemoteNode
from tools.board.connection import Connection

SESSIONS = {"", "telemetry"}
WARM, MOVES = 10, 12  # handoffs until every list has its length; and how many more at least
SECONDS = float(os.environ.get("ROAM_SECONDS", "0"))  # and how long it goes on at least
GROWTH = 200  # octets; the least that can leak is 32 with each on a 64-bit machine, 16 on a chip

MakeNode = Callable[..., RemoteNode]


@pytest.fixture
def make_node(board: Connection, on_board: Callable[[str], None], uplink: None, host: str) -> Iterator[MakeNode]:
    made: list[RemoteNode] = []

    def make(**config: Any) -> RemoteNode:
        on_board("node")
        made.append(RemoteNode(board, host, applications=["telemetry"], **config))
        return made[0]

    yield make
    for one in made:
        one.__exit__(None, None, None)


def registered(node: RemoteNode, at: str) -> Callable[[], bool]:
    """Whether the home agent has every session at this care-of address."""
    care_of = show(FOREIGN_AGENTS[at])

    def so() -> bool:
        bindings = node.world.home_agent.bindings()
        return set(bindings) == SESSIONS and {where for _, where in bindings.values()} == {care_of}

    return so


def sessions(node: RemoteNode) -> dict[str, tuple[str | None, str]]:
    """sub-NAI -> home address and state, by the node's own word."""
    return {one["sub_nai"]: (one["home_address"], one["state"]) for one in node.status()["sessions"]}


def test_it_registers_every_session_through_a_foreign_agent_and_again_after_a_move(make_node: MakeNode) -> None:
    node = make_node(mode="foreign-agent")

    node.move("fa1")
    node.await_so(registered(node, "fa1"))
    before = {name: address for name, (address, _) in node.world.home_agent.bindings().items()}
    node.move("fa2")
    node.await_so(registered(node, "fa2"))
    node.await_so(lambda: set(node.world.foreign_agents["fa2"].visitors()) == SESSIONS)

    wanted = {name: (address, "registered") for name, address in before.items()}
    node.await_so(lambda: sessions(node) == wanted)  # the last replies are still on their way

    assert node.status()["care_of_address"] == show(FOREIGN_AGENTS["fa2"])


def test_it_has_no_clock_at_first_and_takes_the_home_agents(make_node: MakeNode) -> None:
    """Identification mismatch, 133, is how it learns the time (RFC 5944 §5.7.1)."""
    node = make_node(mode="foreign-agent")

    node.move("fa1")
    node.await_so(registered(node, "fa1"))

    assert node.status()["effects"]["Send"] > len(SESSIONS)


def test_where_there_is_no_agent_it_is_its_own_care_of_address_behind_a_nat(make_node: MakeNode) -> None:
    node = make_node(mode="co-located")

    node.move("nat")
    node.await_so(lambda: set(node.world.home_agent.bindings()) == SESSIONS)

    ends = node.world.home_agent.ends_by_session()
    assert {end.split()[0] for end in ends.values()} == {"udp"}
    node.await_so(lambda: node.status()["effects"].get("UseTunnel", 0) >= 1)


def test_going_back_and_forth_leaves_nothing_on_the_heap(make_node: MakeNode) -> None:
    node = make_node(mode="foreign-agent")
    used: list[int] = []
    end = time.monotonic() + SECONDS

    while len(used) < WARM + MOVES or time.monotonic() < end:
        to = ("fa1", "fa2")[len(used) % 2]
        node.move(to)
        node.await_so(registered(node, to))
        used.append(node.status()["heap_used"])

    print(f"{len(used)} moves; heap used, octets:", *used[: WARM + MOVES], "...", *used[-WARM:])
    assert max(used[WARM:]) - max(used[:WARM]) < GROWTH
