"""Replay protection (RFC 5944 §5.7): what each session's next Identification may be, in the style of its subscriber."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol

from host_agents.effects import MobilityBinding, StoreBinding, StoreIdentification
from host_agents.home_agent.nonces import NonceCheck, RandomOctets, Repetition
from host_agents.home_agent.timestamps import TimestampCheck
from host_agents.home_agent.unbound import Session
from mip4.errors import Denied


class Style(Protocol):
    """Timestamps or nonces. Identifications are 64 bits as on the wire; now: monotonic ms."""

    def check(self, session: Session, identification: int, now: int, unbound: int) -> Repetition | None:
        """A Repetition where the same request was let pass before and may be answered again.

        Raises Denied 133, and TooManySessions for one more than `unbound` sessions of a NAI without a binding.
        """

    def accept(self, session: Session, identification: int, now: int) -> None:
        """Remember it as the last of its session."""

    def answer(self, session: Session, identification: int) -> int:
        """The Identification of the reply to a request that was let pass."""

    def resynchronising(self, session: Session, identification: int, now: int) -> int:
        """The Identification of a 133: with it the node finds one that will be let pass."""

    def denied(self, session: Session, denial: Denied) -> None:
        """The last Identification led to this."""

    def last(self, session: Session) -> int:
        """0 for a session that is not known."""

    def store(self, binding: MobilityBinding) -> StoreBinding:
        """The effect that makes a binding durable, and what is remembered of its session with it."""

    def row(self, session: Session) -> StoreIdentification:
        """The same without a binding."""

    def bind(self, session: Session) -> None:
        """The session has a binding, which keeps its Identification."""

    def unbind(self, session: Session, now: int) -> None:
        """The session has no binding."""

    def next_forget(self) -> int | None:
        """When forget() next has something to do, monotonic ms."""

    def forget(self, now: int) -> Iterator[Session]:
        """Sessions without a binding of which nothing needs to be remembered any more."""


class Replay:
    """Both styles, and who is checked by which."""

    def __init__(
        self,
        ntp_ms: int,
        identifications: Mapping[Session, int],
        nonces: Mapping[Session, int],
        bindings: Collection[MobilityBinding],
        find: Callable[[Session], MobilityBinding | None],
        by_nonces: Collection[str],
        random_octets: RandomOctets,
    ) -> None:
        """nonces: as of NonceCheck; the others as of TimestampCheck, but for subscribers of both styles.

        by_nonces: the NAIs of those that use nonces.

        What one style remembers of a session says nothing to the other, where a subscriber has changed: a nonce is no
        time.
        """
        self._by_nonces = by_nonces
        times, exchanges = {}, {}
        for session, last in identifications.items():
            if session[0] not in by_nonces:
                times[session] = 0 if session in nonces else last
            elif session in nonces:
                exchanges[session] = (last, nonces[session])
        timed = (one for one in bindings if one.nai not in by_nonces and (one.nai, one.sub_nai) not in nonces)
        self.timestamps = TimestampCheck(ntp_ms, times, timed, find)
        self._nonces = NonceCheck(exchanges, find, random_octets)

    def use(self, by_nonces: Collection[str]) -> None:
        """Of the subscribers that there are now. The style of one that has sessions does not change."""
        self._by_nonces = by_nonces

    def of(self, session: Session) -> Style:
        return self._nonces if session[0] in self._by_nonces else self.timestamps

    def clock(self, now: int) -> int:
        """The home agent's clock, ms since 1900. now: monotonic ms."""
        return self.timestamps.clock(now)

    def next_forget(self) -> int | None:
        """As Style.next_forget."""
        times = (self.timestamps.next_forget(), self._nonces.next_forget())
        return min((time for time in times if time is not None), default=None)

    def forget(self, now: int) -> Iterator[Session]:
        """As Style.forget."""
        yield from self.timestamps.forget(now)
        yield from self._nonces.forget(now)
