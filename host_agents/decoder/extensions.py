"""Extensions of registration messages in words. Unlike an agent, a reader wants to see what is unknown or wrong too."""

from __future__ import annotations

from typing import Any

from host_agents.decoder import words
from host_agents.decoder.extension_words import Context, host_configuration, in_words
from host_agents.decoder.words import Fault, Item, Message, Part
from mip4 import extensions as ext
from mip4.const import FIRST_SKIPPABLE, PAD
from mip4.errors import Malformed
from mip4.sub_nai import find_sub_nai

# Of those below 128: 16-bit length at +2 (RFC 5944 §1.10 and, for 38, RFC 3115 §2.1).
_LONG = frozenset((36, 38, 40, 41, 42, 43, 47, 48, 50, 127))

_NAMES = {
    32: "Mobile-Home Authentication",
    33: "Mobile-Foreign Authentication",
    34: "Foreign-Home Authentication",
    36: "MN-AAA Authentication",
    38: "Critical Vendor Extension",
    40: "MN-FA Key Generation Nonce Request",
    41: "MN-FA Key Generation Nonce Reply",
    42: "MN-HA Key Generation Nonce Request",
    43: "MN-HA Key Generation Nonce Reply",
    44: "UDP Tunnel Reply",
    45: "FA Error",
    46: "GFA IP Address",
    47: "PMIPv4 Non-skippable",
    48: "GRE Key",
    127: "Experimental, non-skippable",
    130: "Encapsulating Delivery Style",
    131: "Mobile Node NAI",
    132: "Mobile-Foreign Challenge",
    134: "Normal Vendor Extension",
    136: "NAI Carrying",
    137: "Revocation Support",
    139: "Dynamic Home Agent",
    140: "Hierarchical Foreign Agent",
    141: "Replay Protection Style",
    142: "Regional Registration Lifetime",
    144: "UDP Tunnel Request",
    145: "Message String",
    147: "PMIPv4 Skippable",
    148: "Mobile Network",
    149: "Trusted Networks Configured",
    151: "Service Selection",
    152: "Dual-stack DSMIPv4",
    255: "Experimental, skippable",
}


def read_extensions(context: Context, at: int, message: Message) -> None:
    """Append the extensions from offset `at` on to `message`, and what is wrong with them to its faults."""
    octets, end = context.octets, len(context.octets)
    while at < end:
        kind = octets[at]
        if kind == PAD:
            message.parts.append(Part(at, kind, "Padding", []))
            at += 1
            continue
        header = 4 if kind in _LONG or ext.is_long_home_agent(octets, at) else 2
        after = at + header
        if after <= end:
            after += octets[at + 1] if header == 2 else int.from_bytes(octets[at + 2 : at + 4], "big")
        if after > end:
            name = _NAMES.get(kind, "unknown extension")
            message.faults.append(Fault(at, f"{name} ({kind}) runs {after - end} octets past the message"))
            rest = words.octets("Octets", octets[at:end])
            message.parts.append(Part(at, kind, name, [rest]))
            return
        message.parts.append(_part(context, kind, at, header, after, message.faults))
        at = after


def _part(context: Context, kind: int, at: int, header: int, after: int, faults: list[Fault]) -> Part:
    octets, name, codec = context.octets, _NAMES.get(kind, "unknown extension"), ext.EXTENSIONS.get(kind)
    # As the codec wants it: a long header's sub-type goes in front of the body.
    body = (octets[at + 1 : at + 2] if header == 4 else b"") + octets[at + header : after]
    if codec is None:
        if kind not in _NAMES and kind < FIRST_SKIPPABLE:
            faults.append(Fault(at, f"unknown extension {kind} below 128: an agent drops the whole message"))
        return Part(at, kind, name, [words.octets("Octets", body)])
    try:
        found = codec.decode(body)
        if found is None:
            return Part(at, kind, f"{name}, unknown sub-type", [words.octets("Octets", body)])
        found.at = at
        special = _sub_nai(context, found, faults) or host_configuration(found)
        if special is not None:
            return Part(at, kind, *special)
        return Part(at, kind, name, in_words(found, context))
    except Malformed as error:
        faults.append(Fault(at, f"{name} ({kind}): {error}"))
        return Part(at, kind, name, [words.octets("Octets", body)])


def _sub_nai(context: Context, found: Any, faults: list[Fault]) -> tuple[str, list[Item]] | None:
    """Name and fields if this carries a sub-NAI, in carrier A or B. Raises Malformed."""
    experimental = type(found) is ext.Experimental
    if not experimental and not (type(found) is ext.NormalVendor and context.vendor):
        return None
    sub_type = found.sub_type if experimental else found.vendor_type
    # Sub-type 2 is compared with extension 131; without one it speaks for itself.
    nai = context.nai or (found.value[1 : 1 + found.value[0]] if found.value else b"")
    sub_nai = find_sub_nai([found], context.vendor, nai)
    if sub_nai is None:
        return None
    context.sub_nais += not context.authenticated
    if context.sub_nais > 1 and not context.authenticated:
        faults.append(Fault(found.at, "two sub-NAIs"))
    carrier = "A" if experimental else "B"
    items = [words.text("Sub-NAI", sub_nai.sub_nai), Item("Carrier", carrier, carrier)]
    if not experimental:
        items.append(Item("Vendor", str(found.vendor), found.vendor))
    items.append(Item("Sub-type", str(sub_type), sub_type))
    if sub_nai.nai is not None:
        items.append(words.text("NAI", sub_nai.nai))
    return "Sub-NAI", items
