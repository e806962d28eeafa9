"""Notices a session that alternates between two care-of addresses: two nodes with one sub-NAI, or a bad radio."""

from __future__ import annotations

from collections import OrderedDict

Session = tuple[str, str]

_WINDOW = 10_000  # ms
_TIMES = 3
_CAPACITY = 1024  # sessions that moved lately; beyond it the one that moved longest ago is forgotten


class Alternation:
    """Counts moves back to the care-of address before last, within ten seconds."""

    def __init__(self) -> None:
        self._moves: OrderedDict[Session, list[tuple[int, int]]] = OrderedDict()

    def moved(self, session: Session, left: int, now: int) -> bool:
        """`session` left the care-of address `left`. True each time it has alternated three times in ten seconds."""
        moves = [move for move in self._moves.pop(session, []) if now - move[0] <= _WINDOW]
        moves = [*moves, (now, left)][-_TIMES - 1 :]
        if len(self._moves) >= _CAPACITY:
            self._moves.popitem(last=False)
        back_and_forth = len(moves) > _TIMES and all(
            moves[at][1] == moves[at - 2][1] and moves[at][1] != moves[at - 1][1] for at in range(2, len(moves))
        )
        self._moves[session] = [] if back_and_forth else moves
        return back_and_forth
