"""The home agent engine (RFC 5944 §3.8): datagrams and time in, turns of effects out. No socket, clock or disk.

Receive, authenticate, check the Identification, find or give an address, update the binding; then, by the effects'
order, durable write, data path, reply. The steps are numbered HA-01 … HA-26 as in docs/conformance.md.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from host_agents.effects import Accepted, AskSubscriber, MobilityBinding, Said, Turn
from host_agents.home_agent.denials import Denials
from host_agents.home_agent.log_lines import LogLines, describe, show_session
from host_agents.home_agent.nonces import RandomOctets
from host_agents.home_agent.plain import PlainRequests
from host_agents.home_agent.policy import Associations, Policy, Subscriber
from host_agents.home_agent.registrations import Open, Registrations
from host_agents.home_agent.request import UnknownSubscriber, name, recognise, verify
from host_agents.home_agent.sessions import Session, Sessions
from host_agents.home_agent.simultaneous import each, everywhere, is_at, rebound
from host_agents.open_turns import OpenTurns
from host_agents.revocation import REVOCATION_MESSAGES, Revocations, informs
from mip4.address import show
from mip4.const import HA_POORLY_FORMED
from mip4.effects import Dropped
from mip4.errors import BadAuthenticator, Denied, Malformed, MipError

_UNBOUND = 64  # sessions of a NAI, beyond those it may have, whose Identification is kept without a binding


class HomeAgent:
    """Answers Registration Requests, keeps the mobility bindings, and says what becomes of every packet's tunnel."""

    def __init__(
        self,
        policy: Policy,
        ntp_ms: int,
        bindings: list[MobilityBinding],
        identifications: dict[Session, int],
        nonces: dict[Session, int],
        owners: list[tuple[int, Session]],
        random_octets: RandomOctets,
    ) -> None:
        """ntp_ms: NTP time at now = 0, ms. The rest is what was durable. owners: as of AddressPool."""
        self.policy = policy
        self._open: OpenTurns[Open | Accepted] = OpenTurns()
        self._sessions = Sessions(policy, ntp_ms, bindings, identifications, nonces, owners, random_octets)
        self.bindings = self._sessions.bindings
        self._pool, self._replay = self._sessions.pool, self._sessions.replay
        self.occupied = self._pool.occupy  # who looks at a home link tells what is seen there
        self._revocations = Revocations(policy.address, policy.foreign_agents, True, self.clock(0))
        self._log_lines = LogLines()
        self._plain = PlainRequests(policy, self.bindings, self._pool, self._replay, self._revocations, _UNBOUND)
        self._registrations = Registrations(
            policy, self._sessions, self._revocations, self._log_lines, self._open, _UNBOUND
        )
        self._denials = Denials(policy, self.bindings, self._replay)

    def start(self) -> Turn:
        """The tunnels of the bindings that were restored."""
        return Turn(self._sessions.start())

    def clock(self, now: int) -> int:
        """The clock that bindings' `expires` are told by, ms. now: monotonic ms, as everywhere here."""
        return self._replay.clock(now)

    def receive(self, datagram: bytes, source: int, port: int, now: int) -> Turn:
        """Take one UDP payload from source:port. Never raises for what a peer sent."""
        accepted = self.accept(datagram, source, port, now)
        return self.examine(datagram, source, port, now) if accepted is None else accepted.turn()

    def accept(self, datagram: bytes, source: int, port: int, now: int) -> Accepted | None:
        """The short way of receive(). None: it is the long one's to say what comes of the datagram."""
        accepted = self._plain.find(datagram, source, port, now, self._open)
        if accepted is None:
            return None
        binding, session, former = accepted.row.binding, accepted.session, accepted.former
        self._revocations.registered(binding.home_address, binding.care_of_address)
        self._open[session] = accepted
        if accepted.renews:
            self.bindings.renew(binding)
            return accepted
        self._pool.take(binding.home_address, session)
        self.bindings.put(binding)
        said = self._log_lines.accepted(former, binding, now)
        return accepted.but(further=(self._sessions.tunnel(binding), *said))

    def examine(self, datagram: bytes, source: int, port: int, now: int) -> Turn:
        """The long way of receive()."""
        if datagram[:1] in REVOCATION_MESSAGES:
            return self._revocation(datagram, source, port, now)
        try:
            request = recognise(datagram, source, port, self.policy)
        except UnknownSubscriber as error:
            if self.policy.asks and error.nai and error.spi is not None:
                return Turn([AskSubscriber(error.nai, error.spi, datagram, source, port)])
            return Turn([Dropped(error, source)])
        except MipError as error:
            return Turn([Dropped(error, source)])
        try:
            verify(request)
        except BadAuthenticator as error:
            return Turn(self._denials.not_authentic(request, error, now))
        try:
            name(request, self.policy, self.bindings)
            if request.session in self._open:
                self._open.hold(request.session, datagram, source, port)
                return Turn([])
            return self._registrations.register(request, now)
        except Denied as denial:
            return Turn(self._denials.deny(request, denial, now))
        except Malformed as error:
            return Turn(self._denials.deny(request, Denied(HA_POORLY_FORMED, str(error)), now))
        except MipError as error:
            return Turn([Dropped(error, source)])

    def settled(self, session: Session, now: int) -> Turn:
        """The turn of `session` ran to its end. What came for it meanwhile is looked at now."""
        held = self._open.end(session)
        if session[0] not in self.policy.subscribers:
            return self._dismiss(session, now)
        return Turn([]) if held is None else self.receive(*held, now)

    def refused(self, session: Session, reason: str, now: int) -> Turn:
        """The store or the kernel would not: the former binding stands again, durably, and then 130 goes."""
        open_ = self._open[session]
        if not self._open.refuse(session):
            self._open.end(session)
            return Turn([Said("warning", "refused", f"gave up on {show_session(session)}: {reason}")])
        effects = self._sessions.put_back(session, open_.former, now)
        try:
            request = recognise(open_.datagram, open_.source, open_.port, self.policy)
            name(request, self.policy, self.bindings)
        except MipError as error:  # the operator has taken its key away meanwhile: no answer could be signed
            return Turn([*effects, Dropped(error, open_.source)], session)
        return Turn([*effects, *self._denials.cannot(request, reason)], session)

    def rebound(self, home_address: int, source: int, port: int, now: int) -> Turn:
        """A keepalive came from where no tunnel ends. Anybody can send one, so it moves nothing (RFC 3519 §4.6.2)

        but the port of a tunnel that waits for its first one: the address is that of an authentic request.
        """
        binding = self.bindings.find_home_address(home_address)
        session = ("", "") if binding is None else (binding.nai, binding.sub_nai)
        known = None if binding is None or session in self._open else rebound(binding, source, port)
        if known is None:
            text = f"a keepalive of home={show(home_address)} came from {show(source)}:{port}, where no tunnel ends"
            return Turn([Said("info", "rebound-unbelieved", text)])
        return Turn([*self._sessions.change(known), Said("info", "rebound", f"rebound {describe(known)}")])

    def deadline(self) -> int | None:
        """Monotonic ms at which wake() has to look for something to do."""
        times = (self._sessions.next_expiry(), self._revocations.deadline())
        return min((time for time in times if time is not None), default=None)

    def wake(self, now: int) -> Turn:
        """End what is over, and ask again those who have not acknowledged a revocation."""
        return Turn([*self._sessions.expire(now), *self._revocations.wake(now)])

    # ---- what the operator does

    def reload(self, subscribers: dict[str, Subscriber], foreign_agents: Associations, now: int) -> Turn:
        """Take these for those of the policy. Bindings of subscribers that are no more are revoked.

        A key that has changed counts from the next request on; a binding's lifetime stays what it was.
        """
        said: list[object] = []
        former, by_nonces = self.policy.subscribers, self.policy.by_nonces()
        for nai, subscriber in subscribers.items():
            if nai in former and subscriber.nonces != former[nai].nonces:
                subscribers = subscribers | {nai: replace(subscriber, nonces=former[nai].nonces)}
                said.append(Said("warning", "reload", f"nai={nai}: its other replay protection begins with a restart"))
        self.policy.replace(subscribers, foreign_agents)
        self._pool.reserve(self.policy.reserved)
        self._replay.use(self.policy.by_nonces() | (by_nonces - subscribers.keys()))  # the latter until they have gone
        gone = [(one.nai, one.sub_nai) for one in self.bindings if one.nai not in subscribers]
        return Turn([*said, *(effect for session in gone for effect in self._dismiss(session, now).effects)])

    def learn(self, subscriber: Subscriber) -> None:
        """The answer to AskSubscriber, or what has changed since. Its address, if it has one, is nobody else's now."""
        self.policy.learn(subscriber)
        self._pool.reserve(self.policy.reserved)

    def _dismiss(self, session: Session, now: int) -> Turn:
        """A session whose subscriber is no more; one whose turn is open goes when that has ended."""
        if self.bindings.find(session) is None or session in self._open:
            return Turn([])
        return self.release(session, False, now)

    def release(self, session: Session, inform: bool, now: int) -> Turn:
        """End a binding because the operator says so; its foreign agent is told. Raises KeyError if there is none.

        inform: have the node told as well, which registers anew if it may.
        """
        binding = self.bindings.find(session)
        if binding is None or session in self._open:
            raise KeyError(f"no binding of {show_session(session)}")
        effects = self._sessions.end(binding, everywhere, "released", now)
        for one in each(binding):
            if one.revocation is not None:
                tell = inform and informs(one.revocation)
                until = None if one.expires is None else one.expires - self.clock(0)
                effects += self._revocations.revoke(one.home_address, one.care_of_address, tell, session, until, now)
        return Turn(effects)

    # ---- revocation (RFC 3543)

    def _revocation(self, datagram: bytes, source: int, port: int, now: int) -> Turn:
        try:
            revoked = self._revocations.receive(datagram, source, port, self._registration)
        except MipError as error:
            return Turn([Dropped(error, source)])
        if revoked is None:
            return Turn([])
        binding = self.bindings.find_home_address(revoked.home_address)
        if binding is None or not revoked.ends:
            return Turn([revoked.answer])
        ended = self._sessions.end(binding, partial(is_at, source), "revoked by its foreign agent", now)
        return Turn([*ended, revoked.answer])

    def _registration(self, home_address: int, peer: int) -> tuple[int, int | None] | None:
        """What Revocations asks about a home address. While its turn is open, nothing certain can be said."""
        binding = self.bindings.find_home_address(home_address)
        if binding is None or (binding.nai, binding.sub_nai) in self._open:
            return None
        ones = each(binding)
        one = next((one for one in ones if one.care_of_address == peer), ones[0])
        return one.care_of_address, one.revocation
