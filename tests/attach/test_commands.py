"""`entourage attach` as it is typed, where it cannot do what it should: one line, and the right exit code."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from host_agents.cli.main import main


def test_a_device_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attach", "/dev/no-such-line"]) == 1
    assert capsys.readouterr().err == "entourage attach: /dev/no-such-line: No such file or directory\n"


def test_what_is_no_serial_port_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert main(["attach", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err == f"entourage attach: {tmp_path}/file: it is no serial port, or cannot do that\n"


@pytest.mark.skipif(os.getuid() != 0, reason="a TUN device needs root")
def test_a_name_that_no_interface_can_have_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = pty.openpty()

    assert main(["attach", os.ttyname(theirs), "--interface", "a/b"]) == 1
    assert capsys.readouterr().err == "entourage attach: TUN device a/b: Invalid argument\n"
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("prefix", ["10.10.0.1/24", "everything", "::/0"])
def test_a_route_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str], prefix: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["attach", "/dev/null", "--route", prefix])

    assert ended.value.code == 2
    assert "--route" in capsys.readouterr().err
