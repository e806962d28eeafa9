"""The mobile node engine: discovery, a registration for every session, DHCP for the devices (RFC 5944 §3.6, RFC 2131).

Told what happened and when, it answers with effects (mip4/effects.py). now: ms since start. No socket, clock or dice.
"""

from mip4.address import is_unicast, show
from mip4.effects import Dropped, Said, Solicit
from mip4.errors import MipError, Unexpected
from mip4.messages import RegistrationReply
from mobile_node.care_of import CO_LOCATED, FOREIGN_AGENT, HOME, CareOf
from mobile_node.carriage import Carriage
from mobile_node.devices import Devices
from mobile_node.handoffs import Handoffs
from mobile_node.one_at_a_time import OneAtATime
from mobile_node.plain_home_agents import PlainHomeAgents
from mobile_node.registrations import Registrations
from mobile_node.sessions import APPLICATION, OWN, SessionTable
from mobile_node.settings import Settings


class MobileNode:
    """Composes it all; the runtime talks to this one only."""

    def __init__(self, config: dict, ntp_ms: int, seed: bytes, remembered: list):
        """ntp_ms: NTP time at now = 0, ms, or 0. remembered: what the last Remember asked to keep."""
        self._settings = settings = Settings(config, ntp_ms, seed)
        self._care_of = CareOf(config["mode"], config["home_agent"], settings.noise)
        self._sessions = SessionTable(settings, config["names"])
        self._carriage = Carriage(settings.home_agent, self._sessions, settings.wishes)
        self._singly = OneAtATime(self._sessions)
        self._handoffs = Handoffs()
        plain = PlainHomeAgents()
        self._registrations = Registrations(
            self._sessions, self._care_of, self._carriage, self._singly, plain, self._handoffs
        )
        lines = [one["name"] for one in config["downlinks"] if one["kind"] == "slip"]
        self._devices = Devices(settings.home_agent, self._sessions, plain, self._registrations, lines)
        self._remembered = remembered
        if config["own_session"] is not None:
            self._sessions.add(OWN, config["own_session"], "", b"", 0)
        for name in config["applications"]:
            self._sessions.add(APPLICATION, name, "", b"", 0)

    def start(self, now: int) -> list:
        """Take up the devices that were attached before a power cut: they do not know that anything happened."""
        return self._devices.take_up(self._remembered, now)

    # ---- the uplink

    def link_up(self, now: int) -> list:
        had = self._care_of.current
        self._care_of.link_up(now)
        self._handoffs.link_up(now)
        return ([] if had is None else self._alone(now)) + self.wake(now)

    def link_down(self, now: int) -> list:
        """The former agent stays the default router until there is another: devices shall wait, not despair."""
        self._care_of.link_down()
        self._handoffs.link_down(now)
        self._registrations.suspend(now)
        return self._carriage.leave_home()

    def heard(self, packet: bytes, link_address: bytes, now: int) -> list:
        """An IPv4 packet from the uplink that may be an Agent Advertisement."""
        had = self._care_of.current
        try:
            moved = self._care_of.heard(packet, link_address, now)
        except MipError as error:
            return [Dropped(error, 0)]
        if moved:
            return self._registrations.move(now)
        agent = self._care_of.current
        if agent is not None:
            for session in self._sessions:
                session.registration.follow(agent)
        return self._alone(now) if had is not None and agent is None else []

    def address(self, address: int, now: int) -> list:
        """The uplink has this address of its own now, and a router beyond its link; 0: it has none, or no router."""
        had = self._care_of.current
        if self._care_of.address(address, now):
            return self._registrations.move(now)
        way = self._care_of.current
        if way is not None and way.home:
            return self._registrations.ask_again(now)
        return self._alone(now) if had is not None and way is None else []

    def tunnelled(self, packet: bytes, now: int) -> list:
        """An IPv4 packet from the tunnel that the home agent itself sent, an answer to a keepalive."""
        try:
            self._carriage.answered(packet, now)
        except MipError as error:
            return [Dropped(error, self._settings.home_agent)]
        return []

    def no_tunnel(self, reason: str, now: int) -> list:
        """The platform could not make the tunnel that UseTunnel asked for. reason: for people.

        The way is none, then: sessions are given back rather than left registered and mute, and asked for again later.
        """
        if not self._carriage.has_tunnel():
            return []  # it was to drop what comes, so nothing is lost yet
        way = self._care_of.current
        text = "no tunnel care_of=%s, next after %ds" % (show(way.co_located), self._care_of.pause(now) // 1000)
        return self._registrations.give_back(now) + self._carriage.refused(reason) + [Said("warning", text)]

    def receive(self, datagram: bytes, source: int, now: int) -> list:
        """A UDP payload from port 434 of `source`."""
        try:
            reply = RegistrationReply.decode(datagram)
            session = self._sessions.find_reply(reply)
            if session is None:
                raise Unexpected("a reply that answers no request")
            return self._registrations.follow(session, session.registration.receive(datagram, reply, now), now)
        except MipError as error:
            return [Dropped(error, source)]

    # ---- the downlinks

    def downlink_up(self, downlink: str, now: int) -> list:
        self._devices.downlink_up(downlink)
        return []

    def downlink_down(self, downlink: str, now: int) -> list:
        self._devices.downlink_down(downlink, now)
        return []

    def dhcp(self, downlink: str, octets: bytes, now: int) -> list:
        """A DHCP message from a device."""
        try:
            return self._devices.dhcp(downlink, octets, now)
        except MipError as error:
            return [Dropped(error, 0)]

    def gone(self, link_address: bytes, now: int) -> list:
        """A device has left without a word, as the link tells, a radio one."""
        return self._devices.gone(link_address, now)

    # ---- time

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        parts = (self._care_of, self._carriage, self._registrations, self._devices)
        times = [time for time in [part.deadline() for part in parts] if time is not None]
        return min(times) if times else None

    def wake(self, now: int) -> list:
        had = self._care_of.current
        solicit, moved = self._care_of.wake(now)
        effects = [Solicit()] if solicit else []
        if moved:
            effects += self._registrations.move(now)
        elif had is not None and self._care_of.current is None:
            effects += self._alone(now)
        return effects + self._devices.wake(now) + self._registrations.wake(now) + self._keep_alive(now)

    def status(self, now: int) -> dict:
        """What `node status` shows."""
        way = self._care_of.current
        mode = None if way is None else HOME if way.home else CO_LOCATED if way.co_located else FOREIGN_AGENT
        care_of_address = None if way is None else show(way.co_located or way.care_of_address)
        document = {
            "nai": self._settings.nai.decode(),
            "home_agent": show(self._home_agent()),
            "mode": mode,
            "agent": show(way.address) if way is not None and way.link_address else None,
            "care_of_address": None if mode == HOME else care_of_address,
            "sessions": [session.status(now) for session in self._sessions],
            "handoffs": self._handoffs.status(),
        }
        document.update(self._carriage.status())
        return document

    def _home_agent(self) -> int:
        """The configured one, or the one that was assigned."""
        assigned = [one.registration.home_agent for one in self._sessions if is_unicast(one.registration.home_agent)]
        return assigned[0] if assigned else self._settings.home_agent

    def _alone(self, now: int) -> list:
        """Nobody to ask, until there is another way."""
        self._registrations.suspend(now)
        return self._carriage.end()

    def _keep_alive(self, now: int) -> list:
        """A home address that gets no answer registers anew."""
        effects, lost = self._carriage.wake(now)
        for session in lost:
            text = "no answer to keepalives home=%s, next after %ds" % (
                show(session.attached), self._carriage.status()["keepalive"]
            )  # fmt: skip
            effects += [Said("info", text)] + self._registrations.register(session, now)
        return effects
