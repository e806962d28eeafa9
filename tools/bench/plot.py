"""The picture of a run: a panel for each unit of each bench, a bar for each row, whiskers from quartile to quartile."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from host_agents.store.whole_file import whole_file
from tools.bench.bench import BenchFailed, Record, Row
from tools.bench.report import shown
from tools.bench.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _PLAIN = "#2f6f9f", "#c0c0c0"
_BAR = 0.38  # of the distance between rows, so that two fit beside each other


def check() -> None:
    """Raises BenchFailed where plots cannot be made: better before an hour of measuring than after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise BenchFailed("a plot needs matplotlib, which the extra `bench` of this package brings")


def draw(path: Path, records: Mapping[str, Record]) -> None:
    """Writes a PNG, whatever `path` is called. Raises OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(f"{name}, {unit}", rows) for name, record in records.items() for unit, rows in _by_unit(record.rows)]
    heights = [len(rows) + 2 for _, rows in panels]
    figure = Figure(figsize=(9, 0.32 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)
    for (title, rows), (one,) in zip(panels, axes, strict=True):
        _panel(one, title, rows)
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=110)


def _by_unit(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    units = dict.fromkeys(row.unit for row in rows)
    return [(unit, [row for row in rows if row.unit == unit]) for unit in units]


def _panel(axes: Axes, title: str, rows: Sequence[Row]) -> None:
    for at, row in enumerate(rows):
        _bar(axes, at if row.baseline is None else at - _BAR / 2, row.measured, _OURS)
        if row.baseline is not None:
            _bar(axes, at + _BAR / 2, row.baseline, _PLAIN, row.beside)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_yticks(range(len(rows)), [row.what for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _bar(axes: Axes, at: float, sample: Sample, colour: str, name: str = "") -> None:
    first, third = sample.quartiles
    whiskers = [[sample.median - first], [third - sample.median]]
    axes.barh(at, sample.median, height=_BAR, color=colour, xerr=whiskers, error_kw={"lw": 0.8, "capsize": 2})
    axes.annotate(f" {name} {shown(sample.median)}", (max(sample.median, third), at), va="center", fontsize=7)
