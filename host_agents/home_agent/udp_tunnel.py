"""UDP tunnelling as a home agent decides it (RFC 3519 §4): what a UDP Tunnel Request gets, and who must ask for one."""

from __future__ import annotations

from dataclasses import dataclass

from host_agents.home_agent.policy import Policy
from mip4.address import show
from mip4.const import (
    ANY,
    FLAG_D,
    FLAG_G,
    FLAG_M,
    HA_POORLY_FORMED,
    HA_PROHIBITED,
    HA_UDP_ENCAPSULATION,
    PROTO_IPIP,
)
from mip4.errors import Denied
from mip4.extensions import UdpTunnelReply, UdpTunnelRequest, find
from mip4.messages import RegistrationRequest

ASSENT = 0
DECLINED = 64  # RFC 3519 §3.2: no need of it
_UNSPECIFIED = 0  # the M and G flags say which encapsulation is meant


@dataclass(slots=True, frozen=True)
class UdpTunnel:
    """What was decided. answer: goes with the acceptance, None where nothing was asked.

    remote, port: where the tunnel ends; remote 0: no UDP tunnel; port 0: not known before the first keepalive.
    """

    answer: UdpTunnelReply | None = None
    remote: int = 0
    port: int = 0


def judge(message: RegistrationRequest, own: int, source: int, port: int, policy: Policy) -> UdpTunnel:
    """HA-20, HA-21. source, port: where the request came from, which is where its sender can be reached. own: as there.

    A foreign agent's own request for a tunnel stands behind the Mobile-Home Authentication, so only what the two
    agents share vouches for it; without that it is refused. Raises Denied.
    """
    found = find(message.extensions, UdpTunnelRequest)
    relayed = source in policy.foreign_agents  # without D it is under a Foreign-Home Authentication that holds
    if not found:
        if source in (message.care_of_address, message.home_address, ANY) or (relayed and message.flags & FLAG_D):
            return UdpTunnel()
        if not message.lifetime:  # who ends what he has wherever he is may name his home address for it (§3.8.2.2)
            return UdpTunnel()
        raise Denied(HA_PROHIBITED, f"source {show(source)} is not the care-of address, and no UDP tunnel is asked for")
    if len(found) > 1:
        raise Denied(HA_POORLY_FORMED, "two UDP Tunnel Requests")
    asked = found[0]
    from_node = asked.at < own
    if from_node != bool(message.flags & FLAG_D):
        raise Denied(HA_POORLY_FORMED, "a UDP Tunnel Request whose place contradicts the D flag")
    if not from_node and not relayed:
        raise Denied(HA_PROHIBITED, "nobody vouches for this UDP Tunnel Request")
    if asked.encapsulation not in (_UNSPECIFIED, PROTO_IPIP) or (
        asked.encapsulation == _UNSPECIFIED and message.flags & (FLAG_M | FLAG_G)
    ):
        raise Denied(HA_UDP_ENCAPSULATION, "IP-in-IP is what goes into a UDP tunnel here")
    translated = source not in (message.care_of_address, message.home_address)
    if not translated and not asked.forced:
        return UdpTunnel(UdpTunnelReply(DECLINED, False, 0))
    if not policy.udp_tunnel:
        raise Denied(HA_PROHIBITED, "no UDP tunnels here")
    answer = UdpTunnelReply(ASSENT, asked.forced, policy.udp_keepalive)
    # Relayed by a foreign agent: the port was the agent's, and the node shows its own with a keepalive (§4.6.2)
    return UdpTunnel(answer, source, 0 if asked.routed else port)
