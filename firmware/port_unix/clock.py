"""Time and chance on Linux."""

import os
import time

_NTP_EPOCH_MS = 2208988800000  # from 1900 to 1970 (RFC 5905 §6)


class Clock:
    """Milliseconds since it was made. Follows the kernel's monotonic clock, which no correction moves."""

    def __init__(self):
        self._last = time.ticks_ms()
        self._now = 0

    def now(self) -> int:
        """int ms since start; it does not wrap, as ticks_ms does."""
        ticks = time.ticks_ms()
        self._now += time.ticks_diff(ticks, self._last)
        self._last = ticks
        return self._now

    def ntp_ms(self) -> int:
        """int, the NTP time in ms when now() was 0."""
        return _NTP_EPOCH_MS + time.time_ns() // 1000000 - self.now()


def seed() -> bytes:
    """16 octets from the kernel's random numbers."""
    return os.urandom(16)
