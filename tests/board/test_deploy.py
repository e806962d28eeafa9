"""`entourage board deploy` and `status`: what reaches a board, what is left alone, and what never shows."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from tools.board import files, payload
from tools.board.association import read_config
from tools.board.connection import Connection
from tools.board.differences import differences
from tools.board.errors import BoardFailed
from tools.board.stand_in import StandIn

Typed = Callable[..., tuple[int, str, str]]

SECRET, PASSWORD = "hex:00112233445566778899aabbccddeeff", "correct horse"
CONFIG = {
    "nai": "kleung@example.net",
    "home_agent": "192.0.2.1",
    "spi": 256,
    "key": SECRET,
    "uplinks": [{"ssid": "Office", "password": PASSWORD}, {"ssid": "Café", "password": None}],
}


def written(out: str) -> list[str]:
    return re.findall(r"^  write (\S+)$", out, re.MULTILINE)


def removed(out: str) -> list[str]:
    return re.findall(r"^  remove (\S+)$", out, re.MULTILINE)


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.json"
    path.write_text(json.dumps(CONFIG))
    return path


@pytest.fixture
def by_socket(board: StandIn) -> Iterator[str]:
    """The board as another machine offers it: its serial line on a TCP port."""
    line = serial.Serial(board.port, timeout=0.01)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closing = threading.Event()

        def up(client: socket.socket) -> None:
            while octets := client.recv(4096):
                line.write(octets)

        def relay() -> None:
            client, _ = listener.accept()
            with client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                threading.Thread(target=up, args=(client,), daemon=True).start()
                while not closing.is_set():
                    client.sendall(line.read(max(1, line.in_waiting)))

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        closing.set()
        thread.join()
    line.close()


def test_everything_reaches_a_new_board_and_can_be_imported_there(board: StandIn, entourage_board: Typed) -> None:
    code, out, _ = entourage_board("deploy", "--port", board.port)

    assert code == 0
    assert tree(board.root) == payload.compiled("x64")
    assert sorted(written(out)) == sorted(tree(board.root))
    with Connection(board.port) as connection:
        assert (
            connection.run("import runtime.runtime, mobile_node.mobile_node as it\nprint(it.__file__)")
            == "mobile_node/mobile_node.mpy\n"
        )


def test_the_second_time_only_what_changed_is_written(deployed: StandIn, entourage_board: Typed) -> None:
    (deployed.root / "mip4" / "address.mpy").write_bytes(b"damaged")
    (deployed.root / "main.py").unlink()

    code, out, _ = entourage_board("deploy", "--port", deployed.port)
    again = entourage_board("deploy", "--port", deployed.port)

    assert code == 0
    assert sorted(written(out)) == ["main.py", "mip4/address.mpy"]
    assert written(again[1]) == []
    assert tree(deployed.root) == payload.compiled("x64")


def test_what_would_be_imported_instead_is_removed_and_what_is_not_ours_stays(
    deployed: StandIn, entourage_board: Typed
) -> None:
    for name in ("mip4/address.py", "runtime/gone.mpy", "mip4/cursor.mpy.new"):
        (deployed.root / name).write_bytes(b"raise SystemError")
    (deployed.root / "lib").mkdir()
    for name in ("notes.txt", "lib/sensor.py", "config.json"):
        (deployed.root / name).write_bytes(b"theirs")

    code, out, _ = entourage_board("deploy", "--port", deployed.port)

    assert code == 0
    assert removed(out) == ["mip4/address.py", "mip4/cursor.mpy.new", "runtime/gone.mpy"]
    theirs = {name: b"theirs" for name in ("notes.txt", "lib/sensor.py", "config.json")}
    assert tree(deployed.root) == {**payload.compiled("x64"), **theirs}


def test_a_deployment_that_ends_between_two_files_leaves_a_prompt_that_says_so_and_no_mixture_is_run(
    deployed: StandIn, entourage_board: Typed
) -> None:
    """A folder where a file should be stops it there, as a power cut would."""
    for name in ("mip4/address.mpy", "runtime/log.mpy"):
        (deployed.root / name).write_bytes(b"former")
    (deployed.root / "port_esp32" / "led.mpy").unlink()
    (deployed.root / "port_esp32" / "led.mpy").mkdir()

    code, _, err = entourage_board("deploy", "--port", deployed.port)
    with serial.Serial(deployed.port, timeout=20) as line:
        deployed.cut_power()
        line.read_until(b"stand-in for a board")  # what the life before it still had to say
        said = line.read_until(b">>> ")

    assert code != 0 and "Traceback" not in err
    assert b"the firmware is not whole: entourage board deploy" in said
    assert not (deployed.root / "main.py").exists()

    (deployed.root / "port_esp32" / "led.mpy").rmdir()
    assert entourage_board("deploy", "--port", deployed.port)[0] == 0
    assert {
        name: octets for name, octets in tree(deployed.root).items() if not name.endswith(".new")
    } == payload.compiled("x64")


def test_a_power_cut_leaves_the_former_firmware_whole_and_the_next_time_brings_the_latter(board: StandIn) -> None:
    former = {"mip4/__init__.mpy": b"1", "mip4/address.mpy": b"2", "main.py": b""}
    latter = {"mip4/__init__.mpy": b"3", "mip4/nai.mpy": b"4", "main.py": b"pass"}
    with Connection(board.port) as connection:
        files.carry_out(connection, files.plan(connection, former), lambda path: None)

        def cut(path: str) -> None:
            if path == "main.py":
                board.cut_power()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            files.carry_out(connection, files.plan(connection, latter), cut)

    there = tree(board.root)
    assert {path: there[path] for path in former} == former
    assert "mip4/nai.mpy.new" in there
    with Connection(board.port) as connection:
        files.carry_out(connection, files.plan(connection, latter), lambda path: None)
    assert tree(board.root) == latter


def test_what_does_not_fit_is_refused_before_anything_is_written(board: StandIn) -> None:
    with Connection(board.port) as connection:
        plan = files.plan(connection, {"main.py": bytes(5000)})
        full = dataclasses.replace(plan, free=4096)

        with pytest.raises(BoardFailed, match="octets are to be written, 4096 are free on the board"):
            files.carry_out(connection, full, lambda path: None)

    assert plan.needed >= 5000 and plan.free > plan.needed
    assert tree(board.root) == {}


def test_a_dry_run_says_what_it_would_do_and_does_not(board: StandIn, entourage_board: Typed, config: Path) -> None:
    code, out, _ = entourage_board("deploy", "--port", board.port, "--config", config, "--dry-run")

    assert code == 0
    assert "main.py" in written(out) and "config.json" in written(out)
    assert f'config.json + nai: "{CONFIG["nai"]}"' in out
    assert tree(board.root) == {}


def test_the_configuration_is_shown_by_its_differences_and_nothing_secret_is(
    deployed: StandIn, entourage_board: Typed, config: Path
) -> None:
    first = entourage_board("deploy", "--port", deployed.port, "--config", config)[1]
    changed = {**CONFIG, "lifetime": 300, "key": SECRET.replace("0", "1"), "uplinks": CONFIG["uplinks"][:1]}  # type: ignore[index]
    config.write_text(json.dumps(changed))

    code, out, err = entourage_board("deploy", "--port", deployed.port, "--config", config)

    assert code == 0
    assert json.loads((deployed.root / "config.json").read_bytes()) == changed
    assert [line.strip() for line in out.splitlines() if " config.json " in line and "write" not in line] == [
        "config.json ~ key: another",
        "config.json + lifetime: 300",
        "config.json - uplinks[1].password: null",
        'config.json - uplinks[1].ssid: "Café"',
    ]
    for secret in (SECRET, SECRET[4:], changed["key"], PASSWORD):
        assert secret not in first + out + err  # type: ignore[operator]


def test_a_key_in_a_file_goes_along_if_nobody_else_can_read_it(
    deployed: StandIn, entourage_board: Typed, config: Path
) -> None:
    key = config.with_name("kleung.key")
    key.write_text(SECRET + "\n")
    key.chmod(0o640)
    config.write_text(json.dumps({**CONFIG, "key": "file:kleung.key"}))

    refused = entourage_board("deploy", "--port", deployed.port, "--config", config)
    key.chmod(0o600)
    code = entourage_board("deploy", "--port", deployed.port, "--config", config)[0]

    assert refused == (1, "", f"entourage board deploy: {key}: open to others: chmod 600 it\n")
    assert code == 0
    assert json.loads((deployed.root / "config.json").read_bytes()) == CONFIG


def test_a_configuration_that_is_none_is_refused_before_the_board_is_touched(
    entourage_board: Typed, config: Path
) -> None:
    for text, reason in (("{", "not a JSON document"), ("[]", "not a JSON object")):
        config.write_text(text)

        code, out, err = entourage_board("deploy", "--port", "/dev/nothing", "--config", config)

        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1 and f"{config}: {reason}" in err


@pytest.mark.parametrize("others", [5, None, "all", [7, None]])
def test_what_a_configuration_says_of_foreign_agents_is_for_the_node_to_judge(config: Path, others: object) -> None:
    config.write_text(json.dumps({**CONFIG, "foreign_agents": others}))

    assert read_config(config)["foreign_agents"] == others


def test_differences_of_lists_objects_and_what_is_empty() -> None:
    before = {"names": {"a": "one", "b": "two"}, "applications": [], "mode": "auto"}
    after = {"names": {"b": "three"}, "applications": ["telemetry"], "mode": "auto"}

    assert differences(before, after) == [
        "- applications: []",
        '+ applications[0]: "telemetry"',
        '- names.a: "one"',
        '~ names.b: "two" -> "three"',
    ]


def test_the_node_is_started_again_afterwards(board: StandIn, entourage_board: Typed) -> None:
    (board.root / "main.py").write_text("open('ran', 'w').close()")

    code, out, _ = entourage_board("status", "--port", board.port)

    end = time.monotonic() + 20
    while not (board.root / "ran").exists():
        assert time.monotonic() < end, out
        time.sleep(0.01)
    assert code == 0


def test_status_tells_what_is_there_and_nothing_secret(deployed: StandIn, entourage_board: Typed, config: Path) -> None:
    entourage_board("deploy", "--port", deployed.port, "--config", config)
    (deployed.root / "mip4" / "nai.mpy").unlink()

    code, out, _ = entourage_board("status", "--json", "--port", deployed.port)
    shown = entourage_board("status", "--port", deployed.port)

    document = json.loads(out)
    assert code == 0
    assert document["port"] == deployed.port
    assert document["board"]["arch"] == "x64" and document["board"]["heap_free"] > 100_000
    assert (document["firmware"], document["differing"]) == ("other", ["mip4/nai.mpy"])
    assert document["config"] == {
        "nai": "kleung@example.net",
        "home_agent": "192.0.2.1",
        "spi": 256,
        "mode": None,
        "uplinks": ["Office", "Café"],
        "downlinks": [],
    }
    assert shown[0] == 0 and "1 files differ" in shown[1]
    for secret in (SECRET, PASSWORD):
        assert secret not in out + shown[1] + shown[2]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b'{"uplinks": 3, "downlinks": [7]}'])
def test_status_of_a_configuration_that_nothing_can_be_made_of(
    board: StandIn, entourage_board: Typed, content: bytes
) -> None:
    (board.root / "config.json").write_bytes(content)

    code, out, _ = entourage_board("status", "--json", "--port", board.port)

    assert code == 0
    assert json.loads(out)["firmware"] == "none"
    assert not (json.loads(out)["config"] or {}).get("nai")


def test_a_board_behind_a_tcp_port_is_served_as_any_other(
    deployed: StandIn, by_socket: str, entourage_board: Typed, config: Path
) -> None:
    code, _, err = entourage_board("deploy", "--port", by_socket, "--config", config)

    assert (code, err) == (0, "")
    assert set(tree(deployed.root)) == {*payload.compiled("x64"), "config.json"}
