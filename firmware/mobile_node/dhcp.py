"""DHCP (RFC 2131) as far as a mobile node serves it: messages in and out, no state."""

from mip4.address import is_unicast
from mip4.compat import const
from mip4.const import CONFIG_DNS
from mip4.cursor import Cursor, pack
from mip4.errors import Malformed
from mip4.record import Record

DISCOVER = const(1)
OFFER = const(2)
REQUEST = const(3)
DECLINE = const(4)
ACK = const(5)
NAK = const(6)
RELEASE = const(7)

# Octets that a tunnel takes: IP-in-IP (RFC 2003 §3.1), and message 4 in UDP (RFC 3519 §3.3)
TUNNEL_OVERHEAD = const(20)
UDP_TUNNEL_OVERHEAD = const(32)

_COOKIE = const(0x63825363)
_BOOTREQUEST = const(1)
_BOOTREPLY = const(2)
_MASK = const(1)
_ROUTERS = const(3)
_DNS = const(6)
_HOST_NAME = const(12)
_MTU = const(26)
_ASKED = const(50)
_LEASE = const(51)
_TYPE = const(53)
_SERVER = const(54)
_CLIENT = const(61)
_CLASSLESS_ROUTES = const(121)  # RFC 3442
_END = const(255)
_LEAST = const(300)  # octets of a BOOTP message, which some relays and clients still insist on (RFC 1542 §2.1)


class DhcpMessage(Record):
    """A client's message. kind: DISCOVER …; link_address: octets, chaddr; client_address: ciaddr, 0 if it has none.

    asked, server: options 50 and 54, 0 where absent. names: what the client calls itself, client-id text and host name.
    """

    __slots__ = ("kind", "transaction", "flags", "link_address", "client_address", "asked", "server", "names")

    @classmethod
    def decode(cls, octets: bytes) -> "DhcpMessage":
        """Raises Malformed for what no Ethernet client sends."""
        cursor = Cursor(octets)
        op, hardware, length, _, transaction, _, flags, client_address = cursor.fixed("BBBBIHHI")
        cursor.take(12)
        link_address = cursor.take(16)[:6]
        cursor.take(64 + 128)
        if (op, hardware, length) != (_BOOTREQUEST, 1, 6) or cursor.fixed("I")[0] != _COOKIE:
            raise Malformed("not a DHCP request")
        options = _options(cursor)
        kind = options.get(_TYPE, b"")
        if len(kind) != 1:
            raise Malformed("DHCP without a message type")
        names = [_text(options.get(_CLIENT, b"")[1:]), _text(options.get(_HOST_NAME, b""))]
        asked, server = _address(options, _ASKED), _address(options, _SERVER)
        named = [name for name in names if name]
        return cls(kind[0], transaction, flags, link_address, client_address, asked, server, named)


def answer(
    kind: int, message: DhcpMessage, home_address: int, gateway: int, lease: int, configuration: dict, mtu: int
) -> bytes:
    """An OFFER, ACK or NAK for `message`. mtu: octets that travel whole.

    lease: seconds, 0xFFFFFFFF for ever. configuration: RFC 4332 sub-type -> octets, from the home agent. The device
    gets its home address as a /32 and the gateway by a route of its own: the rest of the prefix is not on this link.
    """
    ours = 0 if kind == NAK else home_address
    client = message.client_address if kind == ACK else 0
    head = pack("BBBBIHHIIII", _BOOTREPLY, 1, 6, 0, message.transaction, 0, message.flags, client, ours, 0, 0)
    octets = head + message.link_address + bytes(10 + 64 + 128) + pack("I", _COOKIE)
    octets += _option(_TYPE, pack("B", kind)) + _option(_SERVER, pack("I", gateway))
    if kind != NAK:
        octets += _option(_LEASE, pack("I", lease))
        octets += _option(_MASK, pack("I", 0xFFFFFFFF)) + _option(_ROUTERS, pack("I", gateway))
        # gw/32 on the link itself, then everything through gw
        octets += _option(_CLASSLESS_ROUTES, pack("BIIBI", 32, gateway, 0, 0, gateway))
        dns = configuration.get(CONFIG_DNS, b"")
        servers = b"".join([dns[at : at + 4] for at in range(0, len(dns) - 3, 4) if dns[at : at + 4] != b"\0\0\0\0"])
        if servers:
            octets += _option(_DNS, servers)
        octets += _option(_MTU, pack("H", mtu))
    octets += pack("B", _END)
    return octets + bytes(max(0, _LEAST - len(octets)))


def _options(cursor: Cursor) -> dict:
    found = {}
    while cursor.more():
        (code,) = cursor.fixed("B")
        if code == _END:
            break
        if code:
            value = cursor.take(cursor.fixed("B")[0])
            found[code] = found.get(code, b"") + value  # RFC 3396: parts of one option are joined
    return found


def _option(code: int, value: bytes) -> bytes:
    return pack("BB", code, len(value)) + value


def _address(options: dict, code: int) -> int:
    value = options.get(code, b"")
    address = Cursor(value).fixed("I")[0] if len(value) == 4 else 0
    return address if is_unicast(address) else 0


def _text(octets: bytes) -> str:
    """A name a person may have put into a configuration: printable ASCII, or nothing."""
    for octet in octets:
        if not 0x20 < octet < 0x7F:
            return ""
    return octets.decode()
