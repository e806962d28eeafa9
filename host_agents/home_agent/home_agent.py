"""The home agent engine (RFC 5944 §3.8): datagrams and time in, turns of effects out. No socket, clock or disk.

Receive, authenticate, check the Identification, find or give an address, update the binding; then, by the effects'
order, durable write, data path, reply. The steps are numbered HA-01 … HA-26 as in docs/conformance.md.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from host_agents.effects import (
    Accepted,
    AskSubscriber,
    CameHome,
    ExtendTunnel,
    ForgetIdentification,
    InstallTunnel,
    MobilityBinding,
    RemoveBinding,
    RemoveTunnel,
    Said,
    Turn,
)
from host_agents.home_agent.address_pool import AddressPool
from host_agents.home_agent.binding_table import MobilityBindingTable
from host_agents.home_agent.log_lines import LogLines, describe, show_session
from host_agents.home_agent.nonces import RandomOctets
from host_agents.home_agent.plain import PlainRequests
from host_agents.home_agent.policy import Associations, Policy, Subscriber
from host_agents.home_agent.replay import Replay
from host_agents.home_agent.reply import again, answer, granted
from host_agents.home_agent.request import Request, UnknownSubscriber, judge, name, recognise, verify, verify_foreign
from host_agents.home_agent.simultaneous import accepted, beside, each, is_over, rebound, shortened, without
from host_agents.home_agent.tunnel import tunnel
from host_agents.limiter import Limiter
from host_agents.revocation import REVOCATION_MESSAGES, Revocations, agreed, informs
from mip4.address import show
from mip4.const import (
    ACCEPTED,
    ANY,
    FLAG_D,
    HA_IDENTIFICATION,
    HA_POORLY_FORMED,
    HA_PROHIBITED,
    HA_RESOURCES,
    INFINITE,
    code_name,
)
from mip4.effects import Dropped
from mip4.errors import BadAuthenticator, Denied, Malformed, MipError
from mip4.extensions import RevocationSupport, find

Session = tuple[str, str]

_EXPIRE_AT_ONCE = 256  # bindings that are looked at in one turn
_UNBOUND = 64  # sessions of a NAI, beyond those it may have, whose Identification is kept without a binding
_UNAUTHENTICATED_REPLIES = 10  # a second, to all the world


@dataclass(slots=True)
class _Open:
    """A turn whose end is not known yet: whom to deny, what to go back to. As of Accepted, which is another one."""

    datagram: bytes
    source: int
    port: int
    former: MobilityBinding | None


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
        self.bindings = MobilityBindingTable()
        ranges = [one for network in policy.networks for one in network.pool]
        never = [policy.address, *(one for network in policy.networks for one in (network.gateway, network.address))]
        self._reserved = policy.reserved()
        self._pool = AddressPool(ranges, self._reserved, never, self.bindings.holder, owners)
        self.occupied = self._pool.occupy  # who looks at a home link tells what is seen there
        self._log_lines = LogLines()
        self._unauthenticated = Limiter(_UNAUTHENTICATED_REPLIES, 1000, 2 * _UNAUTHENTICATED_REPLIES)
        self._open: dict[Session, _Open | Accepted] = {}
        self._held: dict[Session, tuple[bytes, int, int]] = {}  # what came for a session while its turn was open
        self._refusing: set[Session] = set()
        for binding in bindings:
            self._pool.take(binding.home_address, (binding.nai, binding.sub_nai))
            self.bindings.put(binding)
        find = self.bindings.find
        self._replay = Replay(ntp_ms, identifications, nonces, bindings, find, policy.by_nonces(), random_octets)
        self._plain = PlainRequests(policy, self.bindings, self._pool, self._replay, _UNBOUND)
        self._shortened: list[MobilityBinding] = []  # to be stored
        for binding in bindings:
            believed = shortened(binding, self.clock(0))  # the machine's clock may have been put back
            if believed is not binding:
                self._shortened.append(believed)
                self.bindings.put(believed)
        self._revocations = Revocations(policy.address, policy.foreign_agents, True, self.clock(0))

    def start(self) -> Turn:
        """The tunnels of the bindings that were restored."""
        stored = [self._replay.of((one.nai, one.sub_nai)).store(one) for one in self._shortened]
        return Turn([*stored, *(self._tunnel(binding) for binding in self.bindings)])

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
        binding, session = accepted.row.binding, accepted.session
        self._revocations.registered(binding.home_address, binding.care_of_address)
        self._open[session] = accepted
        if accepted.former is not None:
            self.bindings.renew(binding)
            return accepted
        self._pool.take(binding.home_address, session)
        self.bindings.put(binding)
        return accepted.but(further=(self._tunnel(binding), *self._log_lines.accepted(None, binding, now)))

    def examine(self, datagram: bytes, source: int, port: int, now: int) -> Turn:
        """The long way of receive()."""
        if datagram[:1] in REVOCATION_MESSAGES:
            return self._revocation(datagram, source, port, now)
        try:
            request = recognise(datagram, source, port, self.policy, self._reserved)
        except UnknownSubscriber as error:
            if self.policy.asks and error.nai and error.spi is not None:
                return Turn([AskSubscriber(error.nai, error.spi, datagram, source, port)])
            return Turn([Dropped(error, source)])
        except MipError as error:
            return Turn([Dropped(error, source)])
        try:
            verify(request)
        except BadAuthenticator as error:
            return self._not_authentic(request, error, now)
        try:
            name(request, self.policy, self._reserved, self.bindings)
            if request.session in self._open:
                self._held[request.session] = (datagram, source, port)
                return Turn([])
            return self._register(request, now)
        except Denied as denial:
            return Turn(self._deny(request, denial, now))
        except Malformed as error:
            return Turn(self._deny(request, Denied(HA_POORLY_FORMED, str(error)), now))
        except MipError as error:
            return Turn([Dropped(error, source)])

    def settled(self, session: Session, now: int) -> Turn:
        """The turn of `session` ran to its end. What came for it meanwhile is looked at now."""
        held = self._closed(session)
        if session[0] not in self.policy.subscribers:
            return self._dismiss(session, now)
        return Turn([]) if held is None else self.receive(*held, now)

    def refused(self, session: Session, reason: str, now: int) -> Turn:
        """The store or the kernel would not: the former binding stands again, durably, and then 130 goes."""
        open_ = self._open[session]
        if session in self._refusing:
            self._closed(session)
            return Turn([Said("warning", "refused", f"gave up on {show_session(session)}: {reason}")])
        self._refusing.add(session)
        effects: list[object] = []
        self._put_back(session, open_.former, now, effects)
        try:
            request = recognise(open_.datagram, open_.source, open_.port, self.policy, self._reserved)
            name(request, self.policy, self._reserved, self.bindings)
        except MipError as error:  # the operator has taken its key away meanwhile: no answer could be signed
            return Turn([*effects, Dropped(error, open_.source)], session)
        message = request.message
        request.identification = self._replay.of(session).answer(session, message.identification)
        denial = Denied(HA_RESOURCES, "cannot carry this")
        self._replay.of(session).denied(session, denial)
        effects.append(answer(request, self.policy, denial.code, message.lifetime, message.home_address, denial.text))
        text = f"denied {show_session(session)} code={code_name(denial.code)}: {reason}"
        return Turn([*effects, Said("warning", "refused", text)], session)

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
        return Turn([*self._keep(known), Said("info", "rebound", f"rebound {describe(known)}")])

    def deadline(self) -> int | None:
        """Monotonic ms at which wake() has to look for something to do."""
        expiry = self.bindings.next_look()
        times = [self._replay.next_forget(), self._revocations.deadline()]
        times.append(None if expiry is None else expiry - self.clock(0))
        return min((time for time in times if time is not None), default=None)

    def wake(self, now: int) -> Turn:
        """End the bindings whose lifetime is over (no message is sent for that) and forget old Identifications."""
        effects: list[object] = []
        for binding in self.bindings.expired(self.clock(now), _EXPIRE_AT_ONCE):
            effects += self._end(binding, partial(is_over, clock=self.clock(now)), "lifetime over", now)
        effects += [ForgetIdentification(*session) for session in self._replay.forget(now)]
        return Turn([*effects, *self._revocations.wake(now)])

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
        self._reserved.clear()
        self._reserved.update(self.policy.reserved())
        self._pool.reserve(self._reserved)
        self._replay.use(self.policy.by_nonces() | (by_nonces - subscribers.keys()))  # the latter until they have gone
        gone = [(one.nai, one.sub_nai) for one in self.bindings if one.nai not in subscribers]
        return Turn([*said, *(effect for session in gone for effect in self._dismiss(session, now).effects)])

    def learn(self, subscriber: Subscriber) -> None:
        """The answer to AskSubscriber, or what has changed since. Its address, if it has one, is nobody else's now."""
        self.policy.subscribers[subscriber.nai] = subscriber
        self._reserved.clear()
        self._reserved.update(self.policy.reserved())
        self._pool.reserve(self._reserved)

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
        effects = self._end(binding, _all, "released", now)
        for one in each(binding):
            if one.revocation is not None:
                tell = inform and informs(one.revocation)
                effects += self._revocations.revoke(one.home_address, one.care_of_address, tell, session, now)
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
        ended = self._end(binding, partial(_is_at, source), "revoked by its foreign agent", now)
        return Turn([*ended, revoked.answer])

    def _registration(self, home_address: int, peer: int) -> tuple[int, int | None] | None:
        """What Revocations asks about a home address. While its turn is open, nothing certain can be said."""
        binding = self.bindings.find_home_address(home_address)
        if binding is None or (binding.nai, binding.sub_nai) in self._open:
            return None
        ones = each(binding)
        one = next((one for one in ones if one.care_of_address == peer), ones[0])
        return one.care_of_address, one.revocation

    # ---- ends and changes

    def _end(
        self, binding: MobilityBinding, gone: Callable[[MobilityBinding], bool], reason: str, now: int
    ) -> list[object]:
        """Of those of its care-of addresses that are `gone`."""
        effects: list[object] = []
        left = without(binding, gone)
        if left is None:
            self._remove(binding, reason, now, effects)
        else:
            effects += self._keep(left)
        ended = without(binding, lambda one: not gone(one)) or binding
        return [*effects, Said("info", "unbound", f"unbound {describe(ended)}: {reason}")]

    def _keep(self, binding: MobilityBinding) -> list[object]:
        """A session's binding that changes without a request: its last Identification stays what it is."""
        session = (binding.nai, binding.sub_nai)
        replay = self._replay.of(session)
        binding = binding.but(identification=replay.last(session))
        self.bindings.put(binding)
        return [replay.store(binding), self._tunnel(binding)]

    # ---- HA-02 … HA-07, HA-09: who says this

    def _not_authentic(self, request: Request, error: BadAuthenticator, now: int) -> Turn:
        """131 or 144 (HA-07): always where a foreign agent vouches for having heard it, which no forger can do.

        Never to a foreign agent that has a key and did not use it. Else not to a flood, and never longer than the
        request, whose authenticator may be shorter than ours: whoever forged it gains nothing.
        """
        dropped = Dropped(error, request.source)
        try:
            signed = verify_foreign(request, self.policy)
        except MipError:
            return Turn([dropped])
        with suppress(MipError):  # its sub-NAI, if it is one, goes back with the reply
            name(request, self.policy, self._reserved, self.bindings)
        message = request.message
        reply = answer(request, self.policy, error.home_code, message.lifetime, message.home_address)
        longer = len(reply.datagram) > len(request.datagram)
        if not signed and (longer or not self._unauthenticated.allows("", now)):
            return Turn([dropped])
        return Turn([dropped, reply])

    # ---- HA-08, HA-10 … HA-26: what becomes of it

    def _register(self, request: Request, now: int) -> Turn:
        """Raises Denied."""
        message, session = request.message, request.session
        former = self.bindings.find(session)
        replay = self._replay.of(session)
        repetition = replay.check(session, message.identification, now, request.subscriber.sessions + _UNBOUND)
        verify_foreign(request, self.policy)
        if repetition is None:
            replay.accept(session, message.identification, now)
        request.fresh = repetition is None
        request.identification = replay.answer(session, message.identification)
        if former is None:
            replay.unbind(session, now)
        judge(request, self.policy)
        if repetition is not None and (repetition.denial is not None or message.lifetime):
            self._negotiate(request, now)
            return Turn([again(request, repetition, former, self.policy, self.clock(now))])
        if message.lifetime == 0:
            return self._deregister(request, former, now)
        if former is None and self.bindings.sessions_of(session[0]) >= request.subscriber.sessions:
            raise Denied(HA_RESOURCES, f"all {request.subscriber.sessions} sessions of this NAI are in use")
        home_address = self._address(message.home_address, session, former)
        return self._bind(request, former, home_address, now)

    def _address(self, asked: int, session: Session, former: MobilityBinding | None) -> int:
        """HA-18, HA-25. Raises Denied."""
        if former is not None and asked in (ANY, former.home_address):
            return former.home_address
        return self._pool.choose(session, asked)

    def _bind(self, request: Request, former: MobilityBinding | None, home_address: int, now: int) -> Turn:
        message, session = request.message, request.session
        lifetime = granted(request, self.policy)
        binding = MobilityBinding(
            nai=session[0],
            sub_nai=session[1],
            home_address=home_address,
            care_of_address=message.care_of_address,
            lifetime=lifetime,
            expires=None if lifetime == INFINITE else self.clock(now) + lifetime * 1000,
            flags=message.flags,
            identification=message.identification,
            direct=bool(message.flags & FLAG_D),
            revocation=self._negotiate(request, now),
            udp_remote=request.udp.remote,
            udp_port=request.udp.port,
            supplied=request.supplied is not None,
        )
        binding = beside(former, binding, self.policy, self.clock(now))
        self._revocations.registered(home_address, binding.care_of_address)
        effects: list[object] = []
        self._replace(former, binding, now, effects)
        effects.append(self._replay.of(session).store(binding))
        led = self._tunnel(binding)
        same = former is not None and self._tunnel(former).ends == led.ends and former.home_address == home_address
        effects.append(ExtendTunnel(home_address, led.expires) if same else led)
        effects += self._log_lines.accepted(former, binding, now)
        effects.append(answer(request, self.policy, accepted(message.flags, self.policy), lifetime, home_address))
        return self._opened(request, former, effects)

    def _negotiate(self, request: Request, now: int) -> int | None:
        """What the foreign agent agrees to, if it can revoke and be revoked: it says so, under its authenticator."""
        offered = [one for one in find(request.message.extensions, RevocationSupport) if one.at > request.added]
        if not offered or request.foreign is None:
            return None
        request.support = self._revocations.support(now)
        return agreed(offered[0])

    def _replace(
        self, former: MobilityBinding | None, binding: MobilityBinding, now: int, effects: list[object]
    ) -> None:
        """Put `binding` where `former` was; effects: what giving up a former address takes."""
        session = (binding.nai, binding.sub_nai)
        if former is not None and former.home_address != binding.home_address:
            effects += [RemoveBinding(former, self.clock(now), "another address"), RemoveTunnel(former.home_address)]
            self._pool.give_back(former.home_address, session)
        self._pool.take(binding.home_address, session)
        self.bindings.put(binding)
        self._replay.of(session).bind(session)

    def _deregister(self, request: Request, former: MobilityBinding | None, now: int) -> Turn:
        """Lifetime 0 ends the binding of that care-of address, or, from home, all of them (RFC 5944 §3.8.2.2)."""
        message, session = request.message, request.session
        home_address = message.home_address or (former.home_address if former else ANY)
        if former is not None and home_address != former.home_address:
            raise Denied(HA_PROHIBITED, f"{show(home_address)} is not this session's home address")
        other = self.bindings.find_home_address(home_address)
        if other is not None and (other.nai, other.sub_nai) != session:
            raise Denied(HA_PROHIBITED, f"{show(home_address)} is not this session's home address")
        at_home = message.care_of_address == home_address == request.source
        if at_home and former is None:
            self._pool.choose(session, home_address)
        effects: list[object] = []
        gone = _all if message.care_of_address == home_address else partial(_is_at, message.care_of_address)
        if former is not None and any(gone(one) for one in each(former)):
            effects += self._end(former, gone, "at home" if at_home else "deregistered", now)
        effects.append(self._replay.of(session).row(session))
        effects += [CameHome(home_address)] if at_home else []
        effects.append(answer(request, self.policy, ACCEPTED, 0, home_address))
        return self._opened(request, former, effects)

    def _remove(self, binding: MobilityBinding, reason: str, now: int, effects: list[object]) -> None:
        session = (binding.nai, binding.sub_nai)
        self._replay.of(session).unbind(session, now)  # ahead of the rest: it asks for the binding
        self.bindings.remove(session)
        self._pool.give_back(binding.home_address, session)
        effects += [RemoveBinding(binding, self.clock(now), reason), RemoveTunnel(binding.home_address)]

    def _put_back(self, session: Session, former: MobilityBinding | None, now: int, effects: list[object]) -> None:
        """The table as it was before the turn, save that the request's Identification stays used."""
        current = self.bindings.find(session)
        if current is not None and (former is None or former.home_address != current.home_address):
            self._remove(current, "refused", now, effects)
        replay = self._replay.of(session)
        if former is not None and self.bindings.holder(former.home_address) in (None, session):
            former = former.but(identification=replay.last(session))
            self._pool.take(former.home_address, session)
            self.bindings.put(former)
            replay.bind(session)
            effects += [replay.store(former), self._tunnel(former)]
        effects.append(replay.row(session))

    # ---- answers

    def _opened(self, request: Request, former: MobilityBinding | None, effects: list[object]) -> Turn:
        self._open[request.session] = _Open(request.datagram, request.source, request.port, former)
        return Turn(effects, request.session)

    def _closed(self, session: Session) -> tuple[bytes, int, int] | None:
        """Its turn has ended. What came for it meanwhile."""
        del self._open[session]
        self._refusing.discard(session)
        return self._held.pop(session, None)

    def _deny(self, request: Request, denial: Denied, now: int) -> list[object]:
        """A denial of an authentic request; its Identification is used up, unless that is what was wrong with it."""
        message, session = request.message, request.session
        effects: list[object] = []
        replay = self._replay.of(session)
        if request.fresh:
            replay.denied(session, denial)
            effects.append(replay.row(session))
        if denial.code == HA_IDENTIFICATION:
            request.identification = replay.resynchronising(session, message.identification, now)
        effects.append(answer(request, self.policy, denial.code, message.lifetime, message.home_address, denial.text))
        text = f"denied {show_session(session)} care_of={show(message.care_of_address)} code={code_name(denial.code)}"
        effects.append(Said("info", f"denied-{denial.code}", f"{text}: {denial.text}"))
        return effects

    def _tunnel(self, binding: MobilityBinding) -> InstallTunnel:
        return tunnel(binding, self.policy.address)


def _all(binding: MobilityBinding) -> bool:
    return True


def _is_at(care_of_address: int, binding: MobilityBinding) -> bool:
    return binding.care_of_address == care_of_address
