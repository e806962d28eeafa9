"""Agent Advertisements and Solicitations in words (RFC 5944 §2.1, §2.2), plain routers' (RFC 1256) included."""

from __future__ import annotations

from typing import Any

from host_agents.decoder import words
from host_agents.decoder.words import Fault, Item, Message, Part
from mip4.address import show
from mip4.const import (
    ADVERT_B,
    ADVERT_F,
    ADVERT_G,
    ADVERT_H,
    ADVERT_M,
    ADVERT_R,
    ADVERT_T,
    ADVERT_U,
    ADVERT_X,
    ADVERTISED_CHALLENGE,
    FIRST_SKIPPABLE,
    ICMP_ADVERTISEMENT,
    ICMP_SOLICITATION,
    MOBILITY_AGENT_ADVERTISEMENT,
    PAD,
    PREFIX_LENGTHS,
)
from mip4.cursor import Cursor
from mip4.discovery import AdvertisedChallenge, MobilityAgent, PrefixLengths
from mip4.errors import Malformed
from mip4.ip import checksum

KINDS = (ICMP_ADVERTISEMENT, ICMP_SOLICITATION)
_FLAGS = {
    ADVERT_R: ("R", "registration required"),
    ADVERT_B: ("B", "busy"),
    ADVERT_H: ("H", "home agent"),
    ADVERT_F: ("F", "foreign agent"),
    ADVERT_M: ("M", "minimal encapsulation"),
    ADVERT_G: ("G", "GRE encapsulation"),
    ADVERT_T: ("T", "reverse tunneling"),
    ADVERT_U: ("U", "UDP tunnelling"),
    ADVERT_X: ("X", "revocation"),
    0x0020: ("I", "regional registration"),  # RFC 4857 with erratum 2103
}


def describe_discovery(octets: bytes) -> Message:
    """The router advertisement or solicitation in an ICMP message; never raises."""
    advertisement = octets[:1] == bytes([ICMP_ADVERTISEMENT])
    message = Message("Router Advertisement" if advertisement else "Agent Solicitation", octets[0] if octets else -1)
    if len(octets) < 8:
        message.faults.append(Fault(len(octets), f"ends after {len(octets)} octets of at least 8"))
        message.items.append(words.octets("Octets", octets))
        return message
    if checksum(octets) != 0:
        message.faults.append(Fault(2, f"ICMP checksum {octets[2:4].hex()} is wrong"))
    if not advertisement:
        return message
    cursor = Cursor(octets)
    try:
        _fixed(cursor, message)
        _extensions(cursor, message)
    except Malformed as error:
        message.faults.append(Fault(cursor.at, str(error)))
    return message


def _fixed(cursor: Any, message: Message) -> None:
    _, code, _, count, words_each, seconds = cursor.fixed("BBHBBH")
    common = {0: " routes common traffic", 16: " does not route common traffic"}.get(code, " unknown code")
    message.items = [Item("Code", f"{code}{common}", code), Item("Lifetime", f"{seconds} s", seconds)]
    if count and words_each < 2:
        raise Malformed(f"router addresses of {words_each} words")
    routers, shown = [], []
    for _ in range(count):
        router, preference = cursor.fixed("II")
        cursor.take((words_each - 2) * 4)
        signed = preference - (1 << 32) if preference >> 31 else preference
        routers.append({"address": show(router), "preference": signed})
        shown.append(f"{show(router)} (preference {signed})")
    message.items.append(Item("Router Addresses", ", ".join(shown) or "none", routers))


def _extensions(cursor: Any, message: Message) -> None:
    while cursor.more():
        at = cursor.at
        (kind,) = cursor.fixed("B")
        if kind == PAD:
            message.parts.append(Part(at, kind, "Padding", []))
            continue
        body = cursor.take(cursor.fixed("B")[0])
        try:
            message.parts.append(Part(at, kind, *_words(kind, body)))
        except Malformed as error:
            message.faults.append(Fault(at, f"extension {kind}: {error}"))
            message.parts.append(Part(at, kind, "malformed extension", [words.octets("Octets", body)]))
        if kind == MOBILITY_AGENT_ADVERTISEMENT:
            message.name = "Agent Advertisement"
        elif kind not in (PREFIX_LENGTHS, ADVERTISED_CHALLENGE, 127) and kind < FIRST_SKIPPABLE:
            message.faults.append(Fault(at, f"unknown extension {kind} below 128: a node drops the advertisement"))


def _words(kind: int, body: bytes) -> tuple[str, list[Item]]:
    if kind == MOBILITY_AGENT_ADVERTISEMENT:
        agent: Any = MobilityAgent.decode(body)
        care_of = [show(one) for one in agent.care_of_addresses]
        return "Mobility Agent Advertisement", [
            Item("Sequence Number", str(agent.sequence), agent.sequence),
            words.lifetime("Registration Lifetime", agent.lifetime, "none"),
            words.flags("Flags", agent.flags, 2, _FLAGS),
            Item("Care-of Addresses", ", ".join(care_of) or "none", care_of),
        ]
    if kind == PREFIX_LENGTHS:
        lengths = PrefixLengths.decode(body).lengths
        return "Prefix-Lengths", [Item("Prefix Lengths", ", ".join(map(str, lengths)) or "none", lengths)]
    if kind == ADVERTISED_CHALLENGE:
        return "Challenge", [words.octets("Challenge", AdvertisedChallenge.decode(body).challenge)]
    return "unknown extension", [words.octets("Octets", body)]
