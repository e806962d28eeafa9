"""A node that cannot be asked: one line says what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_agents.cli.main import main


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", 'control: is missing: "control": "node.sock" lets the node be asked'),
        ('{"control": ""}', 'control: is missing: "control": "node.sock" lets the node be asked'),
        ("[]", 'control: is missing: "control": "node.sock" lets the node be asked'),
        ("{", "not a JSON document"),
    ],
)
def test_a_configuration_that_names_no_control_socket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    config = tmp_path / "node.json"
    config.write_text(text)

    assert main(["node", "status", "--config", str(config)]) == 2
    assert capsys.readouterr().err == f"entourage: {config}: {reason}\n"
