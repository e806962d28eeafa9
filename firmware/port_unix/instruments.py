"""What a Linux machine tells the flight recorder: packets as they come, bytes, Wi-Fi signal, battery, GPS, date."""

import asyncio
import os
import time

from port_unix.sockets import ETH_P_ALL, FOR_US_BUT_MESSAGES, FROM_US, PacketSocket
from runtime.nmea import Nmea
from runtime.sockets import readable

_LOOKS = 64  # frames looked at in a tick: the device's bulk traffic shall not fill the node's day
_HEAD = 44  # octets of a frame as PacketSocket has it, to the end of its IPv4 header
_EMPTY = 3  # reads in a row that say it has hung up, since there was something to read each time
_PAUSE_MS = 2000  # between looks for a receiver that is not there


class Instruments:
    """Packets are seen where they leave for a device, by a packet socket on each downlink, since some that reach the

    node go no further while a handoff is not over. Those for the node itself are seen on the uplink, and what the
    forwarder delivers it tells itself: a serial line has no packet socket.
    """

    tick_ms = 3  # between looks at what has come

    def __init__(self, config: dict, delivered, clock, log):
        """delivered: as Forwarder.delivered(). Raises KernelRefused."""
        self._delivered = delivered
        self._interface = config["uplinks"][0]["interface"]
        self._own = PacketSocket(FOR_US_BUT_MESSAGES)
        names = [one["interface"] for one in config["downlinks"] if one.get("interface")]
        self._downlinks = [(name, PacketSocket(FROM_US, ETH_P_ALL)) for name in names]
        self._gps = config["recorder"]["gps"]
        self._baud = config["recorder"]["gps_baud"]
        self._clock = clock
        self._log = log
        self._looked = 0

    def link_up(self) -> None:
        """Look at the links, which may have been made anew."""
        for name, frames in [(self._interface, self._own)] + self._downlinks:
            index = _number("/sys/class/net/%s/ifindex" % name)
            if index is not None:
                frames.bind(index, b"")

    def traffic(self, homes: dict, devices: dict, now: int) -> list:
        """Of each of `homes` that packets have come for since the last look: (home address, when, give or take), ms.

        devices: the home addresses of devices. The moment is halfway between the two looks; a busy machine looks late,
        and says so.
        """
        when, within, self._looked = (self._looked + now) // 2, (now - self._looked + 1) // 2, now
        came = {home: True for home in self._delivered()}
        for _, frames in self._downlinks:
            _look(frames, came)
        arrived = {}
        _look(self._own, arrived)
        for home in arrived:
            if home not in devices:
                came[home] = True
        return [(home, when, within) for home in came if home in homes]

    def utc(self) -> int:
        """ms since 1970, 0 for a machine that does not know."""
        return time.time_ns() // 1000000

    def link(self) -> dict:
        """rssi: dBm, where the uplink is a radio's."""
        for line in _lines("/proc/net/wireless"):
            words = line.split()
            if words and words[0] == self._interface + ":":
                return {"rssi": int(words[3].rstrip("."))}
        return {}

    def measure(self) -> dict:
        """rx, tx: octets over the uplink so far; rssi; battery: per cent."""
        found = self.link()
        for key in ("rx", "tx"):
            octets = _number("/sys/class/net/%s/statistics/%s_bytes" % (self._interface, key))
            if octets is not None:
                found[key] = octets
        for supply in _names("/sys/class/power_supply"):
            for line in _lines("/sys/class/power_supply/%s/capacity" % supply):
                found["battery"] = int(line)
        return found

    def sources(self, recorder) -> list:
        """As Port.sources(): the GPS receiver, if there is one, which tells the recorder each position."""
        return [("GPS", lambda runtime: self._follow(recorder.position))] if self._gps else []

    async def _follow(self, position) -> None:
        said = False
        while True:
            try:
                stream = self._open()
            except OSError as error:  # a receiver that is not plugged in, which it may be at any time
                if not said:
                    self._log.warning("GPS %s: errno %d" % (self._gps, error.errno))
                said = True
                await asyncio.sleep_ms(_PAUSE_MS)
                continue
            said = False
            self._log.info("GPS receiver on %s" % self._gps)
            await _read(stream, position)
            self._log.warning("GPS %s is gone" % self._gps)
            await asyncio.sleep_ms(_PAUSE_MS)

    def _open(self):
        """The terminal, raw, and with nothing to read a read ends at once. Raises OSError."""
        os.stat(self._gps)
        # Not O_NONBLOCK, which MicroPython cannot set, nor a shell for it: dash knows no descriptor above 9
        os.system("stty -F %s raw -echo clocal min 0 time 0 %d 2>/dev/null" % (self._gps, self._baud))
        return open(self._gps, "r+b")


def _look(frames: PacketSocket, came: dict) -> None:
    """Note the destinations of what waits."""
    for _ in range(_LOOKS):
        try:
            came[frames.socket.recv(_HEAD)[-4:]] = True
        except OSError:  # nothing more, or a link that has just gone
            return


async def _read(stream, position) -> None:
    """Until the receiver is gone."""
    nmea, buffer, empty = Nmea(), bytearray(256), 0
    with stream:
        while empty < _EMPTY:
            await readable(stream)
            try:
                size = stream.readinto(buffer) or 0
            except OSError:  # EIO, of a terminal that has hung up
                return
            empty = 0 if size else empty + 1
            for fix in nmea.feed(bytes(buffer[:size])):
                position(fix)


def _number(path: str):
    for line in _lines(path):
        return int(line)
    return None


def _lines(path: str) -> list:
    try:
        with open(path) as file:
            return file.read().split("\n")[:-1]
    except OSError:
        return []


def _names(path: str) -> list:
    try:
        return os.listdir(path)
    except OSError:
        return []
