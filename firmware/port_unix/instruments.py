"""What a Linux machine tells the flight recorder: packets as they come, bytes, Wi-Fi signal, battery, GPS, date."""

import asyncio
import os
import time

from mip4.const import PROTO_GRE, PROTO_IPIP, PROTO_UDP
from port_unix.sockets import FOR_US_BUT_REPLIES, PacketSocket
from runtime.nmea import Nmea
from runtime.sockets import readable

_LOOKS = 64  # frames looked at in a tick: the device's bulk traffic shall not fill the node's day
_HEAD = 80  # octets of a frame as PacketSocket has it, to the end of the IPv4 header behind any other
_PROTOCOL, _DESTINATION = 33, 40  # offsets there
_INNER = {PROTO_IPIP: 20, PROTO_GRE: 24, PROTO_UDP: 32}  # how far behind is the header of a tunnelled packet
_EMPTY = 3  # reads in a row that say it has hung up, since there was something to read each time
_PAUSE_MS = 2000  # between looks for a receiver that is not there


class Instruments:
    """Of one uplink. Packets are seen by a packet socket beside the kernel, which forwards them."""

    def __init__(self, config: dict, clock, log):
        """Raises KernelRefused."""
        self._interface = config["uplinks"][0]["interface"]
        self._gps = config["recorder"]["gps"]
        self._baud = config["recorder"]["gps_baud"]
        self._clock = clock
        self._log = log
        self._frames = PacketSocket(FOR_US_BUT_REPLIES)
        self._looked = 0

    def link_up(self) -> None:
        """Look at the uplink, which may have been made anew."""
        index = self._number("ifindex")
        if index is not None:
            self._frames.bind(index, b"")

    def traffic(self, homes: dict, now: int) -> list:
        """Of each of `homes` that packets have come for since the last look: (home address, when, give or take), ms.

        Halfway between the two looks: a busy machine looks late, and says so.
        """
        found = []
        when, within, self._looked = (self._looked + now) // 2, (now - self._looked + 1) // 2, now
        for _ in range(_LOOKS):
            try:
                frame = self._frames.socket.recv(_HEAD)
            except OSError:  # nothing more, or a link that has just gone
                break
            home = frame[_DESTINATION : _DESTINATION + 4]
            if home not in homes and len(frame) == _HEAD:
                inner = _DESTINATION + _INNER.get(frame[_PROTOCOL], 0)
                home = frame[inner : inner + 4]
            if home in homes and (home, when, within) not in found:
                found.append((home, when, within))
        return found

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
            octets = self._number("statistics/%s_bytes" % key)
            if octets is not None:
                found[key] = octets
        for supply in _names("/sys/class/power_supply"):
            for line in _lines("/sys/class/power_supply/%s/capacity" % supply):
                found["battery"] = int(line)
        return found

    def sources(self, position) -> list:
        """As Port.sources(): the GPS receiver, if there is one. position: is called with each fix."""
        return [("GPS", lambda runtime: self._follow(position))] if self._gps else []

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

    def _number(self, name: str):
        for line in _lines("/sys/class/net/%s/%s" % (self._interface, name)):
            return int(line)
        return None


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
