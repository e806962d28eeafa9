"""A board for a test, which is the real MicroPython behind a pseudo-terminal, and `entourage board` as it is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host_agents.cli.main import main
from tools.board.payload import compiled
from tools.board.stand_in import StandIn

Said = tuple[int, str, str]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[StandIn]:
    root = tmp_path / "flash"
    root.mkdir()
    with StandIn(root) as made:
        yield made


@pytest.fixture
def deployed(board: StandIn) -> StandIn:
    """One that has the firmware of this tree already."""
    for name, octets in compiled("x64").items():
        path = board.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(octets)
    return board


@pytest.fixture
def entourage_board(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """entourage_board("list", "--json") -> (exit code, stdout, stderr)."""

    def type_in(*words: object) -> Said:
        capfd.readouterr()
        code = main(["board", *map(str, words)])
        told = capfd.readouterr()
        return code, told.out, told.err

    return type_in
