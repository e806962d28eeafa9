"""One packet: whether it is Mobile IP, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

from host_agents.decoder import words
from host_agents.decoder.discovery import KINDS, describe_discovery
from host_agents.decoder.keyring import Keyring
from host_agents.decoder.network import Carried, UdpDatagram, ipv4_in, open_datagram, open_packet
from host_agents.decoder.registration import TUNNEL_DATA, describe_registration
from host_agents.decoder.source import Captured
from host_agents.decoder.words import Fault, Message
from mip4.address import show
from mip4.const import PORT, PROTO_ICMP, PROTO_IPIP, PROTO_UDP
from mip4.errors import Malformed
from mip4.ip import checksum

_MINIMAL, _GRE = 55, 47
_PROTOCOLS = {1: "ICMP", 2: "IGMP", 4: "IP in IP", 6: "TCP", 17: "UDP", 47: "GRE", 55: "minimal encapsulation"}
_TUNNELS = (PROTO_IPIP, _GRE, _MINIMAL)


@dataclass(slots=True, frozen=True)
class Seen:
    """A message and the packet around it. number, time and the ends are None where they are not known."""

    message: Message
    number: int | None = None
    time: int | None = None
    packet: Carried | None = None
    udp: UdpDatagram | None = None


class Reader:
    """vendor: enterprise number of the sub-NAI's carrier B, 0 for none. tunnel: tunnelled packets count as messages."""

    def __init__(self, keys: Keyring, vendor: int = 0, tunnel: bool = False) -> None:
        self._keys = keys
        self._vendor = vendor
        self._tunnel = tunnel

    def frame(self, captured: Captured) -> Seen | None:
        """What a captured frame says, None if it is not Mobile IP."""
        octets = ipv4_in(captured.link_type, captured.octets)
        if octets is None:
            return None
        try:
            return self.packet(octets, captured.number, captured.time)
        except Malformed:
            return None  # not to be known for Mobile IP

    def packet(self, octets: bytes, number: int | None = None, time: int | None = None) -> Seen | None:
        """What an IPv4 packet says, None if it is not Mobile IP. Raises Malformed."""
        packet = open_packet(octets)
        if packet.protocol == PROTO_ICMP and packet.payload[:1] and packet.payload[0] in KINDS:
            return _seen(describe_discovery(packet.payload), number, time, packet)
        if packet.protocol in _TUNNELS and self._tunnel:
            return _seen(_tunnelled(packet.protocol, packet.payload), number, time, packet)
        if packet.protocol != PROTO_UDP:
            return None
        udp = open_datagram(packet)
        if PORT not in (udp.source_port, udp.destination_port):
            return None
        if udp.payload[:1] == bytes([TUNNEL_DATA]) and not self._tunnel:
            return None
        message = self.datagram(udp.payload, (packet.source, packet.destination))
        return _seen(message, number, time, packet, udp)

    def datagram(self, payload: bytes, ends: tuple[int, ...] = ()) -> Message:
        """What a UDP payload says. ends: the addresses it travelled between."""
        if payload[:1] == bytes([TUNNEL_DATA]) and len(payload) >= 4:
            return _tunnelled(payload[1], payload[4:], in_udp=True)
        return describe_registration(payload, self._keys, self._vendor, ends)

    def guess(self, octets: bytes) -> Seen | None:
        """Whole IP packet, ICMP message or UDP payload: whichever these octets are. None if none of them."""
        if len(octets) >= 20 and octets[0] >> 4 == 4 and checksum(octets[: (octets[0] & 15) * 4]) == 0:
            return self.packet(octets)
        if octets[:1] and octets[0] in KINDS:  # types that no message on UDP 434 has
            return Seen(describe_discovery(octets))
        return Seen(self.datagram(octets)) if octets else None


def _seen(
    message: Message, number: int | None, time: int | None, packet: Carried, udp: UdpDatagram | None = None
) -> Seen:
    """With the faults of the packet around it in front of its own."""
    around = [*packet.faults, *(udp.faults if udp else [])]
    message.faults[:0] = [Fault(0, reason) for reason in around]
    return Seen(message, number, time, packet, udp)


def _tunnelled(protocol: int, octets: bytes, in_udp: bool = False) -> Message:
    """One line about a packet in a tunnel."""
    name = _PROTOCOLS.get(protocol, f"protocol {protocol}")
    message = Message(f"UDP tunnel, {name}", TUNNEL_DATA) if in_udp else Message(f"Tunnel, {name}", protocol)
    if protocol != PROTO_IPIP:
        message.items.append(words.octets("Octets", octets))
        return message
    try:
        inner = open_packet(octets)
    except Malformed as error:
        message.faults.append(Fault(4 if in_udp else 0, str(error)))
        return message
    carried = _PROTOCOLS.get(inner.protocol, f"protocol {inner.protocol}")
    shown = f"{show(inner.source)} -> {show(inner.destination)} {carried}, TTL {inner.ttl}, {inner.size} octets"
    value = {"source": show(inner.source), "destination": show(inner.destination), "protocol": inner.protocol}
    message.items.append(words.Item("Inner", shown, value | {"ttl": inner.ttl, "octets": inner.size}))
    message.faults += [Fault(4 if in_udp else 0, reason) for reason in inner.faults]
    return message
