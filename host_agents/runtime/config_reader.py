"""Reads one TOML file and gathers every complaint about it, so that an operator mends it once."""

from __future__ import annotations

import copy
import difflib
import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from host_agents.encapsulation import ASKED_FOR
from host_agents.runtime.errors import ConfigurationError
from mip4.address import is_unicast, parse
from mip4.authentication import AaaAssociation, SecurityAssociation, parse_key
from mip4.const import INFINITE
from mip4.errors import Malformed

_MOST = 100  # complaints about the types of one file
_STEP = re.compile(r"(\w+)|\[(\d+)\]")
_MISSING = re.compile(r"missing required field `(\w+)`")
_UNKNOWN = re.compile(r"unknown field `(.*)`", re.DOTALL)  # as somebody wrote it, in quotation marks perhaps
_EXPECTED = re.compile(r"Expected `(\w+)")
# What stands in for what is wrong, so that the rest can be looked at: by expected type, by name where it is missing.
_OF_TYPE = {"str": "", "int": 1, "float": 1.0, "bool": False, "array": [], "object": {}}
_NAMED = {"spi": 256, "pool": [], "interfaces": [], "network": [], "home_agent": {}, "foreign_agent": {}}
_ANY_KEY = bytes(16)
_OTHER = {"home_agent": "foreign_agent", "foreign_agent": "home_agent"}

