"""What the home and foreign agent engines ask of their daemon, and the records they ask it about.

A list of effects is one turn. Its Store* effects are made durable first, together; then the kernel is programmed;
then messages leave. Addresses: int. Times: `expires` is milliseconds of the engine's own clock, None for never.

Nobody changes one of these. They are not frozen all the same: it would make each five times as dear, and a home agent
makes tens of thousands a second.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, unsafe_hash=True)
class MobilityBinding:
    """A home agent's record of a session (RFC 5944 §1.6). Key: (nai, sub_nai).

    lifetime: seconds granted, 0xFFFF for ever. identification: the last one accepted, 64 bits. flags: of the request.
    direct: whether the node registered without a foreign agent. revocation: what was agreed() with the foreign agent,
    if it can be told of the end (RFC 3543 §2). udp_remote, udp_port: where a UDP tunnel ends, which a NAT makes another
    place than the care-of address (RFC 3519); remote 0: it is none; port 0: not known yet. supplied: whether a foreign
    agent supplied the sub-NAI, not the node. others: the session's bindings at further care-of addresses, the newest
    first and each without others, where the node wanted several at a time.
    """

    nai: str
    sub_nai: str
    home_address: int
    care_of_address: int
    lifetime: int
    expires: int | None
    flags: int
    identification: int
    direct: bool
    revocation: int | None = None
    udp_remote: int = 0
    udp_port: int = 0
    supplied: bool = False
    others: tuple[MobilityBinding, ...] = ()


@dataclass(slots=True, unsafe_hash=True)
class Visitor:
    """A foreign agent's record of a registered session (RFC 5944 §3.7.1). Key: (nai, sub_nai).

    link_address: 6 octets, the node's on `interface`. flags: of the request. revocation: what was agreed() with the
    home agent, if it can be told of the end (RFC 3543 §2). hands_in: whether it has the encapsulating delivery style
    (RFC 3024 §2). said: our own timestamp, which went to the home agent with the request, and is earlier than any
    revocation of ours.
    """

    nai: str
    sub_nai: str
    home_address: int
    home_agent: int
    care_of_address: int
    interface: str
    link_address: bytes
    lifetime: int
    expires: int | None
    flags: int
    revocation: int | None = None
    hands_in: bool = False
    said: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class StoreBinding:
    """Insert or replace the binding and the last Identification of its session. nonce: as of StoreIdentification."""

    binding: MobilityBinding
    nonce: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class RenewBinding:
    """As StoreBinding, of a binding that is stored and has got a new lifetime, Identification and revocation time.

    Nothing else of it differs: that is what a home agent does all day, and a store may have a shorter way for it. To
    the data path it says until when the tunnel may go on.
    """

    binding: MobilityBinding


@dataclass(slots=True, unsafe_hash=True)
class RemoveBinding:
    """Delete the binding; its session stays the last owner of the address. released: clock ms. reason: as logged."""

    binding: MobilityBinding
    released: int
    reason: str = ""


@dataclass(slots=True, unsafe_hash=True)
class StoreIdentification:
    """The last Identification of a session, for an authentic denial or a deregistration too (RFC 5944 §5.7).

    nonce: 32 bits that the next one has to begin with, None where timestamps are used.
    """

    nai: str
    sub_nai: str
    identification: int
    nonce: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class ForgetIdentification:
    """An Identification so old that the timestamp check alone refuses it."""

    nai: str
    sub_nai: str


@dataclass(slots=True, unsafe_hash=True)
class StoreVisitor:
    """Insert or replace a visitor."""

    visitor: Visitor


@dataclass(slots=True, unsafe_hash=True)
class RemoveVisitor:
    """Delete a visitor."""

    visitor: Visitor


@dataclass(slots=True, unsafe_hash=True)
class TunnelEnd:
    """The other end of a tunnel, and how packets travel to it and back.

    encapsulation: "ipip" (RFC 2003), "gre" (RFC 2784), "minimal" (RFC 2004) or "udp" (RFC 3519).
    port: of "udp", as seen from here; 0 while it is not known: then nothing travels, but a keepalive is reported.
    broadcast: whether it gets what is for the home network's broadcast address (RFC 5944 §4.3).
    co_located: whether the mobile node itself is there, rather than its foreign agent.
    """

    remote: int
    encapsulation: str
    port: int = 0
    broadcast: bool = False
    co_located: bool = False


@dataclass(slots=True, unsafe_hash=True)
class InstallTunnel:
    """Carry packets of `home_address` through the tunnel from `local` to each of `ends`; replaces what was there.

    A home agent copies every packet to all of them (simultaneous bindings), and any of them may send.
    encapsulating_link: the visited link on which a visitor may hand in packets inside packets to its foreign agent,
    which go into the tunnel (RFC 3024 §2, encapsulating delivery style); "": none.
    expires: when it has to end even if nobody is there to remove it; ExtendTunnel and RenewBinding extend it.
    """

    home_address: int
    local: int
    ends: tuple[TunnelEnd, ...]
    encapsulating_link: str = ""
    expires: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class ExtendTunnel:
    """A tunnel that stays as it is has to end later, or sooner. expires: as of InstallTunnel."""

    home_address: int
    expires: int | None


@dataclass(slots=True, unsafe_hash=True)
class RemoveTunnel:
    """Stop carrying packets of `home_address`."""

    home_address: int


@dataclass(slots=True, unsafe_hash=True)
class CameHome:
    """The session of `home_address` is on its home link, where that is a real one (RFC 5944 §4.6)."""

    home_address: int


@dataclass(slots=True, unsafe_hash=True)
class AskSubscriber:
    """Ask elsewhere who `nai` is. What it sent, from source:port, is looked at when that is known. spi: of its key."""

    nai: str
    spi: int
    datagram: bytes
    source: int
    port: int


@dataclass(slots=True, unsafe_hash=True)
class InstallDelivery:
    """Deliver what the tunnel brings for a visitor to its link-layer address.

    reverse: whether what the visitor sends goes back into the tunnel (RFC 3024) or is routed like anything else.
    """

    home_address: int
    interface: str
    link_address: bytes
    reverse: bool


@dataclass(slots=True, unsafe_hash=True)
class RemoveDelivery:
    """Undo InstallDelivery."""

    home_address: int
    interface: str


@dataclass(slots=True, unsafe_hash=True)
class SendDatagram:
    """A UDP datagram from port 434 of the agent's own address."""

    datagram: bytes
    destination: int
    port: int


@dataclass(slots=True, unsafe_hash=True)
class SendFrame:
    """An IPv4 packet, whole, in a unicast or multicast frame on a visited link."""

    interface: str
    link_address: bytes
    packet: bytes


@dataclass(slots=True, unsafe_hash=True)
class Said:
    """One log line for an operator. level: "info" or "warning". kind: counted and limited under this word."""

    level: str
    kind: str
    text: str


@dataclass(slots=True)
class Turn:
    """What one event leads to: effects in order.

    session: (NAI, sub-NAI) when the engine must hear how the turn ended, through settled() or refused(); no other turn
    of that session begins before.
    """

    effects: list[object]
    session: tuple[str, str] | None = None
