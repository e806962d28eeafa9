"""Registration revocation (RFC 3543), which is the same at both agents: who is told of an end, and who tells us.

All timestamps and identifiers that an agent sends come from one clock; its unit is left open, ours is NTP seconds.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from host_agents.effects import SendDatagram
from mip4.address import show
from mip4.authentication import SecurityAssociation
from mip4.const import PORT, REGISTRATION_REVOCATION, REVOCATION_ACKNOWLEDGEMENT
from mip4.errors import Unexpected
from mip4.extensions import ForeignHomeAuthentication, Nai, RevocationSupport, find
from mip4.record import Record
from mip4.revocation import RegistrationRevocation, RevocationAcknowledgement
from mip4.sub_nai import SubNai

REVOCATION_MESSAGES = (bytes((REGISTRATION_REVOCATION,)), bytes((REVOCATION_ACKNOWLEDGEMENT,)))

_ERA = 1 << 32  # seconds
_FIRST_RETRY = 1000  # ms; more often than that no binding may be spoken of (RFC 3543 §3.3)
_TRIES = 5  # then the other agent lets the registration run out by itself
_OUTSTANDING = 65536  # revocations without an acknowledgement; beyond it the peer is told once and not again
_REMEMBERED = 4096  # revocations that we carried out, whose acknowledgement may be asked for again

# (home address, who speaks of it) -> (the other agent of its registration, what was agreed() with it or None where
# nothing was). Of several registrations at a time the one with who speaks, if there is one.
Find = Callable[[int, int], tuple[int, int | None] | None]


@dataclass(slots=True)
class _Outstanding:
    """A revocation that was not acknowledged yet."""

    message: RegistrationRevocation
    peer: int
    until: int | None
    tries: int = 0
    again: int = 0


@dataclass(slots=True, frozen=True)
class Revoked:
    """What another agent revoked. answer: to be sent in any case; ends: whether there is something to end."""

    home_address: int
    inform: bool
    answer: SendDatagram
    ends: bool


class Revocations:
    """Revocations on their way to other agents, and those of other agents.

    own: our address in a registration. peers: the agents we share a key with, by address. ntp_ms: NTP time at now = 0.
    said: timestamps of a former life, below which the clock does not go, although the machine's was put back.
    """

    def __init__(
        self,
        own: int,
        peers: Mapping[int, SecurityAssociation],
        is_home_agent: bool,
        ntp_ms: int,
        said: Iterable[int] = (),
    ) -> None:
        self._own = own
        self._peers = peers
        self._is_home_agent = is_home_agent
        self._ntp_ms = ntp_ms
        self._last = max((_seconds(one, ntp_ms // 1000) for one in said), default=0)
        self._outstanding: dict[tuple[int, int], _Outstanding] = {}
        self._again: list[tuple[int, tuple[int, int]]] = []
        self._carried_out: OrderedDict[tuple[int, int], int] = OrderedDict()

    def support(self, now: int) -> RevocationSupport:
        """The extension by which we say that a registration can be revoked. The node is told, if its agent likes."""
        return RevocationSupport(True, self._clock(now) & 0xFFFFFFFF)

    def revoke(
        self, home_address: int, peer: int, inform: bool, session: tuple[str, str], until: int | None, now: int
    ) -> list[SendDatagram]:
        """Tell `peer`, again and again until it acknowledges, that the registration is over. inform: tell the node.

        until: ms, when its lifetime would have ended and nobody needs to be told any more (RFC 3543 §4.1); None: never.
        Nothing is sent to an agent whose key the operator has taken away since the registration.
        """
        if peer not in self._peers:
            return []
        domains = (self._own, peer) if self._is_home_agent else (peer, self._own)
        message = RegistrationRevocation(self._is_home_agent, inform, home_address, *domains, 0, _naming(*session))
        one = _Outstanding(message, peer, until)
        if len(self._outstanding) < _OUTSTANDING:
            self._outstanding[peer, home_address] = one
        return [self._send(one, now)]

    def registered(self, home_address: int, peer: int) -> None:
        """The session is registered with `peer` anew: an older revocation has nothing to say any more."""
        self._outstanding.pop((peer, home_address), None)
        self._carried_out.pop((peer, home_address), None)

    def receive(self, datagram: bytes, source: int, port: int, find_registration: Find) -> Revoked | None:
        """One of REVOCATION_MESSAGES. None: a revocation of ours is acknowledged. Raises MipError for silence."""
        if datagram[0] == REVOCATION_ACKNOWLEDGEMENT:
            self._acknowledged(datagram, source)
            return None
        return self._revoked(datagram, source, port, find_registration)

    def deadline(self) -> int | None:
        """When wake() has something to do, ms."""
        while self._again:
            again, key = self._again[0]
            one = self._outstanding.get(key)
            if one is not None and one.again == again:
                return again
            heapq.heappop(self._again)
        return None

    def wake(self, now: int) -> list[SendDatagram]:
        """Ask again, with a new identifier, those who have not acknowledged.

        Given up are those asked often enough, and those whose key has been taken away meanwhile.
        """
        sent = []
        while (again := self.deadline()) is not None and again <= now:
            _, key = heapq.heappop(self._again)
            one = self._outstanding[key]
            stands = one.peer in self._peers and (one.until is None or now < one.until)
            if stands and one.tries < _TRIES:
                sent.append(self._send(one, now))
            else:
                del self._outstanding[key]
        return sent

    def _acknowledged(self, datagram: bytes, source: int) -> None:
        """Raises MipError unless it is authentic and answers a revocation of ours (HA-R5)."""
        message = RevocationAcknowledgement.decode(datagram)
        one = self._outstanding.get((source, message.home_address))
        if one is None or one.message.identifier != message.identifier:
            raise Unexpected("acknowledges no revocation of ours")
        self._verify(datagram, message.extensions, source)
        del self._outstanding[source, message.home_address]

    def _revoked(self, datagram: bytes, source: int, port: int, find_registration: Find) -> Revoked:
        """A revocation by another agent (HA-R1 … HA-R4). Raises MipError for what deserves silence.

        One that was carried out before is acknowledged again: its sender did not hear us, and asks with a later
        identifier.
        """
        message = RegistrationRevocation.decode(datagram)
        ours, theirs = message.foreign_domain, message.home_domain
        if self._is_home_agent:
            ours, theirs = theirs, ours
        if message.from_home_agent == self._is_home_agent or ours != self._own or theirs != source:
            raise Unexpected("a revocation of somebody else's registration, or our own come back")
        association = self._verify(datagram, message.extensions, source)
        registration = find_registration(message.home_address, source)
        before = self._carried_out.get((source, message.home_address))
        ends = registration is not None and registration[0] == source
        if ends and registration is not None:
            timestamp = registration[1]
            if timestamp is None or not _is_later(message.identifier, timestamp):
                raise Unexpected(f"a revocation of {show(message.home_address)} from before its registration")
        elif before is None or _is_later(before, message.identifier):
            raise Unexpected(f"a revocation of {show(message.home_address)}, which is not registered")
        self._remember((source, message.home_address), message.identifier)
        kept = [one for one in message.extensions if not isinstance(one, ForeignHomeAuthentication)]
        reply = RevocationAcknowledgement(message.inform, message.home_address, message.identifier, kept)
        octets = association.sign(reply.encode(), ForeignHomeAuthentication)
        return Revoked(message.home_address, message.inform, SendDatagram(octets, source, port), ends)

    def _send(self, one: _Outstanding, now: int) -> SendDatagram:
        self._last = self._clock(now) + 1  # above every timestamp and identifier before
        one.message.identifier = self._last & 0xFFFFFFFF
        one.again = now + (_FIRST_RETRY << one.tries)
        one.tries += 1
        heapq.heappush(self._again, (one.again, (one.peer, one.message.home_address)))
        octets = self._peers[one.peer].sign(one.message.encode(), ForeignHomeAuthentication)
        return SendDatagram(octets, one.peer, PORT)

    def _clock(self, now: int) -> int:
        return max((self._ntp_ms + now) // 1000, self._last)

    def _verify(self, datagram: bytes, extensions: list[Record], peer: int) -> SecurityAssociation:
        """Exactly one Foreign-Home Authentication, and it holds. Raises MipError."""
        found = find(extensions, ForeignHomeAuthentication)
        association = self._peers.get(peer)
        if association is None or len(found) != 1:
            raise Unexpected("a revocation message without one authenticator that can be checked")
        association.verify(datagram, found[0])
        return association

    def _remember(self, key: tuple[int, int], identifier: int) -> None:
        self._carried_out.pop(key, None)
        self._carried_out[key] = identifier
        if len(self._carried_out) > _REMEMBERED:
            self._carried_out.popitem(last=False)


def agreed(support: RevocationSupport) -> int:
    """What is kept with a registration of the other agent's word: its timestamp, and above its 32 bits the I bit."""
    return int(support.timestamp | support.inform << 32)


def informs(kept: int) -> bool:
    """Whether the node may be told, or is not spoken of (RFC 3543 §3.1). kept: as of agreed()."""
    return bool(kept >> 32)


def _is_later(one: int, other: int) -> bool:
    """Of two times, of which 32 bits count, and which begin anew every 136 years, next in February 2036."""
    return 0 < (one - other) % _ERA < _ERA // 2


def _seconds(said: int, clock: int) -> int:
    """What was said in 32 bits, near `clock`."""
    return clock + (said - clock + _ERA // 2) % _ERA - _ERA // 2


def _naming(nai: str, sub_nai: str) -> list[Record]:
    """The extensions that say which session it is about, for whoever reads along; the home address decides."""
    named: list[Record] = [Nai(nai.encode())] if nai else []
    return [*named, SubNai(sub_nai.encode(), 0, None).extension()] if sub_nai else named
