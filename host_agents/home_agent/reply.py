"""What the home agent answers (RFC 5944 §3.8.3): the extensions of a reply in their order, and its authenticators."""

from __future__ import annotations

import zlib

from host_agents.effects import MobilityBinding, SendDatagram
from host_agents.home_agent.nonces import Repetition
from host_agents.home_agent.policy import HomeNetwork, Policy
from host_agents.home_agent.request import Request
from host_agents.home_agent.simultaneous import accepted
from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    ANY,
    CONFIG_DNS,
    CONFIG_GATEWAY,
    CONFIG_PREFIX_LENGTH,
    CONFIG_REQUEST,
    HA_IDENTIFICATION,
    HA_REDIRECTED,
    INFINITE,
    MESSAGE_FROM_HOME_AGENT,
    REDIRECTED_HOME_AGENT,
)
from mip4.cursor import pack
from mip4.errors import Denied
from mip4.extensions import (
    ForeignHomeAuthentication,
    HomeAgentAddress,
    MessageString,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    find,
    find_host_configuration,
    host_configuration,
)
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.record import Record

_JITTER = 10  # percent by which a granted lifetime may be shorter, so that renewals do not march in step


def answer(
    request: Request,
    policy: Policy,
    code: int,
    lifetime: int,
    home_address: int,
    text: str = "",
) -> SendDatagram:
    """The reply, signed for the node and, where there is an association, for the foreign agent (HA-26)."""
    message = request.message
    extensions: list[object] = [] if request.nai is None else [request.nai]
    if request.sub_nai is not None:
        extensions.append(request.sub_nai.extension())
    if code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
        extensions += _host_configuration(message, home_address, policy)
    if request.udp.answer is not None and code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
        extensions.append(request.udp.answer)
    if code == HA_REDIRECTED:
        extensions.append(HomeAgentAddress(REDIRECTED_HOME_AGENT, policy.redirect))
    if text:
        extensions.append(MessageString(MESSAGE_FROM_HOME_AGENT, text.encode()[:200]))
    reply = RegistrationReply(code, lifetime, home_address, policy.address, request.identification, extensions)
    octets = request.association.sign(reply.encode(), MobileHomeAuthentication)
    for challenge in find(message.extensions, MobileForeignChallenge)[:1]:
        octets += challenge.encode()  # so that the foreign agent sees which request this answers (RFC 4721 §3.4)
    if request.supplied is not None and message.lifetime:  # a deregistration's reply is not signed for the agent
        octets += request.supplied.extension().encode()
    if request.support is not None and code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
        octets += request.support.encode()
    if request.foreign is not None and message.lifetime:
        octets = request.foreign.sign(octets, ForeignHomeAuthentication)
    return SendDatagram(octets, request.source, request.port)


def again(
    request: Request, repetition: Repetition, former: MobilityBinding | None, policy: Policy, clock: int
) -> SendDatagram:
    """The answer that was lost, once more (RFC 5944 §3.8.2.2): no lifetime begins anew. Raises Denied, as then or 133.

    former: the binding of its session. clock: ms, as `expires` is told.
    """
    message = request.message
    if repetition.denial is not None:
        raise repetition.denial
    asked = (message.identification, message.care_of_address)
    if former is None or (former.identification, former.care_of_address) != asked:
        raise Denied(HA_IDENTIFICATION, "what it asked for is over")
    left = former.lifetime if former.expires is None else -((clock - former.expires) // 1000)
    return answer(request, policy, accepted(message.flags, policy), left, former.home_address)


def granted(request: Request, policy: Policy) -> int:
    """Seconds, never more than was asked. Shortened by up to a tenth, by an amount that the request itself decides."""
    lifetime: int = min(request.message.lifetime, policy.lifetime)
    if request.udp.remote:
        lifetime = min(lifetime, policy.udp_lifetime)
    return jittered(lifetime, pack("Q", request.message.identification))


def jittered(lifetime: int, identification: bytes) -> int:
    """By up to a tenth, as the request's Identification has it."""
    if lifetime == INFINITE:
        return lifetime
    return lifetime - lifetime * _JITTER * (zlib.crc32(identification) % 1000) // 100_000


def _host_configuration(message: RegistrationRequest, home_address: int, policy: Policy) -> list[Record]:
    """RFC 4332 extensions, where the request asked for them: a node may, also when it comes home."""
    network = policy.network_of(home_address)
    if network is None or CONFIG_REQUEST not in find_host_configuration(message.extensions):
        return []
    return configuration(network)


def configuration(network: HomeNetwork) -> list[Record]:
    """What a device needs to know of its home network."""
    found: list[Record] = [
        host_configuration(CONFIG_PREFIX_LENGTH, pack("B", network.prefix[1])),
        host_configuration(CONFIG_GATEWAY, pack("I", network.gateway)),
    ]
    if network.dns:
        primary, secondary = (*network.dns, ANY)[:2]
        found.append(host_configuration(CONFIG_DNS, pack("II", primary, secondary)))
    return found
