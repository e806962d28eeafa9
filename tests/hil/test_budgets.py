"""What the node costs: heap, garbage, growth, files. Limits: boards/budgets.toml; the table: at the end of the run."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.builders import a_node_config
from tools.board import payload
from tools.board.connection import Connection
from tools.board.identity import Identity
from tools.board.stand_in import StandIn

BUDGETS = tomllib.loads((payload.FIRMWARE.parent / "boards" / "budgets.toml").read_text())
HEAP, LIMITS = BUDGETS["heap"], BUDGETS["limits"]
MPY = Path(__file__).parent.parent / "mpy"
SESSIONS = 8
HOURS = 24

OnBoard = Callable[[str], None]
Budget = Callable[[str, float], None]


@pytest.fixture
def budget(record_property: Callable[[str, object], None]) -> Iterator[Budget]:
    """budget(name, value): a row of the table, and the test fails if it is beyond its limit, or on its wrong side."""
    wrong = []

    def row(name: str, value: float) -> None:
        limit = LIMITS[name]
        record_property("budget", [name, round(value), limit])
        if not (value >= limit if name.startswith("left") else value <= limit):
            wrong.append(f"{name}: {value:.0f}, where {limit} is the limit")

    yield row
    assert wrong == []


@pytest.fixture(scope="session")
def scale(identity: Identity) -> Callable[[float, str], float]:
    """Octets of a plain ESP32 for octets of this board."""
    return lambda octets, sort: octets if identity.esp32 else octets / HEAP.get(f"{sort}_factor", 1.0)


def needed(*programs: str) -> list[str]:
    """The modules that a board imports to run these programs. One that a function imports may never be needed."""
    found: list[str] = []

    def follow(module: str) -> None:
        path = payload.FIRMWARE / (module.replace(".", "/") + ".py")
        if module in found or not path.exists():
            return
        found.append(module)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                for one in node.names:
                    follow(one.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                follow(node.module)
                for one in node.names:
                    follow(f"{node.module}.{one.name}")

    for program in programs:
        follow(program)
    return [module for module in found if f"{module}.py" not in payload.PROGRAMS]


def used(board: Connection) -> int:
    """Octets of the heap, collected and counted by one command.

    To compile a command leaves garbage, and how much depends on where the heap has gaps: 288 octets or 352 for the same
    words. Counted by a command of its own, after another had collected, it passed for growth once a name was longer.
    """
    board.run("import gc")
    octets: int = board.value("(gc.collect(), gc.mem_alloc())[1]")
    return octets


def config() -> dict[str, Any]:
    return a_node_config(mode="foreign-agent", applications=[f"app{number}" for number in range(SESSIONS - 1)])


def is_frozen(board: Connection) -> bool:
    """Whether its modules are an image's: a deployed one is a .mpy."""
    board.run("import mip4.const")
    source: str = board.value("mip4.const.__file__")
    return not source.endswith(".mpy")


def test_the_node_with_eight_sessions_leaves_half_of_the_heap_of_our_image(
    board: Connection,
    stand_in: StandIn | None,
    identity: Identity,
    on_board: OnBoard,
    scale: Callable[[float, str], float],
    budget: Budget,
    on_micropython: Callable[..., str],
    tmp_path: Path,
) -> None:
    links = [f"port_esp32.{name}" for name in ("access_point", "serial_link")]  # of a node that is asked for both
    modules = needed("main", "port_esp32.start", "port_esp32.port", *links)
    can_be = [name for name in modules if identity.esp32 or not name.startswith("port_esp32")]
    sizes = {name: len(payload.compiled("")[name.replace(".", "/") + ".mpy"]) for name in modules}
    # The port to ESP32 is imported there only; elsewhere its code is taken to cost what the rest does, octet for octet
    share = sum(sizes.values()) / sum(sizes[name] for name in can_be)
    before = used(board)
    board.run("\n".join(f"import {name}" for name in can_be))
    imported = (used(board) - before) * share
    before = used(board)
    board.run("from runtime.forwarder import Forwarder\nfrom runtime.slip_line import SlipLine")
    board.run("forwarder, line = Forwarder(1600), SlipLine()")
    buffers = used(board) - before
    on_board("day")
    before = used(board)
    board.run(f"day = Day({config()!r})\nday.pass_time(60)")
    sessions = used(board) - before
    states = board.value("[one['state'] for one in day.node.status(day.now)['sessions']]")

    assert states == ["registered"] * SESSIONS
    costs = {"buffers": scale(buffers, "buffer"), "sessions": scale(sessions, "object")}
    costs["import_frozen" if is_frozen(board) else "import_compiled"] = scale(imported, "code")
    if stand_in is not None:
        (tmp_path / "empty.py").touch()
        bodies = int(on_micropython(MPY / "bodies.py", tmp_path, MPY / "board", *modules))
        costs["import_frozen"] = scale(bodies, "object")
    for name, octets in costs.items():
        budget(name, octets)
    if "import_frozen" in costs:
        taken = costs["import_frozen"] + costs["sessions"] + costs["buffers"]
        budget("left_frozen_percent", 100 - 100 * taken / HEAP["free"])


def test_a_day_of_renewals_leaves_nothing_on_the_heap(board: Connection, on_board: OnBoard, budget: Budget) -> None:
    on_board("day")
    board.run(f"day = Day({config()!r})\nday.pass_time(3600)")
    first, registered = used(board), board.value("day.registrations")

    for _ in range(HOURS - 1):
        board.start("day.pass_time(3600)")
        board.finish(silence=120.0)

    assert board.value("day.registrations") - registered >= SESSIONS * (HOURS - 1) * 6
    budget("day_growth", used(board) - first)


def test_an_authenticator_costs_little_garbage_since_its_pads_are_made_once_per_key(
    board: Connection, on_board: OnBoard, scale: Callable[[float, str], float], budget: Budget
) -> None:
    on_board("heap")
    board.run("from mip4.authentication import ALGORITHMS\nmade = ALGORITHMS['hmac-md5'](bytes(16))\ntext = bytes(120)")

    budget("hmac_garbage", scale(board.value("garbage(lambda: made(text))"), "object"))


@pytest.mark.parametrize("path", ["out", "in", "across"])
def test_a_packet_leaves_nothing_for_the_collector(
    board: Connection, on_board: OnBoard, budget: Budget, path: str
) -> None:
    on_board("forwarder")

    for size in (64, 1400):
        carried, garbage, rate = board.value(f"measure({path!r}, {size})")
        print(f"{path}, {size} octets: {rate} packets a second, between memory and memory")
        assert carried == board.value("PACKETS")
        budget("packet_garbage", garbage)


@pytest.mark.parametrize("arch", ["xtensawin", "rv32imc"])
def test_the_firmware_is_no_larger_than_it_may_be(budget: Budget, arch: str) -> None:
    budget(f"mpy_{arch}", sum(len(octets) for name, octets in payload.compiled(arch).items() if name.endswith(".mpy")))
