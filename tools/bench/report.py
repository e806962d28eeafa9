"""What was measured, as a table to read and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from host_agents.store.whole_file import whole_file
from tools.bench.bench import Record, Row
from tools.bench.sample import Sample


def table(name: str, record: Record) -> Table:
    found = Table(title=name, title_justify="left", title_style="bold")
    found.add_column("what")
    for heading in ("median", "quartiles", "beside it", "ratio", "goal"):
        found.add_column(heading, justify="right")
    found.add_column("unit")
    for row in record.rows:
        mark = {None: "", True: " [green]✓[/]", False: " [red]✗[/]"}[row.met]
        beside = f"{row.beside} {shown(row.baseline.median)}" if row.baseline else ""
        ratio = f"{row.compared.median:.2f}" if row.baseline else ""
        goal = f"{row.goal}{mark}" if row.goal else ""
        quartiles = " – ".join(shown(value) for value in row.measured.quartiles)
        found.add_row(row.what, shown(row.measured.median), quartiles, beside, ratio, goal, row.unit)
    return found


def shown(value: float) -> str:
    """Three digits that count: 1,234,567 but 12.3 and 0.012."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def write_json(path: Path, records: Mapping[str, Record]) -> None:
    """One document: name of each bench -> one object with its keys, its rows, and the machine. Raises OSError."""
    document = {name: {**record.keys, **_details(record)} for name, record in records.items()}
    with whole_file(path) as beside:
        beside.write_text(json.dumps(document, indent=1) + "\n")


def _details(record: Record) -> dict[str, Any]:
    return {"rows": [_row(row) for row in record.rows], "notes": list(record.notes), "machine": machine()}


def machine() -> dict[str, Any]:
    """On what this was measured."""
    uname = platform.uname()
    cores = len(os.sched_getaffinity(0))
    return {"kernel": uname.release, "architecture": uname.machine, "cores": cores, "cpu": _cpu()}


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _row(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"what": row.what, "unit": row.unit, **_sample(row.measured)}
    if row.baseline:
        found |= {"beside": row.beside, "baseline": _sample(row.baseline), "ratio": row.compared.median}
    if row.goal:
        found |= {"goal": str(row.goal), "met": row.met}
    return found


def _sample(sample: Sample) -> dict[str, Any]:
    return {"median": sample.median, "quartiles": list(sample.quartiles), "values": list(sample.values)}
