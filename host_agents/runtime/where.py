"""Which of many sessions somebody asks about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host_agents.runtime.errors import BadRequest
from mip4.address import parse, show
from mip4.errors import Malformed

_KEYS = frozenset(("nai", "sub_nai", "address", "search"))


@dataclass(slots=True, frozen=True)
class Where:
    """None: any. address: one of the session's, dotted. search: a part of NAI, sub-NAI or an address, in any case."""

    nai: str | None = None
    sub_nai: str | None = None
    address: str | None = None
    search: str = ""

    @classmethod
    def of(cls, given: Any) -> Where:
        """Of a request's `where`. Raises BadRequest."""
        if given is None:
            return _ANY
        if not isinstance(given, Mapping) or not given.keys() <= _KEYS:
            raise BadRequest(f"where takes {', '.join(sorted(_KEYS))}")
        if not all(isinstance(value, str) for value in given.values()):
            raise BadRequest("where takes text")
        where = cls(**{**given, "search": given.get("search", "").casefold()})
        if where == _ANY:
            return _ANY
        try:
            if where.address is not None:
                parse(where.address)
        except (ValueError, Malformed) as error:
            raise BadRequest(str(error)) from error
        return where

    @property
    def is_any(self) -> bool:
        return self is _ANY

    def holds(self, nai: str, sub_nai: str, *addresses: int) -> bool:
        """Of a session with these addresses."""
        if self.nai not in (None, nai) or self.sub_nai not in (None, sub_nai):
            return False
        if self.address is not None and self.address not in map(show, addresses):
            return False
        wanted = self.search
        if not wanted or wanted in nai.casefold() or wanted in sub_nai.casefold():
            return True
        # Most of what is searched for is part of no address, and to write them all out takes long.
        return not wanted.strip("0123456789.") and any(wanted in show(one) for one in addresses)

    def holds_fields(self, fields: Mapping[str, str]) -> bool:
        """Of an event; one that names no NAI is nobody's."""
        if self.nai not in (None, fields.get("nai")) or self.sub_nai not in (None, fields.get("sub_nai")):
            return False
        if self.address is not None and self.address not in fields.values():
            return False
        return not self.search or any(self.search in one.casefold() for one in fields.values())


_ANY = Where()
