"""Time and chance, on Linux and on a board."""

import os
import time

# From 1900, where NTP's time begins (RFC 5905 §6), to where this machine's does: seconds. A board begins in 2000.
_NTP_EPOCH = {1970: 2208988800, 2000: 3155673600}
_BEFORE_US = 2025  # a year that a clock shows only if nobody has set it since the power came


class Clock:
    """Milliseconds since it was made, which no correction of the time of day moves."""

    def __init__(self):
        self._last = time.ticks_ms()
        self._now = 0

    def now(self) -> int:
        """int ms since start. It does not wrap, as ticks_ms does: on a board after 12.4 days.

        Right as long as it is asked more often than every half of that; the runtime never waits longer than a minute.
        """
        ticks = time.ticks_ms()
        self._now += time.ticks_diff(ticks, self._last)
        self._last = ticks
        return self._now

    def ntp_ms(self) -> int:
        """int, the NTP time in ms when now() was 0; 0 while the clock shows a time that cannot be."""
        if time.gmtime()[0] < _BEFORE_US:
            return 0
        return _NTP_EPOCH[time.gmtime(0)[0]] * 1000 + time.time_ns() // 1000000 - self.now()


def seed() -> bytes:
    """16 octets of chance from the kernel, or from the radio's noise."""
    return os.urandom(16)
