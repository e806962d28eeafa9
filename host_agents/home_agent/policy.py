"""What the operator has decided: home networks, subscribers, foreign agents, limits.

Subscribers and keys may be read anew while everything runs (Policy.replace); the rest never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from host_agents.encapsulation import ASKED_FOR
from mip4.authentication import AaaAssociation, SecurityAssociation

Session = tuple[str, str]
Associations = dict[int, SecurityAssociation]


@dataclass(slots=True, frozen=True)
class HomeNetwork:
    """A home network: (address, length) of its prefix, pool as inclusive (first, last) ranges, what devices are told.

    interface: name of the link where the network is a real one, "" where it is virtual. Of a real one, address: the
    agent's own there; advertise_interval: ms.
    """

    prefix: tuple[int, int]
    pool: tuple[tuple[int, int], ...]
    gateway: int
    dns: tuple[int, ...]
    interface: str = ""
    address: int = 0
    advertise_interval: int = 1000

    def in_pool(self, address: int) -> bool:
        return any(first <= address <= last for first, last in self.pool)

    def ranges(self) -> list[tuple[int, int]]:
        """Of the pool, none within another."""
        found: list[tuple[int, int]] = []
        for first, last in sorted(self.pool):
            if found and first <= found[-1][1]:
                found[-1] = found[-1][0], max(found[-1][1], last)
            else:
                found.append((first, last))
        return found

    def pool_size(self, home_agent: int) -> int:
        """Addresses of the pool that sessions may get. home_agent: its address."""
        size = sum(last - first + 1 for first, last in self.ranges())
        return size - sum(self.in_pool(one) for one in {home_agent, self.gateway, self.address})


@dataclass(slots=True, frozen=True)
class Subscriber:
    """A mobile node's owner. associations: by SPI. sessions: the most bindings at a time. addresses: reserved ones.

    aaa: what it shares with its AAA server, by SPI (RFC 4721); this home agent is that server, or was told by it.
    nonces: whether they protect from replay, rather than timestamps (RFC 5944 §5.7).
    """

    nai: str
    associations: Associations
    sessions: int
    addresses: dict[str, int] = field(default_factory=dict)
    aaa: dict[int, AaaAssociation] = field(default_factory=dict)
    nonces: bool = False


@dataclass(slots=True, frozen=True)
class Policy:
    """The whole of it. lifetime: the most that is granted, seconds. foreign_agents: FA-HA associations by address.

    udp_tunnel: whether packets may go in UDP (RFC 3519). udp_lifetime: the most that is granted with such a tunnel, in
    seconds, since a NAT may forget it at any time; udp_keepalive: seconds between a node's keepalives.
    redirect: the home agent that those are sent to who leave the choice to us (RFC 4433), 0 for ourselves.
    reverse_tunnel: whether packets of nodes may come back through the tunnel; reverse_tunnel_required: whether they
    have to (RFC 3024 §4.3). encapsulations: those besides IP-in-IP that a node may ask for. simultaneous_bindings: the
    most care-of addresses of one session at a time; 1: no more than that is supported. asks: whether somebody else is
    asked about those who are no subscribers (HomeAgent.learn). reserved: home address -> the session it is kept for;
    made of the subscribers, and not shared with a copy as they are.
    """

    address: int
    lifetime: int
    networks: tuple[HomeNetwork, ...]
    subscribers: dict[str, Subscriber]
    foreign_agents: Associations
    sub_nai_vendor: int = 0
    require_foreign_agent_key: bool = False
    udp_tunnel: bool = True
    udp_lifetime: int = 60
    udp_keepalive: int = 20
    redirect: int = 0
    reverse_tunnel: bool = True
    reverse_tunnel_required: bool = False
    encapsulations: tuple[str, ...] = ASKED_FOR
    simultaneous_bindings: int = 3
    asks: bool = False
    reserved: dict[int, Session] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._reserve()

    def replace(self, subscribers: dict[str, Subscriber], foreign_agents: Associations) -> None:
        """In place: whoever has the policy, or these tables of it, has the new ones."""
        self.subscribers.clear()
        self.subscribers.update(subscribers)
        self.foreign_agents.clear()
        self.foreign_agents.update(foreign_agents)
        self._reserve()

    def learn(self, subscriber: Subscriber) -> None:
        """One more, or instead of what was known of it."""
        self.subscribers[subscriber.nai] = subscriber
        self._reserve()

    def by_nonces(self) -> frozenset[str]:
        """The NAIs of those that nonces protect."""
        return frozenset(nai for nai, subscriber in self.subscribers.items() if subscriber.nonces)

    def links(self) -> tuple[str, ...]:
        """Names of the home links that are real ones."""
        return tuple(one.interface for one in self.networks if one.interface)

    def network_of(self, home_address: int) -> HomeNetwork | None:
        for network in self.networks:
            base, length = network.prefix
            if home_address >> (32 - length) == base >> (32 - length):
                return network
        return None

    def _reserve(self) -> None:
        self.reserved.clear()
        for subscriber in self.subscribers.values():
            self.reserved.update((address, (subscriber.nai, one)) for one, address in subscriber.addresses.items())
