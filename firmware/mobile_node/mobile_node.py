"""The mobile node engine: discovery, a registration for every session, DHCP for the devices (RFC 5944 §3.6, RFC 2131).

Told what happened and when, it answers with effects (mip4/effects.py). now: ms since start. No socket, clock or dice.
"""

from mip4.address import is_unicast, parse, parse_link, show, show_link
from mip4.authentication import SecurityAssociation
from mip4.compat import const
from mip4.const import BROADCAST, CONFIG_GATEWAY
from mip4.effects import (
    AnswerDhcp,
    Attach,
    Detach,
    Dropped,
    Remember,
    Said,
    SendTunnelled,
    Solicit,
    UseAgent,
    UseTunnel,
)
from mip4.errors import MipError, Unexpected
from mip4.identification import Timestamps
from mip4.messages import RegistrationReply
from mobile_node.care_of import CO_LOCATED, FOREIGN_AGENT, CareOf
from mobile_node.dhcp import (
    ACK,
    DECLINE,
    DISCOVER,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    TUNNEL_MTU,
    UDP_TUNNEL_MTU,
    DhcpMessage,
    answer,
)
from mobile_node.handoffs import Handoffs
from mobile_node.keepalive import Keepalive
from mobile_node.plain_home_agents import PlainHomeAgents
from mobile_node.registration import IDLE, LEAVING, Ended, Granted, Refused, Registration, Unnamed
from mobile_node.security import Security
from mobile_node.sessions import APPLICATION, DEVICE, OWN, NoRoom, Session, SessionTable

_DUMMY_GATEWAY = const(0xC0000008)  # 192.0.0.8 (RFC 7600 §4.8), where the home agent names no gateway
_ELSEWHERE = (65, 66, 77, 80, 81, 82, 88)  # denials of an agent that another agent may not share
_LINK_LOSS_GRACE = const(3000)  # ms for which a downlink may be dark before its devices are gone
_PATIENCE = const(120000)  # ms after its last word for which a device without an address is believed to be there


class Settings:
    """What all registrations of the node share: who it is, its keys and clock. config: see runtime/config.py."""

    def __init__(self, config: dict, ntp_ms: int, seed: bytes):
        self.nai = config["nai"].encode()
        self.home_agent = config["home_agent"]
        self.requested_home_agent = config["requested_home_agent"]
        self.lifetime = config["lifetime"]
        self.reverse_tunnel = config["reverse_tunnel"]
        self.force_udp = config["force_udp"]
        self.sub_nai_vendor = config["sub_nai_vendor"]
        self.sub_nai_type = config["sub_nai_type"]
        self.identifications = Timestamps(ntp_ms, seed)
        home = SecurityAssociation(config["spi"], config["key"], config["algorithm"])
        foreign = {}
        for one in config["foreign_agents"]:
            foreign[one["care_of_address"]] = SecurityAssociation(one["spi"], one["key"], one["algorithm"])
        self.security = Security(home, foreign)


