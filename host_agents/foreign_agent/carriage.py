"""What a visitor means to the data path: a tunnel to its home agent, delivery on its link (RFC 5944 §4.2.2)."""

from __future__ import annotations

from host_agents.effects import (
    InstallDelivery,
    InstallTunnel,
    RemoveDelivery,
    RemoveTunnel,
    RemoveVisitor,
    TunnelEnd,
    Visitor,
)
from host_agents.encapsulation import encapsulation
from host_agents.foreign_agent.policy import Policy
from mip4.address import in_prefix, is_unicast, show
from mip4.const import FA_RESOURCES, FLAG_T
from mip4.errors import Denied

CARRIAGE = (InstallTunnel, InstallDelivery, RemoveDelivery, RemoveTunnel)  # what of a turn is for the data path


def refuse_address(home_address: int, policy: Policy) -> None:
    """Raises Denied 66 for an address that we could not deliver to without harm to our own links."""
    inside = any(in_prefix(home_address, *prefix) for prefix in policy.connected)
    if home_address and (inside or not is_unicast(home_address)):
        raise Denied(FA_RESOURCES, f"{show(home_address)} cannot be a visitor's here")


def carry(visitor: Visitor) -> list[object]:
    """What is installed while it is registered.

    With the encapsulating delivery style only what is handed in goes into the reverse tunnel (RFC 3024 §5.2).
    """
    end = TunnelEnd(visitor.home_agent, encapsulation(visitor.flags))
    reverse = bool(visitor.flags & FLAG_T) and not visitor.hands_in
    link = visitor.interface if visitor.hands_in else ""
    return [
        InstallTunnel(visitor.home_address, visitor.care_of_address, (end,), link, visitor.expires),
        InstallDelivery(visitor.home_address, visitor.interface, visitor.link_address, reverse),
    ]


def dismantle(visitor: Visitor) -> list[object]:
    """What takes all of it away again, the durable record too."""
    return [
        RemoveVisitor(visitor),
        RemoveDelivery(visitor.home_address, visitor.interface),
        RemoveTunnel(visitor.home_address),
    ]
