"""Agent Advertisements: when, to whom, and what they say (RFC 5944 §2.3, intervals of RFC 1256 §4.1)."""

from __future__ import annotations

import zlib

from host_agents.effects import SendFrame
from host_agents.foreign_agent.challenges import Challenges
from host_agents.foreign_agent.policy import Policy, VisitedInterface
from host_agents.limiter import Limiter
from mip4.const import (
    ADVERT_B,
    ADVERT_F,
    ADVERT_G,
    ADVERT_M,
    ADVERT_R,
    ADVERT_T,
    ADVERT_X,
    ALL_SYSTEMS,
    PROTO_ICMP,
)
from mip4.discovery import AdvertisedChallenge, AgentAdvertisement, MobilityAgent, PrefixLengths
from mip4.ip import Packet

_ALL_SYSTEMS_LINK = bytes((0x01, 0x00, 0x5E, 0x00, 0x00, 0x01))  # RFC 1112 §6.4
_FIRST_INTERVAL = 16_000  # ms; the first three are no further apart (RFC 1256 §6)
_AFTER_ROLLOVER = 256  # a sequence number that says "not rebooted" (RFC 5944 §2.3.2)
_SOLICITED_PER_SECOND = 4  # per link address
_ROUTES_ONLY_FOR_MOBILE_NODES = 16  # code (RFC 5944 §2.1)


class Advertiser:
    """Advertisements of one visited link.

    Sequence numbers begin at 0, which tells every node that we have lost its registration; an agent that kept its
    visitors over a restart begins where a rollover does, and nobody needs to register again.
    """

    def __init__(
        self,
        policy: Policy,
        interface: VisitedInterface,
        kept_visitors: bool,
        challenges: Challenges | None,
        now: int,
    ) -> None:
        self._policy = policy
        self._interface = interface
        self._challenges = challenges
        self._sequence = _AFTER_ROLLOVER if kept_visitors else 0
        self._sent = 0
        self._solicited = Limiter(_SOLICITED_PER_SECOND, 1000, _SOLICITED_PER_SECOND)
        self.due: int | None = now

    def advertise(self, busy: bool, now: int) -> SendFrame:
        """The advertisement that is due, to everybody on the link; with a challenge that none had before."""
        if self._challenges is not None:
            self._challenges.renew()
        longest = self._policy.advertise_interval
        noise = zlib.crc32(f"{self._interface.name} {self._interface.address} {self._sent} {now}".encode()) % 1001
        interval = longest * 3 // 4 + longest * noise // 4000
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
        usual = max(3, -(-3 * self._policy.advertise_interval // 1000))
        message = AgentAdvertisement(
            code=_ROUTES_ONLY_FOR_MOBILE_NODES,
            lifetime=usual if lifetime is None else lifetime,
            routers=[(self._interface.address, 0)],
            extensions=[
                MobilityAgent(
                    sequence=self._sequence,
                    lifetime=self._policy.lifetime,
                    flags=self._flags(busy),
                    care_of_addresses=[self._policy.care_of_address],
                ),
                PrefixLengths([self._interface.prefix_length]),
                *([] if self._challenges is None else [AdvertisedChallenge(self._challenges.newest())]),
            ],
        )
        self._sequence = self._sequence + 1 if self._sequence < 0xFFFF else _AFTER_ROLLOVER
        packet = Packet(self._interface.address, ALL_SYSTEMS, PROTO_ICMP, 1, message.encode())
        return SendFrame(self._interface.name, link_address, packet.encode())

    def _flags(self, busy: bool) -> int:
        flags: int = ADVERT_F
        for wanted, flag in (
            (self._policy.registration_required, ADVERT_R),
            ("minimal" in self._policy.encapsulations, ADVERT_M),
            ("gre" in self._policy.encapsulations, ADVERT_G),
            (self._policy.reverse_tunnel, ADVERT_T),
            (bool(self._policy.home_agents), ADVERT_X),
            (busy, ADVERT_B),
        ):
            flags |= flag if wanted else 0
        return flags
