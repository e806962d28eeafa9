"""Registration Revocation and its Acknowledgement (RFC 3543 §3)."""

from mip4.compat import const
from mip4.const import REGISTRATION_REVOCATION, REVOCATION_ACKNOWLEDGEMENT
from mip4.cursor import Cursor, pack
from mip4.errors import Malformed
from mip4.extensions import decode_all, encode_all
from mip4.record import Record

_FROM_HOME_AGENT = const(0x8000)  # the A bit
_INFORM = const(0x4000)  # the I bit of a revocation …
_INFORMED = const(0x8000)  # … and of its acknowledgement, where it stands elsewhere


class RegistrationRevocation(Record):
    """Registration Revocation (RFC 3543 §3.3).

    from_home_agent: the A bit. inform: the I bit. home_domain: the home agent's address; foreign_domain: the care-of
    address. identifier: 32 bits, from the sender's one clock. extensions: list of Record in wire order.
    """

    __slots__ = (
        "from_home_agent",
        "inform",
        "home_address",
        "home_domain",
        "foreign_domain",
        "identifier",
        "extensions",
    )

    def encode(self) -> bytes:
        """Raises ValueError for a field that does not fit its width."""
        flags = (_FROM_HOME_AGENT if self.from_home_agent else 0) | (_INFORM if self.inform else 0)
        head = pack("BBH", REGISTRATION_REVOCATION, 0, flags)
        addresses = pack("IIII", self.home_address, self.home_domain, self.foreign_domain, self.identifier)
        return head + addresses + encode_all(self.extensions)

    @classmethod
    def decode(cls, datagram) -> "RegistrationRevocation":
        """Raises Malformed and UnknownExtension."""
        cursor = Cursor(datagram)
        kind, _, flags, *fields = cursor.fixed("BBHIIII")
        if kind != REGISTRATION_REVOCATION:
            raise Malformed("message type %d" % kind)
        extensions = []
        decode_all(datagram, cursor.at, extensions)
        return cls(bool(flags & _FROM_HOME_AGENT), bool(flags & _INFORM), *(fields + [extensions]))


class RevocationAcknowledgement(Record):
    """Registration Revocation Acknowledgement (RFC 3543 §3.4). informed: the I bit, whether the node was told."""

    __slots__ = ("informed", "home_address", "identifier", "extensions")

    def encode(self) -> bytes:
        """Raises ValueError for a field that does not fit its width."""
        head = pack("BBH", REVOCATION_ACKNOWLEDGEMENT, 0, _INFORMED if self.informed else 0)
        return head + pack("II", self.home_address, self.identifier) + encode_all(self.extensions)

    @classmethod
    def decode(cls, datagram) -> "RevocationAcknowledgement":
        """Raises Malformed and UnknownExtension."""
        cursor = Cursor(datagram)
        kind, _, flags, home_address, identifier = cursor.fixed("BBHII")
        if kind != REVOCATION_ACKNOWLEDGEMENT:
            raise Malformed("message type %d" % kind)
        extensions = []
        decode_all(datagram, cursor.at, extensions)
        return cls(bool(flags & _INFORMED), home_address, identifier, extensions)
