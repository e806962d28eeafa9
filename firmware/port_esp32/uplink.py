"""The station: joins what roaming.py chooses, and tells of its link and its address."""

import asyncio
import time

import network

from mip4.address import mask, parse, show
from mip4.compat import const
from mip4.const import ANY
from port_esp32.roaming import Join, Profile, Roaming
from port_esp32.sockets import Outbox

_POLL_MS = const(250)  # MicroPython has no Wi-Fi events (its issue 7562)
_IDLE_MS = const(30000)  # without a packet, before a scan hurts nobody
_LEAVING_MS = const(200)  # within which the driver says that it has left


class Uplink:
    """The one station of the board. interface: what lwIP calls it. was_up: an Event, set from the first link on."""

    def __init__(self, config: dict, keystore, outbox: Outbox, log):
        """keystore: where the last access point is remembered. outbox: what waits there is of the link that is up."""
        network.hostname(config["hostname"])
        self._station = network.WLAN(network.WLAN.IF_STA)
        self._station.active(True)
        # Asleep between beacons, it would hear a burst of packets at a time, and few advertisements
        self._station.config(pm=network.WLAN.PM_NONE, reconnects=0)
        profiles = [
            Profile(one["ssid"], one["password"], one["priority"], one["address"], one["gateway"])
            for one in config["uplinks"]
        ]
        self.roaming = Roaming(profiles, keystore.access_point())
        self._keystore = keystore
        self._outbox = outbox
        self._log = log
        self.interface = self._station.config("ifname")
        self.is_up = False
        self.was_up = asyncio.Event()
        self.address = ANY
        self._addresses = ()  # as ifconfig() shows them
        self._failed = ""
        self._carried = (0, 0)  # packets, and when that number was last another one, ms

    async def follow(self, runtime, forwarder, alive) -> None:
        """The source of links and addresses. Tells "link_up", "link_down", "address". alive(now): after each look."""
        while True:
            self.look(runtime, forwarder.sent + forwarder.received)
            alive(runtime.now())
            await asyncio.sleep_ms(_POLL_MS)

    def look(self, runtime, carried: int) -> None:
        """What has become of the station, and what to do about it. carried: packets so far."""
        now = runtime.now()
        if carried != self._carried[0]:
            self._carried = (carried, now)
        has_address = self._station.isconnected()
        if self.is_up and not has_address:
            self._went(runtime)
        idle = now - self._carried[1] >= _IDLE_MS
        action = self.roaming.poll(self._station.status(), has_address, self.rssi(), idle, now)
        if has_address and action is None and self.roaming.current is not None:
            self._came(runtime)
        if action is not None:
            self._do(runtime, action)
        if self.roaming.failed != self._failed:
            self._failed = self.roaming.failed
            if self._failed:
                self._log.warning("uplink %s" % self._failed)

    def _do(self, runtime, action) -> None:
        if not isinstance(action, Join):
            action = self.roaming.scanned(self._scan(), runtime.now())
        if action is not None:
            self._went(runtime)
            self._join(action)

    def _scan(self) -> list:
        try:
            found = self._station.scan()  # blocks everything for 2 or 3 s
        except OSError:  # the driver is in the middle of something
            found = []
        return [(one[0].decode(), one[1], one[3]) for one in found if _is_text(one[0])]

    def _join(self, action: Join) -> None:
        profile = action.profile
        self._leave()
        if profile.address == "dhcp":
            self._station.ipconfig(dhcp4=True)
        else:
            address, length = profile.address
            self._station.ifconfig((show(address), show(mask(length)), show(profile.gateway), "0.0.0.0"))
        self._log.info("uplink joins %s" % profile.ssid)
        self._station.connect(profile.ssid, profile.password, bssid=action.bssid)

    def _leave(self) -> None:
        """What isconnected() says next shall be about the next network."""
        self._station.disconnect()
        for _ in range(_LEAVING_MS // 10):
            if not self._station.isconnected():
                return
            time.sleep_ms(10)

    def _came(self, runtime) -> None:
        addresses = self._station.ifconfig()[:3]
        if not self.is_up:
            self.is_up = True
            ssid, bssid = self.roaming.joined()
            self._log.info("uplink %s up" % ssid)
            runtime.tell("link_up")
            self.was_up.set()
            runtime.attempt(self._keystore.put_access_point, ssid, bssid, self._station.config("channel"))
        if addresses != self._addresses:
            self._addresses = addresses
            # Without a router nothing beyond the link is reached, and the address is of no use
            self.address = parse(addresses[0]) if parse(addresses[2]) else ANY
            self._log.info("uplink address=%s router=%s" % (addresses[0], addresses[2]))
            runtime.tell("address", self.address)

    def _went(self, runtime) -> None:
        if self.is_up:
            self.is_up = False
            self._addresses = ()
            self.address = ANY
            self._outbox.clear()
            self._log.info("uplink %s down" % self._ssid())
            runtime.tell("address", ANY)
            runtime.tell("link_down")

    def rssi(self):
        """dBm of the access point that has us, None without one."""
        try:
            return self._station.status("rssi")
        except OSError:
            return None

    def use_router(self, address: int) -> None:
        """Everything goes by the agent, which is on the link (RFC 5944 §3.6.1). DHCP ends with it, for this link."""
        former = self._station.ifconfig()
        if address and self.is_up and former[2] != show(address):
            self._station.ifconfig((former[0], former[1], show(address), former[3]))
            self._addresses = self._station.ifconfig()[:3]

    def status(self) -> dict:
        return {
            "ssid": self._ssid(),
            "address": self._addresses[0] if self._addresses else None,
            "rssi": self.rssi(),
            "failed": self.roaming.failed or None,
        }

    def _ssid(self):
        return None if self.roaming.current is None else self.roaming.current.ssid


def _is_text(octets: bytes) -> bool:
    """Whether an SSID is one that a configuration can name."""
    try:
        octets.decode()
    except UnicodeError:
        return False
    return True
