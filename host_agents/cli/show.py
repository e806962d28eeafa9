"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, JustifyMethod
from rich.table import Table

_WIDE = 1000  # characters; who reads a pipe or a file has no edge that cells would be cut at


def print_json(document: Any) -> None:
    """One JSON document on stdout and nothing else."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_line(event: Mapping[str, Any], as_json: bool) -> None:
    """One event, at once."""
    told = event.get("text", f"{event.get('count')} events were too fast for us")
    text = f"{event.get('time', '')} {event.get('level', '')} {told}".strip()
    print(json.dumps(event, ensure_ascii=False) if as_json else text, flush=True)


def print_table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """columns: key of a row -> heading."""
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    console.print(make_table(columns, rows, title))


def make_table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """A rich table; what is null shows as a dash, and no cell is taken for markup."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    columns = {key: heading for key, heading in columns.items() if not rows or key in rows[0]}
    for key, heading in columns.items():
        justify: JustifyMethod = "right" if rows and isinstance(rows[0].get(key), int) else "left"
        table.add_column(heading, justify=justify, overflow="fold")  # half an address is none
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in columns))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return "–" if value in (None, "") else str(value).replace("[", "\\[")
