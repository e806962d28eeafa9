"""What the home and foreign agent engines ask of their daemon, and the records they ask it about.

A list of effects is one turn. Its Store* effects are made durable first, together; then the kernel is programmed, which
at a foreign agent goes before; then messages leave.

Addresses: int. Times: `expires` is milliseconds of the engine's own clock, None for never.

Nobody changes one of these, and none of them can be part of a cycle, so that the garbage collector need not know them:
a home agent makes tens of thousands a second, and keeps a million.
"""

from __future__ import annotations

from typing import Any, Self

import msgspec
from msgspec.structs import replace


class _Record(msgspec.Struct, frozen=True, gc=False):
    """Its subclasses are compared and hashed by what is in them."""

    def but(self, **changes: Any) -> Self:
        """A copy that has these."""
        return replace(self, **changes)


class MobilityBinding(_Record, frozen=True):
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


class Visitor(_Record, frozen=True):
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


class StoreBinding(_Record, frozen=True):
    """Insert or replace the binding and the last Identification of its session. nonce: as of StoreIdentification."""

    binding: MobilityBinding
    nonce: int | None = None


class RenewBinding(_Record, frozen=True):
    """As StoreBinding, of a binding that is stored and has got a new lifetime, Identification and revocation time.

    Nothing else of it differs: that is what a home agent does all day, and a store may have a shorter way for it. To
    the data path it says until when the tunnel may go on.
    """

    binding: MobilityBinding


class RemoveBinding(_Record, frozen=True):
    """Delete the binding; its session stays the last owner of the address. released: clock ms. reason: as logged."""

    binding: MobilityBinding
    released: int
    reason: str = ""


class StoreIdentification(_Record, frozen=True):
    """The last Identification of a session, for an authentic denial or a deregistration too (RFC 5944 §5.7).

    nonce: 32 bits that the next one has to begin with, None where timestamps are used.
    """

    nai: str
    sub_nai: str
    identification: int
    nonce: int | None = None


class ForgetIdentification(_Record, frozen=True):
    """An Identification so old that the timestamp check alone refuses it."""

    nai: str
    sub_nai: str


class StoreVisitor(_Record, frozen=True):
    """Insert or replace a visitor."""

    visitor: Visitor


class RemoveVisitor(_Record, frozen=True):
    """Delete a visitor."""

    visitor: Visitor


class TunnelEnd(_Record, frozen=True):
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


class InstallTunnel(_Record, frozen=True):
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


class ExtendTunnel(_Record, frozen=True):
    """A tunnel that stays as it is has to end later, or sooner. expires: as of InstallTunnel."""

    home_address: int
    expires: int | None


class RemoveTunnel(_Record, frozen=True):
    """Stop carrying packets of `home_address`."""

    home_address: int


class CameHome(_Record, frozen=True):
    """The session of `home_address` is on its home link, where that is a real one (RFC 5944 §4.6)."""

    home_address: int


class AskSubscriber(_Record, frozen=True):
    """Ask elsewhere who `nai` is. What it sent, from source:port, is looked at when that is known. spi: of its key."""

    nai: str
    spi: int
    datagram: bytes
    source: int
    port: int


class InstallDelivery(_Record, frozen=True):
    """Deliver what the tunnel brings for a visitor to its link-layer address.

    reverse: whether what the visitor sends goes back into the tunnel (RFC 3024) or is routed like anything else.
    """

    home_address: int
    interface: str
    link_address: bytes
    reverse: bool


class RemoveDelivery(_Record, frozen=True):
    """Undo InstallDelivery."""

    home_address: int
    interface: str


class SendDatagram(_Record, frozen=True):
    """A UDP datagram from port 434 of the agent's own address."""

    datagram: bytes
    destination: int
    port: int


class SendFrame(_Record, frozen=True):
    """An IPv4 packet, whole, in a unicast or multicast frame on a visited link."""

    interface: str
    link_address: bytes
    packet: bytes


class Said(_Record, frozen=True):
    """One log line for an operator. level: "info" or "warning". kind: counted and limited under this word."""

    level: str
    kind: str
    text: str


class Turn(msgspec.Struct):
    """What one event leads to: effects in order.

    session: (NAI, sub-NAI) when the engine must hear how the turn ended, through settled() or refused(); no other turn
    of that session begins before.
    """

    effects: list[object]
    session: tuple[str, str] | None = None


class Accepted(_Record, frozen=True):
    """The turn that a plain request leads to, in parts, for a daemon that carries out many at once.

    datagram, source, port: the request, and where the reply goes. former: what the session had before, None where it is
    new. further: effects between the row and the reply, unless it stays what and where it was.
    """

    session: tuple[str, str]
    datagram: bytes
    source: int
    port: int
    former: MobilityBinding | None
    row: StoreBinding | RenewBinding
    reply: bytes
    further: tuple[object, ...] = ()

    @property
    def renews(self) -> bool:
        """Whether the session stays what and where it was."""
        return type(self.row) is RenewBinding

    def turn(self) -> Turn:
        return Turn([self.row, *self.further, SendDatagram(self.reply, self.source, self.port)], self.session)
