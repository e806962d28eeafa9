"""Tables for people: nothing of them is cut off."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from host_agents.cli.show import make_table, print_table

COLUMNS = {"nai": "NAI", "home_address": "IP address", "care_of_address": "care-of address", "interface": "interface"}
ROW = {
    "nai": "a-subscriber-with-a-long-name@access.provider.example.net",
    "home_address": "10.110.120.130",
    "care_of_address": "203.113.214.115",
    "interface": "bridge-of-guests",
}


def test_in_a_pipe_each_row_is_one_line_with_whole_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [ROW])

    (line,) = (line for line in capsys.readouterr().out.splitlines() if "10.110.120.130" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == list(ROW.values())


def test_on_a_narrow_terminal_cells_go_on_in_the_next_line() -> None:
    terminal = Console(width=60, file=io.StringIO(), force_terminal=True, no_color=True)
    terminal.print(make_table(COLUMNS, [ROW]))

    shown = terminal.file.getvalue().splitlines()  # type: ignore[attr-defined]
    cells = zip(
        *([cell.strip() for cell in line.strip("│").split("│")] for line in shown if line[0] == "│"), strict=True
    )
    assert ["".join(parts) for parts in cells] == list(ROW.values())
