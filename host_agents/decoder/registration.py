"""Messages on UDP 434 in words: registration (RFC 5944 §3.3, §3.4) and revocation (RFC 3543 §3.3, §3.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from host_agents.decoder import words
from host_agents.decoder.extension_words import Context
from host_agents.decoder.extensions import read_extensions
from host_agents.decoder.keyring import Keyring
from host_agents.decoder.words import Fault, Item, Message
from mip4.address import show
from mip4.const import (
    FLAG_B,
    FLAG_D,
    FLAG_G,
    FLAG_M,
    FLAG_S,
    FLAG_T,
    REGISTRATION_REPLY,
    REGISTRATION_REQUEST,
    REGISTRATION_REVOCATION,
    REVOCATION_ACKNOWLEDGEMENT,
    FLAG_r,
    FLAG_x,
    code_name,
)
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.revocation import RegistrationRevocation, RevocationAcknowledgement

TUNNEL_DATA = 4  # RFC 3519 §3.3
_FLAGS = {
    FLAG_S: ("S", "simultaneous bindings"),
    FLAG_B: ("B", "broadcast datagrams"),
    FLAG_D: ("D", "decapsulation by mobile node"),
    FLAG_M: ("M", "minimal encapsulation"),
    FLAG_G: ("G", "GRE encapsulation"),
    FLAG_r: ("r", "reserved"),
    FLAG_T: ("T", "reverse tunneling"),
    FLAG_x: ("x", "reserved"),
}
_OTHERS = {
    TUNNEL_DATA: "UDP Tunnel Data",
    16: "Binding Warning",
    17: "Binding Request",
    18: "Regional Registration Request",
    19: "Regional Registration Reply",
    22: "Generic Notification",
    23: "Generic Notification Acknowledgement",
}


def _request(found: Any) -> list[Item]:
    return [
        words.flags("Flags", found.flags, 1, _FLAGS),
        words.lifetime("Lifetime", found.lifetime, "deregistration"),
        words.address("Home Address", found.home_address, "" if found.home_address else " (asks for one)"),
        words.address("Home Agent", found.home_agent),
        words.address("Care-of Address", found.care_of_address),
        words.identification(found.identification),
    ]


def _reply(found: Any) -> list[Item]:
    return [
        Item("Code", code_name(found.code), found.code),
        words.lifetime("Lifetime", found.lifetime, "deregistered" if found.code < 2 else "denied"),
        words.address("Home Address", found.home_address),
        words.address("Home Agent", found.home_agent),
        words.identification(found.identification),
    ]


def _revocation(found: Any) -> list[Item]:
    bits = {"A": "from the home agent"} if found.from_home_agent else {}
    bits |= {"I": "inform"} if found.inform else {}
    return [
        _bits(bits),
        words.address("Home Address", found.home_address),
        words.address("Home Domain Address", found.home_domain),
        words.address("Foreign Domain Address", found.foreign_domain),
        _identifier(found.identifier),
    ]


def _acknowledgement(found: Any) -> list[Item]:
    home = words.address("Home Address", found.home_address)
    return [_bits({"I": "informed"} if found.informed else {}), home, _identifier(found.identifier)]


def _bits(found: dict[str, str]) -> Item:
    shown = ", ".join(f"{letter} {meaning}" for letter, meaning in found.items())
    return Item("Flags", shown or "none", {"set": found})


def _identifier(value: int) -> Item:
    """RFC 3543 leaves its unit open; ours are NTP seconds."""
    return Item("Revocation Identifier", f"{value} ({words.ntp_time(value)} if NTP seconds)", value)


@dataclass(slots=True, frozen=True)
class _Kind:
    """size: octets of the fixed part."""

    name: str
    size: int
    codec: Any
    describe: Callable[[Any], list[Item]]


_KINDS = {
    REGISTRATION_REQUEST: _Kind("Registration Request", 24, RegistrationRequest, _request),
    REGISTRATION_REPLY: _Kind("Registration Reply", 20, RegistrationReply, _reply),
    REGISTRATION_REVOCATION: _Kind("Registration Revocation", 20, RegistrationRevocation, _revocation),
    REVOCATION_ACKNOWLEDGEMENT: _Kind(
        "Registration Revocation Acknowledgement", 12, RevocationAcknowledgement, _acknowledgement
    ),
}


def describe_registration(octets: bytes, keys: Keyring, vendor: int, ends: tuple[int, ...]) -> Message:
    """The message in a UDP payload; never raises. ends: the addresses of the IP header, if one is known."""
    if not octets:
        return Message("empty datagram", -1, faults=[Fault(0, "no octets")])
    number = octets[0]
    kind = _KINDS.get(number)
    if kind is None:
        message = Message(_OTHERS.get(number, "unknown message"), number)
        message.items.append(words.octets("Octets", octets))
        return message
    message = Message(kind.name, number)
    if len(octets) < kind.size:
        message.faults.append(Fault(len(octets), f"ends after {len(octets)} octets of at least {kind.size}"))
        message.items.append(words.octets("Octets", octets))
        return message
    fixed = kind.codec.decode(octets[: kind.size])
    message.items = kind.describe(fixed)
    names = ("home_agent", "care_of_address", "home_domain", "foreign_domain")
    addresses = {show(getattr(fixed, name)) for name in names if name in fixed.__slots__}
    context = Context(octets, keys, vendor, addresses | {show(end) for end in ends})
    read_extensions(context, kind.size, message)
    return message
