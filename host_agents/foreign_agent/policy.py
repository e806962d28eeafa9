"""What the operator has decided for a foreign agent, and the links it serves. Read once, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from mip4.authentication import SecurityAssociation


@dataclass(slots=True, frozen=True)
class VisitedInterface:
    """A visited link: the agent's own address and prefix length there."""

    name: str
    address: int
    prefix_length: int


@dataclass(slots=True, frozen=True)
class Policy:
    """lifetime: the most that is relayed, seconds. advertise_interval: ms. home_agents: associations by address.

    mobile_nodes: MN-FA associations, NAI -> SPI -> association. connected: (network, length) of the router's own
    links, inside which no visitor's home address may lie. visitors: how many there may be. sub_nai_from_link: whether a
    node that names no session of its own gets its link address for a sub-NAI. home_agent_default: for nodes that leave
    the choice to us (RFC 4433), 0 for none. encapsulations: those besides IP-in-IP, as in host_agents.encapsulation.
    encapsulating_delivery: whether visitors may hand in packets inside packets (RFC 3024).
    """

    care_of_address: int
    interfaces: tuple[VisitedInterface, ...]
    lifetime: int
    advertise_interval: int
    registration_required: bool
    reverse_tunnel: bool
    requests_per_minute: int
    home_agents: dict[int, SecurityAssociation] = field(default_factory=dict)
    mobile_nodes: dict[str, dict[int, SecurityAssociation]] = field(default_factory=dict)
    connected: tuple[tuple[int, int], ...] = ()
    visitors: int = 4096
    sub_nai_vendor: int = 0
    sub_nai_from_link: bool = False
    home_agent_default: int = 0
    encapsulations: tuple[str, ...] = ()
    encapsulating_delivery: bool = True

    def own_addresses(self) -> frozenset[int]:
        return frozenset((self.care_of_address, *(one.address for one in self.interfaces)))
