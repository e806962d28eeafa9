"""`time` as MicroPython 1.29 for ESP32 has it: it begins in 2000, and ticks wrap after 2 to the 30.

UNSET: the clock was set by nobody, and shows the first of January 2000.
"""

import os

import utime
from utime import *  # noqa: F403

_PERIOD = 1 << 30
_EPOCH = 946684800  # 2000 in seconds since 1970
_began = utime.ticks_ms()
_first = 0


def show(ticks: int) -> None:
    """For a test: what ticks_ms() shows from now on."""
    global _began, _first
    _began, _first = utime.ticks_ms(), ticks


def ticks_ms() -> int:
    return (_first + utime.ticks_diff(utime.ticks_ms(), _began)) % _PERIOD


def ticks_diff(one: int, other: int) -> int:
    return (one - other + _PERIOD // 2) % _PERIOD - _PERIOD // 2


def ticks_add(one: int, other: int) -> int:
    return (one + other) % _PERIOD


def time_ns() -> int:
    return utime.ticks_ms() * 1000000 if os.getenv("UNSET") else utime.time_ns() - _EPOCH * 1000000000


def time() -> int:
    return time_ns() // 1000000000


def gmtime(seconds=None) -> tuple:
    return utime.gmtime((time() if seconds is None else seconds) + _EPOCH)[:8]
