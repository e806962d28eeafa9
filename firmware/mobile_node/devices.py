"""The devices behind a node: they come and ask by DHCP, and go by its word, in silence or with their link."""

from mip4.address import parse, parse_link, show_link
from mip4.compat import const
from mip4.effects import Dropped, Said
from mip4.errors import MipError, Unexpected
from mobile_node.dhcp import DECLINE, DISCOVER, RELEASE, REQUEST, DhcpMessage
from mobile_node.leases import answer_waiting
from mobile_node.plain_home_agents import PlainHomeAgents
from mobile_node.registrations import Registrations
from mobile_node.sessions import DEVICE, NoRoom, Session, SessionTable

_LINK_LOSS_GRACE = const(3000)  # ms for which a downlink may be dark before its devices are gone
_PATIENCE = const(120000)  # ms after its last word for which a device without an address is believed to be there


class Devices:
    """Each device that asks becomes a session, and is answered when the home agent has answered."""

    def __init__(
        self,
        home_agent: int,
        sessions: SessionTable,
        plain: PlainHomeAgents,
        registrations: Registrations,
        lines: list,
    ):
        """lines: names of the downlinks that are serial lines, with one device at the other end of each."""
        self._home_agent = home_agent
        self._lines = lines
        self._sessions = sessions
        self._plain = plain
        self._registrations = registrations
        self._dark = {}  # downlink -> ms since when

    def take_up(self, remembered: list, now: int) -> list:
        """What was attached before a power cut. remembered: as in Remember."""
        effects = []
        for sub_nai, downlink, link_address, home_address in remembered:
            try:
                if self._sessions.has(sub_nai):
                    raise Unexpected("%s is the name of another session now" % sub_nai)
                link = parse_link(link_address)
                session = self._sessions.add(DEVICE, sub_nai, downlink, link, parse(home_address))
                session.lease_ends = now + _PATIENCE
            except MipError as error:
                effects.append(Dropped(error, 0))
        return effects

    def downlink_up(self, downlink: str) -> None:
        self._dark.pop(downlink, None)

    def downlink_down(self, downlink: str, now: int) -> None:
        self._dark[downlink] = now

    def dhcp(self, downlink: str, octets: bytes, now: int) -> list:
        """A message from a device. Raises MipError."""
        message = DhcpMessage.decode(octets)
        if message.kind in (DISCOVER, REQUEST):
            return self._asked(downlink, message, now)
        if message.kind in (RELEASE, DECLINE):
            return self._released(downlink, message, now)
        raise Unexpected("DHCP message type %d" % message.kind)

    def gone(self, link_address: bytes, now: int) -> list:
        """A device is seen on its link no longer."""
        session = self._sessions.find_link(link_address)
        return self._leave(session, "it is not there any more", now) if session is not None and session.wanted else []

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        times = [since + _LINK_LOSS_GRACE for since in self._dark.values()]
        times += [one.lease_ends for one in self._sessions if one.wanted and one.lease_ends is not None]
        return min(times) if times else None

    def wake(self, now: int) -> list:
        effects = []
        for downlink in [name for name, since in self._dark.items() if since + _LINK_LOSS_GRACE <= now]:
            del self._dark[downlink]
            for session in self._sessions:
                if session.downlink == downlink and session.wanted:
                    effects += self._leave(session, "its link is gone", now)
        for session in self._sessions:
            if session.wanted and session.lease_ends is not None and session.lease_ends <= now:
                effects += self._leave(session, "its lease is over", now)
        return effects

    def _asked(self, downlink: str, message: DhcpMessage, now: int) -> list:
        """DISCOVER or REQUEST: answered at once if the home agent has given an address, else when it has."""
        session = self._find(downlink, message.link_address)
        if message.kind == REQUEST and message.server:
            if session is None or (session.attached and message.server != session.gateway):
                raise Unexpected("a DHCP request that follows no offer of ours")
        effects = []
        if session is None:
            on_line = downlink in self._lines
            name = downlink if on_line else self._sessions.name(message.link_address, message.names)
            if self._plain.full(self._home_agent):
                raise NoRoom("device %s is refused: the home agent carries another session alone" % name)
            session = self._sessions.add(DEVICE, name, downlink, message.link_address, 0)
            effects.append(Said("info", "device %s link=%s on %s" % (name, show_link(message.link_address), downlink)))
            effects += self._registrations.register(session, now)
        elif not session.wanted:
            session.wanted = True
            effects += self._registrations.register(session, now)
        if (session.downlink, session.link_address) != (downlink, message.link_address):
            attached = session.attached
            effects += session.detach()
            session.downlink, session.link_address = downlink, message.link_address
            effects += self._sessions.attach(session) if attached else []
        if not session.attached:
            session.lease_ends = now + _PATIENCE
        session.waiting = message
        return effects + answer_waiting(session, now)

    def _find(self, downlink: str, link_address: bytes) -> Session | None:
        """On a line, who is at its other end, whatever link address it makes up: SLIP has none."""
        if downlink in self._lines:
            return self._sessions.find_name(downlink)
        return self._sessions.find_link(link_address)

    def _released(self, downlink: str, message: DhcpMessage, now: int) -> list:
        session = self._find(downlink, message.link_address)
        if session is None or not session.wanted:
            raise Unexpected("a DHCP release of nothing")
        if message.kind == RELEASE and message.client_address != session.registration.home_address:
            raise Unexpected("a DHCP release of another address")
        reason = "released" if message.kind == RELEASE else "declined: does somebody else have its address?"
        return self._leave(session, reason, now)

    def _leave(self, session: Session, reason: str, now: int) -> list:
        session.unwanted()
        effects = session.detach()
        effects.append(Said("info", "device %s leaves: %s" % (session.sub_nai, reason)))
        return effects + self._registrations.deregister(session, now)
