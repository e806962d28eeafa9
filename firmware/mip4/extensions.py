"""The extensions of registration messages: one class each, and the table that knows them (RFC 5944 §1.8–§1.11).

Every class has encode() -> the whole extension, and decode(body) -> an instance, or None for a sub-type to be
skipped, where body is what follows the header. Every extension that decode_all finds also has `at`, the offset at
which it began in its datagram: authenticators cover a prefix. `at` is no part of an extension's value.
"""

from mip4.const import (
    CISCO,
    CRITICAL_VENDOR,
    DYNAMIC_HOME_AGENT,
    ENCAPSULATING_DELIVERY,
    EXPERIMENTAL_SKIPPABLE,
    FA_ERROR,
    FIRST_SKIPPABLE,
    FOREIGN_HOME_AUTHENTICATION,
    GENERALIZED_AUTHENTICATION,
    GRE_KEY,
    HOST_CONFIGURATION,
    MESSAGE_STRING,
    MN_AAA,
    MOBILE_FOREIGN_AUTHENTICATION,
    MOBILE_FOREIGN_CHALLENGE,
    MOBILE_HOME_AUTHENTICATION,
    MOBILE_NODE_NAI,
    NORMAL_VENDOR,
    PAD,
    REDIRECTED_HOME_AGENT,
    REQUESTED_HOME_AGENT,
    REVOCATION_SUPPORT,
    UDP_TUNNEL_REPLY,
    UDP_TUNNEL_REQUEST,
)
from mip4.cursor import Cursor, pack
from mip4.errors import Malformed, UnknownExtension
from mip4.record import Record

EXTENSIONS = {}

_LONG = (GENERALIZED_AUTHENTICATION, CRITICAL_VENDOR, GRE_KEY)  # 16-bit length at +2 (RFC 5944 §1.10, RFC 3115 §2.1)
_LONG_HOME_AGENT = (b"\x01\0\x04", b"\x02\0\x04")  # sub-type, and the length of an address


def extension(kind: int):
    """Class decorator: register a class as the codec of extension `kind`."""

    def register(cls):
        cls.kind = kind
        EXTENSIONS[kind] = cls
        return cls

    return register


def decode_all(datagram, at: int, found: list) -> None:
    """Append the extensions of `datagram` from offset `at` on to `found`, in wire order.

    Raises Malformed, having appended what stands before the fault, and UnknownExtension.

    An unrecognised type from 128 up is skipped; one below condemns the whole message, and that is decided before
    any length is believed (RFC 5944 §1.8).
    """
    end = len(datagram)
    while at < end:
        kind = datagram[at]
        if kind == PAD:
            at += 1
            continue
        codec = EXTENSIONS.get(kind)
        if codec is None and kind < FIRST_SKIPPABLE:
            raise UnknownExtension("extension type %d" % kind)
        header = 4 if kind in _LONG or is_long_home_agent(datagram, at) else 2
        if at + header > end:
            raise Malformed("extension %d ends within its header" % kind)
        length = datagram[at + 1] if header == 2 else datagram[at + 2] << 8 | datagram[at + 3]
        after = at + header + length
        if after > end:
            raise Malformed("extension %d runs %d octets past the message" % (kind, after - end))
        if codec is not None:
            # A long header keeps its sub-type (or reserved octet) in front of the length: hand it over with the body.
            body = bytes(datagram[at + header : after])
            one = codec.decode(body if header == 2 else bytes(datagram[at + 1 : at + 2]) + body)
            if one is not None:
                one.at = at
                found.append(one)
        at = after


def is_long_home_agent(datagram, at: int) -> bool:
    """RFC 4433 §4 prints a skippable extension with the long header; we read both, and send what decoders know."""
    return datagram[at] == DYNAMIC_HOME_AGENT and bytes(datagram[at + 1 : at + 4]) in _LONG_HOME_AGENT


def encode_all(extensions: list) -> bytes:
    return b"".join([one.encode() for one in extensions])


def tlv(kind: int, body: bytes) -> bytes:
    """Type, length, data (RFC 5944 §1.9). Raises ValueError past 255 octets of data."""
    return pack("BB", kind, len(body)) + body


class Extension(Record):
    """An extension: a Record that may remember where in a datagram it stood."""

    __slots__ = ("at",)


class Authentication(Extension):
    """Type, length, SPI, authenticator (RFC 5944 §3.5.1)."""

    __slots__ = ("spi", "authenticator")

    @classmethod
    def header(cls, spi: int, size: int) -> bytes:
        """What stands in front of an authenticator of `size` octets. Raises ValueError for one that does not fit."""
        return pack("BBI", cls.kind, 4 + size, spi)

    def encode(self) -> bytes:
        return self.header(self.spi, len(self.authenticator)) + self.authenticator

    @classmethod
    def decode(cls, body: bytes):
        if len(body) < 5:
            raise Malformed("authentication extension %d of %d octets" % (cls.kind, len(body)))
        cursor = Cursor(body)
        (spi,) = cursor.fixed("I")
        return cls(spi, cursor.rest())

    def covered(self) -> int:
        """How many octets from the start of the message the authenticator covers: up to and with the SPI."""
        return self.at + 6


