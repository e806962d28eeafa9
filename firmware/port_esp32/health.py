"""What a board does for its own health: a watchdog, and the word that this program is a good one."""

import asyncio

import esp32
from machine import WDT, Timer

from mip4.compat import const

_TIMEOUT_MS = const(60000)  # longer than a scan on two bands, and a file system that tidies up
_FEED_MS = const(1000)
_STILL_MS = const(30000)  # within which the uplink has to have looked at its radio again
_STEADY_MS = const(60000)  # of running, after which a start was a good one
_PROMPT_MS = const(5000)
_TIMER = const(0)  # every chip has one


def guard_prompt() -> None:
    """Feed the watchdog while no node runs: nothing stops it, not even a soft reset, and a deployment takes long."""
    watchdog = WDT(timeout=_TIMEOUT_MS)
    Timer(_TIMER).init(period=_PROMPT_MS, mode=Timer.PERIODIC, callback=lambda timer: watchdog.feed())


class Health:
    """Of a node that runs."""

    def __init__(self, keystore, log):
        self._keystore = keystore
        self._log = log
        self._last = 0
        self._steady = False

    def alive(self, now: int) -> None:
        """What has to happen again and again has happened."""
        self._last = now

    async def watch(self, runtime) -> None:
        """The source that feeds the watchdog, while there is a reason to; it tells nothing."""
        watchdog = WDT(timeout=_TIMEOUT_MS)
        Timer(_TIMER).deinit()
        began = self._last = runtime.now()
        while True:
            now = runtime.now()
            if now - self._last < _STILL_MS:
                watchdog.feed()
            if not self._steady and now - began >= _STEADY_MS:
                self._steady = True
                self._settle()
            await asyncio.sleep_ms(_FEED_MS)

    def _settle(self) -> None:
        """The next start owes nothing to this one, and the boot loader need not take the former program back."""
        self._keystore.put_starts(0)
        try:
            esp32.Partition.mark_app_valid_cancel_rollback()
        except OSError:  # the program is in a partition of its own kind, and nothing else could be taken
            return
        self._log.info("this program is a good one: no rollback")
