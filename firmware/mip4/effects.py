"""What engines answer with: things for a runtime to do, in order. Plain records; somebody else runs them."""

from mip4.record import Record


class Dropped(Record):
    """A datagram changed nothing. error: the MipError that says why. source: int, the address it claimed to be from."""

    __slots__ = ("error", "source")


class Solicit(Record):
    """Send an Agent Solicitation on the uplink: to 224.0.0.2, TTL 1 (RFC 5944 §2.2)."""

    __slots__ = ()


class Send(Record):
    """Send a registration message from UDP 434 to UDP 434 of `destination`, TTL 255 (RFC 3024 §3.2).

    link_address: octets, where the agent's advertisement came from; no ARP is to be broadcast (RFC 5944 §3.6.1.1).
    Empty: the destination is no agent of this link but the home agent, by way of the router that came with our address.
    source: a home address, on our home link, or our care-of address; 0 for whatever address the uplink has.
    """

    __slots__ = ("datagram", "destination", "link_address", "source")


class UseAgent(Record):
    """Make the agent the default router of the node and of all behind it. address 0: nobody is.

    source: the home address that the node's own packets carry, 0 if it has none.
    """

    __slots__ = ("address", "link_address", "source")


class HandIn(Record):
    """Give the agent what home addresses send inside packets for itself (RFC 3024 §5.2), until UseAgent or UseTunnel.

    Fields as in UseAgent.
    """

    __slots__ = ("address", "link_address")


class UseTunnel(Record):
    """Carry the packets of all home addresses between here and the home agent ourselves, without an agent.

    care_of_address: the uplink's own address, where the tunnel begins. kind: "ipip" (RFC 2003), "gre" (RFC 2784),
    "udp" (RFC 3519, port 434 to 434), or "" while the home agent has not said which: then packets are dropped, in
    silence. source: as in UseAgent. broadcast: where broadcasts of the home network go, if devices are to hear them, or
    0.
    """

    __slots__ = ("care_of_address", "home_agent", "kind", "source", "broadcast")


class UseHomeLink(Record):
    """The uplink is on our home network: carry the packets of all home addresses there, plainly.

    Answer ARP there for every home address that is attached, now or later, and say so by gratuitous ARP, at once and a
    few times more (RFC 5944 §4.6). link_address: of the router, which is our home agent. source: as in UseAgent.
    """

    __slots__ = ("link_address", "source")


class LeaveHomeLink(Record):
    """Answer ARP on the uplink no longer. What carries packets instead comes in another effect."""

    __slots__ = ()


class SendTunnelled(Record):
    """An IPv4 packet, whole, to go into the tunnel."""

    __slots__ = ("packet",)


class Attach(Record):
    """A session's home address is valid here: carry its packets.

    downlink: name of the link its device is on, "" for the node itself and its applications.
    link_address: octets, the device's; empty for the node itself. gateway: int, the address the node answers for there.
    """

    __slots__ = ("home_address", "downlink", "link_address", "gateway")


class Detach(Record):
    """A session's home address is no longer valid here. Fields as in Attach."""

    __slots__ = ("home_address", "downlink", "link_address", "gateway")


class AnswerDhcp(Record):
    """Send a DHCP message from UDP 67 of `source` to UDP 68 of `destination`, which may be 255.255.255.255."""

    __slots__ = ("downlink", "datagram", "source", "destination")


class Remember(Record):
    """Keep this over a power cut, if the platform can: lists of [sub-NAI, downlink, link address, home address]."""

    __slots__ = ("sessions",)


class Said(Record):
    """Something happened that a person wants to read: one log line. level: "info" or "warning"."""

    __slots__ = ("level", "text")
