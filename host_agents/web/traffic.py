"""What the sessions on the page have carried lately. Only of those that somebody looks at, so that it stays small."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque

_SESSIONS, _SAMPLES = 512, 40
_APART = 0.8  # seconds, at least, between two samples
_WIDTH, _HEIGHT = 78, 18  # of the drawing


class Traffic:
    """key: of a session. Its octets are taken note of whenever it is drawn."""

    def __init__(self) -> None:
        self._samples: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def note(self, key: str, octets: int, now: float) -> tuple[str, str]:
        """(points of an SVG polyline, octets a second now in words). octets: so far; now: seconds."""
        samples = self._samples.setdefault(key, deque(maxlen=_SAMPLES))
        self._samples.move_to_end(key)
        if len(self._samples) > _SESSIONS:
            self._samples.popitem(last=False)
        if not samples or now - samples[-1][0] >= _APART:
            samples.append((now, octets))
        found = list(samples)
        rates = [max(0, after[1] - before[1]) / (after[0] - before[0]) for before, after in itertools.pairwise(found)]
        return _points(rates), _rate(rates[-1]) if rates else ""


def _points(rates: list[float]) -> str:
    most = max(rates, default=0) or 1
    first = _SAMPLES - 1 - len(rates)
    step = _WIDTH / (_SAMPLES - 2)
    return " ".join(
        f"{(first + at) * step:.0f},{_HEIGHT - 1 - rate / most * (_HEIGHT - 2):.1f}" for at, rate in enumerate(rates)
    )


def _rate(octets: float) -> str:
    bits = octets * 8
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits >= size:
            return f"{bits / size:.1f} {unit}"
    return f"{bits:.0f} bit/s" if bits else ""