@extension(MOBILE_HOME_AUTHENTICATION)
class MobileHomeAuthentication(Authentication):
    __slots__ = ("spi", "authenticator")


@extension(MOBILE_FOREIGN_AUTHENTICATION)
class MobileForeignAuthentication(Authentication):
    __slots__ = ("spi", "authenticator")


@extension(FOREIGN_HOME_AUTHENTICATION)
class ForeignHomeAuthentication(Authentication):
    __slots__ = ("spi", "authenticator")


@extension(GENERALIZED_AUTHENTICATION)
class MnAaaAuthentication(Authentication):
    """MN-AAA Authentication (RFC 4721 §6), the only sub-type of Generalized Authentication (§5) that there is.

    Its length has 16 bits. Another sub-type is Malformed, as with all extensions that cannot be skipped.
    """

    __slots__ = ("spi", "authenticator")

    @classmethod
    def header(cls, spi: int, size: int) -> bytes:
        return pack("BBHI", cls.kind, MN_AAA, 4 + size, spi)

    @classmethod
    def decode(cls, body: bytes):
        if len(body) < 6:
            raise Malformed("generalized authentication of %d octets" % (len(body) - 1))
        if body[0] != MN_AAA:
            raise Malformed("generalized authentication of sub-type %d" % body[0])
        cursor = Cursor(body, 1)
        (spi,) = cursor.fixed("I")
        return cls(spi, cursor.rest())

    def covered(self) -> int:
        return self.at + 8


@extension(CRITICAL_VENDOR)
class CriticalVendor(Extension):
    """Critical Vendor/Organization Specific Extension (RFC 3115 §2.1)."""

    __slots__ = ("vendor", "vendor_type", "value")

    def encode(self) -> bytes:
        body = pack("IH", self.vendor, self.vendor_type) + self.value
        return pack("BBH", self.kind, 0, len(body)) + body

    @classmethod
    def decode(cls, body: bytes):
        cursor = Cursor(body)
        _, vendor, vendor_type = cursor.fixed("BIH")
        return cls(vendor, vendor_type, cursor.rest())


@extension(UDP_TUNNEL_REPLY)
class UdpTunnelReply(Extension):
    """UDP Tunnel Reply (RFC 3519 §3.2). code 0..63: assent; forced: bool; keepalive: seconds, 0 = the node's own."""

    __slots__ = ("code", "forced", "keepalive")

    def encode(self) -> bytes:
        return tlv(self.kind, pack("BBHH", 0, self.code, 0x8000 if self.forced else 0, self.keepalive))

    @classmethod
    def decode(cls, body: bytes):
        sub_type, code, flags, keepalive = Cursor(body).fixed("BBHH")
        if sub_type != 0:
            raise Malformed("UDP tunnel reply of sub-type %d" % sub_type)
        return cls(code, bool(flags & 0x8000), keepalive)


@extension(FA_ERROR)
class ForeignAgentError(Extension):
    """FA Error (RFC 4636 §3): what the foreign agent found wrong with a reply it may not change."""

    __slots__ = ("status",)

    def encode(self) -> bytes:
        return tlv(self.kind, pack("BB", 0, self.status))

    @classmethod
    def decode(cls, body: bytes):
        sub_type, status = Cursor(body).fixed("BB")
        if sub_type != 0:
            raise Malformed("FA error of sub-type %d" % sub_type)
        return cls(status)


@extension(GRE_KEY)
class GreKey(Extension):
    """GRE Key (RFC 6245 §4): what tells tunnelled packets of one registration. Read to be refused, never sent."""

    __slots__ = ("key",)

    def encode(self) -> bytes:
        return pack("BBHI", self.kind, 0, 4, self.key)

    @classmethod
    def decode(cls, body: bytes):
        sub_type, key = Cursor(body).fixed("BI")
        if sub_type != 0:
            raise Malformed("GRE key of sub-type %d" % sub_type)
        return cls(key)


@extension(ENCAPSULATING_DELIVERY)
class EncapsulatingDelivery(Extension):
    """Encapsulating Delivery Style (RFC 3024 §3.3): the node will hand its packets in inside packets to the agent."""

    __slots__ = ()

    def encode(self) -> bytes:
        return tlv(self.kind, b"")

    @classmethod
    def decode(cls, body: bytes):
        return cls()


@extension(MOBILE_NODE_NAI)
class Nai(Extension):
    """Mobile Node NAI (RFC 2794 §2). nai: octets; its grammar is judged by whoever keys by it."""

    __slots__ = ("nai",)

    def encode(self) -> bytes:
        return tlv(self.kind, self.nai)

    @classmethod
    def decode(cls, body: bytes):
        if not body:
            raise Malformed("empty NAI")
        return cls(body)


@extension(MOBILE_FOREIGN_CHALLENGE)
class MobileForeignChallenge(Extension):
    """MN-FA Challenge (RFC 4721 §4)."""

    __slots__ = ("challenge",)

    def encode(self) -> bytes:
        return tlv(self.kind, self.challenge)

    @classmethod
    def decode(cls, body: bytes):
        return cls(body)


