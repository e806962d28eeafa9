"""A Registration Request as the home agent sees it: who says it, and for which session (RFC 5944 §3.8.2.1).

Steps HA-02 … HA-07, HA-09, HA-13 and HA-14 of the checklist: all that needs no table but a look at the bindings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from host_agents.home_agent.binding_table import MobilityBindingTable
from host_agents.home_agent.policy import Policy, Subscriber
from host_agents.home_agent.udp_tunnel import UdpTunnel
from mip4.authentication import SecurityAssociation
from mip4.const import FLAG_D, HA_FA_AUTHENTICATION
from mip4.errors import BadAaaAuthenticator, BadAuthenticator, Denied, Malformed, MipError, Unexpected
from mip4.extensions import (
    Authentication,
    ForeignHomeAuthentication,
    MnAaaAuthentication,
    MobileHomeAuthentication,
    Nai,
    RevocationSupport,
    authorising,
    challenge_before,
    find,
)
from mip4.messages import RegistrationRequest
from mip4.nai import check_nai
from mip4.sub_nai import SubNai, find_sub_nai

Session = tuple[str, str]


@dataclass(slots=True)
class Request:
    """A decoded request with what is known of it so far. association, foreign: whose keys a reply is signed with."""

    datagram: bytes
    message: RegistrationRequest
    source: int
    port: int
    subscriber: Subscriber
    association: SecurityAssociation
    foreign: SecurityAssociation | None
    nai: Nai | None
    own: int  # where the first authorising extension is: what stands in front of it is what the node says
    added: int  # where the last one is: what stands behind it was added by the foreign agent
    identification: int  # of the reply
    sub_nai: SubNai | None = None
    supplied: SubNai | None = None  # by the foreign agent, under its authenticator, where the node sent none
    session: Session = ("", "")
    fresh: bool = False  # whether its Identification was accepted
    support: RevocationSupport | None = None  # ours, where the foreign agent has sent its own
    udp: UdpTunnel = field(default_factory=UdpTunnel)


class UnknownSubscriber(Unexpected):
    """nai: as it says, "" where it says none that can be one. spi: of the key that it is signed with, if it is."""

    def __init__(self, nai: Nai | None, spi: int | None):
        super().__init__("no subscriber of that NAI or home address")
        try:
            self.nai = "" if nai is None else str(check_nai(nai.nai))
        except MipError:
            self.nai = ""
        self.spi = spi


def recognise(datagram: bytes, source: int, port: int, policy: Policy) -> Request:
    """Find the security associations (HA-05, HA-06). Raises MipError for what deserves no answer.

    Where an MN-AAA Authentication alone authorises the request, the reply is signed with the subscriber's first key.
    """
    message = RegistrationRequest.salvage(datagram)
    authenticators = authorising(message.extensions)
    if not authenticators:
        raise Unexpected("nothing in it authorises it")
    nai = next(iter(find(message.extensions, Nai)), None)
    own = find(authenticators, MobileHomeAuthentication)
    subscriber = _subscriber(message, nai, policy)
    if subscriber is None:
        raise UnknownSubscriber(nai, own[0].spi if own else None)
    spi = own[0].spi if own else next(iter(subscriber.associations))
    association = subscriber.associations.get(spi)
    if association is None:
        raise Unexpected(f"no security association with SPI {spi} for that NAI")
    if not own and not subscriber.aaa:
        raise Unexpected("only a AAA server could tell whether it is authentic")
    # What an agent relays for a co-located care-of address it does not sign (RFC 5944 §3.5.4)
    relayed = message.flags & FLAG_D and source != message.care_of_address
    foreign = None if relayed else policy.foreign_agents.get(source)
    return Request(
        datagram=datagram,
        message=message,
        source=source,
        port=port,
        subscriber=subscriber,
        association=association,
        foreign=foreign,
        nai=nai,
        own=authenticators[0].at,
        added=authenticators[-1].at,
        identification=message.identification,
    )


def verify(request: Request) -> None:
    """HA-07: all that authorises the request has to hold. Raises BadAuthenticator.

    An MN-AAA Authentication for a AAA server of which we know nothing is that server's affair: then the node has said
    who it is in another way.
    """
    extensions = request.message.extensions
    for home in find(extensions, MobileHomeAuthentication)[:1]:
        request.association.verify(request.datagram, home)
    for aaa in find(extensions, MnAaaAuthentication)[:1] if request.subscriber.aaa else []:
        association = request.subscriber.aaa.get(aaa.spi)
        if association is None:
            raise BadAaaAuthenticator(f"no association with SPI {aaa.spi} and a AAA server for that NAI")
        association.verify(request.datagram, aaa, challenge_before(extensions, aaa))


def _subscriber(message: RegistrationRequest, nai: Nai | None, policy: Policy) -> Subscriber | None:
    """By NAI; a node that sends none is known by its home address (RFC 5944 §3.2)."""
    if nai is not None:
        try:
            return policy.subscribers.get(nai.nai.decode())
        except UnicodeDecodeError:
            return None
    owner = policy.reserved.get(message.home_address)
    return None if owner is None else policy.subscribers.get(owner[0])


def verify_foreign(request: Request, policy: Policy) -> bool:
    """HA-09: whether a foreign agent has signed it, behind whose signature nothing counts.

    Raises Denied 132 where it should have and did not, Unexpected for a Foreign-Home Authentication nobody can check.
    """
    message = request.message
    found = find(message.extensions, ForeignHomeAuthentication)
    if request.foreign is None:
        if found:
            raise Unexpected("Foreign-Home Authentication without an association")
        if policy.require_foreign_agent_key and not message.flags & FLAG_D and message.lifetime:
            raise Denied(HA_FA_AUTHENTICATION, "no security association with this foreign agent")
        return False
    if not found and not message.lifetime:
        return False  # RFC 5944 §3.5.4: none on a deregistration, and none may be demanded
    if len(found) != 1:
        raise Denied(HA_FA_AUTHENTICATION, "one Foreign-Home Authentication is needed")
    try:
        request.foreign.verify(request.datagram, found[0])
    except BadAuthenticator:
        raise Denied(HA_FA_AUTHENTICATION, "Foreign-Home Authentication does not verify") from None
    message.extensions = [one for one in message.extensions if one.at <= found[0].at]  # nobody vouches for the rest
    return True


def name(request: Request, policy: Policy, bindings: MobilityBindingTable) -> None:
    """Fill in the session. Raises Malformed, now that its sender is known to be authentic."""
    extensions = request.message.extensions
    if request.nai is None:
        request.session = policy.reserved[request.message.home_address]
    else:
        check_nai(request.nai.nai)
        request.sub_nai = find_sub_nai(
            [one for one in extensions if one.at < request.own],
            policy.sub_nai_vendor,
            request.nai.nai,
        )
        request.supplied = _supplied(request, policy) if request.sub_nai is None else None
        request.session = (request.subscriber.nai, _sub_nai(request, bindings))
    if request.message.flaw is not None:
        raise request.message.flaw
    authenticators = [one for one in extensions if isinstance(one, Authentication)]
    first = find(extensions, MobileHomeAuthentication) or find(extensions, MnAaaAuthentication)
    if authenticators[0] is not first[0]:
        raise Malformed("the first authentication extension is not the Mobile-Home one")
    if len({type(one) for one in authenticators}) != len(authenticators):
        raise Malformed("two authentication extensions of one kind")
    if len(find(extensions, Nai)) > 1:
        raise Malformed("two NAIs")
    if request.nai is not None and request.nai.at > request.own:
        raise Malformed("the NAI is not authenticated")


def _supplied(request: Request, policy: Policy) -> SubNai | None:
    """The sub-NAI that a foreign agent put between the node's authenticator and its own, which must hold."""
    assert request.nai is not None
    extensions = request.message.extensions
    signed = find(extensions, ForeignHomeAuthentication)
    if request.foreign is None or len(signed) != 1:
        return None
    try:
        request.foreign.verify(request.datagram, signed[0])
    except BadAuthenticator:
        return None  # 132 follows
    between = [one for one in extensions if request.added < one.at < signed[0].at]
    return find_sub_nai(between, policy.sub_nai_vendor, request.nai.nai)


def _sub_nai(request: Request, bindings: MobilityBindingTable) -> str:
    """Who deregisters names no session where a foreign agent did it for him: then the home address tells."""
    named = request.sub_nai or request.supplied
    if named is not None:
        return str(named.sub_nai.decode())
    message = request.message
    binding = None if message.lifetime else bindings.find_home_address(message.home_address)
    if binding is not None and binding.nai == request.subscriber.nai and binding.supplied:
        return binding.sub_nai
    return ""
