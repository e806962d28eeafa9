"""What a plain request is, read in one go: for plain.py, and only where everything about it holds.

NAI, sub-NAI in carrier A, perhaps the question for the home network's configuration, and the Mobile-Home
Authentication, in this order and nothing else; behind it, of a foreign agent that shares a key with us, its
Foreign-Home Authentication and perhaps its word that it can revoke (RFC 3543).
"""

from __future__ import annotations

from struct import Struct

import msgspec

from host_agents.home_agent.policy import Policy, Subscriber
from mip4.authentication import SecurityAssociation
from mip4.const import (
    CONFIG_REQUEST,
    EXPERIMENTAL_SKIPPABLE,
    FOREIGN_HOME_AUTHENTICATION,
    MOBILE_HOME_AUTHENTICATION,
    MOBILE_NODE_NAI,
    REVOCATION_SUPPORT,
)
from mip4.extensions import host_configuration
from mip4.sub_nai import ALONE

Session = tuple[str, str]

FIXED = Struct("!BBHIII8s")  # the fixed part (RFC 5944 §3.3)
HEADER = Struct("!BBI")  # of an authentication, with its SPI
SIZE = 16  # octets of an authenticator: that of the default algorithm
SHORTEST = FIXED.size + HEADER.size + SIZE  # octets of a request that has an authentication

_SUPPORT = Struct("!BBHI")  # Revocation Support: type, length, I bit, timestamp
_ASKS = host_configuration(CONFIG_REQUEST, b"").encode()
_LONGEST = 64  # octets of a sub-NAI


class PlainRequest(msgspec.Struct, gc=False):
    """One that is authentic.

    foreign: its agent's key, where we share one; offer: what that is ready to agree() on, if it is. end: where its
    Mobile-Home Authentication begins; named: where its names end. asks: whether the configuration is asked for.
    """

    subscriber: Subscriber
    session: Session
    association: SecurityAssociation
    foreign: SecurityAssociation | None
    offer: int | None
    end: int
    named: int
    asks: bool


def read(datagram: bytes, source: int, policy: Policy) -> PlainRequest | None:
    """None for whatever is not plain, or not authentic. datagram: of SHORTEST octets or more, the type a request's."""
    own, offer = len(datagram), None
    foreign = policy.foreign_agents.get(source)
    if foreign is not None:
        own, offer = _behind(datagram, foreign.spi)
    elif policy.require_foreign_agent_key:
        return None
    end = own - SIZE - HEADER.size
    if end < FIXED.size:
        return None
    kind, length, spi = HEADER.unpack_from(datagram, end)
    if kind != MOBILE_HOME_AUTHENTICATION or length != SIZE + 4:
        return None
    names = _names(datagram, end)
    if names is None:
        return None
    nai, sub_nai, named, asks = names
    subscriber = policy.subscribers.get(nai)
    association = None if subscriber is None or subscriber.nonces else subscriber.associations.get(spi)
    if subscriber is None or association is None:
        return None
    if not association.holds(datagram[: own - SIZE], datagram[own - SIZE : own]):
        return None
    if foreign is not None and not foreign.holds(datagram[:-SIZE], datagram[-SIZE:]):
        return None
    return PlainRequest(subscriber, (subscriber.nai, sub_nai), association, foreign, offer, end, named, asks)


def _behind(datagram: bytes, spi: int) -> tuple[int, int | None]:
    """How many octets are in front of what an agent with the key `spi` has said, and what it offers; 0: not plain.

    What stands in front may end as an offer does, by chance: then what is left of it does not end as it should.
    """
    end = len(datagram) - SIZE - HEADER.size
    if HEADER.unpack_from(datagram, end) != (FOREIGN_HOME_AUTHENTICATION, SIZE + 4, spi):
        return 0, None
    kind, length, flags, timestamp = _SUPPORT.unpack_from(datagram, end - _SUPPORT.size)
    if (kind, length) != (REVOCATION_SUPPORT, _SUPPORT.size - 2):
        return end, None
    return end - _SUPPORT.size, timestamp | flags >> 15 << 32


def _names(datagram: bytes, end: int) -> tuple[str, str, int, bool] | None:
    """NAI, sub-NAI, where they end, whether the configuration is asked for. end: where the authentication begins."""
    at = FIXED.size
    after = at + 2 + datagram[at + 1]
    if datagram[at] != MOBILE_NODE_NAI or after > end:
        return None
    nai, sub_nai = datagram[at + 2 : after], b""
    at = named = after
    if at < end and datagram[at] == EXPERIMENTAL_SKIPPABLE and datagram[at + 2] == ALONE:
        named = at + 2 + datagram[at + 1]
        sub_nai = datagram[at + 3 : named]
        if not 1 <= len(sub_nai) <= _LONGEST or named > end:
            return None
    asks = datagram[named:end] == _ASKS
    if not asks and named != end:
        return None
    try:
        nai_text, text = nai.decode(), sub_nai.decode()
    except UnicodeDecodeError:
        return None
    return (nai_text, text, named, asks) if text.isprintable() else None
