"""Timestamps: the last Identification of every session, and what it allows next (RFC 5944 §5.7.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from host_agents.effects import MobilityBinding, StoreBinding, StoreIdentification
from host_agents.home_agent.unbound import Session, UnboundSessions
from mip4.const import HA_IDENTIFICATION
from mip4.errors import Denied
from mip4.identification import LOW, TOLERANCE, WIRE, on_the_wire, seconds, unwrap

_LET_GO = 2 * TOLERANCE * 1000  # ms after which a session without a binding is looked at


class TimestampCheck:
    """Timestamps: accepted within the tolerance of the clock and above the last accepted of that session.

    The clock starts, at now = 0, with NTP time, but not before the largest Identification ever accepted less the
    tolerance, so that a machine whose clock was put back locks nobody out; then it follows the monotonic clock.
    """

    def __init__(
        self,
        ntp_ms: int,
        identifications: Mapping[Session, int],
        bindings: Iterable[MobilityBinding],
        find: Callable[[Session], MobilityBinding | None],
    ) -> None:
        """ntp_ms: what the machine's clock says at now = 0, ms since 1900. bindings: of sessions that use timestamps.

        find: the binding of a session. Where its Identification is the last one, it is not kept here too.
        """
        self._find = find
        self._last = {session: unwrap(one, ntp_ms) if one else 0 for session, one in identifications.items()}
        largest = max(self._last.values(), default=0)
        for binding in bindings:
            last = self._last.get((binding.nai, binding.sub_nai))
            unwrapped = unwrap(binding.identification, ntp_ms)
            if last is None or last == unwrapped:
                self._last.pop((binding.nai, binding.sub_nai), None)
                largest = max(largest, unwrapped)
        # A second inside the tolerance, so that the answer to our 133, a second above the largest, is within it too.
        self._base: int = max(ntp_ms, (seconds(largest) - TOLERANCE + 1) * 1000)
        self._largest = largest
        self._unbound = UnboundSessions()
        for session in list(self._last):
            if find(session) is None:
                self.unbind(session, 0)

    def clock(self, now: int) -> int:
        """The home agent's clock, ms since 1900. now: monotonic ms."""
        return self._base + now

    def last(self, session: Session) -> int:
        """As it was on the wire; 0 for a session that is not known."""
        return int(on_the_wire(self._unwrapped(session)))

    def store(self, binding: MobilityBinding) -> StoreBinding:
        return StoreBinding(binding)

    def row(self, session: Session) -> StoreIdentification:
        return StoreIdentification(*session, self.last(session))

    def check(self, session: Session, identification: int, now: int, unbound: int) -> None:
        """A repetition is denied like any other that is not above the last one."""
        if session not in self._last and self._find(session) is None:
            self._unbound.need_room(session[0], unbound)
        unwrapped = unwrap(identification, self.clock(now))
        late = self.clock(now) - seconds(unwrapped) * 1000
        if abs(late) > TOLERANCE * 1000:
            raise Denied(HA_IDENTIFICATION, f"clock differs by {late // 1000} s")
        if unwrapped <= self._unwrapped(session):
            raise Denied(HA_IDENTIFICATION, "Identification is not above the last one")

    def answer(self, session: Session, identification: int) -> int:
        return identification

    def resynchronising(self, session: Session, identification: int, now: int) -> int:
        """The Identification of a 133: our clock, but above the last accepted; the low word is the request's."""
        high: int = max(self.clock(now) // 1000, seconds(self._unwrapped(session)) + 1)
        return int(on_the_wire(high << 32 | identification & LOW))

    def accept(self, session: Session, identification: int, now: int) -> None:
        """Remember it as the last of its session."""
        self._last[session] = unwrap(identification, self.clock(now))
        self._largest = max(self._largest, self._last[session])

    def renews(self, former: MobilityBinding, identification: int, now: int) -> bool:
        """Whether a session that has the binding `former` may be renewed: check(), accept() and bind() in one."""
        session = (former.nai, former.sub_nai)
        last = self._last.get(session)
        # As check() has it, of octets on the wire, whose eras cannot differ by more than one.
        ahead = identification - (former.identification if last is None else last) & WIRE
        if not 0 < ahead <= WIRE >> 1:
            return False
        clock = self._base + now
        unwrapped: int = unwrap(identification, clock)
        if abs(clock - seconds(unwrapped) * 1000) > TOLERANCE * 1000:
            return False
        if unwrapped > self._largest:
            self._largest = unwrapped
        if last is not None:
            self.bind(session)
        return True

    def denied(self, session: Session, denial: Denied) -> None:
        return

    def bind(self, session: Session) -> None:
        """The session has a binding, which keeps its Identification."""
        self._last.pop(session, None)
        self._unbound.remove(session)

    def unbind(self, session: Session, now: int) -> None:
        """The session has no binding; its Identification is kept while a replay of it could still be believed."""
        self._last[session] = self._unwrapped(session)
        self._unbound.put(session, now + _LET_GO)

    def _unwrapped(self, session: Session) -> int:
        last = self._last.get(session)
        if last is not None:
            return last
        binding = self._find(session)
        return 0 if binding is None else int(unwrap(binding.identification, self._base))

    def next_forget(self) -> int | None:
        """When forget() next has something to do, monotonic ms."""
        return self._unbound.next_due()

    def forget(self, now: int) -> Iterator[Session]:
        """Sessions without a binding whose Identification is so old that the tolerance alone refuses it.

        It has to do so after a restart with a clock that was put back as well, where the largest of all Identifications
        is the only thing to go by: near that one none is forgotten, however old.
        """
        for session in self._unbound.due(now):
            last = seconds(self._last[session])
            if self.clock(now) <= (last + TOLERANCE + 1) * 1000 or seconds(self._largest) < last + 2 * TOLERANCE:
                self._unbound.put(session, now + _LET_GO)
                continue
            del self._last[session]
            yield session
