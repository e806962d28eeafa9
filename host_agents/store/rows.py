"""A home agent's rows as records of the journal, and as columns of the tables.

An Identification is 64 unsigned bits and SQLite's integers are signed, so it is kept as its eight octets on the wire:
they compare in the same order as the numbers, and hex() shows them as a packet decoder would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from host_agents.effects import (
    ForgetIdentification,
    MobilityBinding,
    RemoveBinding,
    RenewBinding,
    StoreBinding,
    StoreIdentification,
)
from host_agents.store.protocol import Row

Record = tuple[Any, ...]

BIND, UNBIND, IDENTIFY, FORGET, RENEW = range(5)  # what a record begins with

_PLAIN = ("nai", "sub_nai", "home_address", "care_of_address", "lifetime", "expires", "flags", "direct", "revocation",
    "udp_remote", "udp_port", "supplied")  # fmt: skip
COLUMNS = (*_PLAIN, "identification", "others")  # of a binding
_plain = attrgetter(*_PLAIN)
_owner = attrgetter(*_PLAIN[:3])
_renewal = attrgetter("nai", "sub_nai", "lifetime", "expires", "revocation")
# What the session's bindings do not share, in the order of MobilityBinding
_of_place = attrgetter("care_of_address", "lifetime", "expires", "flags", "identification", "direct", "revocation",
    "udp_remote", "udp_port", "supplied")  # fmt: skip


def record(row: Row) -> Record:
    """BIND, nonce, COLUMNS…; UNBIND, NAI, sub-NAI, home address, released; IDENTIFY, NAI, sub-NAI, octets, nonce;
    FORGET, NAI, sub-NAI; RENEW, NAI, sub-NAI, lifetime, expires, revocation, octets.

    Raises OverflowError for an Identification of more than 64 bits, KeyError for another row.
    """
    return _RECORDS[type(row)](row)


def columns(one: MobilityBinding) -> tuple[Any, ...]:
    """As COLUMNS has them."""
    return (*_plain(one), octets(one.identification), _text(one.others) if one.others else "")


def bindings(rows: Iterable[Sequence[Any]]) -> Iterator[MobilityBinding]:
    """Those with these columns(). What many have in common is one object: a million would each have its own copy."""
    once: dict[Any, Any] = {}
    shared, number = once.setdefault, int.from_bytes
    for (
        nai, sub_nai, home_address, care_of_address, lifetime, expires, flags, direct, revocation, udp_remote, udp_port,
        supplied, identification, others,
    ) in rows:  # fmt: skip
        key = (shared(nai, nai), shared(sub_nai, sub_nai), home_address)
        yield MobilityBinding(
            *key,
            shared(care_of_address, care_of_address),
            shared(lifetime, lifetime),
            expires,
            shared(flags, flags),
            number(identification, "big"),
            direct == 1,
            revocation,
            udp_remote,
            udp_port,
            supplied == 1,
            tuple(MobilityBinding(*key, *one) for one in json.loads(others)) if others else (),
        )


def octets(identification: int) -> bytes:
    return identification.to_bytes(8, "big")


def _text(others: tuple[MobilityBinding, ...]) -> str:
    """Further care-of addresses are a part of their session's row, so that they come and go with it in one write."""
    return json.dumps([_of_place(one) for one in others])


_RECORDS: dict[type, Callable[[Any], Record]] = {
    RenewBinding: lambda row: (RENEW, *_renewal(row.binding), octets(row.binding.identification)),
    StoreBinding: lambda row: (BIND, row.nonce, *columns(row.binding)),
    RemoveBinding: lambda row: (UNBIND, *_owner(row.binding), row.released),
    StoreIdentification: lambda row: (IDENTIFY, row.nai, row.sub_nai, octets(row.identification), row.nonce),
    ForgetIdentification: lambda row: (FORGET, row.nai, row.sub_nai),
}
