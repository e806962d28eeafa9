"""The short way, for what a home agent hears all day: a plain request of a session that is new, stays or has moved.

The reply repeats octets of the request. Whatever is not plain (plain_request.py), or would not be accepted, takes the
long way, which says why: this one says yes or nothing. tests/engines/test_plain.py compares the two over traffic of
every kind.
"""

from __future__ import annotations

from collections.abc import Container
from struct import Struct

from host_agents.effects import Accepted, MobilityBinding, RenewBinding, StoreBinding
from host_agents.home_agent.address_pool import AddressPool
from host_agents.home_agent.binding_table import MobilityBindingTable
from host_agents.home_agent.plain_request import FIXED, HEADER, SHORTEST, SIZE, PlainRequest, read
from host_agents.home_agent.policy import Policy, Subscriber
from host_agents.home_agent.replay import Replay
from host_agents.home_agent.reply import configuration, jittered
from host_agents.revocation import Revocations
from mip4.address import in_prefix, is_unicast
from mip4.const import ACCEPTED, ANY, BROADCAST, FLAG_T, INFINITE, REGISTRATION_REPLY, REGISTRATION_REQUEST
from mip4.errors import MipError
from mip4.extensions import encode_all

Session = tuple[str, str]

_REPLY = Struct("!BBHII8s")  # the fixed part (RFC 5944 §3.4)


class PlainRequests:
    """Reads and judges them. unbound: sessions of a NAI, beyond those it may have, that may be without a binding."""

    def __init__(
        self,
        policy: Policy,
        bindings: MobilityBindingTable,
        pool: AddressPool,
        replay: Replay,
        revocations: Revocations,
        unbound: int,
    ) -> None:
        self._policy = policy
        self._bindings = bindings
        self._pool = pool
        self._timestamps = replay.timestamps
        self._revocations = revocations
        self._unbound = unbound
        fine = [0] * (not policy.reverse_tunnel_required) + [FLAG_T] * policy.reverse_tunnel
        self._flags = frozenset(fine)
        self._told: list[tuple[int, int, bytes]] = [
            (*network.prefix, encode_all(configuration(network))) for network in policy.networks
        ]

    def find(self, datagram: bytes, source: int, port: int, now: int, busy: Container[Session]) -> Accepted | None:
        """None for whatever is not plain beyond doubt, or not to be accepted; then nothing has changed.

        Else only the Identification is accepted already. now: monotonic ms. busy: the sessions whose last turn has not
        ended yet.
        """
        if len(datagram) < SHORTEST or datagram[0] != REGISTRATION_REQUEST:
            return None
        _, flags, lifetime, asked, home_agent, care_of_address, identification = FIXED.unpack_from(datagram)
        policy = self._policy
        if flags not in self._flags or not lifetime or home_agent != policy.address or source != care_of_address:
            return None
        request = read(datagram, source, policy)
        if request is None or request.session in busy:
            return None
        session, subscriber = request.session, request.subscriber
        former, number = self._bindings.find(session), int.from_bytes(identification, "big")
        stays = former is not None and former.care_of_address == care_of_address
        if former is None:
            home_address = self._new(session, asked, care_of_address, subscriber)
            if not home_address or not self._is_fresh(session, number, now, subscriber):
                return None
        else:
            home_address = former.home_address
            if not _goes_on(former, asked, flags) or not (stays or self._may_be_at(care_of_address, home_address)):
                return None
            if not self._timestamps.renews(former, number, now):
                return None
        lifetime = jittered(min(lifetime, policy.lifetime), identification)
        binding = MobilityBinding(
            subscriber.nai,
            session[1],
            home_address,
            care_of_address,
            lifetime,
            None if lifetime == INFINITE else self._timestamps.clock(now) + lifetime * 1000,
            flags,
            number,
            False,
            request.offer,
        )
        fixed = _REPLY.pack(REGISTRATION_REPLY, ACCEPTED, lifetime, home_address, home_agent, identification)
        reply = self._signed(fixed, datagram, request, home_address, now)
        row = RenewBinding(binding) if stays else StoreBinding(binding)
        return Accepted(session, datagram, source, port, former, row, reply)

    def _signed(self, fixed: bytes, datagram: bytes, request: PlainRequest, home_address: int, now: int) -> bytes:
        """The reply that begins with `fixed`: names and headers of authentications are those of the request."""
        told = self._configuration(home_address) if request.asks else b""
        end = request.end
        reply: bytes = b"".join((fixed, datagram[FIXED.size : request.named], told, datagram[end : end + HEADER.size]))
        reply += request.association.authenticator(reply)
        if request.foreign is not None:
            support = b"" if request.offer is None else self._revocations.support(now).encode()
            reply += support + datagram[-SIZE - HEADER.size : -SIZE]
            reply += request.foreign.authenticator(reply)
        return reply

    def _new(self, session: Session, asked: int, care_of_address: int, subscriber: Subscriber) -> int:
        """The home address of a session without one; 0 where the long way has to say no."""
        if asked in (BROADCAST, care_of_address) or self._bindings.sessions_of(session[0]) >= subscriber.sessions:
            return 0
        try:
            chosen = self._pool.choose(session, asked)
        except MipError:
            return 0
        return chosen if self._may_be_at(care_of_address, chosen) else 0

    def _may_be_at(self, care_of_address: int, home_address: int) -> bool:
        """HA-15."""
        return care_of_address not in (home_address, self._policy.address) and is_unicast(care_of_address)

    def _is_fresh(self, session: Session, identification: int, now: int, subscriber: Subscriber) -> bool:
        """Whether it is, of a new session; then it is accepted."""
        try:
            self._timestamps.check(session, identification, now, subscriber.sessions + self._unbound)
        except MipError:
            return False
        self._timestamps.accept(session, identification, now)
        self._timestamps.bind(session)
        return True

    def _configuration(self, home_address: int) -> bytes:
        """What the reply says of the home network (RFC 4332)."""
        found = (octets for network, length, octets in self._told if in_prefix(home_address, network, length))
        return next(found, b"")


def _goes_on(former: MobilityBinding, asked: int, flags: int) -> bool:
    """Whether nothing but times, Identification and where it is will differ from `former`."""
    if former.flags != flags or asked not in (ANY, former.home_address):
        return False
    return not (former.others or former.udp_remote or former.supplied)
