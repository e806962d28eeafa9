"""What kind of tunnel a visitor asks for, and whether it can have that here (RFC 5944 §3.7.2.1, RFC 3024 §4.2)."""

from __future__ import annotations

from host_agents.encapsulation import lacking
from host_agents.foreign_agent.policy import Policy
from mip4.const import (
    FA_DELIVERY_STYLE,
    FA_ENCAPSULATION,
    FA_POORLY_FORMED_REQUEST,
    FA_REVERSE_TUNNEL,
    FA_REVERSE_TUNNEL_MANDATORY,
    FA_TOO_DISTANT,
    FLAG_D,
    FLAG_T,
)
from mip4.errors import Denied
from mip4.extensions import EncapsulatingDelivery, MobileForeignAuthentication, authorising, find
from mip4.messages import RegistrationRequest


def judge_encapsulation(message: RegistrationRequest, policy: Policy) -> None:
    """FA-15. Raises Denied 72. A co-located node's tunnel does not end here, and one that is given up nowhere."""
    reason = lacking(message, policy.encapsulations)
    if reason and message.lifetime and not message.flags & FLAG_D:
        raise Denied(FA_ENCAPSULATION, reason)


def judge_reverse_tunnel(message: RegistrationRequest, ttl: int, policy: Policy) -> None:
    """FA-17 … FA-20. Raises Denied."""
    styles = find(message.extensions, EncapsulatingDelivery)
    if styles:
        # Behind all that goes on to the home agent, and authenticated where we share a key with the node.
        limits = [authorising(message.extensions)[-1], *find(message.extensions, MobileForeignAuthentication)]
        order = [one.at for one in (limits[0], *styles, *limits[1:])]
        if not message.flags & FLAG_T or len(styles) > 1 or order != sorted(order):
            raise Denied(FA_POORLY_FORMED_REQUEST, "a delivery style without reverse tunnel, or out of its place")
        if not policy.encapsulating_delivery:
            raise Denied(FA_DELIVERY_STYLE, "direct delivery is what this foreign agent has")
    if message.flags & FLAG_T:
        if ttl != 255:
            raise Denied(FA_TOO_DISTANT, f"TTL {ttl}, not 255")
        if not policy.reverse_tunnel:
            raise Denied(FA_REVERSE_TUNNEL, "no reverse tunnels here")
    elif policy.reverse_tunnel_required and message.lifetime:
        raise Denied(FA_REVERSE_TUNNEL_MANDATORY, "packets have to leave through the tunnel")


def hands_in(message: RegistrationRequest) -> bool:
    """Whether the node will hand in packets inside packets (RFC 3024 §2, encapsulating delivery style)."""
    return bool(find(message.extensions, EncapsulatingDelivery)) and not message.flags & FLAG_D
