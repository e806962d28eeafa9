"""What a board tells the flight recorder: the date and its link's signal. Whose packets come, lwIP tells nobody."""

import time

import network

_EPOCH = {1970: 0, 2000: 946684800}  # where this machine's time begins, in seconds since 1970
_BEFORE_US = 2025  # a year that a clock shows only if nobody has set it since the power came


class Instruments:
    """Of the one station. There is no receiver of GPS: no port is left for it."""

    def __init__(self, config: dict, clock, log):
        self._station = network.WLAN(network.WLAN.IF_STA)

    def link_up(self) -> None:
        """Nothing has to be made anew."""

    def traffic(self, homes: dict, now: int) -> list:
        """Nothing is known of it."""
        return []

    def utc(self) -> int:
        """ms since 1970, 0 for a machine that does not know."""
        if time.gmtime()[0] < _BEFORE_US:
            return 0
        return _EPOCH[time.gmtime(0)[0]] * 1000 + time.time_ns() // 1000000

    def link(self) -> dict:
        """rssi: dBm."""
        try:
            return {"rssi": self._station.status("rssi")}
        except OSError:  # it is not connected
            return {}

    def measure(self) -> dict:
        return self.link()

    def sources(self, position) -> list:
        """As port.py's."""
        return []
