"""When an agent advertises itself on a link, and to whom (RFC 5944 §2.3, intervals of RFC 1256 §4.1)."""

from __future__ import annotations

import zlib

from host_agents.effects import SendFrame
from host_agents.limiter import Limiter
from mip4.const import ALL_SYSTEMS, PROTO_ICMP
from mip4.discovery import AgentAdvertisement
from mip4.ip import Packet

_ALL_SYSTEMS_LINK = bytes((0x01, 0x00, 0x5E, 0x00, 0x00, 0x01))  # RFC 1112 §6.4
_FIRST_INTERVAL = 16_000  # ms; the first three are no further apart (RFC 1256 §6)
_AFTER_ROLLOVER = 256  # a sequence number that says "not rebooted" (RFC 5944 §2.3.2)
_SOLICITED_PER_SECOND = 4  # per link address


class Advertiser:
    """Advertisements of one link. What they say is for message(), which each kind of agent has its own of.

    Sequence numbers begin at 0, which tells every node that we have lost its registration; an agent that kept them
    over a restart begins where a rollover does, and nobody needs to register again.
    """

    def __init__(self, link: str, address: int, interval: int, kept: bool, now: int) -> None:
        """link: name of its interface. address: the agent's own there. interval: the longest between two, ms."""
        self._link = link
        self._address = address
        self._interval = interval
        self._sequence = _AFTER_ROLLOVER if kept else 0
        self._sent = 0
        self._solicited = Limiter(_SOLICITED_PER_SECOND, 1000, _SOLICITED_PER_SECOND)
        self.due: int | None = now

    def message(self, sequence: int, lifetime: int, busy: bool) -> AgentAdvertisement:
        """lifetime: of the advertisement, seconds. busy: whether there is no room for another node."""
        raise NotImplementedError

    def advertise(self, busy: bool, now: int) -> SendFrame:
        """The advertisement that is due, to everybody on the link."""
        noise = zlib.crc32(f"{self._link} {self._address} {self._sent} {now}".encode()) % 1001
        interval = self._interval * 3 // 4 + self._interval * noise // 4000
        self.due = now + (min(interval, _FIRST_INTERVAL) if self._sent < 3 else interval)
        self._sent += 1
        return self._frame(_ALL_SYSTEMS_LINK, busy)

    def solicited(self, link_address: bytes, busy: bool, now: int) -> list[SendFrame]:
        """The answer to a solicitation: to 224.0.0.1, in a frame for the one who asked, unless it asks too often."""
        return [self._frame(link_address, busy)] if self._solicited.allows(link_address, now) else []

    def revoked(self, link_address: bytes, busy: bool) -> SendFrame:
        """For one node whose registration was revoked: a sequence number of 0 (RFC 3543 §4.1)."""
        kept, self._sequence = self._sequence, 0
        frame = self._frame(link_address, busy)
        self._sequence = kept
        return frame

    def farewell(self) -> SendFrame:
        """The last one, whose lifetime is 0 (RFC 1256 §4.3)."""
        self.due = None
        return self._frame(_ALL_SYSTEMS_LINK, busy=True, lifetime=0)

    def _frame(self, link_address: bytes, busy: bool, lifetime: int | None = None) -> SendFrame:
        usual = max(3, -(-3 * self._interval // 1000))
        message = self.message(self._sequence, usual if lifetime is None else lifetime, busy)
        self._sequence = self._sequence + 1 if self._sequence < 0xFFFF else _AFTER_ROLLOVER
        packet = Packet(self._address, ALL_SYSTEMS, PROTO_ICMP, 1, message.encode())
        return SendFrame(self._link, link_address, packet.encode())
