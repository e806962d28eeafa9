"""What a board tells the flight recorder: date, signal, battery, place, and packets as far as Python carries them."""

import time

import machine
import network

_EPOCH = {1970: 0, 2000: 946684800}  # where this machine's time begins, in seconds since 1970
_BEFORE_US = 2025  # a year that a clock shows only if nobody has set it since the power came


class Instruments:
    """Of the one station. Whose packets lwIP forwards, it tells nobody: a report has no traffic of those sessions."""

    tick_ms = 10

    def __init__(self, config: dict, delivered, clock, log):
        self._config = config["recorder"]
        self._delivered = delivered
        self._log = log
        self._looked = 0
        self._station = network.WLAN(network.WLAN.IF_STA)
        self._battery = self._adc(self._config["battery"])

    def _adc(self, pin):
        """None without one; a pin that is none of the converter's is a line in the log."""
        try:
            return None if pin is None else machine.ADC(pin, atten=machine.ADC.ATTN_11DB)
        except (OSError, ValueError) as error:
            self._log.warning("no battery: GPIO %d: %s" % (pin, error))
            return None

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
        """rssi; battery: per cent of the way between its two voltages, which says most near its end."""
        found = self.link()
        if self._battery is not None:
            empty, full = self._config["battery_mv"]
            share = (self._battery.read_uv() // 1000 - empty) * 100 // (full - empty)
            found["battery"] = max(0, min(100, share))
        return found

    def sources(self, recorder) -> list:
        """As port.py's, each only where it is wanted: a board has little room."""
        config, log, found = self._config, self._log, []
        if config["gps"]:
            from port_esp32 import gps

            found.append(("GPS", lambda runtime: gps.follow(config, recorder.position, log)))
        if config["marker"] is not None:
            from port_esp32 import marker

            found.append(("marker", lambda runtime: marker.follow(config["marker"], recorder.mark, log)))
        return found
