"""Several measurements of the same thing, and what is said of them: median and quartiles, never a mean or a best."""

from __future__ import annotations

import statistics
from collections.abc import Iterable


class Sample:
    """values: in the order in which they were measured, at least one. Raises ValueError for none."""

    def __init__(self, values: Iterable[float]) -> None:
        self.values = tuple(values)
        if not self.values:
            raise ValueError("a sample of nothing")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third; between measurements, as a spreadsheet has them."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third

    def over(self, other: Sample) -> Sample:
        """The ratios of what was measured side by side. Raises ValueError where the two do not match."""
        if len(self.values) != len(other.values):
            raise ValueError(f"{len(self.values)} measurements beside {len(other.values)}")
        return Sample(ours / theirs for ours, theirs in zip(self.values, other.values, strict=True))

    def __repr__(self) -> str:
        return f"Sample({list(self.values)})"
