"""What an extension that the codec has read says, field by field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from host_agents.decoder import words
from host_agents.decoder.keyring import Keyring
from host_agents.decoder.words import Item
from mip4 import extensions as ext
from mip4.const import CHAP_SPI, CISCO, HOST_CONFIGURATION, REQUESTED_HOME_AGENT, code_name
from mip4.errors import Malformed

_SAYS = {1: "from the home agent", 2: "from the foreign agent"}  # sub-types of Message String
_INNER = {0: "as the M and G flags say", 4: "IP in IP", 47: "GRE", 55: "minimal encapsulation"}


@dataclass(slots=True)
class Context:
    """What an extension is seen against. vendor: enterprise number of the sub-NAI's carrier B, 0 for none."""

    octets: bytes
    keys: Keyring
    vendor: int
    addresses: set[str]
    nai: bytes = b""
    challenge: bytes = b""  # the last one so far
    sub_nais: int = 0  # in front of the first authentication extension
    authenticated: bool = False


def host_configuration(found: Any) -> tuple[str, list[Item]] | None:
    """RFC 4332, with the 8-bit sub-type that we and its length limits have."""
    if type(found) is not ext.NormalVendor or (found.vendor, found.vendor_type) != (CISCO, HOST_CONFIGURATION):
        return None
    if not found.value:
        raise Malformed("host configuration without sub-type")
    sub_type, value = found.value[0], found.value[1:]
    name, kind = _CONFIGURATION.get(sub_type, (f"sub-type {sub_type}", "octets"))
    if kind == "addresses" and value and len(value) % 4 == 0:
        shown = [words.address("", int.from_bytes(value[at : at + 4], "big")).text for at in range(0, len(value), 4)]
        item = Item(name, ", ".join(shown), shown)
    elif kind == "number" and len(value) == 1:
        item = Item(name, str(value[0]), value[0])
    elif kind == "text":
        item = words.text(name, value)
    else:
        item = words.octets(name, value)
    return "Host Configuration", [item]


_CONFIGURATION = {
    0: ("Request", "number"),
    1: ("Home Network Prefix Length", "number"),
    2: ("DNS Server", "addresses"),
    3: ("DHCP Server", "addresses"),
    4: ("DHCP Client Id", "octets"),
    5: ("Default Gateway", "addresses"),
    6: ("DNS Suffix", "text"),
    7: ("Configuration URL", "text"),
}


def _authentication(found: Any, context: Context) -> list[Item]:
    foreign_home = type(found) is ext.ForeignHomeAuthentication
    owners = context.addresses if foreign_home else {context.nai.decode(errors="replace")}
    verdict, owner = context.keys.judge(context.octets, found, owners, context.challenge)
    context.authenticated = True
    chap = type(found) is ext.MnAaaAuthentication and found.spi == CHAP_SPI
    spi = Item("SPI", f"{found.spi}{' CHAP' * chap}", found.spi)
    items = [spi, words.octets("Authenticator", found.authenticator)]
    return [*items, Item("Verdict", verdict + (f" with the key of {owner}" if owner else ""), verdict)]


def _challenge(found: Any, context: Context) -> list[Item]:
    context.challenge = found.challenge
    return [words.octets("Challenge", found.challenge)]


def _nai(found: Any, context: Context) -> list[Item]:
    context.nai = context.nai or found.nai
    return [words.text("NAI", found.nai)]


def _vendor(found: Any, context: Context) -> list[Item]:
    return [
        Item("Vendor", str(found.vendor), found.vendor),
        Item("Vendor Type", str(found.vendor_type), found.vendor_type),
        words.octets("Value", found.value),
    ]


def _message_string(found: Any, context: Context) -> list[Item]:
    return [words.text("Text", found.text), Item("Origin", _SAYS[found.sub_type], found.sub_type)]


def _fa_error(found: Any, context: Context) -> list[Item]:
    return [Item("Status", code_name(found.status), found.status)]


def _revocation_support(found: Any, context: Context) -> list[Item]:
    when = words.ntp_time(found.timestamp)
    return [_bit("Inform", found.inform), Item("Timestamp", f"{found.timestamp} ({when})", found.timestamp)]


def _udp_request(found: Any, context: Context) -> list[Item]:
    inner = _INNER.get(found.encapsulation, "unknown")
    encapsulation = Item("Encapsulation", f"{found.encapsulation} {inner}", found.encapsulation)
    return [_bit("Forced", found.forced), _bit("Routed", found.routed), encapsulation]


def _udp_reply(found: Any, context: Context) -> list[Item]:
    code = Item("Code", f"{found.code} {'tunnelling' if found.code < 64 else 'declined'}", found.code)
    keepalive = Item("Keepalive", f"{found.keepalive} s" if found.keepalive else "the node's own", found.keepalive)
    return [code, _bit("Forced", found.forced), keepalive]


def _home_agent(found: Any, context: Context) -> list[Item]:
    role = "requested" if found.sub_type == REQUESTED_HOME_AGENT else "redirected to"
    return [Item("Sub-type", f"{found.sub_type} {role}", found.sub_type), words.address("Home Agent", found.address)]


def _bit(name: str, value: bool) -> Item:
    return Item(name, "yes" if value else "no", bool(value))


def _any(found: Any, context: Context) -> list[Item]:
    """Whatever the codec reads and we have no better words for: its fields as they are called there."""
    items = []
    for name in found.__slots__:
        value, shown = getattr(found, name), name.replace("_", " ").capitalize()
        items.append(words.octets(shown, value) if isinstance(value, bytes) else Item(shown, str(value), value))
    return items


_WORDS: dict[type, Callable[[Any, Context], list[Item]]] = {
    ext.MobileHomeAuthentication: _authentication,
    ext.MobileForeignAuthentication: _authentication,
    ext.ForeignHomeAuthentication: _authentication,
    ext.MnAaaAuthentication: _authentication,
    ext.MobileForeignChallenge: _challenge,
    ext.Nai: _nai,
    ext.NormalVendor: _vendor,
    ext.CriticalVendor: _vendor,
    ext.MessageString: _message_string,
    ext.ForeignAgentError: _fa_error,
    ext.RevocationSupport: _revocation_support,
    ext.UdpTunnelRequest: _udp_request,
    ext.UdpTunnelReply: _udp_reply,
    ext.HomeAgentAddress: _home_agent,
}


def in_words(found: Any, context: Context) -> list[Item]:
    """The fields of an extension that the codec has read."""
    return _WORDS.get(type(found), _any)(found, context)
