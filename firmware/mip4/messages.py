"""Registration Request and Registration Reply (RFC 5944 §3.3, §3.4)."""

from mip4.const import REGISTRATION_REPLY, REGISTRATION_REQUEST
from mip4.cursor import Cursor, pack
from mip4.errors import Malformed
from mip4.extensions import decode_all, encode_all
from mip4.record import Record

_REQUEST = "BBHIIIQ"
_REPLY = "BBHIIQ"


class Salvaged(Record):
    """A message of which only what stands before its flaw was read. flaw: a Malformed, or None for none."""

    __slots__ = ("flaw",)


class RegistrationRequest(Salvaged):
    """Registration Request (RFC 5944 §3.3).

    Addresses: int, IPv4 as 32 bits. lifetime: int, seconds; 0 deregisters, 0xFFFF never ends. identification: int,
    64 bits (§5.7). extensions: list of Record in wire order, which authenticators depend on.
    """

    __slots__ = ("flags", "lifetime", "home_address", "home_agent", "care_of_address", "identification", "extensions")

    def encode(self) -> bytes:
        """Raises ValueError for a field that does not fit its width."""
        return pack(_REQUEST, REGISTRATION_REQUEST, *self.values()[:-1]) + encode_all(self.extensions)

    @classmethod
    def decode(cls, datagram) -> "RegistrationRequest":
        """Raises Malformed (short, or another type) and UnknownExtension."""
        return cls(*_decode(datagram, _REQUEST, REGISTRATION_REQUEST))

    @classmethod
    def salvage(cls, datagram) -> "RegistrationRequest":
        """What stands before the first malformed extension, so that its sender can be authenticated and told; `flaw`
        says what is wrong with it.

        Raises Malformed where even the fixed part is short, and UnknownExtension.
        """
        return _salvage(cls, datagram, _REQUEST, REGISTRATION_REQUEST)


class RegistrationReply(Salvaged):
    """Registration Reply (RFC 5944 §3.4). Fields as in the request; code: int, see const.CODE_NAMES."""

    __slots__ = ("code", "lifetime", "home_address", "home_agent", "identification", "extensions")

    def encode(self) -> bytes:
        """Raises ValueError for a field that does not fit its width."""
        return pack(_REPLY, REGISTRATION_REPLY, *self.values()[:-1]) + encode_all(self.extensions)

    @classmethod
    def decode(cls, datagram) -> "RegistrationReply":
        """Raises Malformed (short, or another type) and UnknownExtension."""
        return cls(*_decode(datagram, _REPLY, REGISTRATION_REPLY))

    @classmethod
    def salvage(cls, datagram) -> "RegistrationReply":
        """As RegistrationRequest.salvage, so that it is known whose reply it would have been."""
        return _salvage(cls, datagram, _REPLY, REGISTRATION_REPLY)


def _fixed(datagram, layout: str, expected: int) -> tuple:
    cursor = Cursor(datagram)
    kind, *fields = cursor.fixed(layout)
    if kind != expected:
        raise Malformed("message type %d" % kind)
    return fields, cursor.at


def _salvage(cls, datagram, layout: str, expected: int):
    fields, at = _fixed(datagram, layout, expected)
    message = cls(*fields, [])
    message.flaw = None
    try:
        decode_all(datagram, at, message.extensions)
    except Malformed as error:
        message.flaw = error
    return message


def _decode(datagram, layout: str, expected: int) -> list:
    fields, at = _fixed(datagram, layout, expected)
    extensions: list = []
    decode_all(datagram, at, extensions)
    return fields + [extensions]
