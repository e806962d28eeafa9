"""Agent Solicitation and Agent Advertisement (RFC 5944 §2.1, §2.2, on RFC 1256 §3). What ICMP carries, no IP header."""

from mip4.const import (
    ADVERTISED_CHALLENGE,
    EXPERIMENTAL_NON_SKIPPABLE,
    FIRST_SKIPPABLE,
    ICMP_ADVERTISEMENT,
    ICMP_SOLICITATION,
    MOBILITY_AGENT_ADVERTISEMENT,
    PAD,
    PREFIX_LENGTHS,
)
from mip4.cursor import Cursor, pack
from mip4.errors import Malformed, UnknownExtension
from mip4.extensions import tlv
from mip4.ip import checksum
from mip4.record import Record


def _finish(body: bytes) -> bytes:
    """Fill in the checksum, which stands at offset 2."""
    return body[:2] + pack("H", checksum(body)) + body[4:]


def _begin(message, kind: int) -> None:
    if len(message) < 8 or message[0] != kind:
        raise Malformed("not ICMP type %d" % kind)
    if checksum(message) != 0:
        raise Malformed("ICMP checksum")


class AgentSolicitation(Record):
    """Agent Solicitation (RFC 5944 §2.2): a router solicitation, without anything of its own."""

    __slots__ = ()

    def encode(self) -> bytes:
        return _finish(pack("BBHI", ICMP_SOLICITATION, 0, 0, 0))

    @classmethod
    def decode(cls, message) -> "AgentSolicitation":
        """Raises Malformed. Whatever follows the first eight octets is ignored (RFC 1256 §4.2)."""
        _begin(message, ICMP_SOLICITATION)
        if message[1] != 0:
            raise Malformed("solicitation with code %d" % message[1])
        return cls()


class MobilityAgent(Record):
    """Mobility Agent Advertisement Extension (RFC 5944 §2.1.1).

    sequence: 16 bits (§2.3.2). lifetime: the longest registration accepted, seconds. care_of_addresses: list of int.
    """

    __slots__ = ("sequence", "lifetime", "flags", "care_of_addresses")

    def encode(self) -> bytes:
        body = pack("HHH", self.sequence, self.lifetime, self.flags)
        return tlv(MOBILITY_AGENT_ADVERTISEMENT, body + b"".join([pack("I", one) for one in self.care_of_addresses]))

    @classmethod
    def decode(cls, body: bytes):
        cursor = Cursor(body)
        fields = cursor.fixed("HHH")
        care_of_addresses = []
        while cursor.more():
            care_of_addresses.append(cursor.fixed("I")[0])
        return cls(*fields, care_of_addresses)


class PrefixLengths(Record):
    """Prefix-Lengths Extension (RFC 5944 §2.1.2): one length for each router address."""

    __slots__ = ("lengths",)

    def encode(self) -> bytes:
        return tlv(PREFIX_LENGTHS, bytes(self.lengths))

    @classmethod
    def decode(cls, body: bytes):
        return cls(list(body))


class AdvertisedChallenge(Record):
    """Challenge Extension (RFC 4721 §2)."""

    __slots__ = ("challenge",)

    def encode(self) -> bytes:
        return tlv(ADVERTISED_CHALLENGE, self.challenge)

    @classmethod
    def decode(cls, body: bytes):
        return cls(body)


_EXTENSIONS = {
    MOBILITY_AGENT_ADVERTISEMENT: MobilityAgent,
    PREFIX_LENGTHS: PrefixLengths,
    ADVERTISED_CHALLENGE: AdvertisedChallenge,
}


class AgentAdvertisement(Record):
    """Agent Advertisement (RFC 5944 §2.1).

    code: 0, or 16 for an agent that routes only for its mobile nodes. lifetime: seconds that this advertisement holds.
    routers: list of (address, preference). extensions: list of Record; the first MobilityAgent makes it an agent's.
    """

    __slots__ = ("code", "lifetime", "routers", "extensions")

    def encode(self) -> bytes:
        """Padded to an even length with one octet, as RFC 5944 §2.1.3 allows."""
        body = pack("BBHBBH", ICMP_ADVERTISEMENT, self.code, 0, len(self.routers), 2, self.lifetime)
        for address, preference in self.routers:
            body += pack("II", address, preference)
        for one in self.extensions:
            body += one.encode()
        return _finish(body + b"\0" * (len(body) & 1))

    @classmethod
    def decode(cls, message) -> "AgentAdvertisement":
        """Raises Malformed, UnknownExtension; also for a plain router advertisement, which has no MobilityAgent."""
        _begin(message, ICMP_ADVERTISEMENT)
        cursor = Cursor(message)
        _, code, _, count, words, lifetime = cursor.fixed("BBHBBH")
        if code not in (0, 16) or (count and words < 2):
            raise Malformed("advertisement with code %d, entries of %d words" % (code, words))
        routers = []
        for _ in range(count):
            routers.append(cursor.fixed("II"))
            cursor.take((words - 2) * 4)
        extensions = _decode_extensions(cursor)
        found = cls(code, lifetime, routers, extensions)
        if found.agent() is None:
            raise Malformed("a router advertisement, no agent's")
        return found

    def agent(self) -> MobilityAgent | None:
        for one in self.extensions:
            if type(one) is MobilityAgent:
                return one
        return None


def _decode_extensions(cursor: Cursor) -> list:
    """An unknown type below 128 condemns the advertisement, save 127, which RFC 4064 §4.2 asks to ignore."""
    found = []
    while cursor.more():
        (kind,) = cursor.fixed("B")
        if kind == PAD:
            continue
        codec = _EXTENSIONS.get(kind)
        if codec is None and kind < FIRST_SKIPPABLE and kind != EXPERIMENTAL_NON_SKIPPABLE:
            raise UnknownExtension("advertisement extension %d" % kind)
        body = cursor.take(cursor.fixed("B")[0])
        if codec is not None:
            found.append(codec.decode(body))
    return found
