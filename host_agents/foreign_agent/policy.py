"""What the operator has decided for a foreign agent, and the links it serves. Only keys are ever read anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mip4.authentication import AaaAssociation, SecurityAssociation

Associations = dict[int, SecurityAssociation]  # by the agent's address
Keys = dict[str, dict[int, SecurityAssociation]]  # NAI -> SPI -> association
AaaKeys = dict[str, dict[int, AaaAssociation]]


@dataclass(slots=True, frozen=True)
class VisitedInterface:
    """A visited link. address, prefix_length: the agent's own there."""

    name: str
    address: int = 0
    prefix_length: int = 0


@dataclass(slots=True, frozen=True)
class Policy:
    """lifetime: the most that is relayed, seconds. advertise_interval: ms. home_agents: associations by address.

    mobile_nodes: MN-FA associations, NAI -> SPI -> association. connected: (network, length) of the router's own
    links, inside which no visitor's home address may lie. visitors: how many there may be. sub_nai_from_link: whether a
    node that names no session of its own gets its link address for a sub-NAI. home_agent_default: for nodes that leave
    the choice to us (RFC 4433), 0 for none. reverse_tunnel_required: whether nodes have to ask for one (RFC 3024 §4.2).
    challenge: whether nodes have to answer one (RFC 4721). aaa: what nodes share with AAA servers that have told us,
    NAI -> SPI -> association; where we were told nothing, home agents see. encapsulations: those besides IP-in-IP (see
    host_agents/encapsulation.py). encapsulating_delivery: whether visitors may hand in packets in packets (RFC 3024).
    """

    care_of_address: int
    interfaces: tuple[VisitedInterface, ...]
    lifetime: int
    advertise_interval: int
    registration_required: bool
    reverse_tunnel: bool
    requests_per_minute: int
    home_agents: Associations = field(default_factory=dict)
    mobile_nodes: Keys = field(default_factory=dict)
    connected: tuple[tuple[int, int], ...] = ()
    visitors: int = 4096
    sub_nai_vendor: int = 0
    sub_nai_from_link: bool = False
    home_agent_default: int = 0
    challenge: bool = False
    aaa: AaaKeys = field(default_factory=dict)
    reverse_tunnel_required: bool = False
    encapsulations: tuple[str, ...] = ()
    encapsulating_delivery: bool = True

    def replace(self, home_agents: Associations, mobile_nodes: Keys, aaa: AaaKeys) -> None:
        """The keys, in place: whoever has the policy, or these tables of it, has the new ones."""
        tables: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
            (self.home_agents, home_agents),
            (self.mobile_nodes, mobile_nodes),
            (self.aaa, aaa),
        ]
        for former, new in tables:
            former.clear()
            former.update(new)

    def links(self) -> tuple[str, ...]:
        """Names of the visited links."""
        return tuple(one.name for one in self.interfaces)

    def own_addresses(self) -> frozenset[int]:
        return frozenset((self.care_of_address, *(one.address for one in self.interfaces)))
