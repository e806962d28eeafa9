"""A board as a platform of the mobile node: what runtime/runtime.py asks of a port, under MicroPython for ESP32."""

import sys

import machine

from mip4.const import ANY
from mip4.effects import (
    AnswerDhcp,
    Attach,
    Detach,
    HandIn,
    LeaveHomeLink,
    Remember,
    Send,
    SendTunnelled,
    Solicit,
    UseAgent,
    UseHomeLink,
    UseTunnel,
)
from port_esp32 import fields as fields
from port_esp32 import programs
from port_esp32.carrying import settle
from port_esp32.chip import chip_of
from port_esp32.health import Health
from port_esp32.keys import reveal
from port_esp32.keystore import Keystore
from port_esp32.led import Led
from port_esp32.signalling import Signalling
from port_esp32.sockets import Outbox
from port_esp32.uplink import Uplink
from runtime import clock, state
from runtime.applications import Applications
from runtime.config import read
from runtime.errors import KernelRefused
from runtime.forwarder import Forwarder

Clock = clock.Clock
seed = clock.seed
_KEYSTORE = Keystore()
_LONGEST = 1600  # octets of a packet of whatever kind


def prepare(document) -> None:
    """The configuration as it was read, before it is checked. Raises ValueError."""
    reveal(document, _KEYSTORE)


def Instruments(config: dict, delivered, clock, log):
    """Those of a board, brought only where there is a flight recorder: a board has little room."""
    from port_esp32 import instruments

    return instruments.Instruments(config, delivered, clock, log)


