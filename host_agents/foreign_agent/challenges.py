"""Challenges: what a node's request has to answer, so that nobody can send an old one again (RFC 4721 §3.2, FA-08)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from mip4.const import FA_STALE_CHALLENGE, FA_UNKNOWN_CHALLENGE
from mip4.errors import Denied

RandomOctets = Callable[[int], bytes]  # so many octets that nobody can guess

_WINDOW = 2  # advertised ones that may be answered: CHALLENGE_WINDOW (RFC 4721 §9)
_SIZE = 8  # octets; with more a denial could be longer than the request it answers
_CAPACITY = 16384  # nodes; beyond it the one unheard of for longest is forgotten, and answers what is advertised


@dataclass(slots=True, frozen=True)
class Challenge:
    """serial: counts those of one link, so that of two it is known which is older."""

    serial: int
    octets: bytes


class Challenges:
    """Those of one visited link. A node is a session: each of a node's sessions may answer the same challenge once.

    What is remembered of a node comes of requests that proved to be its own, and of no others: a forger makes nothing
    stale that somebody may still want to answer, and takes no room.
    """

    def __init__(self, random_octets: RandomOctets) -> None:
        self._random_octets = random_octets
        self._serial = 0
        self._advertised: deque[Challenge] = deque([self._make()], maxlen=_WINDOW)
        self._given: OrderedDict[Hashable, Challenge] = OrderedDict()  # with the last reply
        self._used: OrderedDict[Hashable, Challenge] = OrderedDict()  # the latest that was

    def renew(self) -> None:
        """Another one is to be advertised."""
        self._advertised.append(self._make())

    def newest(self) -> bytes:
        """The one that is advertised."""
        return self._advertised[-1].octets

    def find(self, node: Hashable, octets: bytes) -> Challenge:
        """The challenge that `node` answers. Raises Denied 106 for one that it has used or outlived, 104 for no such.

        While its request is under way a challenge is not used yet, so that the request may be sent again.
        """
        used, given = self._used.get(node), self._given.get(node)
        if used is not None and used.octets == octets:
            raise Denied(FA_STALE_CHALLENGE, "that challenge was used before")
        for one in (*self._advertised, given):
            if one is not None and one.octets == octets:
                if used is not None and one.serial < used.serial:
                    raise Denied(FA_STALE_CHALLENGE, "a later challenge was used before")
                return one
        raise Denied(FA_UNKNOWN_CHALLENGE, "no challenge of this link, or one of long ago")

    def use(self, node: Hashable, challenge: Challenge) -> None:
        """A request of `node` with it has proved to be its own, and was answered."""
        used = self._used.get(node)
        if used is None or used.serial < challenge.serial:
            _put(self._used, node, challenge)

    def give(self, node: Hashable) -> bytes:
        """A fresh one for a reply to a request that has proved to be its node's own."""
        _put(self._given, node, self._make())
        return self._given[node].octets

    def offer(self, node: Hashable) -> bytes:
        """One that `node` has not used, for a reply to what may be anybody's request in its name."""
        used, given = self._used.get(node), self._given.get(node)
        for one in (given, self._advertised[-1]):
            if one is not None and (used is None or used.serial < one.serial):
                return one.octets
        return self.give(node)

    def _make(self) -> Challenge:
        self._serial += 1
        return Challenge(self._serial, self._random_octets(_SIZE))


def _put(table: OrderedDict[Hashable, Challenge], node: Hashable, challenge: Challenge) -> None:
    table[node] = challenge
    table.move_to_end(node)
    if len(table) > _CAPACITY:
        table.popitem(last=False)
