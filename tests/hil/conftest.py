"""A board, and what surrounds it. Without --board, the stand-in: MicroPython's unix port behind a pseudo-terminal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hil.rig import Network, Rig, load
from tools.board import files, payload
from tools.board.connection import Connection
from tools.board.identity import Identity, identify
from tools.board.ports import resolve
from tools.board.stand_in import StandIn

HERE = Path(__file__).parent
POWER_PATIENCE = 60.0  # seconds, of a rig's switch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("hil")


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest) -> Rig:
    path: Path | None = request.config.getoption("--rig")
    return Rig() if path is None else load(path)


@pytest.fixture(scope="session")
def stand_in(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn | None]:
    """None where a board is named."""
    if request.config.getoption("--board") is not None:
        yield None
        return
    with StandIn(tmp_path_factory.mktemp("flash")) as board:
        yield board


@pytest.fixture(scope="session")
def port(request: pytest.FixtureRequest, stand_in: StandIn | None) -> str:
    """Of a board that has this tree's firmware. A real one is not written to; the stand-in gets it, as any board."""
    named = stand_in.port if stand_in is not None else resolve(request.config.getoption("--board"))
    with Connection(named) as connection:
        plan = files.plan(connection, payload.compiled(identify(connection).arch))
        if stand_in is not None:
            files.carry_out(connection, plan, lambda path: None)
        elif plan.same == 0 and "found" in connection.run(_FROZEN):
            pass  # our image, with nothing deployed over it
        elif plan.write or plan.remove:
            text = f"{named} has another firmware than this tree: entourage board deploy --port {named}"
            pytest.fail(text, pytrace=False)
    return named


_FROZEN = """
try:
    import mip4
    print("found")
except ImportError:
    pass
"""


@pytest.fixture
def board(port: str, stand_in: StandIn | None) -> Iterator[Connection]:
    """Fresh: nothing imported, nothing running. A real board goes on with what it is for afterwards."""
    with Connection(port) as connection:
        yield connection
        if stand_in is None:
            connection.leave()


@pytest.fixture(scope="session")
def identity(port: str) -> Identity:
    with Connection(port) as connection:
        return identify(connection)


@pytest.fixture
def on_board(board: Connection) -> Callable[[str], None]:
    """on_board("clock"): what on_board/clock.py defines is there."""
    return lambda name: print(board.run((HERE / "on_board" / f"{name}.py").read_text()), end="")


@pytest.fixture
def cut_power(stand_in: StandIn | None, rig: Rig) -> Callable[[], None]:
    """Takes the board's power away and gives it back."""
    if stand_in is not None:
        return stand_in.cut_power
    power = rig.power
    if power is None:
        pytest.skip("no [power] in --rig: nothing can cut this board's power")
    return lambda: subprocess.run(power.cut, check=True, timeout=POWER_PATIENCE) and None


@pytest.fixture
def networks(rig: Rig, identity: Identity) -> list[Network]:
    """Wi-Fi networks that a board can join."""
    if not identity.network:
        pytest.skip("this board has no radio")
    if not rig.network:
        pytest.skip("no [[network]] in --rig: there is no Wi-Fi to join")
    return rig.network


@pytest.fixture
def host(stand_in: StandIn | None, rig: Rig) -> str:
    """This machine's address, as the board reaches it."""
    if stand_in is not None:
        return "127.0.0.1"
    if rig.host is None:
        pytest.skip("no [host] in --rig: the board cannot be told where this machine is")
    return rig.host.address


@pytest.fixture
def uplink(stand_in: StandIn | None, request: pytest.FixtureRequest, board: Connection) -> None:
    """The board has joined the rig's first network; the stand-in is where this machine is."""
    if stand_in is None:
        networks: list[Network] = request.getfixturevalue("networks")
        board.run((HERE / "on_board" / "wifi.py").read_text())
        print(join(board, networks[0]))


def join(board: Connection, network: Network) -> str:
    """The address it has got there. Raises BoardFailed if it does not within half a minute."""
    board.start(f"print(join({network.ssid!r}, {json.dumps(network.password)}))")
    return board.finish(silence=40.0).strip()