class Port:
    """One station, at most one access point, serial links, and the applications on the board itself."""

    def __init__(self, config: dict, log):
        """Raises ConfigurationError for what this board cannot carry, KernelRefused."""
        self._chip = chip = chip_of(sys.implementation._machine)
        self._refused = settle(config, chip)
        for line in self._refused:
            log.warning(line)
        self._config = config
        self._log = log
        self._remembered = None
        self._forwarder = Forwarder(_LONGEST, config["link_mtu"])
        self._applications = Applications(self._forwarder)
        # An agent refuses a reverse tunnel to whoever is not certainly a neighbour (RFC 3024 §3.2)
        hears = chip.ours or not config["reverse_tunnel"]
        if not hears:
            log.info("no agent is asked: this image's requests have a TTL of 64, not 255")
        outbox = Outbox()
        self._uplink = Uplink(config, _KEYSTORE, outbox, log)
        self._signalling = Signalling(config, self._uplink.interface, hears, outbox)
        self._access_point = None
        self._downlinks = {}  # name -> what carries packets there
        for one in config["downlinks"]:
            if one["kind"] == "wifi-ap" and (one["carried"] or config["portal"]):
                from port_esp32.access_point import AccessPoint  # each only where it is wanted: a board has little room

                self._access_point = AccessPoint(one, _KEYSTORE.channel(), self._uplink.was_up, outbox, log)
            if one["carried"]:
                self._open(one, chip)
        self._attached = {}  # home address -> Attach
        self._health = Health(_KEYSTORE, log)
        self._led = Led(config["led"])
        self._runtime = None
        self.runners = {
            Solicit: lambda effect: self._signalling.solicit(),
            Send: self._signalling.send,
            SendTunnelled: lambda effect: self._forwarder.send(effect.packet),
            UseAgent: self._use_agent,
            UseTunnel: self._use_tunnel,
            HandIn: _never,
            UseHomeLink: _never,
            LeaveHomeLink: _never,
            Attach: self._attach,
            Detach: self._detach,
            AnswerDhcp: lambda effect: self._downlinks[effect.downlink].answer_dhcp(effect),
            Remember: self._remember,
        }

    def _open(self, config: dict, chip) -> None:
        """A downlink that cannot be had is a line in the log, and the node goes on without."""
        try:
            if config["kind"] == "slip":
                from port_esp32.serial_link import SerialLink

                self._downlinks[config["name"]] = SerialLink(config, chip, self._forwarder)
            else:
                self._downlinks[config["name"]] = self._access_point
        except KernelRefused as error:
            self._refused.append("devices on %s are refused: %s" % (config["name"], error))
            self._log.warning(self._refused[-1])

    def remembered(self) -> list:
        """What the last Remember of a former run asked to keep; [] if there is nothing."""
        if not self._config["state"]:
            return []
        sessions = state.load(self._config["state"], self._config["nai"], self._log)
        return [one for one in sessions if one[1] in self._downlinks]  # a configuration can have changed since

    def control(self):
        """Nobody could reach a control socket; the portal shows what there is."""
        return None

    def sources(self) -> list:
        """Where events come from: list of (name, coroutine function that takes the runtime)."""
        found = [("uplink", self._follow)] + self._signalling.sources(self._forwarder)
        found.append(("watchdog", self._health.watch))
        found.append(("LED", lambda runtime: self._led.show(self._doing)))
        for downlink in self._downlinks.values():
            found += downlink.sources()
        if self._config["portal"]:
            found.append(("portal", self._portal().serve))
        return found + programs.sources(self._config["applications"], self._applications)

    def delivered(self) -> list:
        """As Forwarder.delivered()."""
        return self._forwarder.delivered()

    def status(self) -> dict:
        return {
            "uplink": self._uplink.status(),
            "downlinks": [one.status() for one in self._downlinks.values()],
            "forwarder": self._forwarder.status(),
            "refused": self._refused,
        }

    def _portal(self):
        from port_esp32.portal import (
            Portal,  # and with it a web server, for which there is room only where it is wanted
        )

        return Portal(self._config["portal"], self._config["path"], self._access_point.is_here, self._check, _restart)

    def _check(self, path: str) -> None:
        """Raises ConfigurationError for a file that this board could not run with."""
        settle(read(path, sys.modules[__name__]), self._chip)

    async def _follow(self, runtime) -> None:
        self._runtime = runtime
        self._forwarder.answered = lambda packet: runtime.tell("tunnelled", packet)
        await self._uplink.follow(runtime, self._forwarder, self._health.alive)

    def _doing(self) -> str:
        """The pattern of the LED."""
        if not self._uplink.is_up:
            return "joining"
        return "serving" if self._attached else "registering"

    def _use_agent(self, effect: UseAgent) -> None:
        self._forwarder.use(None, ANY, "", ANY)
        self._signalling.use_tunnel(ANY, "")
        self._uplink.use_router(effect.address)

    def _use_tunnel(self, effect: UseTunnel) -> None:
        tunnel = self._signalling.use_tunnel(effect.home_agent, effect.kind)
        self._forwarder.use(tunnel, effect.home_agent, effect.kind, effect.broadcast)

    def _attach(self, effect: Attach) -> None:
        self._attached[effect.home_address] = effect
        if effect.downlink:
            self._downlinks[effect.downlink].attach(effect)
        else:
            self._forwarder.attach(effect.home_address, self._applications, b"", ANY, True)
            self._applications.settle(self._runtime.status()["sessions"])

    def _detach(self, effect: Detach) -> None:
        if self._attached.pop(effect.home_address, None) is None:
            return
        if effect.downlink:
            self._downlinks[effect.downlink].detach(effect.home_address)
        else:
            self._forwarder.detach(effect.home_address)
            self._applications.settle(self._runtime.status()["sessions"])

    def _remember(self, effect: Remember) -> None:
        if self._config["state"] and effect.sessions != self._remembered:
            state.save(self._config["state"], self._config["nai"], effect.sessions)
            self._remembered = effect.sessions


def _restart() -> None:
    """For a person, who has not seen a crash."""
    _KEYSTORE.put_starts(0)
    machine.reset()


def _never(effect) -> None:
    """Of a home link, or of encapsulating delivery: uplink.py hears no home agent, carrying.py refuses the wish."""
