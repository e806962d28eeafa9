"""Tables: whatever reads them, and however narrow it is, gets every address whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from host_agents.cli.show import print_table
from host_agents.cli.tables import TABLES

BINDING = {
    "nai": "kleung@example.net",
    "sub_nai": "KleungPC1",
    "home_address": "100.100.100.121",
    "care_of_address": "203.113.113.166",
    "tunnel": "minimal",
    "expires_in": 1565,
    "packets_in": 12_345,
    "packets_out": 1_234_567,
}


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_table(TABLES["bindings"], [BINDING, BINDING])
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", ["20", "80", "110", "200"])
def test_a_terminal_of_any_width_shows_all_but_the_names_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    lines = printed(capsys)

    rows = [line.replace("│", " ").split() for line in lines if "100.100.100.121" in line]
    assert [row[-6:] for row in rows] == [[str(value) for value in list(BINDING.values())[2:]]] * 2
    assert max(map(len, lines)) <= max(80, int(columns))


def test_a_program_gets_each_row_on_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    rows = [line.replace("│", " ").split() for line in printed(capsys) if "100.100.100.121" in line]

    assert rows == [[str(value) for value in BINDING.values()]] * 2


def test_every_name_and_address_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    odd = [":smile:@example.net", "[bold]x[/]@example.net", "x\\", "02:ab:00:cd:00:01", "[", "-", "ä@example.net"]

    print_table({"nai": "NAI", "link_address": "link address"}, [{"nai": one, "link_address": one} for one in odd])

    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()[3:-1]]
    assert rows == [[one, one] for one in odd]


def test_a_story_that_shows_a_table_keeps_its_own_width() -> None:
    console = Console(file=io.StringIO(), width=60)

    print_table(TABLES["bindings"], [BINDING], "home agent: bindings", console)

    assert console.width == 60
