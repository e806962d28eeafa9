"""A Registration Request as a foreign agent sees it: whose it is, may it pass, what goes on (RFC 5944 §3.7.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from host_agents.foreign_agent.challenges import Challenge, Challenges
from host_agents.foreign_agent.policy import Policy
from host_agents.foreign_agent.tunnel import judge_encapsulation, judge_reverse_tunnel
from mip4.address import is_unicast, show
from mip4.authentication import SecurityAssociation
from mip4.const import (
    ANY,
    BROADCAST,
    FA_AAA_AUTHENTICATION,
    FA_INVALID_CARE_OF,
    FA_INVALID_HOME_AGENT,
    FA_LIFETIME,
    FA_MISSING_CHALLENGE,
    FA_MISSING_NAI,
    FA_MN_AUTHENTICATION,
    FA_NONZERO_HOME_AGENT,
    FA_POORLY_FORMED_REQUEST,
    FA_UNKNOWN_CRITICAL,
    FLAG_D,
    REQUESTED_HOME_AGENT,
    FLAG_r,
    FLAG_x,
)
from mip4.errors import BadAuthenticator, Denied, Malformed, Unexpected
from mip4.extensions import (
    Authentication,
    CriticalVendor,
    HomeAgentAddress,
    MnAaaAuthentication,
    MobileForeignAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    Nai,
    RevocationSupport,
    authorising,
    find,
)
from mip4.messages import RegistrationRequest
from mip4.nai import check_nai
from mip4.sub_nai import SubNai, find_sub_nai


@dataclass(slots=True)
class Request:
    """A decoded request. fault: what is malformed about it, or None. association: the MN-FA one that verified it.

    sub_nai: how the node named its session, None for not at all. home_agent: where it goes; 0: nobody knows.
    challenge: the one of ours that it answers. vouched: whether its MN-AAA Authentication was verified here.
    given: the challenge that goes to the node with the reply, b"" for none. said: the timestamp with which we told its
    home agent that we can revoke, None where we did not.
    """

    datagram: bytes
    message: RegistrationRequest
    session: tuple[str, str]
    fault: Malformed | None
    home_agent: int
    sub_nai: SubNai | None = None
    association: SecurityAssociation | None = None
    challenge: Challenge | None = None
    vouched: bool = False
    given: bytes = b""
    said: int | None = None

    @property
    def authentic(self) -> bool:
        """Whether it has proved here, and not only to its home agent, who sent it."""
        return self.association is not None or self.vouched

    @property
    def node(self) -> tuple[str, str]:
        """Whose it says it is: a session, or whoever has its home address where it names none (as of named())."""
        return named(*self.session, self.message.home_address)


def named(nai: str, sub_nai: str, home_address: int) -> tuple[str, str]:
    """What tells sessions apart. Nodes without a NAI, of which there may be many, have but their home addresses."""
    return (nai, sub_nai) if nai else ("", show(home_address))


def decode_request(datagram: bytes, policy: Policy) -> Request:
    """Raises MipError for what deserves no answer (FA-01, FA-03). A lesser fault is noted, to be answered."""
    message = RegistrationRequest.salvage(datagram)
    request = Request(datagram, message, ("", ""), None, _home_agent(message, policy))
    try:
        _name(request, policy)
        request.fault = message.flaw
    except Malformed as error:
        request.fault = error
    return request


def _covered(message: RegistrationRequest) -> list[Any]:
    """What stands in front of what authorises it; behind that nothing is meant for the home agent."""
    own = authorising(message.extensions)
    return [one for one in message.extensions if one.at < own[0].at] if own else list(message.extensions)


def _home_agent(message: RegistrationRequest, policy: Policy) -> int:
    """The Home Agent field; where that leaves it open, what the node likes best, else our own choice (RFC 4433)."""
    if message.home_agent not in (ANY, BROADCAST):
        return int(message.home_agent)
    found = find(_covered(message), HomeAgentAddress)
    wanted = [one.address for one in found if one.sub_type == REQUESTED_HOME_AGENT]
    return wanted[0] if wanted else policy.home_agent_default


def _name(request: Request, policy: Policy) -> None:
    """Whose it is."""
    extensions = request.message.extensions
    nais = find(extensions, Nai)
    if not nais:
        return
    if len(nais) > 1:
        raise Malformed("two NAIs")
    nai = check_nai(nais[0].nai)
    request.sub_nai = find_sub_nai(_covered(request.message), policy.sub_nai_vendor, nais[0].nai)
    request.session = (nai, "" if request.sub_nai is None else request.sub_nai.sub_nai.decode())


def judge(request: Request, ttl: int, policy: Policy, challenges: Challenges | None) -> None:
    """FA-02 … FA-20, first failing check first; sets the association. Raises Denied with the code the RFC gives.

    Raises Unexpected where it gives none. challenges: of the link, None where none are to be answered.
    """
    message = request.message
    if request.fault is not None:
        raise Denied(FA_POORLY_FORMED_REQUEST, str(request.fault))
    if message.flags & (FLAG_r | FLAG_x):
        raise Denied(FA_POORLY_FORMED_REQUEST, "a reserved flag is set")
    _judge_authenticators(message)
    if not message.home_address and not request.session[0]:
        raise Denied(FA_MISSING_NAI, "neither home address nor NAI")
    _authenticate(request, policy)
    if challenges is not None:
        _judge_challenge(request, policy, challenges)
    if message.home_agent in (ANY, BROADCAST) and not is_unicast(request.home_agent):
        raise Denied(FA_NONZERO_HOME_AGENT, "which home agent?")
    if request.home_agent in policy.own_addresses() or not is_unicast(request.home_agent):
        raise Denied(FA_INVALID_HOME_AGENT, f"{show(request.home_agent)} is no home agent")
    if not message.flags & FLAG_D and message.lifetime and message.care_of_address != policy.care_of_address:
        raise Denied(FA_INVALID_CARE_OF, f"{show(message.care_of_address)} is not offered here")
    if not message.flags & FLAG_D and find(message.extensions, RevocationSupport):
        raise Unexpected("revocation is negotiated by agents, not by a node behind one")
    if message.lifetime > policy.lifetime:
        raise Denied(FA_LIFETIME, f"{policy.lifetime} s is the most")
    judge_encapsulation(message, policy)
    own = authorising(message.extensions)[-1].at
    for critical in find(message.extensions, CriticalVendor):
        if critical.at > own:
            raise Denied(FA_UNKNOWN_CRITICAL, f"critical extension of vendor {critical.vendor}")
    judge_reverse_tunnel(message, ttl, policy)


def _judge_authenticators(message: RegistrationRequest) -> None:
    """FA-05: one Mobile-Home Authentication, or an MN-AAA one instead of it; before a Mobile-Foreign one."""
    found = [one for one in message.extensions if isinstance(one, Authentication)]
    home, aaa = find(found, MobileHomeAuthentication), find(found, MnAaaAuthentication)
    if not (home or aaa) or len(home) > 1 or len(aaa) > 1 or found[0] is not (home or aaa)[0]:
        raise Denied(FA_POORLY_FORMED_REQUEST, "one Mobile-Home Authentication, first of its kind, is needed")


def _authenticate(request: Request, policy: Policy) -> None:
    """FA-07: a node that we share a key with proves it. Raises Denied 67."""
    associations = policy.mobile_nodes.get(request.session[0])
    if associations is None:
        return
    found = find(request.message.extensions, MobileForeignAuthentication)
    association = associations.get(found[0].spi) if len(found) == 1 else None
    if association is None:
        raise Denied(FA_MN_AUTHENTICATION, "one Mobile-Foreign Authentication is needed")
    try:
        association.verify(request.datagram, found[0])
    except BadAuthenticator:
        raise Denied(FA_MN_AUTHENTICATION, "Mobile-Foreign Authentication does not verify") from None
    request.association = association


def _judge_challenge(request: Request, policy: Policy, challenges: Challenges) -> None:
    """FA-08. A node that we share a key with may leave the challenge out. Raises Denied, Unexpected.

    Where we have no key of the node's AAA server, its home agent has, or asks: the answer to the challenge goes on to
    it with the request.
    """
    extensions = request.message.extensions
    found = find(extensions, MobileForeignChallenge)
    if not found and request.association is not None:
        return
    if not found:
        raise Denied(FA_MISSING_CHALLENGE, "a challenge has to be answered here")
    if len(found) > 1:
        raise Denied(FA_POORLY_FORMED_REQUEST, "two challenges")
    request.challenge = challenges.find(request.node, found[0].challenge)
    answers = [one for one in find(extensions, MnAaaAuthentication) if one.at > found[0].at]
    own = request.association is not None and find(extensions, MobileForeignAuthentication)[0].at > found[0].at
    if not answers and not own:
        raise Unexpected("a challenge that nothing answers")
    known = policy.aaa.get(request.session[0])
    if not answers or known is None:
        return
    association = known.get(answers[0].spi)
    if association is None:
        raise Denied(FA_AAA_AUTHENTICATION, "no key of that AAA server with that SPI")
    try:
        association.verify(request.datagram, answers[0], found[0].challenge)
    except BadAuthenticator:
        raise Denied(FA_AAA_AUTHENTICATION, "MN-AAA Authentication does not verify") from None
    request.vouched = True


def relayed(request: Request) -> bytes:
    """What goes on to the home agent: byte for byte up to the last extension that authorises (RFC 5944 §3.7.2.2)."""
    last = authorising(request.message.extensions)[-1]
    return request.datagram[: last.covered() + len(last.authenticator)]
