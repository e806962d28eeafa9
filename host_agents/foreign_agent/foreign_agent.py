"""The foreign agent engine (RFC 5944 §3.7): frames of visited links, datagrams of home agents and time in, turns out.

Steps are numbered FA-01 … FA-54 as the checklist in the documentation. now: ms that no restart of ours sets back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from host_agents.effects import (
    InstallDelivery,
    InstallTunnel,
    RemoveDelivery,
    RemoveTunnel,
    RemoveVisitor,
    Said,
    SendDatagram,
    SendFrame,
    StoreVisitor,
    TunnelEnd,
    Turn,
    Visitor,
)
from host_agents.foreign_agent.advertiser import Advertiser
from host_agents.foreign_agent.policy import Policy
from host_agents.foreign_agent.request import Request, decode_request, judge, relayed
from host_agents.foreign_agent.visitor_table import Full, Pending, VisitorTable
from host_agents.limiter import Limiter
from host_agents.revocation import REVOCATION_MESSAGES, Revocations
from mip4.address import in_prefix, is_unicast, show, show_link
from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    ALL_MOBILITY_AGENTS,
    BROADCAST,
    FA_LIFETIME,
    FA_MISSING_HOME_ADDRESS,
    FA_MISSING_HOME_AGENT,
    FA_MISSING_NAI,
    FA_PROHIBITED,
    FA_RESOURCES,
    FA_TIMEOUT,
    FLAG_D,
    FLAG_T,
    INFINITE,
    MESSAGE_FROM_FOREIGN_AGENT,
    PORT,
    PROTO_ICMP,
    code_name,
)
from mip4.discovery import AgentSolicitation
from mip4.effects import Dropped
from mip4.errors import BadAuthenticator, Denied, MipError, Unexpected
from mip4.extensions import (
    ForeignAgentError,
    ForeignHomeAuthentication,
    MessageString,
    MobileForeignAuthentication,
    MobileHomeAuthentication,
    Nai,
    RevocationSupport,
    find,
)
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply
from mip4.sub_nai import SubNai, find_sub_nai

Session = tuple[str, str]

_PENDING_TIMEOUT = 7000  # ms (RFC 5944 §3.7.1)
_EXPIRE_AT_ONCE = 256
_BURST = 5
_NODES_WORTH = 64  # sessions' worth of requests that one (link address, NAI) may send


@dataclass(slots=True)
class _Open:
    """A turn whose end is not known yet: the reply it confirms, who was there before, what came in the meantime."""

    pending: Pending
    reply: bytes
    visitor: Visitor
    former: Visitor | None
    held: tuple[bytes, int, int] | None = None
    refusing: bool = False


class ForeignAgent:
    """Relays registrations, keeps the visitor list, advertises."""

    def __init__(self, policy: Policy, visitors: list[Visitor], now: int, ntp_ms: int) -> None:
        """visitors: what was durable. Their lifetimes are not believed beyond the longest we relay."""
        self.policy = policy
        self.visitors = VisitorTable(policy.visitors)
        self._own = policy.own_addresses()
        self._open: dict[Session, _Open] = {}
        self._requests = Limiter(policy.requests_per_minute, 60_000, _BURST)
        self._node_requests = Limiter(policy.requests_per_minute * _NODES_WORTH, 60_000, _BURST * _NODES_WORTH)
        self._denials = Limiter(1, 1000, 1)
        self._revocations = Revocations(policy.care_of_address, policy.home_agents, False, ntp_ms)
        self._draining = False
        served = {one.name for one in policy.interfaces}
        self._lost: list[Visitor] = []
        for visitor in visitors:
            over = visitor.expires is not None and visitor.expires <= now
            if over or visitor.interface not in served or self.visitors.full:
                self._lost.append(visitor)
                continue
            latest = None if visitor.expires is None else min(visitor.expires, now + policy.lifetime * 1000)
            self.visitors.put(replace(visitor, expires=latest))
        kept = len(self.visitors) > 0
        self._advertisers = {one.name: Advertiser(policy, one, kept, now) for one in policy.interfaces}

    def start(self) -> Turn:
        """The data path of the visitors that were restored; those that could not be are forgotten."""
        lost = [RemoveVisitor(visitor) for visitor in self._lost]
        return Turn([*lost, *(effect for visitor in self.visitors for effect in self._carry(visitor))])

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        first = self.visitors.first_pending()
        times = [None if first is None else first.since + _PENDING_TIMEOUT, self.visitors.next_expiry()]
        times.append(self._revocations.deadline())
        times += [advertiser.due for advertiser in self._advertisers.values()]
        return min((time for time in times if time is not None), default=None)

    def wake(self, now: int) -> Turn:
        """Advertise, give up on requests that no home agent answered, forget visitors whose lifetime is over."""
        effects: list[object] = []
        for advertiser in self._advertisers.values():
            if advertiser.due is not None and advertiser.due <= now:
                effects.append(advertiser.advertise(self.visitors.full, now))
        while (first := self.visitors.first_pending()) is not None and first.since + _PENDING_TIMEOUT <= now:
            self.visitors.answered(first)
            effects += self._deny(first, Denied(FA_TIMEOUT, "the home agent does not answer"), now)
        for _ in range(_EXPIRE_AT_ONCE):
            visitor = self.visitors.first_expired(now)
            if visitor is None:
                break
            effects += self._forget(visitor, "lifetime over")
        return Turn([*effects, *self._revocations.wake(now)])

    # ---- revocation (RFC 3543)

    def drain(self, now: int) -> Turn:
        """Revoke everybody and take nobody any more: nodes look for another agent, home agents stop tunnelling."""
        self._draining = True
        effects: list[object] = [advertiser.farewell() for advertiser in self._advertisers.values()]
        for visitor in list(self.visitors):
            session = (visitor.nai, visitor.sub_nai)
            effects += self._forget(visitor, "drained")
            if visitor.revocation is not None:
                peer = visitor.home_agent
                effects += self._revocations.revoke(visitor.home_address, peer, False, session, now)
        return Turn(effects)

    def _revocation(self, datagram: bytes, source: int, port: int, now: int) -> Turn:
        try:
            revoked = self._revocations.receive(datagram, source, port, self._registration)
        except MipError as error:
            return Turn([Dropped(error, source)])
        if revoked is None:
            return Turn([])
        visitor = self.visitors.find(revoked.home_address)
        if visitor is None or not revoked.ends:
            return Turn([revoked.answer])
        effects = [*self._forget(visitor, "revoked by its home agent"), revoked.answer]
        if revoked.inform:
            advertiser = self._advertisers[visitor.interface]
            effects.append(advertiser.revoked(visitor.link_address, self.visitors.full))
        return Turn(effects)

    def _registration(self, home_address: int) -> tuple[int, int | None] | None:
        """What Revocations asks about a home address. While its turn is open, nothing certain can be said."""
        visitor = self.visitors.find(home_address)
        if visitor is None or (visitor.nai, visitor.sub_nai) in self._open:
            return None
        return visitor.home_agent, visitor.revocation

    # ---- from visited links

    def heard(self, interface: str, link_address: bytes, octets: bytes, checked: bool, now: int) -> Turn:
        """An IPv4 packet from a visited link. checked: False where its UDP checksum is not there yet. Never raises."""
        try:
            packet = Packet.decode(octets)
            if packet.protocol == PROTO_ICMP:
                return self._solicited(interface, link_address, packet, now)
            return self._requested(interface, link_address, packet, checked, now)
        except MipError as error:
            return Turn([Dropped(error, int.from_bytes(octets[12:16], "big"))])

    def _solicited(self, interface: str, link_address: bytes, packet: Packet, now: int) -> Turn:
        AgentSolicitation.decode(packet.payload)
        if packet.ttl != 1:
            raise Unexpected("solicitation from off the link")
        if self._draining:
            return Turn([])
        return Turn(list(self._advertisers[interface].solicited(link_address, self.visitors.full, now)))

    def _requested(self, interface: str, link_address: bytes, packet: Packet, checked: bool, now: int) -> Turn:
        datagram = Datagram.decode(packet, checked)
        if packet.destination not in self._own and packet.destination not in (ALL_MOBILITY_AGENTS, BROADCAST):
            raise Unexpected("on its way to somebody else")
        request = decode_request(datagram.payload, self.policy)
        supplied = self._supply(request, link_address)
        pending = self._pending(request, interface, link_address, datagram, now)
        limited = (interface, link_address, *pending.session)
        if not self._requests.allows(limited, now) or not self._node_requests.allows(limited[1:3], now):
            raise Unexpected("too many requests")
        try:
            judge(request, packet.ttl, self.policy)
            self._refuse_address(request.message.home_address)
            if self._draining and request.message.lifetime:
                raise Denied(FA_PROHIBITED, "this foreign agent is about to go")
            if self._comes_newly(pending) and self.visitors.full:
                raise Denied(FA_RESOURCES, "no room for another visitor")
            self.visitors.await_reply(pending)
        except Denied as denial:
            return Turn(self._deny(pending, denial, now))
        except Full as full:
            return Turn(self._deny(pending, Denied(FA_RESOURCES, str(full)), now))
        message = request.message
        octets = relayed(request)
        association = self.policy.home_agents.get(request.home_agent)
        if association is not None and message.lifetime and message.care_of_address == self.policy.care_of_address:
            octets += supplied + self._revocations.support(now).encode()
            octets = association.sign(octets, ForeignHomeAuthentication)
        return Turn([SendDatagram(octets, request.home_agent, PORT)])

    def _supply(self, request: Request, link_address: bytes) -> bytes:
        """Name the session of a node that does not: the sub-NAI extension to be signed for the home agent, if any.

        Without our signature nobody would believe it. A deregistration carries none (RFC 5944 §3.5.4): there the home
        agent goes by the home address, and so do we.
        """
        message, (nai, named) = request.message, request.session
        if not self.policy.sub_nai_from_link or not nai or named or message.flags & FLAG_D:
            return b""
        sub_nai = SubNai(show_link(link_address).encode(), self.policy.sub_nai_vendor, None)
        session = (nai, sub_nai.sub_nai.decode())
        if not message.lifetime:
            visitor = self.visitors.find(message.home_address)
            if visitor is not None and (visitor.nai, visitor.sub_nai) == session:
                request.session = session
            return b""
        if request.home_agent not in self.policy.home_agents or message.care_of_address != self.policy.care_of_address:
            return b""
        request.session = session
        return bytes(sub_nai.extension().encode())

    def _comes_newly(self, pending: Pending) -> bool:
        """Whether a visitor more would come of this request."""
        message = pending.request.message
        if message.lifetime == 0 or message.flags & FLAG_D:
            return False
        return self.visitors.find_session(pending.session) is None and self.visitors.find(message.home_address) is None

    def _pending(self, request: Request, interface: str, link_address: bytes, datagram: Datagram, now: int) -> Pending:
        destination = datagram.destination
        if destination not in self._own:
            destination = next(one.address for one in self.policy.interfaces if one.name == interface)
        return Pending(
            request=request,
            interface=interface,
            link_address=link_address,
            source=datagram.source,
            destination=destination,
            port=datagram.source_port,
            since=now,
        )

    def _refuse_address(self, home_address: int) -> None:
        """Raises Denied 66 for an address that we could not deliver to without harm to our own links."""
        inside = any(in_prefix(home_address, *prefix) for prefix in self.policy.connected)
        if home_address and (inside or not is_unicast(home_address)):
            raise Denied(FA_RESOURCES, f"{show(home_address)} cannot be a visitor's here")

    # ---- from home agents

    def receive(self, datagram: bytes, source: int, port: int, now: int) -> Turn:
        """Take one UDP payload that came to the care-of address. Never raises for what a peer sent."""
        if datagram[:1] in REVOCATION_MESSAGES:
            return self._revocation(datagram, source, port, now)
        try:
            reply = RegistrationReply.decode(datagram)
            pending = self._match(reply, source)
            kept = self._verified(datagram, reply, pending)
            open_ = self._open.get(pending.session)
            if open_ is not None:
                open_.held = (datagram, source, port)
                return Turn([])
            self.visitors.answered(pending)
            return self._replied(pending, reply, kept, now)
        except MipError as error:
            return Turn([Dropped(error, source)])

    def unreachable(self, datagram: bytes, code: int, now: int) -> Turn:
        """ICMP says that a relayed request, given back here, did not arrive. code: 80, 81, 82 or 88 (FA-23)."""
        try:
            request = decode_request(datagram, self.policy)
        except MipError as error:
            return Turn([Dropped(error, 0)])
        message = request.message
        low = message.identification & 0xFFFFFFFF
        pending = self.visitors.find_pending(low, request.session, message.home_address)
        if pending is None:
            return Turn([])
        self.visitors.answered(pending)
        return Turn(self._deny(pending, Denied(code, f"{show(pending.request.home_agent)} is unreachable"), now))

    def _match(self, reply: RegistrationReply, source: int) -> Pending:
        """FA-33. Raises Unexpected."""
        nais = find(reply.extensions, Nai)
        nai = nais[0].nai if nais else b""
        sub_nai = find_sub_nai(reply.extensions, self.policy.sub_nai_vendor, nai)
        try:
            session = (nai.decode(), "" if sub_nai is None else sub_nai.sub_nai.decode())
        except UnicodeDecodeError:
            raise Unexpected("a reply for nobody") from None
        pending = self.visitors.find_pending(reply.identification & 0xFFFFFFFF, session, reply.home_address)
        if pending is None or source != pending.request.home_agent:
            raise Unexpected("a reply that answers no request")
        if reply.code in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS) and reply.home_agent not in (0, source):
            raise Unexpected(f"accepted in the name of {show(reply.home_agent)}")
        return pending

    def _verified(self, datagram: bytes, reply: RegistrationReply, pending: Pending) -> bytes:
        """What may go on to the node: all up to the Mobile-Home Authentication. FA-34. Raises BadAuthenticator.

        Whether the reply must be signed is decided by our own request: what a forger writes does not excuse him.
        """
        association = self.policy.home_agents.get(pending.request.home_agent)
        found = find(reply.extensions, ForeignHomeAuthentication)
        ours = pending.request.message.care_of_address == self.policy.care_of_address  # else nobody signs (§3.5.4)
        if association is not None and (found or (ours and (pending.request.message.lifetime or reply.lifetime))):
            if len(found) != 1:
                raise BadAuthenticator("one Foreign-Home Authentication is needed")
            association.verify(datagram, found[0])
        own = find(reply.extensions, MobileHomeAuthentication)
        if own:
            return datagram[: own[-1].covered() + len(own[-1].authenticator)]
        return datagram[: found[0].at] if found else datagram

    def _replied(self, pending: Pending, reply: RegistrationReply, kept: bytes, now: int) -> Turn:
        """FA-35, FA-39, FA-40."""
        if reply.code not in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
            return Turn([self._pass_on(pending, kept, reply.home_address)])
        missing = self._missing(pending, reply)
        if missing:
            kept = (
                bytes((kept[0], missing)) + kept[2:]
            )  # RFC 2794 §3 has it overwritten, whatever that does to the MHAE
            return Turn([self._pass_on(pending, kept, reply.home_address)])
        if pending.request.message.flags & FLAG_D:
            return Turn([self._pass_on(pending, kept, reply.home_address)])
        visitor = self.visitors.find(reply.home_address)
        if not min(reply.lifetime, pending.request.message.lifetime):
            effects: list[object] = []
            if visitor is not None and (visitor.nai, visitor.sub_nai) == pending.session:
                effects = self._forget(visitor, "deregistered")
            return Turn([*effects, self._pass_on(pending, kept, reply.home_address)])
        return self._admit(pending, reply, kept, now)

    def _missing(self, pending: Pending, reply: RegistrationReply) -> int:
        """The code for what an accepting reply lacks, 0 for nothing (RFC 2794 §3)."""
        missing: int = 0
        if pending.session[0] and not find(reply.extensions, Nai):
            missing = FA_MISSING_NAI
        elif not reply.home_agent:
            missing = FA_MISSING_HOME_AGENT
        elif not reply.home_address and reply.lifetime:  # who never had an address has none to give back
            missing = FA_MISSING_HOME_ADDRESS
        return missing

    def _admit(self, pending: Pending, reply: RegistrationReply, kept: bytes, now: int) -> Turn:
        lifetime = min(reply.lifetime, pending.request.message.lifetime, self.policy.lifetime)
        visitor = Visitor(
            nai=pending.session[0],
            sub_nai=pending.session[1],
            home_address=reply.home_address,
            home_agent=reply.home_agent,
            care_of_address=self.policy.care_of_address,
            interface=pending.interface,
            link_address=pending.link_address,
            lifetime=lifetime,
            expires=None if lifetime == INFINITE else now + lifetime * 1000,
            flags=pending.request.message.flags,
            revocation=_negotiated(reply),
        )
        self._revocations.registered(visitor.home_address, visitor.home_agent)
        holder = self.visitors.find(reply.home_address)
        former = self.visitors.find_session(pending.session)
        effects: list[object] = []
        try:
            self._refuse_address(reply.home_address)
            if holder is not None and (holder.nai, holder.sub_nai) != pending.session:
                if holder.home_agent != reply.home_agent:
                    raise Denied(FA_RESOURCES, f"{show(reply.home_address)} is another visitor's")
                effects += self._forget(holder, "its home agent gave the address to another session")
                holder = None
            if former is not None and former.home_address != visitor.home_address:
                effects += self._forget(former, "has another address now")
                former = None
            self.visitors.put(visitor)
        except (Denied, Full) as error:
            return Turn(self._cannot(pending, kept, reply.home_address, str(error)))
        effects.append(StoreVisitor(visitor))
        if former is None or self._carry(former) != self._carry(visitor):
            if former is not None and former.interface != visitor.interface:
                effects.append(RemoveDelivery(former.home_address, former.interface))
            effects += self._carry(visitor)
        effects.append(self._pass_on(pending, kept, visitor.home_address))
        if former is None:
            effects.append(Said("info", "visiting", f"visiting {_describe(visitor)}"))
        self._open[pending.session] = _Open(pending, kept, visitor, former or holder)
        return Turn(effects, pending.session)

    def settled(self, session: Session, now: int) -> Turn:
        """The turn of `session` ran to its end. A reply that came for it meanwhile is looked at now."""
        open_ = self._open.pop(session)
        return Turn([]) if open_.held is None else self.receive(*open_.held, now)

    def refused(self, session: Session, reason: str, now: int) -> Turn:
        """The store or the kernel would not: the former visitor stands again, and the node is told 66 (RFC 4636)."""
        open_ = self._open[session]
        if open_.refusing:
            del self._open[session]
            return Turn([Said("warning", "refused", f"gave up on {_describe(open_.visitor)}: {reason}")])
        open_.refusing = True
        effects: list[object] = []
        if self.visitors.find(open_.visitor.home_address) is open_.visitor:  # else it has another session by now
            self.visitors.remove(open_.visitor.home_address)
            if open_.former is None:
                effects += self._dismantle(open_.visitor)
            else:
                self.visitors.put(open_.former)
                effects += [StoreVisitor(open_.former), *self._carry(open_.former)]
        effects += self._cannot(open_.pending, open_.reply, open_.visitor.home_address, reason)
        return Turn(effects, session)

    # ---- answers and effects

    def _pass_on(self, pending: Pending, octets: bytes, home_address: int) -> SendFrame:
        """A reply to the node (FA-41): straight to its link-layer address, since it must not be asked for by ARP."""
        if pending.request.association is not None:
            octets = pending.request.association.sign(octets, MobileForeignAuthentication)
        destination = pending.source or home_address or BROADCAST
        datagram = Datagram(pending.destination, PORT, destination, pending.port, octets)
        return SendFrame(pending.interface, pending.link_address, datagram.packet(ttl=255).encode())

    def _deny(self, pending: Pending, denial: Denied, now: int) -> list[object]:
        """Our own denial, at most one a second for each session. Text only where the node is known to be authentic."""
        if not self._denials.allows((pending.link_address, *pending.session), now):
            return []
        message = pending.request.message
        lifetime = self.policy.lifetime if denial.code == FA_LIFETIME else message.lifetime
        extensions = find(message.extensions, Nai)[:1]
        if pending.request.sub_nai is not None:
            extensions.append(pending.request.sub_nai.extension())
        if pending.request.association is not None:
            extensions.append(MessageString(MESSAGE_FROM_FOREIGN_AGENT, denial.text.encode()[:200]))
        reply = RegistrationReply(
            denial.code, lifetime, message.home_address, message.home_agent, message.identification, extensions
        )
        text = f"denied {_show(pending.session)} link={show_link(pending.link_address)} code={code_name(denial.code)}"
        return [
            self._pass_on(pending, reply.encode(), message.home_address),
            Said("info", f"denied-{denial.code}", f"{text}: {denial.text}"),
        ]

    def _cannot(self, pending: Pending, kept: bytes, home_address: int, reason: str) -> list[object]:
        """The home agent accepted but we cannot carry it: an FA Error behind its untouched reply (RFC 4636 §3)."""
        text = f"cannot carry {_show(pending.session)} home={show(home_address)}: {reason}"
        return [
            self._pass_on(pending, kept + ForeignAgentError(FA_RESOURCES).encode(), home_address),
            Said("warning", "refused", text),
        ]

    def _carry(self, visitor: Visitor) -> list[object]:
        reverse = bool(visitor.flags & FLAG_T)
        return [
            InstallTunnel(visitor.home_address, visitor.care_of_address, (TunnelEnd(visitor.home_agent, "ipip"),)),
            InstallDelivery(visitor.home_address, visitor.interface, visitor.link_address, reverse),
        ]

    def _dismantle(self, visitor: Visitor) -> list[object]:
        return [
            RemoveVisitor(visitor),
            RemoveDelivery(visitor.home_address, visitor.interface),
            RemoveTunnel(visitor.home_address),
        ]

    def _forget(self, visitor: Visitor, reason: str) -> list[object]:
        self.visitors.remove(visitor.home_address)
        return [*self._dismantle(visitor), Said("info", "left", f"left {_describe(visitor)}: {reason}")]


def _negotiated(reply: RegistrationReply) -> int | None:
    """The home agent's timestamp, if both agents can revoke: it stands where our common authenticator covers it."""
    own = find(reply.extensions, MobileHomeAuthentication)
    last = find(reply.extensions, ForeignHomeAuthentication)
    offered = find(reply.extensions, RevocationSupport) if own and last else []
    return next((int(one.timestamp) for one in offered if own[0].at < one.at < last[0].at), None)


def _show(session: Session) -> str:
    return f"nai={session[0]} sub_nai={session[1]!r}"


def _describe(visitor: Visitor) -> str:
    return (
        f"{_show((visitor.nai, visitor.sub_nai))} home={show(visitor.home_address)} "
        f"home_agent={show(visitor.home_agent)} link={show_link(visitor.link_address)}"
    )
