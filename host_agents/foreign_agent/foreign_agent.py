"""The foreign agent engine (RFC 5944 §3.7): frames of visited links, datagrams of home agents and time in, turns out.

Steps are numbered FA-01 … FA-54 as the checklist in the documentation. now: ms that no restart of ours sets back.
"""

from __future__ import annotations

from dataclasses import dataclass

from host_agents.effects import RemoveDelivery, RemoveVisitor, Said, SendDatagram, StoreVisitor, Turn, Visitor
from host_agents.foreign_agent.advertiser import Advertiser
from host_agents.foreign_agent.answer import Denials, cannot, describe, pass_on
from host_agents.foreign_agent.carriage import carry, dismantle, refuse_address
from host_agents.foreign_agent.challenges import Challenges, RandomOctets
from host_agents.foreign_agent.policy import AaaKeys, Associations, Keys, Policy
from host_agents.foreign_agent.reply import (
    admitted,
    for_node,
    match,
    missing,
    mistaken,
    refuse_critical,
    verify,
)
from host_agents.foreign_agent.request import Request, decode_request, judge, relayed
from host_agents.foreign_agent.supplied import supply
from host_agents.foreign_agent.visitor_table import Full, Pending, Session, VisitorTable
from host_agents.limiter import Limiter
from host_agents.revocation import REVOCATION_MESSAGES, Revocations
from mip4.address import show
from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    ALL_MOBILITY_AGENTS,
    BROADCAST,
    FA_POORLY_FORMED_REPLY,
    FA_PROHIBITED,
    FA_RESOURCES,
    FA_TIMEOUT,
    FA_WRONG_CHALLENGE,
    FLAG_D,
    PORT,
    PROTO_ICMP,
)
from mip4.discovery import AgentSolicitation
from mip4.effects import Dropped
from mip4.errors import BadAuthenticator, Denied, MipError, Unexpected
from mip4.extensions import ForeignHomeAuthentication
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply

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

    def __init__(
        self, policy: Policy, visitors: list[Visitor], now: int, ntp_ms: int, random_octets: RandomOctets
    ) -> None:
        """visitors: what was durable. Their lifetimes are not believed beyond the longest we relay."""
        self.policy = policy
        self.visitors = VisitorTable(policy.visitors)
        self._own = policy.own_addresses()
        self._open: dict[Session, _Open] = {}
        self._requests = Limiter(policy.requests_per_minute, 60_000, _BURST)
        self._node_requests = Limiter(policy.requests_per_minute * _NODES_WORTH, 60_000, _BURST * _NODES_WORTH)
        links = policy.interfaces if policy.challenge else ()
        self._challenges = {one.name: Challenges(random_octets) for one in links}
        self._denials = Denials(policy.lifetime, self._challenges)
        said = [visitor.said for visitor in visitors if visitor.said is not None]
        self._revocations = Revocations(policy.care_of_address, policy.home_agents, False, ntp_ms, said)
        self.draining = False
        served = {one.name for one in policy.interfaces}
        self._lost: list[Visitor] = []
        for visitor in visitors:
            over = visitor.expires is not None and visitor.expires <= now
            if over or visitor.interface not in served or self.visitors.full:
                self._lost.append(visitor)
                continue
            latest = None if visitor.expires is None else min(visitor.expires, now + policy.lifetime * 1000)
            self.visitors.put(visitor.but(expires=latest))
        kept = len(self.visitors) > 0
        self._advertisers = {
            one.name: Advertiser(policy, one, kept, self._challenges.get(one.name), now) for one in policy.interfaces
        }

    def start(self) -> Turn:
        """The data path of the visitors that were restored; those that could not be are forgotten."""
        lost = [RemoveVisitor(visitor) for visitor in self._lost]
        return Turn([*lost, *(effect for visitor in self.visitors for effect in carry(visitor))])

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
            effects += self._denials.deny(first, Denied(FA_TIMEOUT, "the home agent does not answer"), now)
        for _ in range(_EXPIRE_AT_ONCE):
            visitor = self.visitors.first_expired(now)
            if visitor is None:
                break
            effects += self._forget(visitor, "lifetime over")
        return Turn([*effects, *self._revocations.wake(now)])

    # ---- what the operator does

    def reload(self, home_agents: Associations, mobile_nodes: Keys, aaa: AaaKeys) -> None:
        """Take these keys for those of the policy; they count from the next message on. Visitors stay."""
        self.policy.replace(home_agents, mobile_nodes, aaa)

    def drain(self, now: int) -> Turn:
        """Revoke everybody and take nobody any more: nodes look for another agent, home agents stop tunnelling."""
        self.draining = True
        effects: list[object] = [advertiser.farewell() for advertiser in self._advertisers.values()]
        for visitor in list(self.visitors):
            session = (visitor.nai, visitor.sub_nai)
            effects += self._forget(visitor, "drained")
            if visitor.revocation is not None:
                peer = visitor.home_agent
                effects += self._revocations.revoke(visitor.home_address, peer, False, session, now)
        return Turn(effects)

    # ---- revocation (RFC 3543)

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

    def _registration(self, home_address: int, peer: int) -> tuple[int, int | None] | None:
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
        if self.draining:
            return Turn([])
        return Turn(list(self._advertisers[interface].solicited(link_address, self.visitors.full, now)))

    def _requested(self, interface: str, link_address: bytes, packet: Packet, checked: bool, now: int) -> Turn:
        if packet.destination not in self._own and packet.destination not in (ALL_MOBILITY_AGENTS, BROADCAST):
            return Turn([])  # this router forwards it: of a node with a care-of address of its own, say
        datagram = Datagram.decode(packet, checked)
        request = decode_request(datagram.payload, self.policy)
        supplied = supply(request, link_address, self.visitors, self.policy)
        pending = self._pending(request, interface, link_address, datagram, now)
        limited = (interface, link_address, *pending.session)
        if not self._requests.allows(limited, now) or not self._node_requests.allows(limited[1:3], now):
            raise Unexpected("too many requests")
        try:
            judge(request, packet.ttl, self.policy, self._challenges.get(interface))
            refuse_address(request.message.home_address, self.policy)
            if self.draining and request.message.lifetime:
                raise Denied(FA_PROHIBITED, "this foreign agent is about to go")
            if self._comes_newly(pending) and self.visitors.full:
                raise Denied(FA_RESOURCES, "no room for another visitor")
            self.visitors.await_reply(pending)
        except Denied as denial:
            return Turn(self._denials.deny(pending, denial, now))
        except Full as full:
            return Turn(self._denials.deny(pending, Denied(FA_RESOURCES, str(full)), now))
        message = request.message
        octets = relayed(request)
        association = self.policy.home_agents.get(request.home_agent)
        if association is not None and message.lifetime and message.care_of_address == self.policy.care_of_address:
            support = self._revocations.support(now)
            request.said = support.timestamp
            octets += supplied + support.encode()
            octets = association.sign(octets, ForeignHomeAuthentication)
        return Turn([SendDatagram(octets, request.home_agent, PORT)])

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

    # ---- from home agents

    def receive(self, datagram: bytes, source: int, port: int, now: int) -> Turn:
        """Take one UDP payload that came to the care-of address. Never raises for what a peer sent."""
        if datagram[:1] in REVOCATION_MESSAGES:
            return self._revocation(datagram, source, port, now)
        try:
            reply = RegistrationReply.salvage(datagram)
            pending = match(reply, source, self.visitors, self.policy)
        except MipError as error:
            return Turn([Dropped(error, source)])
        kept = for_node(datagram, reply)
        # Anybody may have sent what these two speak of, so the request stays under way for the true reply.
        if reply.flaw is not None:
            denial = Denied(FA_POORLY_FORMED_REPLY, str(reply.flaw))
            return Turn([Dropped(reply.flaw, source), *self._denials.deny(pending, denial, now)])
        try:
            verify(datagram, reply, pending, self.policy)
        except BadAuthenticator as error:
            return Turn([Dropped(error, source), *self._denials.doubt(pending, reply, kept, now)])
        open_ = self._open.get(pending.session)
        if open_ is not None:
            open_.held = (datagram, source, port)
            return Turn([])
        self.visitors.answered(pending)
        self._challenge(pending, reply)
        try:
            refuse_critical(reply)
            return self._replied(pending, reply, kept, now)
        except Denied as denial:
            return Turn(self._denials.deny(pending, denial, now))

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
        denial = Denied(code, f"{show(pending.request.home_agent)} is unreachable")
        return Turn(self._denials.deny(pending, denial, now))

    def _challenge(self, pending: Pending, reply: RegistrationReply) -> None:
        """What the node is to answer next time. Whether its answer was right the home agent shows where we did not."""
        request = pending.request
        challenges = self._challenges.get(pending.interface)
        if challenges is None:
            return
        if not request.authentic and reply.code not in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
            request.given = challenges.offer(request.node)
            return
        if request.challenge is not None:
            challenges.use(request.node, request.challenge)
        request.given = challenges.give(request.node)

    def _replied(self, pending: Pending, reply: RegistrationReply, kept: bytes, now: int) -> Turn:
        """FA-35, FA-37, FA-39, FA-40."""
        if reply.code not in (ACCEPTED, ACCEPTED_NO_SIMULTANEOUS):
            return Turn([pass_on(pending, kept, reply.home_address)])
        if mistaken(pending, reply):
            reason = "its home agent speaks of another challenge"
            return Turn(cannot(pending, kept, reply.home_address, reason, FA_WRONG_CHALLENGE))
        code = missing(pending, reply)
        if code:
            # RFC 2794 §3 has it overwritten, whatever that does to the MHAE
            kept = bytes((kept[0], code)) + kept[2:]
            return Turn([pass_on(pending, kept, reply.home_address)])
        if pending.request.message.flags & FLAG_D:
            return Turn([pass_on(pending, kept, reply.home_address)])
        visitor = self.visitors.find(reply.home_address)
        if not min(reply.lifetime, pending.request.message.lifetime):
            effects: list[object] = []
            if visitor is not None and (visitor.nai, visitor.sub_nai) == pending.session:
                effects = self._forget(visitor, "deregistered")
            return Turn([*effects, pass_on(pending, kept, reply.home_address)])
        return self._admit(pending, reply, kept, now)

    def _admit(self, pending: Pending, reply: RegistrationReply, kept: bytes, now: int) -> Turn:
        visitor = admitted(pending, reply, self.policy, now)
        self._revocations.registered(visitor.home_address, visitor.home_agent)
        holder = self.visitors.find(reply.home_address)
        former = self.visitors.find_session(pending.session)
        effects: list[object] = []
        try:
            refuse_address(reply.home_address, self.policy)
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
            return Turn(cannot(pending, kept, reply.home_address, str(error)))
        effects.append(StoreVisitor(visitor))
        if former is None or carry(former) != carry(visitor):
            if former is not None and former.interface != visitor.interface:
                effects.append(RemoveDelivery(former.home_address, former.interface))
            effects += carry(visitor)
        effects.append(pass_on(pending, kept, visitor.home_address))
        if former is None:
            effects.append(Said("info", "visiting", f"visiting {describe(visitor)}"))
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
            return Turn([Said("warning", "refused", f"gave up on {describe(open_.visitor)}: {reason}")])
        open_.refusing = True
        effects: list[object] = []
        if self.visitors.find(open_.visitor.home_address) is open_.visitor:  # else it has another session by now
            self.visitors.remove(open_.visitor.home_address)
            if open_.former is None:
                effects += dismantle(open_.visitor)
            else:
                self.visitors.put(open_.former)
                effects += [StoreVisitor(open_.former), *carry(open_.former)]
        effects += cannot(open_.pending, open_.reply, open_.visitor.home_address, reason)
        return Turn(effects, session)

    def _forget(self, visitor: Visitor, reason: str) -> list[object]:
        self.visitors.remove(visitor.home_address)
        return [*dismantle(visitor), Said("info", "left", f"left {describe(visitor)}: {reason}")]
