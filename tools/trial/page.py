"""The report: one HTML page that needs nothing beside it, no script, no server, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from tools.trial import charts
from tools.trial.charts import milliseconds
from tools.trial.figures import Figures, OfNetwork, OfSession, Spread, of_networks, of_sessions
from tools.trial.handoffs import PARTS, Handoff

_COLOURS = 8
_LISTEN = 1000  # ms after a handoff in which agents may speak of it
_STYLE = Path(__file__).with_name("report.css")


def page(figures: Figures, title: str = "") -> str:
    """title: instead of the node's NAI."""
    colours = {network: f"n{number % _COLOURS}" for number, network in enumerate(figures.networks)}
    name = title or figures.trial.nai or "a node"
    parts = [
        f"<h1>Field trial: {escape(name)}</h1>",
        f'<p class="soft">{escape(_when(figures))}</p>',
        _cards(figures),
        _section("Timeline", _legend(colours), charts.timeline(figures, colours)),
        '<div class="two">',
        _section("How long devices were cut off", charts.distribution(_lengths(figures))),
        _section("What a handoff consists of", charts.parts(figures)),
        "</div>",
        _map(figures, colours),
        _section("Worst gaps", _worst(figures)),
        _section("Networks", _networks(of_networks(figures))),
        _section("Sessions", _sessions(of_sessions(figures))),
        _section("Clocks", _clocks(figures)),
        f"<footer>{_method(figures)}</footer>",
    ]
    return _document(name, "\n".join(part for part in parts if part))


def _document(name: str, body: str) -> str:
    style = _STYLE.read_text("utf-8") + "".join(
        f".n{n} {{ fill: var(--n{n}); }} .way.n{n} {{ stroke: var(--n{n}); }} i.n{n} {{ background: var(--n{n}); }}\n"
        for n in range(_COLOURS)
    )
    style += "".join(f".part-{p} {{ fill: var(--{p}); }} i.part-{p} {{ background: var(--{p}); }}\n" for p in PARTS)
    head = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Field trial: {escape(name)}</title>\n<style>{style}</style></head>",
    ]
    return "\n".join([*head, f"<body><main>{body}</main></body></html>", ""])


def _section(title: str, *content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(content)}</section>" if any(content) else ""


def _when(figures: Figures) -> str:
    began, ended = (datetime.fromtimestamp(at / 1000).astimezone() for at in (figures.began, figures.ended))
    seconds = (figures.ended - figures.began) / 1000
    text = f"{began:%A, %d %B %Y, %H:%M:%S} to {ended:%H:%M:%S} ({began:%Z}), {_duration(seconds)}"
    return text + (f", {figures.distance / 1000:.1f} km" if figures.track else "")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _lengths(figures: Figures) -> list[float]:
    return [one.interruption for one in figures.handoffs if one.interruption is not None]


def _cards(figures: Figures) -> str:
    spread, failed = figures.interruption, len(figures.handoffs) - len(figures.measured)
    whole = max(1, figures.ended - figures.began)
    moved = sum(one.moved for one in of_sessions(figures))
    cards = [
        (str(len(figures.handoffs)), "handoffs" + (f", {failed} of them without an end" if failed else "")),
        (milliseconds(spread.median) if spread else "–", "median interruption"),
        (milliseconds(spread.p95) if spread else "–", "95 % are shorter than this"),
        (milliseconds(spread.most) if spread else "–", "longest"),
        (f"{100 * (1 - figures.silent / whole):.2f} %", "of the time in service"),
        ("none" if not moved else str(moved), "addresses that changed"),
    ]
    return (
        '<div class="cards">'
        + "".join(f'<div class="card"><b>{a}</b><span>{b}</span></div>' for a, b in cards)
        + "</div>"
    )


def _legend(colours: Mapping[str, str]) -> str:
    items = "".join(f'<span><i class="{kind}"></i>{escape(network)}</span>' for network, kind in colours.items())
    return f'<div class="legend">{items}</div>'


