"""What becomes of an authentic request (RFC 5944 §3.8.2): the steps HA-08 and HA-10 … HA-26 of the checklist."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from host_agents.effects import Accepted, CameHome, MobilityBinding, Turn
from host_agents.home_agent.log_lines import LogLines
from host_agents.home_agent.policy import Policy
from host_agents.home_agent.reply import again, answer, granted
from host_agents.home_agent.request import Request, verify_foreign
from host_agents.home_agent.sessions import Session, Sessions
from host_agents.home_agent.simultaneous import accepted, beside, each, everywhere, is_at
from host_agents.home_agent.validity import judge
from host_agents.open_turns import OpenTurns
from host_agents.revocation import Revocations, agreed
from mip4.address import show
from mip4.const import ACCEPTED, ANY, FLAG_D, HA_POORLY_FORMED, HA_PROHIBITED, HA_RESOURCES, INFINITE
from mip4.errors import Denied
from mip4.extensions import RevocationSupport, find


@dataclass(slots=True, frozen=True)
class Open:
    """A turn whose end is not known yet. As of Accepted, which is another one."""

    datagram: bytes
    source: int
    port: int
    former: MobilityBinding | None


class Registrations:
    """open_: of those that change something. unbound: as of PlainRequests."""

    def __init__(
        self,
        policy: Policy,
        sessions: Sessions,
        revocations: Revocations,
        log_lines: LogLines,
        open_: OpenTurns[Open | Accepted],
        unbound: int,
    ) -> None:
        self._policy = policy
        self._sessions = sessions
        self._revocations = revocations
        self._log_lines = log_lines
        self._open = open_
        self._unbound = unbound

    def register(self, request: Request, now: int) -> Turn:
        """Of a session whose last turn has ended. Raises Denied, and MipError for silence."""
        message, session = request.message, request.session
        former = self._sessions.bindings.find(session)
        replay = self._sessions.replay.of(session)
        repetition = replay.check(session, message.identification, now, request.subscriber.sessions + self._unbound)
        verify_foreign(request, self._policy)
        if repetition is None:
            replay.accept(session, message.identification, now)
        request.fresh = repetition is None
        request.identification = replay.answer(session, message.identification)
        if former is None:
            replay.unbind(session, now)
        judge(request, self._policy)
        if repetition is not None and (repetition.denial is not None or message.lifetime):
            self._negotiate(request, now)
            clock = self._sessions.replay.clock(now)
            return Turn([again(request, repetition, former, self._policy, clock)])
        if message.lifetime == 0:
            return self._deregister(request, former, now)
        if former is None and self._sessions.bindings.sessions_of(session[0]) >= request.subscriber.sessions:
            raise Denied(HA_RESOURCES, f"all {request.subscriber.sessions} sessions of this NAI are in use")
        home_address = self._address(message.home_address, session, former)
        if home_address == message.care_of_address and not self._is_on_a_link(home_address):
            # HA-15: the packets of both would go round in circles
            raise Denied(HA_POORLY_FORMED, f"care-of address {show(home_address)} is the home address that it has")
        return self._bind(request, former, home_address, now)

    def _address(self, asked: int, session: Session, former: MobilityBinding | None) -> int:
        """HA-18, HA-25. Raises Denied."""
        if former is not None and asked in (ANY, former.home_address):
            return former.home_address
        return self._sessions.pool.choose(session, asked)

    def _is_on_a_link(self, home_address: int) -> bool:
        """Who wakes up at home may have been given this very address there, and asks from it which one is his."""
        network = self._policy.network_of(home_address)
        return network is not None and network.interface != ""

    def _bind(self, request: Request, former: MobilityBinding | None, home_address: int, now: int) -> Turn:
        message, session = request.message, request.session
        lifetime, clock = granted(request, self._policy), self._sessions.replay.clock(now)
        binding = MobilityBinding(
            nai=session[0],
            sub_nai=session[1],
            home_address=home_address,
            care_of_address=message.care_of_address,
            lifetime=lifetime,
            expires=None if lifetime == INFINITE else clock + lifetime * 1000,
            flags=message.flags,
            identification=message.identification,
            direct=bool(message.flags & FLAG_D),
            revocation=self._negotiate(request, now),
            udp_remote=request.udp.remote,
            udp_port=request.udp.port,
            supplied=request.supplied is not None,
        )
        binding = beside(former, binding, self._policy, clock)
        self._revocations.registered(home_address, binding.care_of_address)
        effects = self._sessions.bind(former, binding, now)
        effects += self._log_lines.accepted(former, binding, now)
        effects.append(answer(request, self._policy, accepted(message.flags, self._policy), lifetime, home_address))
        return self._opened(request, former, effects)

    def _negotiate(self, request: Request, now: int) -> int | None:
        """What the foreign agent agrees to, if it can revoke and be revoked: it says so, under its authenticator."""
        offered = [one for one in find(request.message.extensions, RevocationSupport) if one.at > request.added]
        if not offered or request.foreign is None:
            return None
        request.support = self._revocations.support(now)
        return agreed(offered[0])

    def _deregister(self, request: Request, former: MobilityBinding | None, now: int) -> Turn:
        """Lifetime 0 ends the binding of that care-of address, or, from home, all of them (RFC 5944 §3.8.2.2)."""
        message, session = request.message, request.session
        home_address = message.home_address or (former.home_address if former else ANY)
        another = former is not None and home_address != former.home_address
        if another or self._sessions.bindings.holder(home_address) not in (None, session):
            raise Denied(HA_PROHIBITED, f"{show(home_address)} is not this session's home address")
        at_home = message.care_of_address == home_address == request.source
        if at_home and former is None:
            self._sessions.pool.choose(session, home_address)
        effects: list[object] = []
        gone = everywhere if message.care_of_address == home_address else partial(is_at, message.care_of_address)
        if former is not None and any(gone(one) for one in each(former)):
            effects = self._sessions.end(former, gone, "at home" if at_home else "deregistered", now)
        effects.append(self._sessions.replay.of(session).row(session))
        effects += [CameHome(home_address)] if at_home else []
        effects.append(answer(request, self._policy, ACCEPTED, 0, home_address))
        return self._opened(request, former, effects)

    def _opened(self, request: Request, former: MobilityBinding | None, effects: list[object]) -> Turn:
        self._open[request.session] = Open(request.datagram, request.source, request.port, former)
        return Turn(effects, request.session)
