"""The foreign agent engine (RFC 5944 §3.7): frames of visited links, datagrams of home agents and time in, turns out.

Steps are numbered FA-01 … FA-54 as in docs/conformance.md. now: ms that no restart of ours sets back.
"""

from __future__ import annotations

from dataclasses import dataclass

from host_agents.effects import Said, Turn, Visitor
from host_agents.foreign_agent.advertiser import Advertiser
from host_agents.foreign_agent.answer import Denials, cannot, describe, pass_on
from host_agents.foreign_agent.challenges import Challenges, RandomOctets
from host_agents.foreign_agent.policy import AaaKeys, Associations, Keys, Policy
from host_agents.foreign_agent.relay import Relay
from host_agents.foreign_agent.reply import (
    admitted,
    for_node,
    match,
    missing,
    mistaken,
    refuse_critical,
    verify,
)
from host_agents.foreign_agent.request import decode_request, named
from host_agents.foreign_agent.visitor_table import Full, Pending, Session
from host_agents.foreign_agent.visits import Visits
from host_agents.open_turns import OpenTurns
from host_agents.revocation import REVOCATION_MESSAGES, Revocations
from mip4.address import show
from mip4.const import (
    ACCEPTED,
    ACCEPTED_NO_SIMULTANEOUS,
    FA_POORLY_FORMED_REPLY,
    FA_TIMEOUT,
    FA_WRONG_CHALLENGE,
    FLAG_D,
    PROTO_ICMP,
)
from mip4.discovery import AgentSolicitation
from mip4.effects import Dropped
from mip4.errors import BadAuthenticator, Denied, MipError, Unexpected
from mip4.ip import Packet
from mip4.messages import RegistrationReply

_PENDING_TIMEOUT = 7000  # ms (RFC 5944 §3.7.1)


@dataclass(slots=True, frozen=True)
class _Open:
    """A turn whose end is not known yet: the reply it confirms, who was there before."""

    pending: Pending
    reply: bytes
    visitor: Visitor
    former: Visitor | None


