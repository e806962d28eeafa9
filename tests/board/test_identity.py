"""What a board says it is, and which interpreters are no use to us."""

from __future__ import annotations

from typing import Any

import pytest

from tools.board.connection import Connection
from tools.board.errors import BoardFailed
from tools.board.identity import identify
from tools.board.stand_in import StandIn


class Foreign:
    """A connection to an interpreter of another make: like the stand-in's in everything but `mpy`."""

    def __init__(self, connection: Connection, mpy: int) -> None:
        self.port = connection.port
        self.run = connection.run
        self._connection, self._mpy = connection, mpy

    def value(self, expression: str) -> Any:
        return {**self._connection.value(expression), "mpy": self._mpy}


def test_a_board_says_what_it_is(board: StandIn) -> None:
    (board.root / "main.py").touch()

    with Connection(board.port) as connection:
        identity = identify(connection)

    assert (identity.platform, identity.arch) == ("linux", "x64")
    assert identity.version.startswith("1.")
    assert 200_000 < identity.heap_free < 296 * 1024
    assert not identity.network and not identity.esp32 and not identity.usb_device
    assert identity.files == ["main.py"]


@pytest.mark.parametrize(("arch", "name"), [(10, "xtensawin"), (11, "rv32imc")])
def test_the_architecture_is_the_one_that_mpy_cross_knows(board: StandIn, arch: int, name: str) -> None:
    with Connection(board.port) as connection:
        assert identify(Foreign(connection, 6 | 3 << 8 | arch << 10)).arch == name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mpy", "reason"),
    [(5 | 10 << 10, "reads .mpy version 5, ours are 6"), (6 | 1 << 10, "architecture 1 of linux")],
)
def test_an_interpreter_that_would_not_read_our_files_is_refused(board: StandIn, mpy: int, reason: str) -> None:
    with Connection(board.port) as connection, pytest.raises(BoardFailed, match=f"^{board.port}: .*{reason}"):
        identify(Foreign(connection, mpy))  # type: ignore[arg-type]