def _map(figures: Figures, colours: Mapping[str, str]) -> str:
    drawn = charts.track(figures, colours)
    if not drawn:
        return _section("Map", '<p class="soft">No track: no GPS receiver spoke, and no GPX file was imported.</p>')
    return _section("Map", _legend(colours), drawn)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Cells are HTML already. right: the columns with numbers."""

    def kind(number: int) -> str:
        return ' class="r"' if number in right else ""

    head = "".join(f"<th{kind(number)}>{escape(name)}</th>" for number, name in enumerate(columns))
    body = "".join(
        "<tr>" + "".join(f"<td{kind(number)}>{cell}</td>" for number, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _worst(figures: Figures) -> str:
    rows = []
    for handoff in figures.worst():
        at = datetime.fromtimestamp(handoff.began / 1000).strftime("%H:%M:%S")
        length = handoff.interruption
        shown = '<span class="bad">no end</span>' if length is None else milliseconds(length)
        cause = escape(handoff.cause()) + _said(figures, handoff) + _bits(handoff)
        rows.append((at, escape(handoff.network), shown, cause, _place(figures, handoff)))
    if not rows:
        return '<p class="soft">No handoff took place.</p>'
    return _table(("time", "to", "gap", "cause, and the parts of it", "place"), rows, right=(2,))


def _said(figures: Figures, handoff: Handoff) -> str:
    """What agents wrote while it lasted, two lines of it: of other sources than the node."""
    until = handoff.began + (handoff.interruption or _LISTEN) + _LISTEN
    said = [one for one in figures.trial.events if one["event"] == "log" and handoff.began <= one["at"] <= until]
    lines = (f"{one['source']}: {one['text'] or one['kind']}" for one in said[:2])
    return "".join(f'<div class="said">{escape(line[:160])}</div>' for line in lines)


def _bits(handoff: Handoff) -> str:
    parts = {part: end - begin for part, (begin, end) in handoff.parts().items()}
    whole = sum(parts.values())
    if not whole:
        return ""
    bits = "".join(
        f'<i class="part-{part}" style="width:{100 * length / whole:.1f}%" title="{part}: {milliseconds(length)}"></i>'
        for part, length in parts.items()
    )
    return f'<div class="bits">{bits}</div>'


def _place(figures: Figures, handoff: Handoff) -> str:
    place = figures.place(handoff.began)
    return f"{place[0]:.5f}, {place[1]:.5f}" if place else "–"


def _spread(spread: Spread | None) -> tuple[str, str, str]:
    if spread is None:
        return "–", "–", "–"
    return milliseconds(spread.median), milliseconds(spread.p95), milliseconds(spread.most)


def _networks(found: Sequence[OfNetwork]) -> str:
    columns = ("network", "handoffs", "failed", "median", "p95", "longest", "registration", "stayed", "RSSI", "causes")
    rows = [
        (
            escape(one.network),
            str(one.handoffs),
            f'<span class="bad">{one.failed}</span>' if one.failed else "0",
            *_spread(one.interruption),
            milliseconds(one.registration.median) if one.registration else "–",
            _duration(one.stayed),
            f"{one.rssi:.0f} dBm" if one.rssi is not None else "–",
            escape(", ".join(f"{cause} {count}×" for cause, count in one.causes.most_common())),
        )
        for one in found
    ]
    return _table(columns, rows, right=range(1, 9)) if rows else ""


def _sessions(found: Sequence[OfSession]) -> str:
    columns = ("session", "address", "handoffs", "median", "p95", "longest", "registration", "requests", "denials")
    rows = [
        (
            escape(one.session or "the node itself"),
            escape(one.address or "–") + (f' <span class="bad">changed {one.moved}×</span>' if one.moved else ""),
            str(one.handoffs),
            *_spread(one.silence),
            milliseconds(one.registration.median) if one.registration else "–",
            str(one.asked),
            str(one.denied),
        )
        for one in found
    ]
    note = '<p class="soft">Silence of each session\'s own packets; a dash where it had no traffic.</p>'
    return note + _table(columns, rows, right=range(2, 9)) if rows else ""


def _clocks(figures: Figures) -> str:
    rows = []
    for clock in figures.trial.clocks:
        at = datetime.fromtimestamp(clock["at"] / 1000).strftime("%H:%M") if clock["at"] > 1e12 else "–"
        if clock["offset_ms"] is None:
            rows.append((escape(clock["source"]), at, "not known: no registration that both saw", "–"))
        else:
            ahead = f"{clock['offset_ms']:+.1f} ms ± {clock.get('uncertainty_ms', 0):.1f} ms"
            rows.append((escape(clock["source"]), at, ahead, str(clock.get("registrations", "–"))))
    if not rows:
        return '<p class="soft">All times are the node\'s own: nothing an agent saw was merged.</p>'
    return _table(("clock of", "about", "ahead of the node's by", "registrations compared"), rows, right=(3,))


def _method(figures: Figures) -> str:
    idle = sum(not one.has_traffic for one in figures.measured)
    lost = sum(one.get("count", 0) for one in figures.trial.events if one["event"] == "lost")
    text = [
        "An interruption is the longest silence of packets for one session, where they leave the node for the device:",
        "from the last packet before the link or agent was lost (or from that moment, if there was no traffic in the",
        "second before) to the first packet after. Parts: link, until there is one again; discovery, until the first",
        "registration request; registration, until the last session's reply; delivery, until the first packet.",
        f"In {idle} handoffs no packet came, and the interruption is until all sessions were registered."
        if idle
        else "",
        f'<span class="bad">The recorder had no room for {lost} records.</span>' if lost else "",
        "Made by <code>entourage trial report</code>.",
    ]
    return " ".join(text)
