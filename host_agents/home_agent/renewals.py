"""The short way for a renewal: a request that says what an accepted one of its session said, octet for octet.

Only the Identification and the authenticator differ, so all that was judged then holds now, and the reply differs in
lifetime, Identification and authenticator alone. Whatever is not so takes the long way, which says why: this one says
yes or nothing. tests/engines/test_renewals.py compares the two over traffic of every kind.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from host_agents.effects import MobilityBinding
from host_agents.home_agent.binding_table import MobilityBindingTable
from host_agents.home_agent.policy import Policy
from host_agents.home_agent.replay import Replay
from host_agents.home_agent.reply import jittered
from host_agents.home_agent.request import Request
from mip4.authentication import SecurityAssociation
from mip4.const import INFINITE
from mip4.cursor import pack
from mip4.errors import MipError
from mip4.extensions import MobileHomeAuthentication

Session = tuple[str, str]

CAPACITY = 65536  # sessions; of more than that, those registered longest ago take the long way

_IDENTIFICATION = slice(16, 24)  # of a request (RFC 5944 §3.3)
_SIZE = 16  # octets of an authenticator: that of the default algorithm
_REPLY_LIFETIME = slice(2, 4)  # (RFC 5944 §3.4)
_REPLY_IDENTIFICATION = slice(12, 20)


@dataclass(slots=True)
class _Known:
    """An accepted request. binding: what became of it. head, middle, tail: of its reply, what does not change."""

    session: Session
    association: SecurityAssociation
    source: int
    lifetime: int
    binding: MobilityBinding
    head: bytes
    middle: bytes
    tail: bytes


@dataclass(slots=True)
class Renewal:
    """What the engine has to do; the Identification is accepted already."""

    session: Session
    former: MobilityBinding
    binding: MobilityBinding
    reply: bytes


class Renewals:
    """Learns from what went the long way, one request of each session."""

    def __init__(self, policy: Policy, bindings: MobilityBindingTable, replay: Replay) -> None:
        self._most = policy.lifetime
        self._bindings = bindings
        self._replay = replay
        self._known: dict[bytes, _Known] = {}

    def find(self, datagram: bytes, source: int, now: int, busy: Container[Session]) -> Renewal | None:
        """None for whatever is not a renewal beyond doubt; then nothing has changed. now: monotonic ms.

        busy: the sessions whose last turn has not ended yet.
        """
        known = self._known.get(_lasting(datagram))
        if known is None or known.source != source or self._bindings.find(known.session) is not known.binding:
            return None
        if known.session in busy or not known.association.holds(datagram[:-_SIZE], datagram[-_SIZE:]):
            return None
        identification = int.from_bytes(datagram[_IDENTIFICATION], "big")
        replay = self._replay.of(known.session)
        try:
            replay.check(known.session, identification, now, 0)
        except MipError:
            return None
        replay.accept(known.session, identification, now)
        lifetime = jittered(known.lifetime, datagram[_IDENTIFICATION])
        former = known.binding
        binding = known.binding = MobilityBinding(
            former.nai,
            former.sub_nai,
            former.home_address,
            former.care_of_address,
            lifetime,
            None if lifetime == INFINITE else self._replay.clock(now) + lifetime * 1000,
            former.flags,
            identification,
            former.direct,
        )
        reply = b"".join((known.head, pack("H", lifetime), known.middle, datagram[_IDENTIFICATION], known.tail))
        return Renewal(known.session, former, binding, reply + known.association.authenticator(reply))

    def forget(self) -> None:
        """Keys may have changed: whoever comes next takes the long way."""
        self._known.clear()

    def learn(self, request: Request, binding: MobilityBinding, reply: bytes) -> None:
        """`request` was accepted with `reply`, and the table has `binding` for it."""
        message, last = request.message, request.message.extensions[-1]
        if type(last) is not MobileHomeAuthentication or request.own != last.at or len(last.authenticator) != _SIZE:
            return  # more authenticators than the node's, or another algorithm
        if request.foreign is not None or binding != _plain(binding) or self._replay.uses_nonces(request.session):
            return
        if len(self._known) >= CAPACITY:
            del self._known[next(iter(self._known))]
        self._known[_lasting(request.datagram)] = _Known(
            request.session,
            request.association,
            request.source,
            min(message.lifetime, self._most),
            binding,
            reply[: _REPLY_LIFETIME.start],
            reply[_REPLY_LIFETIME.stop : _REPLY_IDENTIFICATION.start],
            reply[_REPLY_IDENTIFICATION.stop : -_SIZE],
        )


def _lasting(datagram: bytes) -> bytes:
    """What two requests have in common that ask for the same."""
    return datagram[: _IDENTIFICATION.start] + datagram[_IDENTIFICATION.stop : -_SIZE]


def _plain(binding: MobilityBinding) -> MobilityBinding:
    """The same, had it nothing that find() leaves out: no revocation, UDP tunnel, supplied sub-NAI."""
    return MobilityBinding(
        binding.nai,
        binding.sub_nai,
        binding.home_address,
        binding.care_of_address,
        binding.lifetime,
        binding.expires,
        binding.flags,
        binding.identification,
        binding.direct,
    )
