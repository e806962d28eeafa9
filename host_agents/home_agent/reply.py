"""What the home agent answers (RFC 5944 §3.8.3): the extensions of a reply in their order, and its authenticators."""

from __future__ import annotations

from host_agents.effects import (
    SendDatagram,
)
from host_agents.home_agent.policy import Policy
from host_agents.home_agent.request import Request
from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    ANY,
    CONFIG_DNS,
    CONFIG_GATEWAY,
    CONFIG_PREFIX_LENGTH,
    CONFIG_REQUEST,
    HA_REDIRECTED,
    MESSAGE_FROM_HOME_AGENT,
    REDIRECTED_HOME_AGENT,
)
from mip4.cursor import pack
from mip4.extensions import (
    ForeignHomeAuthentication,
    HomeAgentAddress,
    MessageString,
    MobileHomeAuthentication,
    find_host_configuration,
    host_configuration,
)
from mip4.messages import RegistrationReply, RegistrationRequest


def answer(
    request: Request,
    policy: Policy,
    code: int,
    lifetime: int,
    home_address: int,
    text: str = "",
    identification: int | None = None,
) -> SendDatagram:
    """The reply, signed for the node and, where there is an association, for the foreign agent (HA-26)."""
    message = request.message
    extensions: list[object] = [] if request.nai is None else [request.nai]
    if request.sub_nai is not None:
        extensions.append(request.sub_nai.extension())
    if lifetime and code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
        extensions += _host_configuration(message, home_address, policy)
    if request.udp.answer is not None and code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
        extensions.append(request.udp.answer)
    if code == HA_REDIRECTED:
        extensions.append(HomeAgentAddress(REDIRECTED_HOME_AGENT, policy.redirect))
    if text:
        extensions.append(MessageString(MESSAGE_FROM_HOME_AGENT, text.encode()[:200]))
    identification = message.identification if identification is None else identification
    reply = RegistrationReply(code, lifetime, home_address, policy.address, identification, extensions)
    octets = request.association.sign(reply.encode(), MobileHomeAuthentication)
    if request.supplied is not None and message.lifetime:  # a deregistration's reply is not signed for the agent
        octets += request.supplied.extension().encode()
    if request.support is not None and code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
        octets += request.support.encode()
    if request.foreign is not None and message.lifetime:
        octets = request.foreign.sign(octets, ForeignHomeAuthentication)
    return SendDatagram(octets, request.source, request.port)


def _host_configuration(message: RegistrationRequest, home_address: int, policy: Policy) -> list[object]:
    """RFC 4332 extensions, where the request asked for them."""
    network = policy.network_of(home_address)
    if network is None or CONFIG_REQUEST not in find_host_configuration(message.extensions):
        return []
    found = [
        host_configuration(CONFIG_PREFIX_LENGTH, pack("B", network.prefix[1])),
        host_configuration(CONFIG_GATEWAY, pack("I", network.gateway)),
    ]
    if network.dns:
        primary, secondary = (*network.dns, ANY)[:2]
        found.append(host_configuration(CONFIG_DNS, pack("II", primary, secondary)))
    return list(found)
