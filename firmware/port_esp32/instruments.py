"""What a board tells the flight recorder: the date, its link's signal, and packets as far as Python carries them."""

import time

import network

_EPOCH = {1970: 0, 2000: 946684800}  # where this machine's time begins, in seconds since 1970
_BEFORE_US = 2025  # a year that a clock shows only if nobody has set it since the power came


class Instruments:
    """Of the one station. There is no receiver of GPS: no port is left for it.

    Whose packets lwIP forwards, it tells nobody: those sessions are without traffic in a report.
    """

    tick_ms = 10

    def __init__(self, config: dict, delivered, clock, log):
        self._delivered = delivered
        self._looked = 0
        self._station = network.WLAN(network.WLAN.IF_STA)

    def link_up(self) -> None:
        """Nothing has to be made anew."""

    def traffic(self, homes: dict, devices: dict, now: int) -> list:
        """As in port_unix/instruments.py, of what the forwarder delivers."""
        when, within, self._looked = (self._looked + now) // 2, (now - self._looked + 1) // 2, now
        return [(home, when, within) for home in self._delivered() if home in homes]

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
