"""Requests on their way to home agents (RFC 5944 §3.7.2): what a foreign agent takes from its visited links."""

from __future__ import annotations

from collections.abc import Mapping

from host_agents.effects import SendDatagram
from host_agents.foreign_agent.answer import Denials
from host_agents.foreign_agent.carriage import refuse_address
from host_agents.foreign_agent.challenges import Challenges
from host_agents.foreign_agent.policy import Policy
from host_agents.foreign_agent.request import Request, decode_request, judge, relayed
from host_agents.foreign_agent.supplied import supply
from host_agents.foreign_agent.visitor_table import Full, Pending, VisitorTable
from host_agents.limiter import Limiter
from host_agents.revocation import Revocations
from mip4.const import ALL_MOBILITY_AGENTS, BROADCAST, FA_PROHIBITED, FA_RESOURCES, FLAG_D, PORT
from mip4.errors import Denied, Unexpected
from mip4.extensions import ForeignHomeAuthentication
from mip4.ip import Datagram, Packet

_BURST = 5
_NODES_WORTH = 64  # sessions' worth of requests that one (link address, NAI) may send


class Relay:
    """challenges: by visited link, where nodes have to answer one. closed: whether nobody new is taken any more."""

    def __init__(
        self,
        policy: Policy,
        visitors: VisitorTable,
        challenges: Mapping[str, Challenges],
        denials: Denials,
        revocations: Revocations,
    ) -> None:
        self.closed = False
        self._policy = policy
        self._own = policy.own_addresses()
        self._visitors = visitors
        self._challenges = challenges
        self._denials = denials
        self._revocations = revocations
        self._requests = Limiter(policy.requests_per_minute, 60_000, _BURST)
        self._node_requests = Limiter(policy.requests_per_minute * _NODES_WORTH, 60_000, _BURST * _NODES_WORTH)

    def take(self, interface: str, link_address: bytes, packet: Packet, checked: bool, now: int) -> list[object]:
        """A UDP packet as of ForeignAgent.heard(). Raises MipError for what deserves no answer."""
        if packet.destination not in self._own and packet.destination not in (ALL_MOBILITY_AGENTS, BROADCAST):
            return []  # this router forwards it: of a node with a care-of address of its own, say
        datagram = Datagram.decode(packet, checked)
        request = decode_request(datagram.payload, self._policy)
        supplied = supply(request, link_address, self._visitors, self._policy)
        pending = self._pending(request, interface, link_address, datagram, now)
        limited = (interface, link_address, *pending.session)
        if not self._requests.allows(limited, now) or not self._node_requests.allows(limited[1:3], now):
            raise Unexpected("too many requests")
        try:
            judge(request, packet.ttl, self._policy, self._challenges.get(interface))
            refuse_address(request.message.home_address, self._policy)
            if self.closed and request.message.lifetime:
                raise Denied(FA_PROHIBITED, "this foreign agent is about to go")
            if self._comes_newly(pending) and self._visitors.full:
                raise Denied(FA_RESOURCES, "no room for another visitor")
            self._visitors.await_reply(pending)
        except Denied as denial:
            return self._denials.deny(pending, denial, now)
        except Full as full:
            return self._denials.deny(pending, Denied(FA_RESOURCES, str(full)), now)
        return [SendDatagram(self._signed(request, supplied, now), request.home_agent, PORT)]

    def _signed(self, request: Request, supplied: bytes, now: int) -> bytes:
        """What goes on, and behind it what we say ourselves, where the home agent can believe it."""
        message, octets = request.message, relayed(request)
        association = self._policy.home_agents.get(request.home_agent)
        if association is None or not message.lifetime or message.care_of_address != self._policy.care_of_address:
            return octets
        support = self._revocations.support(now)
        request.said = support.timestamp
        signed: bytes = association.sign(octets + supplied + support.encode(), ForeignHomeAuthentication)
        return signed

    def _comes_newly(self, pending: Pending) -> bool:
        """Whether a visitor more would come of this request."""
        message = pending.request.message
        if message.lifetime == 0 or message.flags & FLAG_D:
            return False
        known = self._visitors.find_session(pending.session) or self._visitors.find(message.home_address)
        return known is None

    def _pending(self, request: Request, interface: str, link_address: bytes, datagram: Datagram, now: int) -> Pending:
        destination = datagram.destination
        if destination not in self._own:
            destination = next(one.address for one in self._policy.interfaces if one.name == interface)
        return Pending(
            request=request,
            interface=interface,
            link_address=link_address,
            source=datagram.source,
            destination=destination,
            port=datagram.source_port,
            since=now,
        )
