"""The sessions of a mobile node: itself, its applications, and the devices attached to it."""

from mip4.address import mask, show, show_link
from mip4.compat import const
from mip4.const import BROADCAST, CONFIG_GATEWAY, CONFIG_PREFIX_LENGTH
from mip4.effects import Attach, Detach, Remember
from mip4.errors import MipError
from mobile_node.registration import Registration
from mobile_node.settings import Settings

OWN = const(0)
APPLICATION = const(1)
DEVICE = const(2)

_DUMMY_GATEWAY = const(0xC0000008)  # 192.0.0.8 (RFC 7600 §4.8), where the home agent names no gateway


class NoRoom(MipError):
    """One device more than the node can serve: it is refused, and told in the log."""

    kind = "no-room"


class Session:
    """One of them. sub_nai: text. downlink, link_address: where its device is, "" and b"" for the node's own.

    waiting: the DHCP message to be answered when the home agent has answered. attached: the home address that the
    platform carries packets of, 0 for none; gateway: what it answers for there. lease_ends: ms, when a device is gone
    unless it is heard of; None for never.
    """

    def __init__(self, kind: int, sub_nai: str, downlink: str, link_address: bytes, registration: Registration):
        self.kind = kind
        self.sub_nai = sub_nai
        self.downlink = downlink
        self.link_address = link_address
        self.registration = registration
        self.wanted = True
        self.waiting = None
        self.attached = 0
        self.gateway = 0
        self.lease_ends = None

    def unwanted(self) -> None:
        """Its device is gone, or shall do without."""
        self.wanted = False
        self.waiting = None
        self.lease_ends = None

    def is_as_granted(self) -> bool:
        """Whether the platform carries what the home agent has given."""
        return (self.attached, self.gateway) == (self.registration.home_address, _gateway_of(self.registration))

    def detach(self) -> list:
        """Carry packets of its home address no longer, if they are carried."""
        if not self.attached:
            return []
        gone = Detach(self.attached, self.downlink, self.link_address, self.gateway)
        self.attached = 0
        return [gone]

    def status(self, now: int) -> dict:
        registration = self.registration
        expires = registration.expires
        return {
            "sub_nai": self.sub_nai,
            "state": registration.state,
            "home_address": show(registration.home_address) if registration.home_address else None,
            "lifetime": registration.lifetime,
            "expires_in": None if expires is None else max(0, (expires - now) // 1000),
            "downlink": self.downlink,
            "link_address": show_link(self.link_address) if self.link_address else None,
            "code": registration.code,
        }


class SessionTable:
    """Sessions in the order they came. names: what an owner calls his devices, any of their names -> sub-NAI."""

    def __init__(self, settings: Settings, names: dict):
        self._settings = settings
        self._names = names
        self._sessions = []

    def __iter__(self):
        return iter(list(self._sessions))

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, kind: int, sub_nai: str, downlink: str, link_address: bytes, home_address: int) -> Session:
        """home_address: what it asks for, 0 for any. Raises NoRoom."""
        if len(self._sessions) >= self._settings.sessions:
            raise NoRoom("%d sessions are all there is room for" % self._settings.sessions)
        registration = Registration(self._settings, sub_nai.encode(), home_address)
        session = Session(kind, sub_nai, downlink, link_address, registration)
        self._sessions.append(session)
        return session

    def remove(self, session: Session) -> None:
        self._sessions = [one for one in self._sessions if one is not session]

    def attach(self, session: Session) -> list:
        """Carry packets of the home address that was granted, instead of what was carried for the session before."""
        effects = session.detach()
        session.attached = session.registration.home_address
        session.gateway = _gateway_of(session.registration)
        effects.append(Attach(session.attached, session.downlink, session.link_address, session.gateway))
        return effects + ([self.remember()] if session.kind == DEVICE else [])

    def remember(self) -> Remember:
        """Also who has an address to ask for and has not got it yet: one power cut may follow another."""
        kept = []
        for session in self._sessions:
            address = session.attached or session.registration.home_address
            if session.kind == DEVICE and session.wanted and address:
                kept.append([session.sub_nai, session.downlink, show_link(session.link_address), show(address)])
        return Remember(kept)

    def source(self) -> int:
        """The home address of the node itself, 0 while it has none."""
        own = [one.attached for one in self._sessions if one.kind == OWN and one.attached]
        return own[0] if own else 0

    def any_address(self) -> int:
        """A home address of ours, the node's own if there is one; 0 for none."""
        attached = [one.attached for one in self._sessions if one.attached]
        return self.source() or (attached[0] if attached else 0)

    def find_link(self, link_address: bytes) -> Session | None:
        for session in self._sessions:
            if session.link_address == link_address:
                return session
        return None

    def find_reply(self, reply) -> Session | None:
        """The session whose last request `reply` answers."""
        for session in self._sessions:
            if session.registration.matches(reply):
                return session
        return None

    def find_name(self, sub_nai: str) -> Session | None:
        for session in self._sessions:
            if session.sub_nai == sub_nai:
                return session
        return None

    def has(self, sub_nai: str) -> bool:
        return self.find_name(sub_nai) is not None

    def name(self, link_address: bytes, called: list) -> str:
        """The sub-NAI of a device: its configured name, by link address or what it calls itself, else its link address.

        A name that another device has already is not given twice.
        """
        plain = show_link(link_address)
        for key in [plain] + called:
            name = self._names.get(key)
            if name and not self.has(name):
                return name
        return plain


def _gateway_of(registration: Registration) -> int:
    """The gateway of the home network, which the node answers for on its downlinks."""
    octets = registration.configuration.get(CONFIG_GATEWAY, b"")
    return int.from_bytes(octets, "big") if len(octets) == 4 else _DUMMY_GATEWAY


def home_broadcast(registration: Registration) -> int:
    """Where broadcasts of its home network go; 255.255.255.255 where the home agent does not say how large that is."""
    octets = registration.configuration.get(CONFIG_PREFIX_LENGTH, b"")
    length = octets[0] if len(octets) == 1 and octets[0] <= 30 else 0
    return registration.home_address | ~mask(length) & BROADCAST