class ForeignAgent:
    """Relays registrations, keeps the visitor list, advertises."""

    def __init__(
        self, policy: Policy, visitors: list[Visitor], now: int, ntp_ms: int, random_octets: RandomOctets
    ) -> None:
        """visitors: what was durable. Their lifetimes are not believed beyond the longest we relay."""
        self.policy = policy
        self._visits = Visits(policy, visitors, now)
        self.visitors = self._visits.visitors
        self._open: OpenTurns[_Open] = OpenTurns()
        links = policy.interfaces if policy.challenge else ()
        self._challenges = {one.name: Challenges(random_octets) for one in links}
        self._denials = Denials(policy.lifetime, self._challenges)
        said = [visitor.said for visitor in visitors if visitor.said is not None]
        self._revocations = Revocations(policy.care_of_address, policy.home_agents, False, ntp_ms, said)
        self._relay = Relay(policy, self.visitors, self._challenges, self._denials, self._revocations)
        kept = len(self.visitors) > 0
        self._advertisers = {
            one.name: Advertiser(policy, one, kept, self._challenges.get(one.name), now) for one in policy.interfaces
        }

    def start(self) -> Turn:
        """The data path of the visitors that were restored; those that could not be are forgotten."""
        return Turn(self._visits.start())

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
        return Turn([*effects, *self._visits.expire(now), *self._revocations.wake(now)])

    # ---- what the operator does

    def reload(self, home_agents: Associations, mobile_nodes: Keys, aaa: AaaKeys) -> None:
        """Take these keys for those of the policy; they count from the next message on. Visitors stay."""
        self.policy.replace(home_agents, mobile_nodes, aaa)

    @property
    def draining(self) -> bool:
        """Whether nobody is taken any more."""
        return self._relay.closed

    def drain(self, now: int) -> Turn:
        """Revoke everybody and take nobody any more: nodes look for another agent, home agents stop tunnelling."""
        self._relay.closed = True
        effects: list[object] = [advertiser.farewell() for advertiser in self._advertisers.values()]
        for visitor in list(self.visitors):
            session = (visitor.nai, visitor.sub_nai)
            effects += self._visits.forget(visitor, "drained")
            if visitor.revocation is not None:
                peer, until = visitor.home_agent, visitor.expires
                effects += self._revocations.revoke(visitor.home_address, peer, False, session, until, now)
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
        effects = [*self._visits.forget(visitor, "revoked by its home agent"), revoked.answer]
        if revoked.inform:
            advertiser = self._advertisers[visitor.interface]
            effects.append(advertiser.revoked(visitor.link_address, self.visitors.full))
        return Turn(effects)

    def _registration(self, home_address: int, peer: int) -> tuple[int, int | None] | None:
        """What Revocations asks about a home address. While its turn is open, nothing certain can be said."""
        visitor = self.visitors.find(home_address)
        if visitor is None or named(visitor.nai, visitor.sub_nai, home_address) in self._open:
            return None
        return visitor.home_agent, visitor.revocation

    # ---- from visited links

    def heard(self, interface: str, link_address: bytes, octets: bytes, checked: bool, now: int) -> Turn:
        """An IPv4 packet from a visited link. checked: False where its UDP checksum is not there yet. Never raises."""
        try:
            packet = Packet.decode(octets)
            if packet.protocol == PROTO_ICMP:
                return self._solicited(interface, link_address, packet, now)
            return Turn(self._relay.take(interface, link_address, packet, checked, now))
        except MipError as error:
            return Turn([Dropped(error, int.from_bytes(octets[12:16], "big"))])

    def _solicited(self, interface: str, link_address: bytes, packet: Packet, now: int) -> Turn:
        AgentSolicitation.decode(packet.payload)
        if packet.ttl != 1:
            raise Unexpected("solicitation from off the link")
        if self.draining:
            return Turn([])
        return Turn(list(self._advertisers[interface].solicited(link_address, self.visitors.full, now)))

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
        if pending.request.node in self._open:
            self._open.hold(pending.request.node, datagram, source, port)
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
            whose = None if visitor is None else (visitor.nai, visitor.sub_nai, visitor.home_agent)
            if visitor is not None and whose == (*pending.session, pending.request.home_agent):
                effects = self._visits.forget(visitor, "deregistered")
            return Turn([*effects, pass_on(pending, kept, reply.home_address)])
        return self._admit(pending, reply, kept, now)

    def _admit(self, pending: Pending, reply: RegistrationReply, kept: bytes, now: int) -> Turn:
        visitor = admitted(pending, reply, self.policy, now)
        self._revocations.registered(visitor.home_address, visitor.home_agent)
        try:
            former, effects = self._visits.admit(visitor, pass_on(pending, kept, visitor.home_address))
        except (Denied, Full) as error:
            return Turn(cannot(pending, kept, reply.home_address, str(error)))
        self._open[pending.request.node] = _Open(pending, kept, visitor, former)
        return Turn(effects, pending.request.node)

    def settled(self, session: Session, now: int) -> Turn:
        """The turn of `session`, as of named(), ran to its end. A reply that came for it meanwhile is looked at now."""
        held = self._open.end(session)
        return Turn([]) if held is None else self.receive(*held, now)

    def refused(self, session: Session, reason: str, now: int) -> Turn:
        """The store or the kernel would not: the former visitor stands again, and the node is told 66 (RFC 4636)."""
        open_ = self._open[session]
        if not self._open.refuse(session):
            self._open.end(session)
            return Turn([Said("warning", "refused", f"gave up on {describe(open_.visitor)}: {reason}")])
        effects = self._visits.put_back(open_.visitor, open_.former)
        effects += cannot(open_.pending, open_.reply, open_.visitor.home_address, reason)
        return Turn(effects, session)