@extension(NORMAL_VENDOR)
class NormalVendor(Extension):
    """Normal Vendor/Organization Specific Extension (RFC 3115 §2.2)."""

    __slots__ = ("vendor", "vendor_type", "value")

    def encode(self) -> bytes:
        return tlv(self.kind, pack("HIH", 0, self.vendor, self.vendor_type) + self.value)

    @classmethod
    def decode(cls, body: bytes):
        cursor = Cursor(body)
        _, vendor, vendor_type = cursor.fixed("HIH")
        return cls(vendor, vendor_type, cursor.rest())


@extension(REVOCATION_SUPPORT)
class RevocationSupport(Extension):
    """Revocation Support (RFC 3543 §5.1). inform: the I bit; timestamp: seconds, 32 bits."""

    __slots__ = ("inform", "timestamp")

    def encode(self) -> bytes:
        return tlv(self.kind, pack("HI", 0x8000 if self.inform else 0, self.timestamp))

    @classmethod
    def decode(cls, body: bytes):
        flags, timestamp = Cursor(body).fixed("HI")
        return cls(bool(flags & 0x8000), timestamp)


@extension(DYNAMIC_HOME_AGENT)
class HomeAgentAddress(Extension):
    """Dynamic home agent assignment (RFC 4433 §4). sub_type: 1 requested, 2 redirected to; address: int."""

    __slots__ = ("sub_type", "address")

    def encode(self) -> bytes:
        return tlv(self.kind, pack("BI", self.sub_type, self.address))

    @classmethod
    def decode(cls, body: bytes):
        sub_type, address = Cursor(body).fixed("BI")
        return cls(sub_type, address) if sub_type in (REQUESTED_HOME_AGENT, REDIRECTED_HOME_AGENT) else None


@extension(UDP_TUNNEL_REQUEST)
class UdpTunnelRequest(Extension):
    """UDP Tunnel Request (RFC 3519 §3.1). encapsulation: protocol number, 0 = as the M and G flags say."""

    __slots__ = ("forced", "routed", "encapsulation")

    def encode(self) -> bytes:
        flags = (0x80 if self.forced else 0) | (0x40 if self.routed else 0)
        return tlv(self.kind, pack("BBBBH", 0, 0, flags, self.encapsulation, 0))

    @classmethod
    def decode(cls, body: bytes):
        sub_type, _, flags, encapsulation, reserved = Cursor(body).fixed("BBBBH")
        if sub_type != 0 or reserved != 0:
            return None  # RFC 3519 §3.1 and §4.6.1 contradict each other here; we follow the first
        return cls(bool(flags & 0x80), bool(flags & 0x40), encapsulation)


@extension(MESSAGE_STRING)
class MessageString(Extension):
    """Message String (RFC 4917 §3). sub_type: 1 from the home agent, 2 from the foreign agent; text: UTF-8 octets."""

    __slots__ = ("sub_type", "text")

    def encode(self) -> bytes:
        return tlv(self.kind, pack("B", self.sub_type) + self.text)

    @classmethod
    def decode(cls, body: bytes):
        if len(body) < 2:
            raise Malformed("message string without text")
        return cls(body[0], body[1:]) if body[0] in (1, 2) else None


@extension(EXPERIMENTAL_SKIPPABLE)
class Experimental(Extension):
    """Skippable experimental extension (RFC 4064 §3.2), the default carrier of the sub-NAI."""

    __slots__ = ("sub_type", "value")

    def encode(self) -> bytes:
        return tlv(self.kind, pack("B", self.sub_type) + self.value)

    @classmethod
    def decode(cls, body: bytes):
        if not body:
            raise Malformed("experimental extension without sub-type")
        return cls(body[0], body[1:])


def host_configuration(sub_type: int, value: bytes) -> NormalVendor:
    """Host configuration (RFC 4332), with the 8-bit sub-type that its length limits imply."""
    return NormalVendor(CISCO, HOST_CONFIGURATION, pack("B", sub_type) + value)


def find_host_configuration(extensions: list) -> dict:
    """RFC 4332 sub-type -> value, of those present."""
    found = {}
    for one in extensions:
        if type(one) is NormalVendor and one.vendor == CISCO and one.vendor_type == HOST_CONFIGURATION and one.value:
            found[one.value[0]] = one.value[1:]
    return found


def find(extensions: list, cls) -> list:
    """Those of `extensions` that are of class `cls`, in order."""
    return [one for one in extensions if type(one) is cls]


def authorising(extensions: list) -> list:
    """The authorization-enabling extensions (RFC 5944 §1.6), in order: what stands before the first is the node's."""
    return [one for one in extensions if type(one) in (MobileHomeAuthentication, MnAaaAuthentication)]


def challenge_before(extensions: list, authentication) -> bytes:
    """The challenge that `authentication` answers: the last one in front of it, b"" for none (RFC 4721 §3.1)."""
    challenges = [one.challenge for one in find(extensions, MobileForeignChallenge) if one.at < authentication.at]
    return challenges[-1] if challenges else b""
