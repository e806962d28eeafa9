"""How often something may happen for each key: a token bucket per key, in a bounded table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

_CAPACITY = 16384  # keys; beyond it the one unused for longest is forgotten, and starts with a full bucket


class Limiter:
    """`count` times per `period` ms in the long run, `burst` at once."""

    def __init__(self, count: int, period: int, burst: int) -> None:
        self._count = count
        self._cost = period
        self._full = burst * period
        self._buckets: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()

    def allows(self, key: Hashable, now: int) -> bool:
        """Whether it may happen now; if so it counts. now: monotonic ms."""
        level, since = self._buckets.pop(key, (self._full, now))
        level = min(self._full, level + (now - since) * self._count)
        allowed = level >= self._cost
        if len(self._buckets) >= _CAPACITY:
            self._buckets.popitem(last=False)
        self._buckets[key] = (level - self._cost if allowed else level, now)
        return allowed
