"""What time it is: a clock that nobody sets, and the one that everybody agrees on."""

from __future__ import annotations

import time

from mip4.identification import NTP_UNIX


def since_boot() -> int:
    """Milliseconds since the machine booted, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def ntp_ms() -> int:
    """What the machine's clock says, milliseconds since 1900."""
    return time.time_ns() // 1_000_000 + int(NTP_UNIX) * 1000
