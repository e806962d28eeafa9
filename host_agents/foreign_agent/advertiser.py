"""What a foreign agent's advertisements say (RFC 5944 §2.1); when and to whom is the same for all agents."""

from __future__ import annotations

from host_agents import advertiser
from host_agents.effects import SendFrame
from host_agents.foreign_agent.challenges import Challenges
from host_agents.foreign_agent.policy import Policy, VisitedInterface
from mip4.const import ADVERT_B, ADVERT_F, ADVERT_G, ADVERT_M, ADVERT_R, ADVERT_T, ADVERT_X
from mip4.discovery import AdvertisedChallenge, AgentAdvertisement, MobilityAgent, PrefixLengths

_ROUTES_ONLY_FOR_MOBILE_NODES = 16  # code (RFC 5944 §2.1)


class Advertiser(advertiser.Advertiser):
    """Advertisements of one visited link. kept_visitors: over a restart."""

    def __init__(
        self,
        policy: Policy,
        interface: VisitedInterface,
        kept_visitors: bool,
        challenges: Challenges | None,
        now: int,
    ) -> None:
        super().__init__(interface.name, interface.address, policy.advertise_interval, kept_visitors, now)
        self._policy = policy
        self._interface = interface
        self._challenges = challenges

    def advertise(self, busy: bool, now: int) -> SendFrame:
        """As of all advertisers; with a challenge that none had before."""
        if self._challenges is not None:
            self._challenges.renew()
        return super().advertise(busy, now)

    def message(self, sequence: int, lifetime: int, busy: bool) -> AgentAdvertisement:
        """As of all advertisers."""
        return AgentAdvertisement(
            code=_ROUTES_ONLY_FOR_MOBILE_NODES,
            lifetime=lifetime,
            routers=[(self._interface.address, 0)],
            extensions=[
                MobilityAgent(
                    sequence=sequence,
                    lifetime=self._policy.lifetime,
                    flags=self._flags(busy),
                    care_of_addresses=[self._policy.care_of_address],
                ),
                PrefixLengths([self._interface.prefix_length]),
                *([] if self._challenges is None else [AdvertisedChallenge(self._challenges.newest())]),
            ],
        )

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
