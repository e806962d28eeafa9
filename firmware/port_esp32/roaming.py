"""Which Wi-Fi network the uplink joins, and when it looks for another: told what the radio says, it answers with one

action at most. No radio and no clock in here; now: ms.
"""

from mip4.compat import const
from mip4.record import Record

# What WLAN.status() says of a station: MicroPython's own, and reasons of ESP-IDF from 200 up
_CONNECTING, _GOT_IP = 1001, 1010
_FAILURES = {
    200: "no beacons any more",
    201: "not there",
    202: "wrong password",
    203: "association failed",
    204: "no handshake: often a wrong password",
    210: "not with this security",
    211: "not with this authentication",
    212: "too weak",
}
_FOR_LONG = (202, 210, 211)  # what does not pass by itself
_JOIN_MS = const(15000)  # for association and DHCP
_PASSING_MS = const(3000)  # other words of the driver, such as the 802.11 reason for which we left, are to pass by then
_USABLE = const(-85)  # dBm
_WEAK = const(-75)  # where we begin to look for a better one
_BETTER = const(8)  # dB by which another has to be stronger, or we would go to and fro
_STRONG = const(-70)  # at which a preferred network is worth leaving a good one for
_SCAN_WEAK_MS = const(20000)  # between scans while the link is bad: one blocks everything for 2 or 3 s
_SCAN_IDLE_MS = const(300000)  # while it is good, nobody uses it, and a preferred network may have come near
_SCAN_LOST_MS = (0, 2000, 5000, 10000, 20000, 30000)  # without a link: before the first scan, the second, ...
_AVOID_MS = const(20000)  # a network that failed; doubles with each failure up to the next
_AVOID_LONGEST_MS = const(300000)
_SMOOTHING = const(4)  # a new RSSI counts a quarter


class Profile(Record):
    """A network that may be joined. address: "dhcp" or (address, prefix length). gateway: 0 where DHCP names it."""

    __slots__ = ("ssid", "password", "priority", "address", "gateway")


class Join(Record):
    """Join this network; bssid: octets of one access point of it, or None for any."""

    __slots__ = ("profile", "bssid")


class Scan(Record):
    """Look around, and say what is there with scanned()."""

    __slots__ = ()


class Roaming:
    """profiles: list of Profile. known: (ssid, bssid) of the access point that was joined last, or None.

    The known one is joined without a scan: at a start, and again when the link breaks.
    """

    def __init__(self, profiles: list, known):
        self.current = None  # the Profile that is joined or being joined
        self.failed = ""  # why the last attempt came to nothing: ssid and reason
        self._profiles = profiles
        self._known = known
        self._up = False
        self._bssid = None
        self._since = 0
        self._scanned = 0
        self._rounds = 0  # scans since there was a link
        self._rssi = None
        self._avoided = {}  # ssid -> [until, ms; how long the next time]
        self._tried_known = False

    def poll(self, status: int, has_address: bool, rssi, idle: bool, now: int):
        """Join, Scan or None. rssi: dBm, None where it is not known. idle: whether a pause would hurt nobody."""
        if self._up:
            if has_address:
                return self._look_around(rssi, idle, now)
            self._up = False
            self._tried_known = False
            self.current = None
        if self.current is not None:
            if has_address:
                self._arrived(now)
                return None
            reason = self._failure(status, now - self._since)
            if not reason:
                return None
            self._give_up(reason, status in _FOR_LONG, now)
        return self._try_known(now) or self._scan_when_due(now)

    def scanned(self, networks: list, now: int):
        """networks: (ssid, bssid, RSSI) each. Join or None."""
        self._scanned = now
        self._rounds += 1
        found = []
        for ssid, bssid, rssi in networks:
            profile = self._profile(ssid)
            if profile is not None and rssi >= _USABLE and not self._is_avoided(ssid, now):
                found.append((profile.priority, rssi, bssid, profile))
        if not found:
            return None
        # Not by tuples: two with the same of everything would be compared as Records
        best = max(found, key=lambda one: one[0] * 256 + one[1])
        if self._up and not self._is_worth_it(best):
            return None
        return self._join(best[3], best[2], now)

    def joined(self) -> tuple:
        """(ssid, bssid) of the access point that has us: known from now on."""
        self._known = (self.current.ssid, self._bssid)
        return self._known

    @property
    def is_best(self) -> bool:
        """Whether no network that may be joined is preferred to the one that is."""
        return max([one.priority for one in self._profiles]) == self.current.priority

    def _arrived(self, now: int) -> None:
        self._up = True
        self._rounds = 0
        self._rssi = None
        self._scanned = now
        self._avoided.pop(self.current.ssid, None)
        self.failed = ""

    def _look_around(self, rssi, idle: bool, now: int):
        if rssi is not None:
            self._rssi = rssi if self._rssi is None else (self._rssi * (_SMOOTHING - 1) + rssi) // _SMOOTHING
        weak = self._rssi is not None and self._rssi < _WEAK
        wait = _SCAN_WEAK_MS if weak else _SCAN_IDLE_MS
        if now - self._scanned < wait or not (weak or (idle and not self.is_best)):
            return None
        return Scan()

    def _is_worth_it(self, best: tuple) -> bool:
        priority, rssi, bssid, profile = best
        if profile is self.current and bssid == self._bssid:
            return False
        if priority > self.current.priority:
            return rssi >= _STRONG
        ours = self._rssi if self._rssi is not None else rssi
        return ours < _WEAK and rssi >= ours + _BETTER

    def _try_known(self, now: int):
        if self._tried_known or self._known is None:
            return None
        self._tried_known = True
        profile = self._profile(self._known[0])
        return None if profile is None else self._join(profile, self._known[1], now)

    def _scan_when_due(self, now: int):
        wait = _SCAN_LOST_MS[min(self._rounds, len(_SCAN_LOST_MS) - 1)]
        due = self._rounds == 0 or now - self._scanned >= wait
        return Scan() if due else None

    def _join(self, profile: Profile, bssid, now: int) -> Join:
        self.current = profile
        self._up = False
        self._bssid = bssid
        self._since = now
        return Join(profile, bssid)

    def _failure(self, status: int, elapsed: int) -> str:
        """Why an attempt that is `elapsed` ms old has come to nothing, "" while it may still succeed."""
        if status in _FAILURES:
            return _FAILURES[status]
        if elapsed >= _JOIN_MS:
            return "no address in time"
        lost = status not in (_CONNECTING, _GOT_IP) and elapsed >= _PASSING_MS
        return "reason %d" % status if lost else ""

    def _give_up(self, reason: str, for_long: bool, now: int) -> None:
        ssid = self.current.ssid
        self.failed = "%s: %s" % (ssid, reason)
        self.current = None
        if self._known == (ssid, self._bssid):
            self._known = None
            if not for_long:
                return  # that the access point we know is gone says nothing of the others of its network
        length = _AVOID_LONGEST_MS if for_long else self._avoided.get(ssid, (0, _AVOID_MS))[1]
        self._avoided[ssid] = (now + length, min(2 * length, _AVOID_LONGEST_MS))

    def _is_avoided(self, ssid: str, now: int) -> bool:
        return ssid in self._avoided and now < self._avoided[ssid][0]

    def _profile(self, ssid: str):
        for profile in self._profiles:
            if profile.ssid == ssid:
                return profile
        return None
