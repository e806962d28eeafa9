"""`network` as MicroPython 1.29 for ESP32 has it, as far as the node goes, on interfaces of a namespace.

The station is up0, the access point down0; joining a network gives up0 the address that the network hands out. What
lwIP forwards on an image of ours, Linux forwards here.
"""

import os

import air
import usocket

STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
_NO_AP, _WRONG_PASSWORD = 201, 202
_AP_ADDRESS = "192.168.4.1"
_name = "unnamed"


def hostname(name=None):
    global _name
    if name is None:
        return _name
    _name = name


def _run(*words) -> None:
    os.system(" ".join(words) + " 2>/dev/null")


class WLAN:
    """Both are singletons: what is known of them is the class's own."""

    IF_STA, IF_AP = 0, 1
    SEC_OPEN, SEC_WPA2 = 0, 3
    PM_NONE, PM_PERFORMANCE = 0, 1
    joined = None  # the network that was asked for: its SSID, key, BSSID
    fate = STAT_IDLE
    static = None
    set = {}
    shown = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
    server = None  # ESP-IDF's DHCP server, as far as it is in the way: a socket that has port 67

    def __init__(self, which):
        self._station = which == WLAN.IF_STA

    def active(self, on):
        if air.read().get("broken"):
            raise RuntimeError("Wifi Unknown Error")
        if not self._station:
            air.note(active=on)
        if not self._station and WLAN.server is None:
            _run("echo %d > /proc/sys/net/ipv4/ip_forward" % os.getenv("MACHINE").startswith("Entourage"))
            _run("ip address replace %s/24 dev down0" % _AP_ADDRESS)
            self._start_server(_AP_ADDRESS)

    def _start_server(self, address: str) -> None:
        WLAN.server = usocket.socket(usocket.AF_INET, usocket.SOCK_DGRAM)
        WLAN.server.bind(usocket.getaddrinfo(address, 67)[0][-1])

    def config(self, key=None, **values):
        for name in values:
            if name not in ("pm", "reconnects", "ssid", "security", "key", "max_clients", "channel"):
                raise ValueError("unknown config param")
        WLAN.set.update(values)
        if values:
            air.note(config=values)
        elif key == "ifname":
            return "up0" if self._station else "down0"
        elif key == "mac":
            return b"\x02\0\0\0\1\1"
        elif key == "channel":
            return self._network()["channel"]
        else:
            raise ValueError("unknown config param")

    # ---- the station

    def scan(self):
        air.note(scan=1)
        return [
            (one["ssid"].encode(), bytes.fromhex(one["bssid"]), one["channel"], one["rssi"], 3, False)
            for one in air.read()["networks"]
        ]

    def connect(self, ssid, key, bssid=None):
        air.note(connect=ssid, bssid=bssid.hex() if bssid else None)
        WLAN.joined = (ssid, key, bssid)
        network = self._network()
        if network is None:
            WLAN.fate = _NO_AP
        elif network.get("password") != key:
            WLAN.fate = _WRONG_PASSWORD
        elif WLAN.static is None and "address" not in network:
            WLAN.fate = STAT_CONNECTING  # nobody there gives addresses
        else:
            WLAN.fate = STAT_GOT_IP
            addresses = WLAN.static or (network["address"], network["mask"], network["router"], "0.0.0.0")
            self._put(addresses)

    def disconnect(self):
        WLAN.joined, WLAN.fate = None, STAT_IDLE

    def isconnected(self):
        if self._station and WLAN.fate == STAT_GOT_IP and self._network() is None:
            WLAN.fate = 200  # no beacons any more
        return WLAN.fate == STAT_GOT_IP

    def status(self, what=None):
        if what == "rssi":
            if not self.isconnected():
                raise OSError("Wifi Not Connected")
            return self._network()["rssi"]
        if what == "stations":
            return [(bytes.fromhex(one), None) for one in air.read().get("stations", [])]
        return WLAN.fate

    def _network(self):
        """The one that was asked for, if it is in reach."""
        ssid, _, bssid = WLAN.joined or (None, None, None)
        for one in air.read()["networks"]:
            if one["ssid"] == ssid and (bssid is None or one["bssid"] == bssid.hex()):
                return one
        return None

    # ---- addresses

    def ipconfig(self, **values):
        if not self._station and "dhcp4" in values:
            raise ValueError("dhcp4 on an access point")
        WLAN.static = None

    def ifconfig(self, addresses=None):
        if addresses is None:
            return WLAN.shown
        if self._station:
            WLAN.static = addresses
            if WLAN.fate == STAT_GOT_IP:
                self._put(addresses)
            return None
        if WLAN.server is not None:
            WLAN.server.close()
            WLAN.server = None
        _run("ip address flush dev down0; ip address replace %s/%d dev down0" % (addresses[0], _length(addresses[1])))
        air.note(access_point=addresses)
        if addresses[3] == "0.0.0.0":
            raise RuntimeError("Wifi Unknown Error 0x5001")  # before the server is started again
        self._start_server(addresses[0])

    def _put(self, addresses) -> None:
        WLAN.shown = addresses
        air.note(address=addresses)
        _run("ip address flush dev up0; ip address replace %s/%d dev up0" % (addresses[0], _length(addresses[1])))
        _run("ip route replace default via %s dev up0" % addresses[2])


def _length(mask: str) -> int:
    return sum([bin(int(one)).count("1") for one in mask.split(".")])
