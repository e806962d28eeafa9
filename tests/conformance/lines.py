"""The checklist, line by line: what each asks, what it gets from us, and why where we do something else or nothing.

In what it gets, numbers are Reply codes and "silence" is silence: each has to stand in the name of one of its tests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Line:
    """id: as tests name it, "HA-07" or ha_07. remark: a stated reason, which a line without a test must have."""

    id: str
    asks: str
    answer: str = ""
    remark: str = ""


@dataclass(slots=True, frozen=True)
class Section:
    title: str
    lines: tuple[Line, ...]


HOME_AGENT = (
    Section(
        "Home agent: Registration Request (RFC 5944 §3.8.2)",
        (
            Line("HA-01", "lengths of IP and UDP make sense; the UDP checksum is right or absent", "silence"),
            Line("HA-02", "24 octets at least, of type 1", "silence"),
            Line("HA-03", "the extensions can be taken apart", "134 once its sender is known, else silence"),
            Line("HA-04", "no unknown extension below 128", "silence"),
            Line("HA-05", "a Mobile-Home Authentication, first of its kind, none twice", "134; silence without any"),
            Line("HA-06", "an association for this NAI (or home address) and SPI", "silence"),
            Line("HA-07", "every authenticator of the node holds", "131, never longer than the request, ten a second"),
            Line("HA-08", "the Identification is fresh", "133 with the one to go on with"),
            Line(
                "HA-09",
                "an agent with a key signs once, rightly, unless the lifetime is 0; one without a key does not",
                "132; silence",
            ),
            Line(
                "HA-10",
                "not sent to a broadcast address",
                "136 where the field names one",
                "The socket is bound to the agent's own address, so what is sent to all hosts of a network does not "
                "arrive; to find a home agent there is RFC 4433 (HA-11).",
            ),
            Line("HA-11", "the home agent asked for is this one, or left open (RFC 4433)", "136, 143 where configured"),
            Line("HA-12", "reserved flags r and x are 0", "134"),
            Line(
                "HA-13",
                "a home address, or a NAI",
                "silence",
                "134 would have to be signed, and without either there is no key to do it with (HA-06).",
            ),
            Line("HA-14", "NAI and sub-NAI are well formed and there once", "134"),
            Line("HA-15", "the care-of address can be one: a host's, not ours, not the home address", "134"),
            Line("HA-16", "every critical vendor extension is known", "140 of the node, 141 of the agent"),
            Line(
                "HA-17",
                "the operator allows this node here",
                "",
                "Who may register is who is listed (HA-06), with as many sessions (HA-25), through agents with a key "
                "if that is demanded (HA-09): no policy is left that would need 129.",
            ),
            Line("HA-18", "the home address asked for is this session's to have", "129"),
            Line(
                "HA-19",
                "service selection, mobile networks, PMIPv4",
                "0 without a word of them; silence for PMIPv4's extension that must not be skipped",
                "Not done. Their extensions are skippable for agents that do not know them, so that a node sees by "
                "the missing answer that it gets nothing; 147-151 are for agents that do.",
            ),
            Line("HA-20", "a UDP Tunnel Request stands where its D flag says, and can be met", "134, 129, 142"),
            Line("HA-21", "without one, the source is the care-of or home address, or a known agent", "129"),
            Line(
                "HA-22",
                "the encapsulation asked for is there, and no GRE key is",
                "139",
                "A key would tell tunnels apart that their addresses already tell apart.",
            ),
            Line("HA-23", "a reverse tunnel is asked for where the operator demands it", "138"),
            Line("HA-24", "a reverse tunnel is to be had; looked at last", "137"),
            Line("HA-25", "room: care-of addresses of a session, sessions of a NAI, free addresses", "135, 130"),
            Line(
                "HA-26",
                "accepted: durable, then carried, then answered; ARP on a real home link",
                "0, 1 where S is not supported",
            ),
        ),
    ),
    Section(
        "Home agent: revocation messages (RFC 3543)",
        (
            Line("HA-R1", "whole, and signed once by the foreign agent it names", "silence"),
            Line("HA-R2", "A bit 0; the identifier is later than all before, and not ours come back", "silence"),
            Line("HA-R3", "of a binding with that agent, negotiated, registered before the identifier", "silence"),
            Line("HA-R4", "the binding ends and it is acknowledged, as often as it is asked", "acknowledged"),
            Line("HA-R5", "an acknowledgement is authentic and answers a revocation of ours", "silence"),
        ),
    ),
)

FOREIGN_AGENT = (
    Section(
        "Foreign agent: Registration Request from a node (RFC 5944 §3.7.2)",
        (
            Line("FA-01", "checksums right or absent; 24 octets at least, of type 1", "silence"),
            Line("FA-02", "extensions, NAI and sub-NAI are well formed", "70"),
            Line("FA-03", "no unknown extension below 128", "silence"),
            Line("FA-04", "reserved flags r and x are 0", "70"),
            Line("FA-05", "one Mobile-Home Authentication, before any Mobile-Foreign one", "70"),
            Line(
                "FA-06",
                "a home address, or a NAI",
                "97",
                "96 is for agents that cannot tell nodes apart by their NAI; this one can.",
            ),
            Line("FA-07", "a node that shares a key with us signs once, rightly", "67"),
            Line("FA-08", "a challenge of ours where we ask for one (RFC 4721)", "104, 105, 106, 108"),
            Line(
                "FA-09",
                "the home agent is somebody else's address, and a host's",
                "194",
                "A home agent beside it on one router has its own address and port 434, and is reached by that.",
            ),
            Line("FA-10", "a home agent is named, wished for (RFC 4433) or configured", "90"),
            Line("FA-11", "without D, the care-of address is the one offered", "77"),
            Line("FA-12", "no Revocation Support of a node without a care-of address of its own", "silence"),
            Line("FA-13", "the operator takes nodes here: not while it drains", "65"),
            Line("FA-14", "no longer lifetime than is relayed", "69 with the longest"),
            Line("FA-15", "the encapsulation asked for is there, and no GRE key is", "72"),
            Line("FA-16", "every critical vendor extension behind the node's authenticator is known", "100"),
            Line("FA-17", "Encapsulating Delivery Style in its place, with T, and to be had", "70, 79"),
            Line("FA-18", "with T, the TTL is 255", "76"),
            Line("FA-19", "a reverse tunnel is asked for where the operator demands it", "75"),
            Line("FA-20", "a reverse tunnel is to be had; looked at last", "74"),
            Line("FA-21", "room: five requests under way for each session, 4096 in all, as many visitors", "66"),
            Line("FA-22", "noted and relayed octet for octet, with our own signature behind it", "relayed"),
            Line("FA-23", "ICMP says that the home agent cannot be reached", "80, 81, 82, 88"),
            Line("FA-24", "no reply within seven seconds", "78"),
        ),
    ),
    Section(
        "Foreign agent: Registration Reply from a home agent (RFC 5944 §3.7.3)",
        (
            Line("FA-31", "checksum right or absent; 20 octets at least, of type 3", "silence"),
            Line("FA-32", "the extensions can be taken apart; none unknown below 128", "71 to the node; silence"),
            Line("FA-33", "it answers a request that is under way, by its low word and session", "silence"),
            Line("FA-34", "a home agent with a key has signed once, rightly", "dropped; 68 (RFC 4636) to the node"),
            Line("FA-35", "NAI, home agent and home address are there", "97, 98, 99"),
            Line("FA-36", "every critical vendor extension behind the node's authenticator is known", "101"),
            Line("FA-37", "the challenge comes back as it was", "109 (RFC 4636)"),
            Line(
                "FA-38",
                "revocation is agreed to, where it is demanded",
                "",
                "It is offered wherever there is a key, and never demanded: a visitor that cannot be revoked goes when "
                "its lifetime is over.",
            ),
            Line("FA-39", "accepted: visitor, route and tunnel for the shortest lifetime", "66 (RFC 4636) where not"),
            Line("FA-40", "lifetime 0 ends the visit, a denial only the request", "passed on"),
            Line("FA-41", "what follows the node's authenticator is ours to strip and to add", "passed on"),
        ),
    ),
    Section(
        "Foreign agent: packets and revocation",
        (
            Line("FA-51", "a tunnelled packet comes from its visitor's home agent", "silence"),
            Line("FA-52", "message 7 as at a home agent (HA-R1 to HA-R5), with A bit 1", "acknowledged; silence"),
            Line("FA-53", "a visitor is reached without ARP for as long as it is one", "kept"),
            Line(
                "FA-54",
                "message 4 from where the tunnel ends, with the next header that was agreed",
                "silence",
                "No UDP tunnel is asked for by this agent, so none is ever right: an agent belongs on a public "
                "address (its U bit stays 0).",
            ),
        ),
    ),
)

MOBILE_NODE = (
    Section(
        "Mobile node: before a request (RFC 5944 §3.6.1)",
        (
            Line(
                "MN-01",
                "through the agent that is heard; from an address of its own, and at home, directly, unless R is set",
            ),
            Line(
                "MN-02", "D with an own care-of address; T, M, G and B where they are wished for and to be had; TTL 255"
            ),
            Line("MN-03", "no longer lifetime than is advertised"),
            Line("MN-04", "the home address if it is known, else 0.0.0.0 and the NAI"),
            Line("MN-05", "Identifications rise strictly over all sessions"),
            Line("MN-06", "extensions in their order; a key with the agent is used; its challenge comes back"),
            Line("MN-07", "what is needed to match and judge the reply is kept: agent, Identification, lifetime, time"),
            Line("MN-08", "a second at least between two requests, then ever longer"),
        ),
    ),
    Section(
        "Mobile node: Registration Reply (RFC 5944 §3.6.2)",
        (
            Line("MN-11", "checksum right or absent; 20 octets at least, of type 3, well formed", "silence"),
            Line("MN-12", "it answers the last request of its session", "silence"),
            Line(
                "MN-13",
                "no unknown extension below 128; no critical one that is not known",
                "silence; taken as a denial",
            ),
            Line("MN-14", "an agent that shares a key signs once, rightly", "silence"),
            Line("MN-15", "what comes from a home agent is signed by it", "silence"),
            Line("MN-16", "an agent's own denial needs no signature, and is not the last word", "asked again"),
            Line("MN-17", "an acceptance has our whole Identification", "silence"),
            Line("MN-18", "an acceptance has our NAI and sub-NAI, a home address and a home agent", "silence"),
            Line(
                "MN-19",
                "an FA Error behind an acceptance is a denial",
                "the next agent, or asked again",
                "Not deregistered: the request that follows replaces the binding.",
            ),
            Line("MN-20", "a UDP tunnel only if a UDP Tunnel Reply assents", "ip-in-ip else"),
        ),
    ),
    Section(
        "Mobile node: what each Reply code leads to (MN-nn for code nn)",
        (
            Line(
                "MN-00", "accepted", "configured for the shorter lifetime, from when it was asked for; renewed in time"
            ),
            Line("MN-69", "the lifetime is too long", "69: asked again with the one that is offered"),
            Line("MN-72", "another encapsulation", "72, 139: asked again without M and G, and said once"),
            Line("MN-74", "no reverse tunnel", "74, 137: asked again without T"),
            Line("MN-75", "a reverse tunnel is mandatory", "75, 138: asked again with T"),
            Line("MN-76", "not on the agent's link", "76: another agent that is heard, else asked again"),
            Line("MN-79", "another delivery style", "79: asked again with direct delivery"),
            Line(
                "MN-80",
                "not here, or not now",
                "65, 66, 77, 78, 80, 81, 82, 88, 96: another agent that is heard, else asked again soon",
            ),
            Line("MN-104", "the challenge", "104, 105, 106: asked again with that of the reply or the next heard"),
            Line("MN-129", "the owner has to see to it", "129, 130, 135, 147-153: told, asked again after a long time"),
            Line("MN-131", "keys do not fit", "67, 68, 108, 131, 132, 144: told, asked again after a long time"),
            Line(
                "MN-133", "clocks differ", "133: follows the home agent's, asked again after a second, then more rarely"
            ),
            Line("MN-136", "another home agent", "136: the one that is named is asked"),
            Line("MN-142", "no such UDP tunnel", "142: asked again without one"),
            Line("MN-143", "a redirection", "143: the home agent it says is asked, unless that goes in circles"),
        ),
    ),
    Section(
        "Mobile node: other messages",
        (
            Line(
                "MN-31",
                "message 7 with a care-of address of its own, where it was negotiated",
                "silence",
                "Never negotiated: the home agent revokes at agents. A node that is its own agent learns of it when it "
                "renews, behind a NAT within a minute; nor would one message always pass that.",
            ),
            Line("MN-32", "message 4 from the home agent's address and port, carrying IP", "silence"),
            Line("MN-33", "an advertisement with TTL 1, a right checksum and an agent in it", "silence"),
        ),
    ),
)

SECTIONS = HOME_AGENT + FOREIGN_AGENT + MOBILE_NODE
