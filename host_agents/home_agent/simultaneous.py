"""Simultaneous bindings: several care-of addresses of one session at a time (RFC 5944 §3.8.2.2).

The binding that was registered last has the others with it, so that a session is one record, one row and one turn
however many care-of addresses it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from host_agents.effects import MobilityBinding
from host_agents.home_agent.policy import Policy
from mip4.const import ACCEPTED, ACCEPTED_NO_SIMULTANEOUS, FLAG_S, HA_TOO_MANY_BINDINGS
from mip4.errors import Denied


def each(binding: MobilityBinding) -> Sequence[MobilityBinding]:
    """One for every care-of address, the one that was registered last first, each without the others."""
    return (binding.but(others=()), *binding.others) if binding.others else (binding,)


def ends_at(binding: MobilityBinding) -> int | None:
    """When the first of its care-of addresses is over, clock ms; None for never."""
    if not binding.others:
        return binding.expires
    return min((one.expires for one in each(binding) if one.expires is not None), default=None)


def beside(former: MobilityBinding | None, binding: MobilityBinding, policy: Policy, clock: int) -> MobilityBinding:
    """`binding` with those of `former` that stay beside it: none, unless the node wants that. Raises Denied 135."""
    if former is None or former.home_address != binding.home_address or not binding.flags & FLAG_S:
        return binding
    kept = [one for one in each(former) if one.care_of_address != binding.care_of_address and not is_over(one, clock)]
    if policy.simultaneous_bindings == 1 or not kept:
        return binding
    if len(kept) >= policy.simultaneous_bindings:
        raise Denied(HA_TOO_MANY_BINDINGS, f"{policy.simultaneous_bindings} care-of addresses at a time are the most")
    return binding.but(others=tuple(kept))


def accepted(flags: int, policy: Policy) -> int:
    """The code of an acceptance: 1 says that earlier bindings are not kept whatever the node wanted (HA-26)."""
    unsupported = flags & FLAG_S and policy.simultaneous_bindings == 1
    return int(ACCEPTED_NO_SIMULTANEOUS if unsupported else ACCEPTED)


def without(binding: MobilityBinding, gone: Callable[[MobilityBinding], bool]) -> MobilityBinding | None:
    """What is left when those that are `gone` are taken away, None for nothing."""
    return _joined([one for one in each(binding) if not gone(one)])


def rebound(binding: MobilityBinding, source: int, port: int) -> MobilityBinding | None:
    """`binding` with the port of a UDP tunnel to `source` that waited for it; None if none waits."""
    ones = list(each(binding))
    for at, one in enumerate(ones):
        if one.udp_remote == source and not one.udp_port:
            ones[at] = one.but(udp_port=port)
            return _joined(ones)
    return None


def shortened(binding: MobilityBinding, clock: int) -> MobilityBinding:
    """`binding` with no care-of address in it that holds for longer than it was granted; itself if there is none."""
    if all(one.expires is None or one.expires <= clock + one.lifetime * 1000 for one in each(binding)):
        return binding
    ones = [
        one if one.expires is None else one.but(expires=min(one.expires, clock + one.lifetime * 1000))
        for one in each(binding)
    ]
    return ones[0].but(others=tuple(ones[1:]))


def is_over(binding: MobilityBinding, clock: int) -> bool:
    """Of one care-of address."""
    return binding.expires is not None and binding.expires <= clock


def is_at(care_of_address: int, binding: MobilityBinding) -> bool:
    """Of one care-of address."""
    return binding.care_of_address == care_of_address


def everywhere(binding: MobilityBinding) -> bool:
    """Of any."""
    return True


def _joined(ones: Sequence[MobilityBinding]) -> MobilityBinding | None:
    return ones[0].but(others=tuple(ones[1:])) if ones else None
