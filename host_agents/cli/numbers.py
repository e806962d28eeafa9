"""Numbers as words of a command: each option says which make sense, and any other is a usage error that says so."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def whole(least: int, most: int) -> Callable[[str], int]:
    """For argparse's `type`."""
    return _within(int, "a whole number", least, most)


def real(least: float, most: float) -> Callable[[str], float]:
    """For argparse's `type`. Neither infinite nor NaN."""
    return _within(float, "a number", least, most)


def _within(read: Callable[[str], Number], kind: str, least: Number, most: Number) -> Callable[[str], Number]:
    def number(text: str) -> Number:
        try:
            value = read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not {kind}") from error
        if not least <= value <= most:  # NaN is nowhere
            raise argparse.ArgumentTypeError(f"{text[:40]} is outside {least}..{most}")
        return value

    return number
