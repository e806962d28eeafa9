"""Where nodes have been lately: when each came to which place, with how many sessions, after how long a silence."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from host_agents.runtime.events import utc

_NODES, _EACH = 256, 24  # nodes that are remembered, and places of each
_TOGETHER = 5.0  # seconds within which a node's sessions come to a new place


@dataclass(slots=True)
class Stay:
    """since: seconds since 1970. place: "" for nowhere. gap: ms, None where nothing was to be heard before.

    gap: the longest of its sessions', from the last packet that came through the former place until the tunnel to this
    one stood.
    """

    since: float
    place: str
    sessions: int = 1
    gap: int | None = None


class Handoffs:
    """By NAI, those that moved last at the end."""

    def __init__(self) -> None:
        self.nodes: OrderedDict[str, deque[Stay]] = OrderedDict()

    def came(self, nai: str, place: str, time: float, gap: int | None = None) -> None:
        """A session of the node has come to a place."""
        stays = self.nodes.setdefault(nai, deque(maxlen=_EACH))
        self.nodes.move_to_end(nai)
        if len(self.nodes) > _NODES:
            self.nodes.popitem(last=False)
        last = stays[-1] if stays else None
        if last is None or last.place != place or time - last.since > _TOGETHER:
            stays.append(Stay(time, place, 1, gap))
            return
        last.sessions += 1
        last.gap = max((one for one in (last.gap, gap) if one is not None), default=None)

    def documents(self) -> list[dict[str, Any]]:
        """One for each stay, in the order in which they began; those of one node together."""
        return [
            {"nai": nai, "time": utc(one.since), "place": one.place, "sessions": one.sessions, "gap_ms": one.gap}
            for nai, stays in self.nodes.items()
            for one in stays
        ]
