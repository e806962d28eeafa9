"""The sessions of a home agent: binding, home address and last Identification change together, and what that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from host_agents.effects import (
    ExtendTunnel,
    ForgetIdentification,
    InstallTunnel,
    MobilityBinding,
    RemoveBinding,
    RemoveTunnel,
    Said,
)
from host_agents.home_agent.address_pool import AddressPool
from host_agents.home_agent.binding_table import MobilityBindingTable
from host_agents.home_agent.log_lines import describe
from host_agents.home_agent.nonces import RandomOctets
from host_agents.home_agent.policy import Policy
from host_agents.home_agent.replay import Replay
from host_agents.home_agent.simultaneous import is_over, shortened, without
from host_agents.home_agent.tunnel import tunnel

Session = tuple[str, str]

_EXPIRE_AT_ONCE = 256  # bindings that are looked at in one turn


class Sessions:
    """bindings, pool, replay: for everybody to ask. What a change takes is returned as effects, in their order.

    now: monotonic ms. gone: which of a session's care-of addresses end, as of simultaneous.py.
    """

    def __init__(
        self,
        policy: Policy,
        ntp_ms: int,
        bindings: list[MobilityBinding],
        identifications: dict[Session, int],
        nonces: dict[Session, int],
        owners: list[tuple[int, Session]],
        random_octets: RandomOctets,
    ) -> None:
        """As of HomeAgent."""
        self._local = policy.address
        self.bindings = MobilityBindingTable()
        ranges = [one for network in policy.networks for one in network.pool]
        never = [policy.address, *(one for network in policy.networks for one in (network.gateway, network.address))]
        self.pool = AddressPool(ranges, policy.reserved, never, self.bindings.holder, owners)
        for binding in bindings:
            self.pool.take(binding.home_address, (binding.nai, binding.sub_nai))
            self.bindings.put(binding)
        find = self.bindings.find
        self.replay = Replay(ntp_ms, identifications, nonces, bindings, find, policy.by_nonces(), random_octets)
        self._shortened: list[MobilityBinding] = []  # to be stored
        for binding in bindings:
            believed = shortened(binding, self.replay.clock(0))  # the machine's clock may have been put back
            if believed is not binding:
                session = (binding.nai, binding.sub_nai)
                # A request that was denied since has a later Identification, which the binding's row takes along
                believed = believed.but(identification=self.replay.of(session).last(session))
                self._shortened.append(believed)
                self.bindings.put(believed)

    def start(self) -> list[object]:
        """The tunnels of the bindings that were restored."""
        stored = [self.replay.of((one.nai, one.sub_nai)).store(one) for one in self._shortened]
        return [*stored, *(self.tunnel(binding) for binding in self.bindings)]

    def tunnel(self, binding: MobilityBinding) -> InstallTunnel:
        return tunnel(binding, self._local)

    def bind(self, former: MobilityBinding | None, binding: MobilityBinding, now: int) -> list[object]:
        """What a request asked for: `binding` is put where `former` was."""
        session = (binding.nai, binding.sub_nai)
        moved = former is not None and former.home_address != binding.home_address
        effects = self._given_up(former, "another address", now) if former is not None and moved else []
        self.pool.take(binding.home_address, session)
        self.bindings.put(binding)
        replay = self.replay.of(session)
        replay.bind(session)
        led = self.tunnel(binding)
        same = former is not None and not moved and self.tunnel(former).ends == led.ends
        return [*effects, replay.store(binding), ExtendTunnel(led.home_address, led.expires) if same else led]

    def change(self, binding: MobilityBinding) -> list[object]:
        """Without a request: its last Identification stays what it is."""
        session = (binding.nai, binding.sub_nai)
        replay = self.replay.of(session)
        binding = binding.but(identification=replay.last(session))
        self.bindings.put(binding)
        return [replay.store(binding), self.tunnel(binding)]

    def end(
        self, binding: MobilityBinding, gone: Callable[[MobilityBinding], bool], reason: str, now: int
    ) -> list[object]:
        """The binding at those of its care-of addresses that are `gone`. reason: as logged."""
        left = without(binding, gone)
        effects = self._remove(binding, reason, now) if left is None else self.change(left)
        ended = without(binding, lambda one: not gone(one)) or binding
        return [*effects, Said("info", "unbound", f"unbound {describe(ended)}: {reason}")]

    def put_back(self, session: Session, former: MobilityBinding | None, now: int) -> list[object]:
        """As it was before its turn, save that the request's Identification stays used."""
        effects: list[object] = []
        current = self.bindings.find(session)
        if current is not None and (former is None or former.home_address != current.home_address):
            effects = self._remove(current, "refused", now)
        replay = self.replay.of(session)
        if former is not None and self.bindings.holder(former.home_address) in (None, session):
            self.pool.take(former.home_address, session)
            effects += self.change(former)
            replay.bind(session)
        return [*effects, replay.row(session)]

    def expire(self, now: int) -> Iterator[object]:
        """Those whose lifetime is over end, without a message, and Identifications that are as old are forgotten."""
        clock = self.replay.clock(now)
        for binding in self.bindings.expired(clock, _EXPIRE_AT_ONCE):
            yield from self.end(binding, lambda one: is_over(one, clock), "lifetime over", now)
        for session in self.replay.forget(now):
            yield ForgetIdentification(*session)

    def next_expiry(self) -> int | None:
        """When expire() has something to do, monotonic ms."""
        expiry = self.bindings.next_look()
        times = [self.replay.next_forget(), None if expiry is None else expiry - self.replay.clock(0)]
        return min((time for time in times if time is not None), default=None)

    def _remove(self, binding: MobilityBinding, reason: str, now: int) -> list[object]:
        session = (binding.nai, binding.sub_nai)
        self.replay.of(session).unbind(session, now)  # ahead of the rest: it asks for the binding
        self.bindings.remove(session)
        return self._given_up(binding, reason, now)

    def _given_up(self, binding: MobilityBinding, reason: str, now: int) -> list[object]:
        self.pool.give_back(binding.home_address, (binding.nai, binding.sub_nai))
        return [RemoveBinding(binding, self.replay.clock(now), reason), RemoveTunnel(binding.home_address)]
