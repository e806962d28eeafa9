"""A Registration Reply as a foreign agent sees it: which request it answers, what of it goes on (RFC 5944 §3.7.3)."""

from __future__ import annotations

from host_agents.effects import Visitor
from host_agents.foreign_agent.policy import Policy
from host_agents.foreign_agent.tunnel import hands_in
from host_agents.foreign_agent.visitor_table import Pending, VisitorTable
from host_agents.revocation import agreed
from mip4.address import show
from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    FA_MISSING_HOME_ADDRESS,
    FA_MISSING_HOME_AGENT,
    FA_MISSING_NAI,
    FA_UNKNOWN_CRITICAL_IN_REPLY,
    INFINITE,
)
from mip4.errors import BadAuthenticator, Denied, Unexpected
from mip4.extensions import (
    CriticalVendor,
    ForeignHomeAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    Nai,
    RevocationSupport,
    find,
)
from mip4.messages import RegistrationReply
from mip4.sub_nai import find_sub_nai


def match(reply: RegistrationReply, source: int, visitors: VisitorTable, policy: Policy) -> Pending:
    """The request that it answers. FA-33. Raises Unexpected."""
    nais = find(reply.extensions, Nai)
    nai = nais[0].nai if nais else b""
    sub_nai = find_sub_nai(reply.extensions, policy.sub_nai_vendor, nai)
    try:
        session = (nai.decode(), "" if sub_nai is None else sub_nai.sub_nai.decode())
    except UnicodeDecodeError:
        raise Unexpected("a reply for nobody") from None
    pending = visitors.find_pending(reply.identification & 0xFFFFFFFF, session, reply.home_address)
    if pending is None or source != pending.request.home_agent:
        raise Unexpected("a reply that answers no request")
    if reply.code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS) and reply.home_agent not in (0, source):
        raise Unexpected(f"accepted in the name of {show(reply.home_agent)}")
    return pending


def verify(datagram: bytes, reply: RegistrationReply, pending: Pending, policy: Policy) -> None:
    """FA-34: the home agent's signature for us. Raises BadAuthenticator.

    Whether the reply must be signed is decided by our own request: what a forger writes does not excuse him.
    """
    association = policy.home_agents.get(pending.request.home_agent)
    found = find(reply.extensions, ForeignHomeAuthentication)
    ours = pending.request.message.care_of_address == policy.care_of_address  # else nobody signs (§3.5.4)
    if association is not None and (found or (ours and (pending.request.message.lifetime or reply.lifetime))):
        if len(found) != 1:
            raise BadAuthenticator("one Foreign-Home Authentication is needed")
        association.verify(datagram, found[0])


def for_node(datagram: bytes, reply: RegistrationReply) -> bytes:
    """What may go on to the node: all up to the home agent's authenticator for it, or for us."""
    own = find(reply.extensions, MobileHomeAuthentication)
    if own:
        return datagram[: own[-1].covered() + len(own[-1].authenticator)]
    signed = find(reply.extensions, ForeignHomeAuthentication)
    return datagram[: signed[0].at] if signed else datagram


def refuse_critical(reply: RegistrationReply) -> None:
    """FA-36: of what stands behind the node's part, which is for us. Raises Denied."""
    own = find(reply.extensions, MobileHomeAuthentication)
    for critical in find(reply.extensions, CriticalVendor):
        if own and critical.at > own[-1].at:
            raise Denied(FA_UNKNOWN_CRITICAL_IN_REPLY, f"critical extension of vendor {critical.vendor}")


def missing(pending: Pending, reply: RegistrationReply) -> int:
    """The code for what an accepting reply lacks, 0 for nothing (RFC 2794 §3)."""
    code: int = 0
    if pending.session[0] and not find(reply.extensions, Nai):
        code = FA_MISSING_NAI
    elif not reply.home_agent:
        code = FA_MISSING_HOME_AGENT
    elif not reply.home_address and reply.lifetime:  # who never had an address has none to give back
        code = FA_MISSING_HOME_ADDRESS
    return code


def mistaken(pending: Pending, reply: RegistrationReply) -> bool:
    """FA-37: whether the home agent speaks of another challenge than the one in the request that we relayed."""
    sent = [one.challenge for one in find(pending.request.message.extensions, MobileForeignChallenge)]
    return bool(sent) and any(one.challenge not in sent for one in find(reply.extensions, MobileForeignChallenge))


def admitted(pending: Pending, reply: RegistrationReply, policy: Policy, now: int) -> Visitor:
    """The visitor that an accepting reply makes. now: ms."""
    lifetime = min(reply.lifetime, pending.request.message.lifetime, policy.lifetime)
    return Visitor(
        nai=pending.session[0],
        sub_nai=pending.session[1],
        home_address=reply.home_address,
        home_agent=reply.home_agent,
        care_of_address=policy.care_of_address,
        interface=pending.interface,
        link_address=pending.link_address,
        lifetime=lifetime,
        expires=None if lifetime == INFINITE else now + lifetime * 1000,
        flags=pending.request.message.flags,
        revocation=_negotiated(reply),
        hands_in=hands_in(pending.request.message),
        said=pending.request.said,
    )


def _negotiated(reply: RegistrationReply) -> int | None:
    """What the home agent agrees to, if both agents can revoke: it stands where our common authenticator covers it."""
    own = find(reply.extensions, MobileHomeAuthentication)
    last = find(reply.extensions, ForeignHomeAuthentication)
    offered = find(reply.extensions, RevocationSupport) if own and last else []
    return next((agreed(one) for one in offered if own[0].at < one.at < last[0].at), None)
