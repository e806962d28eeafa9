"""Turns whose end is not known yet, which is the same at both agents: one at a time for each session."""

from __future__ import annotations

from typing import TypeVar

Session = tuple[str, str]
Came = tuple[bytes, int, int]  # a datagram, and from where

T = TypeVar("T")


class OpenTurns(dict[Session, T]):
    """Session -> whom to deny and what to go back to, if the store or the kernel will not.

    A dictionary of its own kind: a home agent opens and ends tens of thousands of turns a second.
    """

    __slots__ = ("_held", "_refusing")

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[Session, Came] = {}
        self._refusing: set[Session] = set()

    def hold(self, session: Session, datagram: bytes, source: int, port: int) -> None:
        """What came for it is to be looked at when its turn has ended. Of several the last one counts."""
        self._held[session] = (datagram, source, port)

    def refuse(self, session: Session) -> bool:
        """It goes back to what was before. False: it was about to, and that will not be had either."""
        if session in self._refusing:
            return False
        self._refusing.add(session)
        return True

    def end(self, session: Session) -> Came | None:
        """What came for it meanwhile."""
        del self[session]
        self._refusing.discard(session)
        return self._held.pop(session, None)
