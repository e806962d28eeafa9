"""`entourage trial` with a board: its recorder is switched in its configuration, and what it kept comes home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_agents.cli.main import main
from runtime.flight_ring import Ring
from tools.board.stand_in import StandIn
from tools.trial import trial_file

CONFIG = {"nai": "kleung@example.net", "key": "hex:00112233445566778899aabbccddeeff"}


def config_of(board: StandIn) -> dict[str, object]:
    found: dict[str, object] = json.loads((board.root / "config.json").read_text())
    return found


def test_start_and_stop_are_a_line_in_the_boards_configuration(board: StandIn) -> None:
    (board.root / "config.json").write_text(json.dumps({**CONFIG, "recorder": {"size": 65536}}))

    for word, on in (("start", True), ("stop", False)):
        assert main(["trial", word, "--port", board.port]) == 0
        assert config_of(board) == {**CONFIG, "recorder": {"size": 65536, "on": on}}


def test_a_board_that_had_no_recorder_gets_one(board: StandIn) -> None:
    (board.root / "config.json").write_text(json.dumps(CONFIG))

    assert main(["trial", "start", "--port", board.port]) == 0

    assert config_of(board)["recorder"] == {"on": True}


def test_what_the_recorder_kept_comes_home(board: StandIn, tmp_path: Path) -> None:
    (board.root / "config.json").write_text(json.dumps({**CONFIG, "recorder": {}}))
    ring = Ring(str(board.root / "flight"), 16384)
    ring.open()
    ring.append([b'{"t":28,"e":"start","nai":"kleung@example.net","utc":0}'])
    ring.append([b'{"t":%d,"e":"mark"}' % at for at in range(100, 600)])

    assert main(["trial", "fetch", "--port", board.port, str(tmp_path / "board.trial")]) == 0

    found = trial_file.read(tmp_path / "board.trial")
    assert found.nai == "kleung@example.net"
    marks = [one["at"] for one in found.events if one["event"] == "mark"]
    assert marks == list(range(600 - len(marks), 600)) and len(marks) > 300


@pytest.mark.parametrize(
    "config, reason",
    [(None, "no configuration on the board"), (CONFIG, "no flight recorder in the board's configuration")],
)
def test_a_board_without_one_says_what_it_lacks(
    board: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], config: object, reason: str
) -> None:
    if config is not None:
        (board.root / "config.json").write_text(json.dumps(config))

    assert main(["trial", "fetch", "--port", board.port, str(tmp_path / "out")]) == 1

    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