class MobileNode:
    """Composes it all; the runtime talks to this one only."""

    def __init__(self, config: dict, ntp_ms: int, seed: bytes, remembered: list):
        """ntp_ms: NTP time at now = 0, ms, or 0. remembered: what the last Remember asked to keep."""
        self._settings = Settings(config, ntp_ms, seed)
        self._care_of = CareOf(config["mode"], config["home_agent"])
        self._tunnel = None  # the UseTunnel in force, None while an agent carries our packets
        self._keepalive = Keepalive()
        self._handoffs = Handoffs()
        self._sessions = SessionTable(config["names"])
        self._dark = {}  # downlink -> ms since when
        self._plain = PlainHomeAgents()
        self._singly = []  # care-of addresses of agents that get one request at a time
        self._remembered = remembered
        if config["own_session"] is not None:
            self._add(OWN, config["own_session"], "", b"", 0)
        for name in config["applications"]:
            self._add(APPLICATION, name, "", b"", 0)

    def start(self, now: int) -> list:
        """Take up the devices that were attached before a power cut: they do not know that anything happened."""
        effects = []
        for sub_nai, downlink, link_address, home_address in self._remembered:
            try:
                if self._sessions.has(sub_nai):
                    raise Unexpected("%s is the name of another session now" % sub_nai)
                session = self._add(DEVICE, sub_nai, downlink, parse_link(link_address), parse(home_address))
                session.lease_ends = now + _PATIENCE
            except MipError as error:
                effects.append(Dropped(error, 0))
        return effects

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
        for session in self._sessions:
            session.registration.suspend(now)
        return []

    def heard(self, packet: bytes, link_address: bytes, now: int) -> list:
        """An IPv4 packet from the uplink that may be an Agent Advertisement."""
        had = self._care_of.current
        try:
            moved = self._care_of.heard(packet, link_address, now)
        except MipError as error:
            return [Dropped(error, 0)]
        if moved:
            return self._move(now)
        agent = self._care_of.current
        if agent is not None:
            for session in self._sessions:
                session.registration.follow(agent)
        return self._alone(now) if had is not None and agent is None else []

    def address(self, address: int, now: int) -> list:
        """The uplink has this address of its own now, and a router beyond its link; 0: it has none, or no router."""
        had = self._care_of.current
        if self._care_of.address(address, now):
            return self._move(now)
        return self._alone(now) if had is not None and self._care_of.current is None else []

    def tunnelled(self, packet: bytes, now: int) -> list:
        """An IPv4 packet from the tunnel that the home agent itself sent, an answer to a keepalive."""
        try:
            self._keepalive.answered(packet, now)
        except MipError as error:
            return [Dropped(error, self._settings.home_agent)]
        return []

    def receive(self, datagram: bytes, source: int, now: int) -> list:
        """A UDP payload from port 434 of `source`."""
        try:
            reply = RegistrationReply.decode(datagram)
            session = self._sessions.find_reply(reply)
            if session is None:
                raise Unexpected("a reply that answers no request")
            return self._follow(session, session.registration.receive(datagram, reply, now), now)
        except MipError as error:
            return [Dropped(error, source)]

    # ---- the downlinks

    def downlink_up(self, downlink: str, now: int) -> list:
        self._dark.pop(downlink, None)
        return []

    def downlink_down(self, downlink: str, now: int) -> list:
        self._dark[downlink] = now
        return []

    def dhcp(self, downlink: str, octets: bytes, now: int) -> list:
        """A DHCP message from a device."""
        try:
            message = DhcpMessage.decode(octets)
            if message.kind in (DISCOVER, REQUEST):
                return self._asked(downlink, message, now)
            if message.kind in (RELEASE, DECLINE):
                return self._released(message, now)
            raise Unexpected("DHCP message type %d" % message.kind)
        except MipError as error:
            return [Dropped(error, 0)]

    # ---- time

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        times = [self._care_of.deadline(), self._keepalive.deadline()]
        times += [session.registration.deadline() for session in self._sessions]
        times += [session.lease_ends for session in self._sessions if session.wanted]
        times += [since + _LINK_LOSS_GRACE for since in self._dark.values()]
        times = [time for time in times if time is not None]
        return min(times) if times else None

    def wake(self, now: int) -> list:
        had = self._care_of.current
        solicit, moved = self._care_of.wake(now)
        effects = [Solicit()] if solicit else []
        if moved:
            effects += self._move(now)
        elif had is not None and self._care_of.current is None:
            effects += self._alone(now)
        for downlink in [name for name, since in self._dark.items() if since + _LINK_LOSS_GRACE <= now]:
            del self._dark[downlink]
            for session in self._sessions:
                if session.downlink == downlink and session.wanted:
                    effects += self._leave(session, "its link is gone", now)
        for session in self._sessions:
            if session.wanted and session.lease_ends is not None and session.lease_ends <= now:
                effects += self._leave(session, "its lease is over", now)
            due = session.registration.deadline()
            if due is not None and due <= now:
                self._note_silence(session)
                effects += self._follow(session, session.registration.wake(now), now) + self._next_singly(now)
        return effects + self._keep_alive(now)

    def status(self, now: int) -> dict:
        """What `node status` shows."""
        way = self._care_of.current
        return {
            "nai": self._settings.nai.decode(),
            "home_agent": show(self._home_agent()),
            "mode": None if way is None else CO_LOCATED if way.co_located else FOREIGN_AGENT,
            "agent": show(way.address) if way is not None and way.link_address else None,
            "care_of_address": None if way is None else show(way.co_located or way.care_of_address),
            "tunnel": self._tunnel.kind or None if self._tunnel else None,
            "keepalive": self._keepalive.seconds,
            "sessions": [session.status(now) for session in self._sessions],
            "handoffs": self._handoffs.status(),
        }

    def _home_agent(self) -> int:
        """The configured one, or the one that was assigned."""
        assigned = [one.registration.home_agent for one in self._sessions if is_unicast(one.registration.home_agent)]
        return assigned[0] if assigned else self._settings.home_agent

    # ---- moving

    def _move(self, now: int) -> list:
        """All sessions at once, so that a handoff lasts one round trip however many there are."""
        way = self._care_of.current
        care_of_address = show(way.co_located or way.care_of_address)
        text = "co-located care_of=%s" % care_of_address
        if way.link_address:
            text = "agent %s care_of=%s link=%s" % (show(way.address), care_of_address, show_link(way.link_address))
        for session in self._sessions:
            session.registration.suspend(now)
        self._handoffs.began(
            show(way.address), care_of_address, len([one for one in self._sessions if one.wanted]), now
        )
        self._keepalive.stop()
        self._tunnel = None
        effects = []
        if way.co_located:  # ahead of our requests, which go the same way
            self._tunnel = UseTunnel(way.co_located, self._settings.home_agent, "", self._source())
            effects.append(self._tunnel)
        for session in self._sessions:
            effects += self._register(session, now)
        if self._tunnel is None:
            effects.append(self._use_agent())
        return effects + [Said("info", text)]

    def _alone(self, now: int) -> list:
        """Nobody to ask. A tunnel whose address is gone drops what comes, until there is another way."""
        for session in self._sessions:
            session.registration.suspend(now)
        self._keepalive.stop()
        if self._tunnel is None:
            return [UseAgent(0, b"", 0), Said("info", "no agent")]
        self._tunnel = None
        return [UseTunnel(0, self._settings.home_agent, "", self._source()), Said("info", "no address")]

    def _carry(self, registration: Registration, now: int) -> list:
        """The tunnel that the home agent has just granted or renewed."""
        way = self._care_of.current
        if not registration.tunnel or registration.agent is None or way is None or not way.co_located:
            return []
        tunnel = UseTunnel(way.co_located, registration.home_agent, registration.tunnel, self._source())
        former, self._tunnel = self._tunnel, tunnel
        if (former.kind, former.home_agent) != (tunnel.kind, tunnel.home_agent):
            if tunnel.kind == "udp":
                self._keepalive.start(tunnel.home_agent, registration.keepalive, now)
            else:
                self._keepalive.stop()
        return [] if tunnel == former else [tunnel]

    def _keep_alive(self, now: int) -> list:
        """A home address that gets no answer registers anew: the NAT in between has forgotten us."""
        due = self._keepalive.deadline()
        if due is None or due > now:
            return []
        sessions = [one for one in self._sessions if one.attached and one.registration.is_valid(now)]
        packets, lost = self._keepalive.wake([one.attached for one in sessions], now)
        effects = [SendTunnelled(packet) for packet in packets]
        for session in sessions:
            if session.attached in lost:
                text = "no answer to keepalives home=%s, next after %ds" % (
                    show(session.attached), self._keepalive.seconds
                )  # fmt: skip
                effects += [Said("info", text)] + self._register(session, now)
        return effects

    def _register(self, session: Session, now: int) -> list:
        """Ask for the session, unless there is nobody to ask, or the agent wants one request at a time."""
        agent = self._care_of.current
        if agent is None:
            return []
        if session.wanted and not self._plain.takes(session):
            session.registration.rest(now)
            return []
        if agent.care_of_address in self._singly and any([one.registration.in_first_try for one in self._sessions]):
            session.registration.suspend(now)  # until _next_singly; who got no answer at first keeps nobody waiting
            return []
        if session.wanted:
            return self._follow(session, session.registration.register(agent, now), now)
        return self._follow(session, session.registration.go_on(agent, now), now)

    def _next_singly(self, now: int) -> list:
        """The next session's turn at an agent that gets one request at a time."""
        agent = self._care_of.current
        if agent is not None and agent.care_of_address in self._singly:
            for session in self._sessions:
                if session.registration.agent is None and session.registration.state != IDLE:
                    return self._register(session, now)
        return []

    def _note_silence(self, session: Session) -> None:
        """A first registration unanswered while another was answered: that agent cannot tell our sessions apart."""
        registration = session.registration
        agent = registration.agent
        if agent is None or not registration.waiting or registration.home_address:
            return
        others = [one.registration for one in self._sessions if one is not session]
        if any([one.agent is not None and one.lifetime and not one.waiting for one in others]):
            self._mark_singly(agent)

    def _mark_singly(self, agent) -> None:
        if agent.care_of_address not in self._singly:
            self._singly = self._singly[-7:] + [agent.care_of_address]

    def _use_agent(self) -> UseAgent:
        agent = self._care_of.current
        return UseAgent(agent.address, agent.link_address, self._source())

    def _source(self) -> int:
        """The home address of the node itself, 0 while it has none."""
        own = [one.attached for one in self._sessions if one.kind == OWN and one.attached]
        return own[0] if own else 0

    # ---- what registrations say

    def _follow(self, session: Session, said: list, now: int) -> list:
        """Act on what a session's registration answered with; pass on what is for the runtime."""
        effects = []
        for one in said:
            if type(one) is Granted:
                effects += self._granted(session, now)
            elif type(one) is Ended:
                effects += self._ended(session, one, now)
            elif type(one) is Unnamed:
                effects += self._unnamed(session, one.home_address, now)
            elif type(one) is Refused:
                effects += self._refused(session, one, now)
            else:
                effects.append(one)
        return effects

    def _granted(self, session: Session, now: int) -> list:
        registration = session.registration
        self._handoffs.registered(now)
        effects = []
        if (session.attached, session.gateway) != (registration.home_address, _gateway(registration)):
            effects += self._attach(session)
            if session.kind == OWN and self._tunnel is None and self._care_of.current is not None:
                effects.append(self._use_agent())
            if session.kind == DEVICE:
                session.lease_ends = registration.expires
            effects.append(
                Said("info", "registered sub_nai=%s home=%s lifetime=%ds"
                     % (session.sub_nai or "-", show(session.attached), registration.lifetime))
            )  # fmt: skip
        effects += self._carry(registration, now)
        return effects + self._answer(session, now) + self._next_singly(now)

    def _ended(self, session: Session, ended: Ended, now: int) -> list:
        effects = self._detach(session)
        if ended.wanted:
            return effects
        if session.wanted:  # it came back while it was leaving
            return effects + self._register(session, now) + self._carry_on(session, now)
        self._sessions.remove(session)
        if self._plain.left(session):
            for other in self._sessions:
                effects += self._register(other, now)
        return effects + [self._remember()] + self._carry_on(session, now) + self._next_singly(now)

    def _unnamed(self, session: Session, home_address: int, now: int) -> list:
        """A home agent that knows no sub-NAI took the session for the node: the address goes back, unless it is held

        by another session, which the home agent has now confused with this one. One session is carried, the others not.
        """
        effects = self._plain.found(session, list(self._sessions))
        if not home_address:  # a deregistration: what it may have undone is asked for again when it has ended
            return effects
        registration = session.registration
        carried = self._plain.takes(session)
        if carried and registration.is_valid(now) and registration.home_address == home_address:
            return effects + self._register(session, now)
        if not carried:
            effects += self._refuse(session)
        for other in self._sessions:
            held = other.registration
            if other is not session and held.is_valid(now) and held.home_address == home_address:
                registration.rest(now)
                return effects + self._follow(session, [Ended(False)], now)
        return effects + self._detach(session) + self._follow(session, registration.renounce(home_address, now), now)

    def _refuse(self, session: Session) -> list:
        """There is no room for the session at its home agent. A device may ask again; the rest waits for its place."""
        effects = self._detach(session)
        if session.kind == DEVICE:
            session.wanted = False
            session.waiting = None
            session.lease_ends = None
        text = "session %s is refused: its home agent carries another one alone" % (session.sub_nai or "-")
        return effects + [Said("warning", text)]

    def _carry_on(self, ended: Session, now: int) -> list:
        """Another session's end may have ended that of the one that is carried, at a home agent that confuses them."""
        carried = self._plain.carried
        if carried is None or carried is ended or not self._plain.full(ended.registration.home_agent):
            return []
        return [] if carried.registration.state == LEAVING else self._register(carried, now)

    def _refused(self, session: Session, refused: Refused, now: int) -> list:
        """An agent that will not have us: try the next one, if there is one."""
        agent = session.registration.agent
        if refused.one_at_a_time and agent is not None:
            self._mark_singly(agent)
        if agent is not None and refused.code in _ELSEWHERE and self._care_of.avoid(now):
            return self._move(now)
        return self._next_singly(now)

    def _attach(self, session: Session) -> list:
        """Carry packets of the home address that was granted, instead of what was carried for the session before."""
        effects = self._detach(session)
        session.attached = session.registration.home_address
        session.gateway = _gateway(session.registration)
        effects.append(Attach(session.attached, session.downlink, session.link_address, session.gateway))
        return effects + ([self._remember()] if session.kind == DEVICE else [])

    def _detach(self, session: Session) -> list:
        if not session.attached:
            return []
        gone = Detach(session.attached, session.downlink, session.link_address, session.gateway)
        session.attached = 0
        return [gone]

    def _remember(self) -> Remember:
        return Remember(
            [
                [session.sub_nai, session.downlink, show_link(session.link_address), show(session.attached)]
                for session in self._sessions
                if session.kind == DEVICE and session.wanted and session.attached
            ]
        )

    # ---- what devices say

    def _add(self, kind: int, sub_nai: str, downlink: str, link_address: bytes, home_address: int) -> Session:
        registration = Registration(self._settings, sub_nai.encode(), home_address)
        return self._sessions.add(Session(kind, sub_nai, downlink, link_address, registration))

    def _asked(self, downlink: str, message: DhcpMessage, now: int) -> list:
        """DISCOVER or REQUEST: answered at once if the home agent has given an address, else when it has."""
        session = self._sessions.find_link(message.link_address)
        if message.kind == REQUEST and message.server:
            if session is None or (session.attached and message.server != session.gateway):
                raise Unexpected("a DHCP request that follows no offer of ours")
        effects = []
        if session is None:
            name = self._sessions.name(message.link_address, message.names)
            if self._plain.full(self._settings.home_agent):
                raise NoRoom("device %s is refused: the home agent carries another session alone" % name)
            session = self._add(DEVICE, name, downlink, message.link_address, 0)
            effects.append(Said("info", "device %s link=%s on %s" % (name, show_link(message.link_address), downlink)))
            effects += self._register(session, now)
        elif not session.wanted:
            session.wanted = True
            effects += self._register(session, now)
        if session.downlink != downlink:
            attached = session.attached
            effects += self._detach(session)
            session.downlink = downlink
            effects += self._attach(session) if attached else []
        if not session.attached:
            session.lease_ends = now + _PATIENCE
        session.waiting = message
        return effects + self._answer(session, now)

    def _answer(self, session: Session, now: int) -> list:
        """Answer the DHCP message that waits, if the home address is there to be offered."""
        message, registration = session.waiting, session.registration
        if message is None or not session.attached or not registration.is_valid(now):
            return []
        session.waiting = None
        gateway = session.gateway
        kind = OFFER
        if message.kind == REQUEST:
            if message.server and message.server != gateway:
                return []  # the device took somebody else's offer
            kind = ACK if (message.client_address or message.asked) == session.attached else NAK
        lease = 0xFFFFFFFF if registration.expires is None else max(1, (registration.expires - now) // 1000)
        if kind == ACK:
            session.lease_ends = registration.expires
        mtu = UDP_TUNNEL_MTU if registration.tunnel == "udp" else TUNNEL_MTU
        octets = answer(kind, message, session.attached, gateway, lease, registration.configuration, mtu)
        renewing = kind == ACK and message.client_address
        return [AnswerDhcp(session.downlink, octets, gateway, message.client_address if renewing else BROADCAST)]

    def _released(self, message: DhcpMessage, now: int) -> list:
        session = self._sessions.find_link(message.link_address)
        if session is None or not session.wanted:
            raise Unexpected("a DHCP release of nothing")
        if message.kind == RELEASE and message.client_address != session.registration.home_address:
            raise Unexpected("a DHCP release of another address")
        reason = "released" if message.kind == RELEASE else "declined: does somebody else have its address?"
        return self._leave(session, reason, now)

    def _leave(self, session: Session, reason: str, now: int) -> list:
        session.wanted = False
        session.waiting = None
        session.lease_ends = None
        effects = self._detach(session)
        effects.append(Said("info", "device %s leaves: %s" % (session.sub_nai, reason)))
        return effects + self._follow(session, session.registration.deregister(now), now)


def _gateway(registration: Registration) -> int:
    """The gateway of the home network, which the node answers for on its downlinks."""
    octets = registration.configuration.get(CONFIG_GATEWAY, b"")
    return int.from_bytes(octets, "big") if len(octets) == 4 else _DUMMY_GATEWAY
