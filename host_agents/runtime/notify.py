"""Tell systemd, or whoever started us, how we are (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket


def notify(state: str) -> None:
    """state: "READY=1", "STOPPING=1", … Without NOTIFY_SOCKET, nobody asked."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return  # who asked is gone


class Watchdog:
    """Says from the event loop that it still turns, as often as whoever started us wants (sd_watchdog_enabled(3))."""

    def __init__(self) -> None:
        """Asleep until start()."""
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        text = os.environ.get("WATCHDOG_USEC", "")
        self._interval = int(text) / 2_000_000 if mine and text.isdecimal() else 0.0  # seconds: half of what is allowed
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """From now on; nothing, where nobody asked."""
        if self._interval > 0:
            notify("WATCHDOG=1")
            self._timer = asyncio.get_running_loop().call_later(self._interval, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
