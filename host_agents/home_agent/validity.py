"""Whether an authentic request may be, as far as no table is needed to tell (RFC 5944 §3.8.2.1).

Steps HA-10 … HA-12, HA-15, HA-16 and HA-20 … HA-24 of the checklist.
"""

from __future__ import annotations

from host_agents.encapsulation import lacking
from host_agents.home_agent.policy import Policy
from host_agents.home_agent.request import Request
from host_agents.home_agent.udp_tunnel import judge as judge_udp_tunnel
from mip4.address import is_unicast, show
from mip4.const import (
    ANY,
    BROADCAST,
    FLAG_T,
    HA_ENCAPSULATION,
    HA_POORLY_FORMED,
    HA_REDIRECTED,
    HA_REVERSE_TUNNEL,
    HA_REVERSE_TUNNEL_MANDATORY,
    HA_UNKNOWN_CRITICAL_FROM_FA,
    HA_UNKNOWN_CRITICAL_FROM_MN,
    HA_UNKNOWN_HOME_AGENT,
    REQUESTED_HOME_AGENT,
    FLAG_r,
    FLAG_x,
)
from mip4.errors import Denied
from mip4.extensions import CriticalVendor, HomeAgentAddress, find
from mip4.messages import RegistrationRequest


def judge(request: Request, policy: Policy) -> None:
    """Also decides about a UDP tunnel. Raises Denied with the code the RFC gives."""
    message = request.message
    if message.home_agent != policy.address:
        _judge_choice(request, policy)
    if message.flags & (FLAG_r | FLAG_x):
        raise Denied(HA_POORLY_FORMED, "a reserved flag is set")
    if message.home_address == BROADCAST:
        raise Denied(HA_POORLY_FORMED, "home address 255.255.255.255")
    at_home = message.care_of_address == message.home_address
    if message.lifetime and at_home:
        raise Denied(HA_POORLY_FORMED, "care-of address is the home address")
    if not is_unicast(message.care_of_address) or message.care_of_address == policy.address:
        raise Denied(HA_POORLY_FORMED, f"care-of address {show(message.care_of_address)}")
    for critical in find(message.extensions, CriticalVendor):
        code = HA_UNKNOWN_CRITICAL_FROM_MN if critical.at < request.added else HA_UNKNOWN_CRITICAL_FROM_FA
        raise Denied(code, f"critical extension of vendor {critical.vendor}")
    request.udp = judge_udp_tunnel(message, request.own, request.source, request.port, policy)
    reason = lacking(message, policy.encapsulations)
    if reason and message.lifetime and not request.udp.remote:  # of a UDP tunnel that extension has told
        raise Denied(HA_ENCAPSULATION, reason)
    _judge_reverse_tunnel(message, policy)


def _judge_reverse_tunnel(message: RegistrationRequest, policy: Policy) -> None:
    """HA-23, HA-24. Whoever deregisters wants no tunnel. Raises Denied."""
    if message.lifetime and policy.reverse_tunnel_required and not message.flags & FLAG_T:
        raise Denied(HA_REVERSE_TUNNEL_MANDATORY, "packets have to come back through the tunnel")
    if message.lifetime and message.flags & FLAG_T and not policy.reverse_tunnel:
        raise Denied(HA_REVERSE_TUNNEL, "no reverse tunnels here")


def _judge_choice(request: Request, policy: Policy) -> None:
    """HA-11: a node that leaves the choice of its home agent to others (RFC 4433 §5.3). Raises Denied."""
    message = request.message
    found = [one for one in find(message.extensions, HomeAgentAddress) if one.at < request.own]
    wanted = [one.address for one in found if one.sub_type == REQUESTED_HOME_AGENT]
    left_open = message.home_agent in (ANY, BROADCAST) and request.nai is not None
    if not left_open or (wanted and wanted[0] != policy.address):
        raise Denied(HA_UNKNOWN_HOME_AGENT, f"this home agent is {show(policy.address)}")
    if policy.redirect and message.lifetime:
        raise Denied(HA_REDIRECTED, f"{show(policy.redirect)} is the home agent to ask")
