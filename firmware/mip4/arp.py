"""ARP for IPv4 over Ethernet (RFC 826): what a home agent and a node that is at home say there (RFC 5944 §4.6)."""

from mip4.compat import const
from mip4.cursor import Cursor, pack
from mip4.errors import Malformed
from mip4.record import Record

ETHERTYPE_ARP = const(0x0806)
ARP_REQUEST = const(1)
ARP_REPLY = const(2)

_FIXED = (1, 0x0800, 6, 4)  # Ethernet, IPv4, and the lengths of their addresses


class Arp(Record):
    """An ARP packet, without its Ethernet header. sender, target: int; sender_link, target_link: 6 octets."""

    __slots__ = ("operation", "sender_link", "sender", "target_link", "target")

    def encode(self) -> bytes:
        head = pack("HHBBH", *_FIXED, self.operation)
        return head + self.sender_link + pack("I", self.sender) + self.target_link + pack("I", self.target)

    @classmethod
    def decode(cls, octets) -> "Arp":
        """Whatever fills up the frame behind it is ignored. Raises Malformed."""
        cursor = Cursor(octets)
        fixed = cursor.fixed("HHBBH")
        if tuple(fixed[:4]) != _FIXED or fixed[4] not in (ARP_REQUEST, ARP_REPLY):
            raise Malformed("not ARP for IPv4 over Ethernet")
        sender_link, (sender,) = cursor.take(6), cursor.fixed("I")
        return cls(fixed[4], sender_link, sender, cursor.take(6), cursor.fixed("I")[0])

    def is_gratuitous(self) -> bool:
        """Whether it asks nothing, but says where its sender is."""
        return self.sender == self.target

    def answer(self, link_address: bytes) -> "Arp":
        """The reply to a request: what it asks for is at `link_address`."""
        return Arp(ARP_REPLY, link_address, self.target, self.sender_link, self.sender)


def question(address: int, link_address: bytes, sender: int) -> Arp:
    """Who has `address`? link_address, sender: of who asks; sender 0 only looks and teaches nobody (RFC 5227 §1.1)."""
    return Arp(ARP_REQUEST, link_address, sender, bytes(6), address)


def gratuitous(address: int, link_address: bytes) -> Arp:
    """`address` is at `link_address` from now on. A request, because some stacks learn from nothing else

    (RFC 5227 §3); RFC 5944 §4.6 allows it as well as a reply.
    """
    return question(address, link_address, address)
