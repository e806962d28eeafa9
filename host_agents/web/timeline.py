"""Where each node has been in the last minutes, drawn as bars from left to right."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any

from host_agents.runtime.handoffs import Handoffs
from host_agents.web.ticker import MINUTES

_NODES, _SHOWN = 8, 4
_COLOURS = 6
_WINDOW = 60.0 * MINUTES


def timeline(handoffs: Handoffs, now: float) -> list[dict[str, Any]]:
    """The nodes that moved last, each with bars (x and width in percent) and its last moves. now: since 1970."""
    found: list[dict[str, Any]] = []
    for nai, stays in reversed(handoffs.nodes.items()):
        if len(found) == _NODES:
            break
        kept = list(stays)
        ends = [*(one.since for one in kept[1:]), now]
        bars = []
        for stay, end in zip(kept, ends, strict=True):
            begin = max(stay.since, now - _WINDOW)
            if stay.place and end > begin:
                x, width = min(100 * (begin - now + _WINDOW) / _WINDOW, 99.6), 100 * (end - begin) / _WINDOW
                bars.append(
                    {"x": f"{x:.1f}", "width": f"{max(width, 0.4):.1f}", "place": stay.place, **_colour(stay.place)}
                )
        moves = [
            {
                "time": datetime.fromtimestamp(one.since).strftime("%H:%M:%S"),
                "place": one.place,
                "sessions": one.sessions,
                "gap": one.gap,
                **_colour(one.place),
            }
            for one in kept[-_SHOWN:][::-1]
        ]
        found.append({"nai": nai, "bars": bars, "moves": moves, "here": kept[-1].place})
    return found


def _colour(place: str) -> dict[str, int]:
    """The same place has the same one everywhere, also after a restart."""
    return {"colour": zlib.crc32(place.encode()) % _COLOURS}
