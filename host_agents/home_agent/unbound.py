"""Sessions whose Identification is remembered although they have no binding: by NAI, and until when."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mip4.errors import MipError

Session = tuple[str, str]


class TooManySessions(MipError):
    """A NAI whose owner, authentic as he is, tries one sub-NAI after another."""

    kind = "too-many-sub-nais"


class UnboundSessions:
    """Each is looked at again when its time has come: it is let go then, or put in once more. Times: monotonic ms."""

    def __init__(self) -> None:
        self._by_nai: dict[str, dict[str, int]] = {}  # sub-NAI -> when to look at it
        self._ageing: deque[tuple[int, Session]] = deque()

    def need_room(self, nai: str, most: int) -> None:
        """Raises TooManySessions if the NAI has as many as it may have."""
        if len(self._by_nai.get(nai, ())) >= most:
            raise TooManySessions(f"{most} sub-NAIs of {nai} without a binding")

    def put(self, session: Session, until: int) -> None:
        """It has no binding. One that is known keeps its time."""
        names = self._by_nai.setdefault(session[0], {})
        if session[1] not in names:
            names[session[1]] = until
            self._ageing.append((until, session))

    def remove(self, session: Session) -> None:
        """It has a binding, or is let go."""
        names = self._by_nai.get(session[0])
        if names is not None:
            names.pop(session[1], None)
            if not names:
                del self._by_nai[session[0]]

    def next_due(self) -> int | None:
        while self._ageing and not self._stands(*self._ageing[0]):
            self._ageing.popleft()
        return self._ageing[0][0] if self._ageing else None

    def due(self, now: int) -> Iterator[Session]:
        """Takes out those whose time has come. The times must have been put in as they rise, as with one constant."""
        while self._ageing and self._ageing[0][0] <= now:
            until, session = self._ageing.popleft()
            if self._stands(until, session):
                self.remove(session)
                yield session

    def _stands(self, until: int, session: Session) -> bool:
        """Whether it still waits for this time: it may have been removed, and put in anew."""
        return self._by_nai.get(session[0], {}).get(session[1]) == until
