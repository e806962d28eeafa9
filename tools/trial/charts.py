"""The pictures of a report, as SVG that stands in the page itself; colours are those of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from tools.trial.figures import Figures, Spread, percentile
from tools.trial.handoffs import PARTS, Handoff

WIDTH = 960
_LEFT, _RIGHT = 56, 16
_DECADES = (1, 2, 5)


def _svg(height: float, title: str, body: Sequence[str], width: float = WIDTH) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
    return head + "".join(body) + "</svg>"


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _bar(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    inner = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" class="{kind}">{inner}</rect>'
    )


def _dot(x: float, y: float, radius: float, kind: str, title: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{kind}"><title>{escape(title)}</title></circle>'


def milliseconds(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def _clock(at: float, seconds: bool = True) -> str:
    return datetime.fromtimestamp(at / 1000).strftime("%H:%M:%S" if seconds else "%H:%M")


class _Log:
    """A logarithmic axis from one value to another, on pixels `begin` to `end`."""

    def __init__(self, least: float, most: float, begin: float, end: float) -> None:
        self._least, self._most = math.log10(least), math.log10(most)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        share = (math.log10(max(value, 10**self._least)) - self._least) / (self._most - self._least)
        return self._begin + min(share, 1) * (self._end - self._begin)

    def ticks(self) -> list[float]:
        powers = range(math.floor(self._least), math.ceil(self._most) + 1)
        ticks = [step * 10.0**power for power in powers for step in _DECADES]
        return [one for one in ticks if self._least - 1e-9 <= math.log10(one) <= self._most + 1e-9]


def _gaps(values: Sequence[float], begin: float, end: float) -> _Log:
    """An axis on which all of them are seen."""
    return _Log(10 ** math.floor(math.log10(max(5, min(values)))), max(1000, max(values) * 1.3), begin, end)


def timeline(figures: Figures, colours: Mapping[str, str]) -> str:
    """Which network when, and a stem for each handoff as high as it was long."""
    top, base, band = 18, 168, 22
    values = [one.interruption for one in figures.measured if one.interruption is not None]
    axis = _gaps(values or [100], base, top)
    span = max(1, figures.ended - figures.began)

    def x(at: float) -> float:
        return _LEFT + (at - figures.began) / span * (WIDTH - _LEFT - _RIGHT)

    body = []
    for tick in axis.ticks():
        body += [_line(_LEFT, axis.at(tick), WIDTH - _RIGHT, axis.at(tick), "grid")]
        body += [_text(_LEFT - 6, axis.at(tick) + 3.5, milliseconds(tick), "small", "end")]
    stays = figures.stays()
    if stays and stays[0][0] > figures.began:
        body.append(_bar(_LEFT, base + 6, x(stays[0][0]) - _LEFT, band, "quiet", "before the first handoff"))
    for begin, end, network in stays:
        title = f"{network}, {(end - begin) / 1000:.1f} s"
        body.append(_bar(x(begin), base + 6, x(end) - x(begin) - 0.6, band, colours[network], title))
    for handoff in figures.handoffs:
        length = handoff.interruption
        high = top if length is None else axis.at(length)
        kind = "failed" if length is None else colours[handoff.network]
        title = f"{_clock(handoff.began)} to {handoff.network}: {_length(handoff)}, {handoff.cause()}"
        body += [
            _line(x(handoff.began), base, x(handoff.began), high, "stem"),
            _dot(x(handoff.began), high, 4.5, kind, title),
        ]
    for number, mark in enumerate(figures.marks, 1):
        body += [_line(x(mark["at"]), top - 8, x(mark["at"]), base + 6 + band, "mark")]
        body += [_text(x(mark["at"]) + 3, top - 4, f"mark {number}", "small")]
    for share in (0, 0.25, 0.5, 0.75, 1):
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        at = figures.began + share * span
        body.append(_text(x(at), base + band + 24, _clock(at), "small", anchor))
    return _svg(base + band + 32, "Timeline", body)


def _length(handoff: Handoff) -> str:
    return "no end" if handoff.interruption is None else milliseconds(handoff.interruption)


def distribution(values: Sequence[float], width: float = 460) -> str:
    """How many handoffs took at most how long."""
    if not values:
        return ""
    top, base, left = 14, 210, 44
    axis = _gaps(values, left, width - 18)

    def y(share: float) -> float:
        return base - share * (base - top)

    body = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        body += [
            _line(left, y(share), width - 18, y(share), "grid"),
            _text(left - 6, y(share) + 3.5, f"{share:.0%}", "small", "end"),
        ]
    for tick in axis.ticks():
        body += [
            _line(axis.at(tick), base, axis.at(tick), base + 4, "axis"),
            _text(axis.at(tick), base + 17, milliseconds(tick), "small", "middle"),
        ]
    ordered = sorted(values)
    points, last = [f"{left},{base}"], 0.0
    for number, value in enumerate(ordered, 1):
        points += [f"{axis.at(value):.1f},{y(last):.1f}", f"{axis.at(value):.1f},{y(number / len(ordered)):.1f}"]
        last = number / len(ordered)
    points.append(f"{width - 18},{y(1):.1f}")
    body += [
        f'<polygon points="{" ".join(points)} {width - 18},{base}" class="area"/>',
        f'<polyline points="{" ".join(points)}" class="curve"/>',
    ]
    for share, name in ((0.5, "median"), (0.95, "p95")):
        value = percentile(values, share)
        body += [
            _line(axis.at(value), y(share), axis.at(value), base, "guide"),
            _dot(axis.at(value), y(share), 3.5, "point", name),
        ]
        anchor, beside = ("end", -7) if axis.at(value) > width * 0.6 else ("start", 7)
        body.append(
            _text(
                axis.at(value) + beside,
                y(share) + (16 if share > 0.9 else 14),
                f"{name} {milliseconds(value)}",
                "label halo",
                anchor,
            )
        )
    return _svg(base + 26, "Distribution of interruption", body, width)


def parts(figures: Figures, width: float = 460) -> str:
    """What the handoffs to each network consist of: the median of each part."""
    rows = []
    for network in figures.networks:
        those = [one.parts() for one in figures.measured if one.network == network]
        spreads = {part: Spread.of([one[part][1] - one[part][0] for one in those if part in one]) for part in PARTS}
        medians = {part: spread.median if spread else 0.0 for part, spread in spreads.items()}
        if those:
            rows.append((network, medians))
    if not rows:
        return ""
    left = 16 + 7.5 * max(len(network) for network, _ in rows)
    scale = (width - left - 66) / max(1, *(sum(medians.values()) for _, medians in rows))
    pitch = max(30, min(58, 174 / len(rows)))
    thick = pitch * 0.58
    body = []
    for number, (network, medians) in enumerate(rows):
        x, y = left, 12 + number * pitch
        body.append(_text(left - 8, y + thick / 2 + 4, network, "label", "end"))
        for part in PARTS:
            title = f"{part}: {milliseconds(medians[part])}"
            body.append(_bar(x, y, medians[part] * scale, thick, f"part-{part}", title))
            x += medians[part] * scale
        body.append(_text(x + 6, y + thick / 2 + 4, milliseconds(sum(medians.values())), "small"))
    y = 12 + len(rows) * pitch + 8
    for number, part in enumerate(PARTS):
        x = 8 + number * 108
        body += [_bar(x, y, 11, 11, f"part-{part}"), _text(x + 16, y + 10, part, "small")]
    return _svg(y + 22, "Parts of a handoff", body, width)


def track(figures: Figures, colours: Mapping[str, str], height: float = 460) -> str:
    """The way it went, coloured by who served it; handoffs as dots, larger where longer. North is up."""
    if len(figures.track) < 2:
        return ""
    latitudes, longitudes = [one[1] for one in figures.track], [one[2] for one in figures.track]
    middle = (min(latitudes) + max(latitudes)) / 2
    squeeze = math.cos(math.radians(middle))
    wide = max(1e-5, (max(longitudes) - min(longitudes)) * squeeze)
    high = max(1e-5, max(latitudes) - min(latitudes))
    scale = min((WIDTH - 120) / wide, (height - 90) / high)
    left, top = (WIDTH - wide * scale) / 2, (height - high * scale) / 2

    def point(y: float, x: float) -> tuple[float, float]:
        return left + (x - min(longitudes)) * squeeze * scale, top + (max(latitudes) - y) * scale

    body = [_bar(0, 0, WIDTH, height, "sheet"), *_grid(height)]
    stays = figures.stays()
    for begin, end, kind in [
        (0, stays[0][0] if stays else 1 << 62, "way"),
        *((a, b, f"way {colours[n]}") for a, b, n in stays),
    ]:
        there = [
            figures.place(begin),
            *((y, x) for at, y, x in figures.track if begin <= at <= end),
            figures.place(end),
        ]
        way = [point(*one) for one in there if one is not None]
        if len(way) > 1:
            body.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in way)}" class="{kind}"/>')
    labels: list[str] = []
    for handoff in sorted(figures.handoffs, key=lambda one: -(one.interruption or 0)):
        if place := figures.place(handoff.began):
            x, y = point(*place)
            length = handoff.interruption
            radius = 11.0 if length is None else 3.5 + 3 * math.log10(max(10, length) / 10)
            kind = "failed" if length is None else f"handoff {colours[handoff.network]}"
            body.append(_dot(x, y, radius, kind, f"{_clock(handoff.began)} to {handoff.network}: {_length(handoff)}"))
            if handoff in figures.worst(3):
                labels.append(_text(x, y - radius - 5, _length(handoff), "label halo", "middle"))
    body += labels  # above all dots
    for number, mark in enumerate(figures.marks, 1):
        if place := figures.place(mark["at"]):
            x, y = point(*place)
            body += [
                f'<path d="M{x:.1f},{y:.1f} l-5,-13 h10 z" class="flag"/>',
                _text(x, y - 17, f"mark {number}", "small halo", "middle"),
            ]
    for name, (_, latitude, longitude) in (("start", figures.track[0]), ("end", figures.track[-1])):
        x, y = point(latitude, longitude)
        body += [_dot(x, y, 5, "point", name), _text(x, y + 19, name, "small halo", "middle")]
    return _svg(height, "Map", [*body, *_scale_bar(scale, height)])


def _grid(height: float) -> list[str]:
    upright = [_line(x, 0, x, height, "grid") for x in range(60, WIDTH, 60)]
    return upright + [_line(0, y, WIDTH, y, "grid") for y in range(60, int(height), 60)]


def _scale_bar(scale: float, height: float) -> list[str]:
    """A round length near a sixth of the sheet, and where north is."""
    metre = scale / 111_195  # a degree of latitude
    most = WIDTH / 6 / metre
    size = max(step * 10**power for power in range(0, 7) for step in _DECADES if step * 10**power <= max(1, most))
    x, y = 20, height - 18
    name = f"{size // 1000:g} km" if size >= 1000 else f"{size:g} m"
    bar = f'<path d="M{x},{y - 5} v5 h{size * metre:.1f} v-5" class="rule"/>'
    north = f'<path d="M{WIDTH - 26},{height - 16} v-26 l-5,9 m5,-9 l5,9" class="rule"/>'
    return [bar, _text(x + 4, y - 7, name, "small"), north, _text(WIDTH - 26, height - 48, "N", "small", "middle")]