T = TypeVar("T")


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; a key that it does not have is an error and not a hope."""


class Key(Section):
    """What every security association of a file says."""

    spi: int
    key: str
    algorithm: str = "hmac-md5"


class Reader:
    """Turns one file's values into ours; every complaint names the file and the key.

    What is wrong is noted and something harmless taken instead; whoever reads a file ends with finish().
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complaints: list[str] = []
        self._wrong: set[str] = set()  # keys of which nothing more need be said

    def finish(self) -> None:
        """Raises ConfigurationError: a line for every complaint."""
        if self.complaints:
            raise ConfigurationError("\n".join(f"{self.path}: {one}" for one in self.complaints))

    def load(self, cls: type[T]) -> T:
        """The file's tables. Raises ConfigurationError where nothing can be made of it."""
        try:
            tables = tomllib.loads(self.path.read_text("utf-8"))
        except OSError as error:
            raise ConfigurationError(f"{self.path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self.path}: not TOML: {error}") from error
        return self.fit(tables, cls)

    def fit(self, tables: dict[str, Any], cls: type[T]) -> T:
        """The tables of a file, which are changed where they do not fit. Raises ConfigurationError as load()."""
        own = msgspec.structs.fields(cls)[0].name  # type: ignore[arg-type]  # a Struct, whose first is the agent's own
        other = _OTHER[own]
        if isinstance(tables.get(other), dict) and not isinstance(tables.get(own), dict):
            raise ConfigurationError(f"{self.path}: has no [{own}], but a [{other}]: it is the other agent's file")
        for _ in range(_MOST):
            try:
                return msgspec.convert(tables, cls)
            except msgspec.ValidationError as error:
                reason, _, where = str(error).partition(" - at `$")
                where = where.rstrip("`").lstrip(".")
                self._mistyped(cls, tables, where, reason)
        self.complaints.append(f"file: more than {_MOST} mistakes")
        self.finish()
        raise AssertionError("not reached")

    def need(self, key: str, holds: bool, reason: str) -> bool:
        """Whether it holds, which is a complaint about `key` otherwise."""
        if not holds and not self._is_wrong(key):
            self._wrong.add(key)
            self.complaints.append(f"{key}: {reason}")
        return holds

    def value(self, key: str, otherwise: Any, make: Any, *given: Any) -> Any:
        """make(*given); what it objects to is a complaint about `key`, and `otherwise` is taken."""
        try:
            return make(*given)
        except (ValueError, Malformed) as error:
            self.need(key, False, str(error))
            return otherwise

    def address(self, key: str, text: str) -> int:
        """Of a host; 0 where it is none."""
        address: int = self.value(key, 0, parse, text)
        self.need(key, is_unicast(address), f"{text} is no host's address")
        return address

    def lifetime(self, key: str, seconds: int) -> int:
        """Seconds as RFC 5944 §3.3 has them."""
        self.need(key, 0 < seconds <= INFINITE, f"{seconds} is outside 1..{INFINITE} seconds")
        return seconds

    def advertise_interval(self, key: str, seconds: float) -> int:
        """ms. TOML has numbers that are infinite, and some that are none."""
        return round(seconds * 1000) if self.need(key, 0.1 <= seconds <= 1800, "outside 0.1..1800 seconds") else 1000

    def encapsulations(self, key: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those besides IP-in-IP."""
        for name in names:
            self.need(key, name in ASKED_FOR, f"{name} is none of {', '.join(ASKED_FOR)}")
        return names

    def beside(self, name: str) -> Path:
        """Relative paths start at the file's own folder."""
        return self.path.parent / name

    def association(self, key: str, one: Key) -> SecurityAssociation:
        """With a home or foreign agent, or with a mobile node."""
        return self._association(key, one, SecurityAssociation)

    def aaa_association(self, key: str, one: Key) -> AaaAssociation:
        """With a AAA server (RFC 4721)."""
        return self._association(key, one, AaaAssociation)

    def _association(self, key: str, one: Key, cls: Any) -> Any:
        octets = self.value(f"{key}.key", _ANY_KEY, self._key, one.key)
        return self.value(key, None, cls, one.spi, octets, one.algorithm)

    def secret(self, key: str, text: str) -> bytes:
        """What is shared with somebody who is no mobility agent."""
        octets: bytes = self.value(key, _ANY_KEY, self._key, text)
        return octets

    def _key(self, text: str) -> bytes:
        if not text.startswith("file:"):
            return bytes(parse_key(text))
        path = self.beside(text.removeprefix("file:"))
        try:
            if path.stat().st_mode & 0o077:
                raise ValueError(f"{path} is open to others: chmod 600 it")
            return bytes(parse_key(path.read_text("utf-8").strip()))
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error

    def _is_wrong(self, key: str) -> bool:
        """Whether something was said about it already, or about what it is a part of."""
        return any(key == one or key.startswith((f"{one}.", f"{one}[")) for one in self._wrong)

    def _mistyped(self, cls: Any, tables: dict[str, Any], where: str, reason: str) -> None:
        """Note what a ValidationError says of the place `where`, and have it look right."""
        missing, unknown, expected = (found.search(reason) for found in (_MISSING, _UNKNOWN, _EXPECTED))
        name = missing or unknown
        about = where if name is None else f"{where}.{name[1]}".lstrip(".")
        steps = [int(index) if index else name for name, index in _STEP.findall(where.partition("[...]")[0])]
        if missing is not None:
            reason = "is missing"
        elif unknown is not None:
            reason = "there is no such key" + _meant(unknown[1], _keys(cls, steps))
        if not self._is_wrong(about):
            self.complaints.append(f"{about or 'file'}: {reason}")
        self._wrong.add(about)
        if missing is not None:
            _table(tables, steps)[missing[1]] = copy.copy(_NAMED.get(missing[1], ""))
        elif unknown is not None:
            del _table(tables, steps)[unknown[1]]
        else:
            stand_in = {} if "[...]" in where else _OF_TYPE.get(expected[1] if expected else "", "")
            _table(tables, steps[:-1])[steps[-1]] = copy.copy(stand_in)


def _keys(cls: Any, steps: list[Any]) -> list[str]:
    """Of the table at the end of the steps."""
    for step in steps:
        kinds = get_args(cls) if isinstance(step, int) else [get_type_hints(cls)[step]]
        kinds = get_args(kinds[0]) if isinstance(kinds[0], UnionType) else kinds
        cls = kinds[0]
    return [field.name for field in msgspec.structs.fields(cls)]


def _meant(word: str, keys: list[str]) -> str:
    """What somebody who wrote `word` may have had in mind."""
    near = difflib.get_close_matches(word, keys, n=1)
    return f": is {near[0]} meant?" if near else ""


def _table(tables: Any, steps: list[Any]) -> Any:
    for step in steps:
        tables = tables[step]
    return tables
