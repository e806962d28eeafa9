"""The stand-in for a board: what a board does on its serial line, which everything else here relies on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from tools.board.connection import Connection
from tools.board.errors import BoardFailed
from tools.board.stand_in import StandIn

PATIENCE = 20.0


@pytest.fixture
def line(board: StandIn) -> Iterator[serial.Serial]:
    """Its lines end as those of the unix port do, without the carriage return of a board's."""
    with serial.Serial(board.port, timeout=PATIENCE) as opened:
        yield opened


def until(line: serial.Serial, words: bytes) -> bytes:
    said: bytes = line.read_until(words)
    assert said.endswith(words), said
    return said


def test_what_it_sees_as_its_root_is_its_folder_and_nothing_else(board: StandIn) -> None:
    (board.root / "config.json").write_text("{}")

    with Connection(board.port) as connection:
        assert connection.value("__import__('os').listdir('/')") == ["config.json"]
        connection.write("/lost.txt", b"found")
        assert connection.read("/etc/passwd") is None

    assert (board.root / "lost.txt").read_bytes() == b"found"


def test_a_reset_runs_boot_and_main_and_the_raw_repl_only_boot(board: StandIn, line: serial.Serial) -> None:
    (board.root / "boot.py").write_text("print('boots')")
    (board.root / "main.py").write_text("print('mains')")
    until(line, b">>> ")

    line.write(b"\x04")
    friendly = until(line, b">>> ")
    line.write(b"\x01")
    until(line, b"raw REPL; CTRL-B to exit\r\n>")
    line.write(b"\x04")
    raw = until(line, b"raw REPL; CTRL-B to exit\r\n>")

    assert b"MPY: soft reboot\r\n" in friendly and b"boots\nmains\n" in friendly
    assert b"soft reboot\r\n" in raw and b"boots" in raw and b"mains" not in raw


def test_an_interrupt_stops_a_program_that_runs(board: StandIn, line: serial.Serial) -> None:
    until(line, b">>> ")
    (board.root / "main.py").write_text("print('runs')\nwhile True: pass")
    line.write(b"\x04")
    until(line, b"runs\n")

    line.write(b"\x03")

    assert b"KeyboardInterrupt" in until(line, b">>> ")


def test_a_program_that_ends_leaves_the_repl(board: StandIn, line: serial.Serial) -> None:
    (board.root / "main.py").write_text("import sys\nprint('ends')\nsys.exit(3)")
    until(line, b">>> ")

    line.write(b"\x04")

    assert b"ends\n" in until(line, b">>> ")


def test_after_a_power_cut_it_starts_as_after_a_reset(board: StandIn, line: serial.Serial) -> None:
    (board.root / "main.py").write_text("print('mains')")
    until(line, b">>> ")
    line.write(b"\x01")
    until(line, b"raw REPL; CTRL-B to exit\r\n>")

    board.cut_power()

    said = until(line, b">>> ")
    assert b"mains" in said and b"soft reboot" not in said


def test_what_nobody_listens_to_is_lost_and_holds_nobody_up(board: StandIn) -> None:
    (board.root / "main.py").write_text("for _ in range(3000): print('x' * 100)\nopen('done', 'w').close()")

    board.cut_power()

    end = time.monotonic() + PATIENCE
    while not (board.root / "done").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    with Connection(board.port) as connection:
        assert connection.run("print(6 * 7)") == "42\n"


def test_much_at_once_arrives_whole_both_ways(board: StandIn) -> None:
    octets = os.urandom(20_000)

    with Connection(board.port) as connection:
        connection.write("noise", octets)
        assert connection.read("noise") == octets


def test_errors_on_it_are_one_line_with_the_port(board: StandIn) -> None:
    with Connection(board.port) as connection:
        with pytest.raises(BoardFailed, match=f"^{board.port}: ZeroDivisionError: divide by zero$"):
            connection.run("1 / 0")
        with pytest.raises(BoardFailed, match=f"^{board.port}: NameError: name 'nothing' isn't defined$"):
            connection.value("nothing")


def test_a_port_where_there_is_nothing_is_one_line() -> None:
    for port in ("/dev/null", "socket://127.0.0.1:1", "carrier-pigeon://127.0.0.1"):
        with pytest.raises(BoardFailed, match=f"^{port}: cannot be opened"):
            Connection(port)


def test_it_can_be_started_by_itself(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tools.board.stand_in", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with Connection(process.stdout.readline().strip()) as connection:
            connection.write("here", b"")
        process.terminate()

    assert process.returncode == 0
    assert (tmp_path / "here").exists()
