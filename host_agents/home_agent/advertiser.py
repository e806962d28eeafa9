"""What a home agent's advertisements say on a home network that is a real link (RFC 5944 §2.1, §2.3)."""

from __future__ import annotations

from host_agents import advertiser
from host_agents.home_agent.policy import HomeNetwork, Policy
from mip4.const import ADVERT_H
from mip4.discovery import AgentAdvertisement, MobilityAgent, PrefixLengths

_ROUTER, _ROUTES_ONLY_FOR_MOBILE_NODES = 0, 16  # codes (RFC 5944 §2.1)
_NO_DEFAULT_ROUTER = 0x80000000  # the least preference (RFC 1256 §3.1)


class Advertiser(advertiser.Advertiser):
    """Advertisements of one home network.

    A node knows by them that it is at home. It knows its home agent by the address that it registers with, which need
    not be the one on this link: so that one is named too, as a router that nobody is to choose.
    """

    def __init__(self, policy: Policy, network: HomeNetwork, now: int) -> None:
        super().__init__(network.interface, network.address, network.advertise_interval, False, now)
        self._policy = policy
        self._network = network

    def message(self, sequence: int, lifetime: int, busy: bool) -> AgentAdvertisement:
        """As of all advertisers. A home agent is never too busy for a node to come home."""
        network = self._network
        routers, lengths = [(network.address, 0)], [network.prefix[1]]
        if self._policy.address != network.address:
            routers.append((self._policy.address, _NO_DEFAULT_ROUTER))
            lengths.append(32)
        return AgentAdvertisement(
            code=_ROUTER if network.address == network.gateway else _ROUTES_ONLY_FOR_MOBILE_NODES,
            lifetime=lifetime,
            routers=routers,
            extensions=[MobilityAgent(sequence, self._policy.lifetime, ADVERT_H, []), PrefixLengths(lengths)],
        )
