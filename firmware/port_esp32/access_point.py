"""The access point that devices attach to: the home prefix's gateway for them, with a DHCP server of ours."""

import asyncio
import errno

import network

from mip4.address import mask, parse, show, show_link
from mip4.compat import const
from mip4.const import BROADCAST
from mip4.effects import AnswerDhcp, Attach
from port_esp32.sockets import Outbox, udp
from runtime.sockets import readable, would_block

_POLL_MS = const(1000)
_ABSENT_MS = const(60000)  # a station that nobody sees for so long is gone
_SERVER_PORT, _CLIENT_PORT = 67, 68  # RFC 2131 §4.1
_DATAGRAM = const(1500)
_BATCH = const(6)
_PORTAL = "192.168.4.1"  # of an access point that has no home address to answer for yet
_PORTAL_LENGTH = const(24)
_SHORTEST = const(8)  # of a home prefix: what it holds cannot be reached by the uplink


class AccessPoint:
    """name: what the engine calls it. Where its devices cannot be carried it is there for the portal alone."""

    def __init__(self, config: dict, channel: int, uplink_was_up, outbox: Outbox, log):
        """channel: of the uplink's last network: devices that are there already need not move when it is joined.

        uplink_was_up: an Event.
        """
        self.name = config["name"]
        self.address, self._length = parse(_PORTAL), _PORTAL_LENGTH
        self._outbox = outbox
        self._uplink_was_up = uplink_was_up
        self._log = log
        self._server = None
        self._attached = {}  # home address -> Attach
        self._seen = {}  # link address -> when last, ms
        self._point = network.WLAN(network.WLAN.IF_AP)
        password = config["password"]
        security = network.WLAN.SEC_OPEN if password is None else network.WLAN.SEC_WPA2
        self._point.active(True)
        # As driver errors name no key: each is said with its own
        self._set(ssid=config["ssid"], security=security, key=password or "")
        self._set(max_clients=config["stations"])
        if channel:
            self._set(channel=channel)

    def _set(self, **values) -> None:
        try:
            self._point.config(**values)
        except (OSError, RuntimeError, ValueError) as error:
            self._log.warning("access point: %s: %s" % (", ".join(sorted(values)), error))

    def _serve_addresses(self) -> None:
        """Take DHCP over from ESP-IDF's server; who has an address of that comes anew. Raises KernelRefused."""
        if self._stations():
            self._point.active(False)
            self._point.active(True)
        self._configure()
        self._server = udp(_SERVER_PORT, self._point.config("ifname"))

    def _configure(self) -> None:
        """The address, without ESP-IDF's DHCP server.

        Setting an address stops that server, sets the address, sets the DNS server and starts it again. The last two do
        not happen when there is no DNS server that could be set: the call fails there, as it is meant to.
        """
        address = show(self.address)
        try:
            self._point.ifconfig((address, show(mask(self._length)), address, "0.0.0.0"))
        except (OSError, RuntimeError):
            return
        self._log.warning("access point: ESP-IDF's DHCP server may still be there, and answer instead of us")

    def sources(self) -> list:
        """As port.py's."""
        return [("stations", self.watch), ("dhcp", self.serve)]

    # ---- stations

    async def watch(self, runtime) -> None:
        """The source of stations that are gone. Tells "gone"."""
        runtime.tell("downlink_up", self.name)
        while True:
            self.look(runtime)
            await asyncio.sleep_ms(_POLL_MS)

    def look(self, runtime) -> None:
        now = runtime.now()
        for station in self._stations():
            self._seen[station] = now
        for effect in list(self._attached.values()):
            since = self._seen.setdefault(effect.link_address, now)
            if now - since >= _ABSENT_MS:
                del self._seen[effect.link_address]
                runtime.tell("gone", effect.link_address)
        here = [one.link_address for one in self._attached.values()]
        for link_address in [one for one, since in self._seen.items() if since != now and one not in here]:
            del self._seen[link_address]

    def _stations(self) -> list:
        """Link addresses. MicroPython gave tuples of one before 1.29; from then on there is an address in them too."""
        try:
            # The stubs know of whole numbers only
            return [bytes(one[0]) for one in self._point.status("stations")]  # pyright: ignore[reportGeneralTypeIssues]
        except (OSError, RuntimeError):  # without ESP-IDF's DHCP server it may have nobody to ask for addresses
            return [effect.link_address for effect in self._attached.values()]

    # ---- DHCP

    async def serve(self, runtime) -> None:
        """The source of DHCP messages. Tells "dhcp".

        Until there is an uplink nobody could give home addresses: ESP-IDF's server is left to it, so that the portal is
        reached by whoever comes to name a network.
        """
        await self._uplink_was_up.wait()
        if self._server is None:
            self._serve_addresses()
        while True:
            await readable(self._server)
            for _ in range(_BATCH):
                try:
                    octets = self._server.recvfrom(_DATAGRAM)[0]
                except OSError as error:
                    if not would_block(error):
                        raise
                    break
                runtime.tell("dhcp", self.name, octets)

    def answer_dhcp(self, effect: AnswerDhcp) -> None:
        """By broadcast: to a device that has no address yet lwIP would find no way (RFC 2131 §4.1). Raises OSError."""
        if self._server is None:
            raise OSError(errno.ENOTCONN)
        self._outbox.send(self._server, effect.datagram, (show(BROADCAST), _CLIENT_PORT))

    # ---- home addresses

    def attach(self, effect: Attach) -> None:
        """Packets for it that come by the uplink go to the device: its address is in our network, and ARP finds it."""
        self._attached[effect.home_address] = effect
        length = _length_of([effect.gateway] + list(self._attached))
        if length < _SHORTEST:
            # Several home networks, or a home agent that names no gateway: lwIP gives an interface one address
            text = "%s and gateway %s are in no network together" % (show(effect.home_address), show(effect.gateway))
            self._log.warning("access point: no packets for %s" % text)
        elif (effect.gateway, length) != (self.address, self._length):
            self.address, self._length = effect.gateway, length
            self._configure()
            self._log.info("access point address=%s/%d" % (show(self.address), length))

    def detach(self, home_address: int) -> None:
        self._attached.pop(home_address, None)

    def is_here(self, host: str) -> bool:
        """Whether an address is one of this link: who is elsewhere is not shown the portal."""
        return parse(host) & mask(self._length) == self.address & mask(self._length)

    def status(self) -> dict:
        return {
            "name": self.name,
            "kind": "wifi-ap",
            "address": "%s/%d" % (show(self.address), self._length),
            "stations": [show_link(one) for one in self._stations()],
            "attached": [show(one) for one in self._attached],
        }


def _length_of(addresses: list) -> int:
    """Of the smallest network that has them all for hosts: what lies beyond it is not taken for a neighbour."""
    for length in range(30, _SHORTEST - 1, -1):
        hosts = ~mask(length) & BROADCAST
        if len({address & mask(length) for address in addresses}) == 1:
            if not [1 for address in addresses if address & hosts in (0, hosts)]:
                return length
    return 0
