"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

_FOLDED = ("nai", "sub_nai", "text")  # what takes several lines where there is little room, so that addresses need not
_WIDE = 10_000  # columns of what is no terminal: each row is one line there
_LEAST = 80  # columns; what is narrower than that breaks our lines itself


def print_json(document: Any) -> None:
    """One JSON document on stdout and nothing else; whole, too, where stdout has not every character."""
    print(json.dumps(document, indent=2, ensure_ascii=_few_characters()))


def print_line(event: Mapping[str, Any], as_json: bool) -> None:
    """One event, at once."""
    told = event.get("text", f"{event.get('count')} events were too fast for us")
    text = f"{event.get('time', '')} {event.get('level', '')} {told}".strip()
    print(json.dumps(event, ensure_ascii=_few_characters()) if as_json else text, flush=True)


def _few_characters() -> bool:
    return sys.stdout.encoding.lower() != "utf-8"


def print_table(
    columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], title: str = "", console: Console | None = None
) -> None:
    """columns: key of a row -> heading. Nothing is cut: in a narrow terminal the lines between columns go first."""
    console = console or Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)
    given, console.width = console.width, max(console.width, _LEAST)
    table = make_table(columns, rows, title)
    if _width(table) > console.width:
        table = make_table({key: heading.replace(" ", "\n") for key, heading in columns.items()}, rows, title)
        table.box, table.padding = None, (0, 1, 0, 0)
    console.print(table)
    console.width = given


def _width(table: Table) -> int:
    """Where nothing is folded; rich's own measure takes seconds for ten thousand rows."""
    widest = (max(len(str(cell)) for cell in (column.header, *column.cells)) for column in table.columns)
    return sum(3 + one for one in widest) + 1


def make_table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """A rich table; what is null shows as a dash, and no cell is taken for markup."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    columns = {key: heading for key, heading in columns.items() if not rows or key in rows[0]}
    for key, heading in columns.items():
        numbers = [isinstance(row[key], int) for row in rows if row.get(key) is not None]
        justify: JustifyMethod = "right" if numbers and all(numbers) else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=key not in _FOLDED)
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in columns))
    return table


def _cell(value: Any) -> Text:
    """As it is: a string rich would read as markup, and the `:ab:` of a link address as the name of an emoji."""
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    nothing = "-" if _few_characters() else "–"
    return Text(nothing if value in (None, "") else str(value))
