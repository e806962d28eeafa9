"""What docs/operating.md says of bad days, with the real daemon: one clear line, and nothing acknowledged is lost.

`kill -9` is in test_home_agent_daemon.py, which has the whole of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_agents.runtime.control import ask
from tests.runtime.test_home_agent_daemon import CONFIG, DAY, HOME_AGENT, NAI, PATIENCE, Home
from tests.runtime.test_home_agent_daemon import home as home  # a fixture
from tests.runtime.test_home_agent_daemon import pytestmark as pytestmark
from tools.lab.crew import wait_until

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
MISMATCH = 133


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own for the state, of half a mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def keep_state_in(home: Home, folder: Path) -> Path:
    state = folder / "ha.sqlite"
    home.config.write_text(CONFIG.replace('datapath = "none"', f'datapath = "none"\nstate = "{state}"'))
    return state


def granted(home: Home, sub_nai: str) -> str:
    home.ask(sub_nai)
    answer = home.answer()
    assert answer[:2] == (sub_nai, 0)
    return answer[2]


def given_up(home: Home, sub_nai: str, held: dict[str, str]) -> bool:
    """Ask; whether the home agent had to leave that unanswered, else what it granted is in `held`."""
    home.ask(sub_nai)
    home.socket.settimeout(0.05)
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            if f"gave up on nai={NAI.decode()} sub_nai='{sub_nai}'" in home.log.read_text():
                return True
            with contextlib.suppress(TimeoutError):
                answer = home.answer()
                assert answer[:2] == (sub_nai, 0)
                held[sub_nai] = answer[2]
                return False
    finally:
        home.socket.settimeout(PATIENCE)
    raise AssertionError(f"nothing became of {sub_nai}")


def refused(home: Home) -> str:
    """The one line that a start fails with."""
    done = home.run("ha", "run")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("entourage: ")]
    assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
    return lines[0].removeprefix("entourage: ")


def test_on_a_full_disk_nothing_is_promised_and_nothing_promised_is_lost(home: Home, small_disk: Path) -> None:
    state = keep_state_in(home, small_disk)
    home.start()
    held = {"camera": granted(home, "camera")}
    ballast = small_disk / "ballast"
    with pytest.raises(OSError) as full, open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert full.value.errno == errno.ENOSPC

    assert any(given_up(home, f"sensor-{number}", held) for number in range(200))  # the file has room for a few
    assert all(given_up(home, f"lamp-{number}", held) for number in range(5))
    assert home.bindings() == held
    assert home.log.read_text().count(f"WARNING {state}: database or disk is full") == 1, "in an interval"

    ballast.unlink()
    held["printer"] = granted(home, "printer")
    home.end(signal.SIGKILL)
    home.start()
    assert home.bindings() == held


def test_a_full_disk_holds_up_no_session_for_longer_than_it_is_full(home: Home, small_disk: Path) -> None:
    keep_state_in(home, small_disk)
    home.start()
    held = {name: granted(home, name) for name in [f"device-{number}" for number in range(40)]}
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    until = time.monotonic() + PATIENCE
    while f"gave up on nai={NAI.decode()}" not in home.log.read_text():
        assert time.monotonic() < until
        for name in held:  # until the journal needs another page; they come together, and fail together
            home.ask(name)
        home.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                home.answer()
    home.socket.settimeout(PATIENCE)

    ballast.unlink()
    for name in held:
        home.ask(name)

    assert sorted(home.answer() for _ in held) == sorted((name, 0, address) for name, address in held.items())
    assert home.bindings() == held


def test_an_operator_hears_of_a_release_when_it_has_come_about_also_on_a_slow_disk(home: Home) -> None:
    home.start()
    granted(home, "camera")
    release = {"release": {"nai": NAI.decode(), "sub_nai": "camera"}}
    with (
        contextlib.closing(sqlite3.connect(home.config.with_name("ha.sqlite"), isolation_level=None)) as disk,
        socket.socket(socket.AF_UNIX) as operator,
    ):
        disk.execute("BEGIN IMMEDIATE")  # nobody else writes
        operator.connect(str(home.control))
        operator.sendall(json.dumps(release).encode() + b"\n")
        wait_until(lambda: ask(home.control, {"show": "bindings"}) == {"bindings": []}, PATIENCE, "the release")
        with pytest.raises(BlockingIOError):
            operator.recv(4096, socket.MSG_DONTWAIT)

        disk.execute("ROLLBACK")

        operator.settimeout(PATIENCE)
        assert json.loads(operator.makefile().readline()) == {"released": [{"nai": NAI.decode(), "sub_nai": "camera"}]}
        assert disk.execute("SELECT count(*) FROM binding").fetchone() == (0,)


def test_who_is_released_while_the_disk_is_full_is_gone_for_good_when_it_has_room(home: Home, small_disk: Path) -> None:
    keep_state_in(home, small_disk)
    home.start()
    held = {name: granted(home, name) for name in ("camera", "printer", "laptop")}
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    while not given_up(home, "lamp", {}):  # until the journal needs another page
        pass

    for name in ("camera", "printer"):
        assert home.run("ha", "release", NAI.decode(), name).returncode == 0
    ballast.unlink()
    wait_until(lambda: home.log.read_text().count("unbound nai=kleung@example.net") == 2, PATIENCE, "the end")
    home.end(signal.SIGKILL)
    home.start()

    assert home.bindings() == {"laptop": held["laptop"]}


def test_it_does_not_start_on_a_read_only_disk_and_says_why(home: Home, small_disk: Path) -> None:
    state = keep_state_in(home, small_disk)
    home.start()
    address = granted(home, "camera")
    home.end(signal.SIGTERM)

    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    line = refused(home)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    home.start()

    assert line == f"{state}: Read-only file system"
    assert home.bindings() == {"camera": address}


def test_where_somebody_else_has_the_port_it_says_so(home: Home) -> None:
    with home._network.inside("ha"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOME_AGENT, 434))
        line = refused(home)

    assert line.endswith(": Address already in use")
    assert f"{HOME_AGENT}:434" in line


def test_a_damaged_state_is_refused_and_a_backup_taken_from_the_running_daemon_takes_its_place(home: Home) -> None:
    state, copy = home.config.with_name("ha.sqlite"), home.config.with_name("copy")
    home.start()
    address = granted(home, "camera")
    assert home.run("ha", "backup", str(copy)).returncode == 0
    under_it = home.run("ha", "restore", str(copy))
    home.end(signal.SIGTERM)  # after a kill, the log beside the file would have mended it
    state.write_bytes(os.urandom(8192))

    assert "is damaged (file is not a database); restore a backup or move it away" in refused(home)
    restored = home.run("ha", "restore", str(copy))
    home.start()

    assert (under_it.returncode, under_it.stderr) == (1, f"entourage: {state}: another daemon has it open\n")
    assert restored.stdout == f"{state} is {copy} now; what it was is {state}.replaced\n"
    assert home.bindings() == {"camera": address}


@pytest.fixture
def clock(home: Home) -> Iterator[Path]:
    """What the daemon takes for the time of day: seconds ahead of it, in a file that libfaketime reads each time."""
    assert FAKETIME is not None, "libfaketime is missing: tools/setup/packages.sh installs it"
    offset = home.config.with_name("offset")
    offset.write_text("+0\n")
    home.environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    yield offset


def lifetimes(home: Home) -> list[int]:
    return [one["expires_in"] for one in home.shown()]


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_jumps_a_day_while_it_runs_changes_nothing(home: Home, clock: Path, jump: int) -> None:
    home.start()
    address = granted(home, "camera")

    clock.write_text(f"{jump:+d}\n")

    assert granted(home, "camera") == address
    assert granted(home, "printer")
    assert all(500 <= one <= 600 for one in lifetimes(home))
    # It is the clock of the log that jumped, so the daemon was told.
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + jump))
    assert home.log.read_text().splitlines()[-1].startswith(day)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_after_a_restart_with_a_clock_a_day_off_a_node_is_told_the_time_and_keeps_its_address(
    home: Home, clock: Path, jump: int
) -> None:
    home.start()
    address = granted(home, "camera")
    home.end(signal.SIGKILL)

    clock.write_text(f"{jump:+d}\n")
    home.start()
    assert home.bindings() == ({} if jump > 0 else {"camera": address})  # a day later its lifetime is over
    home.ask("camera")
    answer = home.answer()
    # A clock put back starts a second inside the tolerance of what was accepted last, and we may be that quick.
    assert jump < 0 or answer[1] == MISMATCH
    until = time.monotonic() + PATIENCE
    while answer[1] == MISMATCH and time.monotonic() < until:  # less than a second ahead of it, a node asks once more
        home.resynchronise()
        home.ask("camera")
        answer = home.answer()

    assert answer == ("camera", 0, address)
    assert home.bindings() == {"camera": address}


def test_a_broken_configuration_at_sighup_leaves_the_former_in_force(home: Home) -> None:
    home.start()
    address = granted(home, "camera")
    good = home.config.read_text()
    home.config.write_text(good.replace(NAI.decode(), "somebody@example.net").replace("spi = 256", "spi = 12"))

    home.signal(signal.SIGHUP)
    wait_until(lambda: "reload refused" in home.log.read_text(), PATIENCE, "a word about it")
    by_command = home.run("ha", "reload")

    assert "ha.toml: subscriber[0]: SPI 12 is outside" in home.log.read_text()
    assert by_command.returncode == 2
    assert granted(home, "camera") == address

    home.config.write_text(good.replace(NAI.decode(), "somebody@example.net"))
    home.signal(signal.SIGHUP)
    wait_until(lambda: "reloaded subscribers=1" in home.log.read_text(), PATIENCE, "the file is right again")
    assert home.bindings() == {}  # who is no subscriber any more has no session either
