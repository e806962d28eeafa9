"""Nonces: what every session's next Identification has to begin with, and what it said last (RFC 5944 §5.7.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from host_agents.effects import MobilityBinding, StoreBinding, StoreIdentification
from host_agents.home_agent.unbound import Session, UnboundSessions
from mip4.const import HA_IDENTIFICATION
from mip4.errors import Denied

RandomOctets = Callable[[int], bytes]  # so many octets that nobody can guess

_LET_GO = 600_000  # ms; a session that comes back later meets 133 first


@dataclass(slots=True, frozen=True)
class Repetition:
    """A request that was let pass before, word for word: its reply was lost. denial: what it got, None for consent."""

    denial: Denied | None


@dataclass(slots=True)
class _Exchange:
    """nonce: the high word of the next Identification. last: the one accepted last, None if there was none."""

    nonce: int
    last: int | None = None
    denial: Denied | None = None


class NonceCheck:
    """Accepted with the nonce of the last reply in its high word; the last one accepted is known again.

    A node sends its request again unchanged until it hears of it, so a repetition is to get its answer again; after a
    restart that of a denial is forgotten, and 133 takes its place. A 133 repeats the nonce that is expected anyway: who
    replays old requests can make nobody's nonce useless.
    """

    def __init__(
        self,
        stored: Mapping[Session, tuple[int, int]],
        find: Callable[[Session], MobilityBinding | None],
        random_octets: RandomOctets,
    ) -> None:
        """stored: session -> (last Identification, nonce). find: the binding of a session."""
        self._random_octets = random_octets
        self._exchanges = {session: _Exchange(nonce, last) for session, (last, nonce) in stored.items()}
        self._unbound = UnboundSessions()
        for session in stored:
            if find(session) is None:
                self.unbind(session, 0)

    def check(self, session: Session, identification: int, now: int, unbound: int) -> Repetition | None:
        exchange = self._exchanges.get(session)
        if exchange is None:
            self._unbound.need_room(session[0], unbound)
            raise Denied(HA_IDENTIFICATION, "no nonce was given out yet")
        if identification == exchange.last:
            return Repetition(exchange.denial)
        if identification >> 32 != exchange.nonce:
            raise Denied(HA_IDENTIFICATION, "not the nonce that was given out last")
        return None

    def accept(self, session: Session, identification: int, now: int) -> None:
        exchange = self._exchanges[session]
        exchange.last, exchange.denial = identification, None
        # It rises, so that none comes back before millions of others; by how much nobody can tell.
        exchange.nonce = exchange.nonce + 1 + self._random_octets(1)[0] & 0xFFFFFFFF

    def answer(self, session: Session, identification: int) -> int:
        return self._exchanges[session].nonce << 32 | identification & 0xFFFFFFFF

    def resynchronising(self, session: Session, identification: int, now: int) -> int:
        if session not in self._exchanges:
            self._exchanges[session] = _Exchange(int.from_bytes(self._random_octets(4), "big"))
            self.unbind(session, now)
        return self.answer(session, identification)

    def denied(self, session: Session, denial: Denied) -> None:
        self._exchanges[session].denial = denial

    def last(self, session: Session) -> int:
        exchange = self._exchanges.get(session)
        return 0 if exchange is None else exchange.last or 0

    def store(self, binding: MobilityBinding) -> StoreBinding:
        exchange = self._exchanges.get((binding.nai, binding.sub_nai))
        return StoreBinding(binding, None if exchange is None else exchange.nonce)

    def row(self, session: Session) -> StoreIdentification:
        return StoreIdentification(*session, self.last(session), self._exchanges[session].nonce)

    def bind(self, session: Session) -> None:
        self._unbound.remove(session)

    def unbind(self, session: Session, now: int) -> None:
        self._unbound.put(session, now + _LET_GO)

    def next_forget(self) -> int | None:
        return self._unbound.next_due()

    def forget(self, now: int) -> Iterator[Session]:
        """Whatever is forgotten, no old request is believed for that: the next nonce is one of chance."""
        for session in self._unbound.due(now):
            self._exchanges.pop(session, None)
            yield session
