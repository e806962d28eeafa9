"""Keys that a person gives to have authenticators verified: by SPI, or all those of an agent's or a node's file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_agents.runtime.errors import ConfigurationError
from mip4.authentication import ALGORITHMS, AaaAssociation, SecurityAssociation, parse_key
from mip4.const import CHAP_SPI
from mip4.errors import BadAuthenticator

VERIFIES, FAILS, NO_KEY = "verifies", "does not verify", "no key"


@dataclass(slots=True, frozen=True)
class _Key:
    """owner: the NAI or the agent's address with which it is shared; "" where nobody said."""

    association: SecurityAssociation | AaaAssociation
    owner: str


class Keyring:
    """Security associations by SPI."""

    def __init__(self) -> None:
        self._keys: dict[int, list[_Key]] = {}

    def add(self, text: str) -> None:
        """SPI=KEY or SPI=ALGORITHM:KEY, the key as in a configuration. Raises ValueError, which never shows the key."""
        spi, equals, rest = text.partition("=")
        if not equals or not spi.strip().isdecimal():
            raise ValueError("neither SPI=hex:… nor SPI=ALGORITHM:hex:…")
        algorithm, key = "hmac-md5", rest
        if not rest.startswith(("hex:", "text:")):
            algorithm, _, key = rest.partition(":")
        if algorithm not in ALGORITHMS:
            raise ValueError(f"no algorithm of {', '.join(sorted(ALGORITHMS))}")  # what is there may be a key
        self._put(_association(int(spi), parse_key(key), algorithm), "")

    def load(self, path: Path) -> None:
        """Every table with `spi` and `key` in an ha.toml, fa.toml or node.json. Raises ConfigurationError."""
        try:
            content = path.read_text("utf-8")
            document = json.loads(content) if path.suffix == ".json" else tomllib.loads(content)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            kind = "JSON" if path.suffix == ".json" else "TOML"
            # No cause and no text of the error: either would quote the line, and a line may hold a key.
            raise ConfigurationError(f"{path}: not {kind}{_where(error)}") from None
        for where, owner, table in _tables(document, "", ""):
            try:
                key = _octets(path, str(table["key"]))
                association = _association(int(table["spi"]), key, str(table.get("algorithm", "hmac-md5")))
            except (ValueError, TypeError) as error:
                raise ConfigurationError(f"{path}: {where or 'file'}: {error}") from error
            self._put(association, owner)

    def _put(self, association: SecurityAssociation | AaaAssociation, owner: str) -> None:
        self._keys.setdefault(association.spi, []).append(_Key(association, owner))

    def judge(self, message: bytes, extension: Any, owners: set[str], challenge: bytes) -> tuple[str, str]:
        """What to say of an authenticator, and whose key said it ("" if none did).

        owners: the NAI or the addresses that the message names. An SPI means one key for each peer: where we have
        keys of these owners no other one is tried. challenge: the one that an MN-AAA Authentication answers.
        """
        keys = self._keys.get(extension.spi, [])
        for key in [key for key in keys if key.owner in owners] or keys:
            try:
                if isinstance(key.association, AaaAssociation):
                    key.association.verify(message, extension, challenge)
                else:
                    key.association.verify(message, extension)
            except BadAuthenticator:
                continue
            return VERIFIES, key.owner
        return (FAILS if keys else NO_KEY), ""


def _association(spi: int, key: bytes, algorithm: str) -> SecurityAssociation | AaaAssociation:
    """Raises ValueError. Only under CHAP_SPI does an MN-AAA authenticator differ from any other."""
    return (AaaAssociation if spi == CHAP_SPI else SecurityAssociation)(spi, key, algorithm)


def _tables(value: Any, where: str, owner: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Where each table with a key is, whose it is, and the table. A table inside another one is of the same owner."""
    if isinstance(value, dict):
        owner = str(value.get("nai") or value.get("address") or owner)
        if "spi" in value and "key" in value:
            yield where, owner, value
        for name, inner in value.items():
            yield from _tables(inner, f"{where}.{name}" if where else name, owner)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _tables(inner, f"{where}[{at}]", owner)


def _octets(path: Path, text: str) -> bytes:
    """Relative paths of keys start at the folder of the file that names them."""
    if not text.startswith("file:"):
        return bytes(parse_key(text))
    beside = path.parent / text.removeprefix("file:")
    try:
        return bytes(parse_key(beside.read_text("utf-8").strip()))
    except OSError as error:
        raise ValueError(f"{beside}: {error.strerror}") from error


def _where(error: ValueError) -> str:
    found = re.search(r"line \d+", str(error))
    return f": {found.group()}" if found else ""
