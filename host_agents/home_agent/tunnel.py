"""Where a session's packets go: a copy to each of its care-of addresses, as was negotiated (RFC 5944 §3.8.3.1)."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter

from host_agents.effects import InstallTunnel, MobilityBinding, TunnelEnd
from host_agents.encapsulation import encapsulation
from host_agents.home_agent.simultaneous import each
from mip4.const import FLAG_B

_PLACES = 4096  # whose sessions share what is made of them


def tunnel(binding: MobilityBinding, local: int) -> InstallTunnel:
    """The ends in an order that does not change with the care-of address that was registered last.

    It expires with the last of them: until then the engine removes each when its time is over.
    """
    if not binding.others:
        return InstallTunnel(binding.home_address, local, _alone(*_place(binding)), expires=binding.expires)
    ends = [end_of(one) for one in each(binding)]
    in_order = tuple(sorted(ends, key=lambda end: (end.remote, end.port)))
    times = [one.expires for one in each(binding) if one.expires is not None]
    expires = max(times) if len(times) == len(ends) else None
    return InstallTunnel(binding.home_address, local, in_order, expires=expires)


def end_of(binding: MobilityBinding) -> TunnelEnd:
    """The end at one care-of address, or at the NAT that stands before it."""
    return _alone(*_place(binding))[0]


_place = attrgetter("care_of_address", "flags", "direct", "udp_remote", "udp_port")


@lru_cache(_PLACES)
def _alone(care_of_address: int, flags: int, direct: bool, udp_remote: int, udp_port: int) -> tuple[TunnelEnd, ...]:
    """One and the same for all that are at one place."""
    broadcast = bool(flags & FLAG_B)
    if udp_remote:
        return (TunnelEnd(udp_remote, "udp", udp_port, broadcast, co_located=direct),)
    return (TunnelEnd(care_of_address, encapsulation(flags), broadcast=broadcast, co_located=direct),)
