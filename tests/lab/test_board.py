"""A board's port in the lab: its applications keep their addresses, whichever network it is on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.board import PASSWORD, Board
from tests.lab.test_main_job import addresses, await_all_at, bindings, pings
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan, WorldPlan
from tools.lab.traffic import Download
from tools.lab.world import World

MakeBoard = Callable[..., Board]
_CN = plan.NETWORKS["cn"][0]
_SOON = 30.0
_ECHO = """
async def run(application):
    sock = application.open(7)
    while True:
        octets, sender = await sock.recvfrom()
        sock.sendto(octets.upper(), sender)
"""
_ASK = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(2)
client.connect((sys.argv[1], int(sys.argv[2])))
client.send(b"measured")
print(client.recv(100).decode())
"""


@pytest.fixture(scope="module")
def world(_capable: None) -> Iterator[World]:
    """Agents everywhere, the place mn for a board, and behind it pc1 and, on a serial line, pc2, not running yet."""
    with_board = WorldPlan(nodes=(NodePlan("mn", "kleung@example.net", ("pc1", "pc2"), serial=("pc2",)),))
    world = World(plan=with_board)
    try:
        world.up(programs=False)
        world.crew.start_cables()
        world.start("ha", "fa1", "fa2")
        yield world
    finally:
        world.down()


@pytest.fixture
def board_of(tmp_path: Path) -> Iterator[MakeBoard]:
    """A board in the place mn, without power yet; it has none again behind the test."""
    boards: list[Board] = []

    def make(world: World, **more: Any) -> Board:
        boards.append(Board(world, "mn", tmp_path, **more))
        return boards[-1]

    yield make
    for board in boards:
        board.power_off()
        print(board.log.read_text())  # for the report of a test that failed


def ask(world: World, address: str, port: int) -> str:
    """What comes back to cn from there by UDP."""
    done = world.run("cn", ["python3", "-c", _ASK, address, str(port)])
    return (done.stdout + done.stderr).strip()


def await_bound(world: World, tunnel: str, care_of: str, expected: dict[str, str] | None = None) -> dict[str, str]:
    def there() -> bool:
        ways = {(one["tunnel"], one["care_of_address"]) for one in bindings(world)}
        return ways == {(tunnel, care_of)} and len(bindings(world)) == 2 and expected in (None, addresses(world))

    wait_until(there, _SOON, f"two bindings at {care_of}, tunnel {tunnel}")
    return addresses(world)


def test_applications_and_the_machine_on_the_serial_port_keep_their_addresses_from_agent_to_nat(
    world: World, board_of: MakeBoard
) -> None:
    line = {"kind": "slip", "port": "uart", "name": "pc2"}
    board = board_of(world, applications=["telemetry"], own_session=None, downlinks=[line])
    board.program("telemetry", _ECHO)
    board.move("fa1", uart=str(world.directory / "mn" / "line-pc2"))
    board.power_on()
    world.start("pc2")
    world.await_address("pc2")
    expected = await_bound(world, "ipip", "10.99.1.50")
    board.await_log("agent 10.99.1.1 care_of=10.99.1.50")  # which demands to be asked, and is once it is heard
    assert pings(world, "cn", expected["telemetry"])
    assert ask(world, expected["telemetry"], 7) == "MEASURED"
    download = Download(world, "cn", "pc2", _CN)

    board.move("nat")
    await_bound(world, "udp", "192.168.7.50", expected)

    report = download.finish()
    assert report["received"] == report["sent"] > 0 and report["connections"] == 1
    # Only now: a board's sockets have short queues, and what is asked meanwhile may find them full
    assert ask(world, expected["telemetry"], 7) == "MEASURED"
    assert "refused" in ask(world, expected["telemetry"], 8)


def test_a_device_on_a_boards_access_point_gets_its_home_address_and_keeps_it_and_its_connection(
    world: World, board_of: MakeBoard
) -> None:
    point = {"kind": "wifi-ap", "ssid": "Entourage", "password": PASSWORD}
    board = board_of(world, downlinks=[point], names={plan.device_link_address("pc1"): "KleungPC1"})
    board.move("fa1", stations=[plan.device_link_address("pc1").replace(":", "")])
    board.power_on()
    world.start("pc1")
    address = world.await_address("pc1")
    wait_until(lambda: pings(world, "pc1", _CN), _SOON, "pc1 reaches cn")
    download = Download(world, "cn", "pc1", _CN)

    board.move("fa2")
    await_all_at(world, "fa2", {"KleungPC1": address})
    report = download.finish()

    assert report["received"] == report["sent"] > 0 and report["connections"] == 1
    assert "own session is refused" in board.log.read_text()
