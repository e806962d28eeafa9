"""A new node: its subscriber on the home agent's side, its configuration, and the fresh key that both share."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.home_agent_config import load_home_agent
from mip4.address import show
from tools.board import secret_files
from tools.board.errors import BoardFailed

FIRST_SPI = 256  # RFC 5944 §1.6: the lower ones are reserved
_KEY = 16  # octets, of HMAC-MD5 (RFC 5944 §3.5.1)
_ACCESS_POINT_PASSWORD = 12  # octets of chance, 16 characters


@dataclass(slots=True, frozen=True)
class Wishes:
    """What a person says of a node. uplinks: (SSID, password or None for an open one), the first is preferred.

    access_point: its SSID, "" for none. slip: "usb", "uart", "" for none. sessions: devices, applications, itself.
    """

    nai: str
    sessions: int
    uplinks: tuple[tuple[str, str | None], ...]
    access_point: str
    slip: str


def subscriber(nai: str, spi: int, key: str, sessions: int) -> str:
    """The lines of ha.toml. TOML reads JSON's strings."""
    return (
        f"\n[[subscriber]]\nnai = {json.dumps(nai)}\nspi = {spi}\nkey = {json.dumps(key)}\n"
        f'algorithm = "hmac-md5"\nsessions = {sessions}\n'
    )


def new_key() -> str:
    return "hex:" + secrets.token_hex(_KEY)


def key_file(folder: Path, nai: str, spi: int) -> Path:
    return folder / f"{secret_files.file_name(nai)}.{spi}.key"


def subscribe(ha_toml: Path, nai: str, key: str, sessions: int, rekey: bool) -> tuple[int, str]:
    """Append the subscriber to a home agent's file; the key goes into a file beside it. Returns its SPI, and the home
    agent's address. rekey: the NAI must be there already, and gets a further SPI; the former goes on being good.

    What is in the file stays as it is, comments too. Raises ConfigurationError for a file that was wrong before, and
    BoardFailed.
    """
    ha_toml = ha_toml.resolve()
    policy = load_home_agent(ha_toml).policy
    known = policy.subscribers.get(nai)
    if (known is not None) != rekey:
        raise BoardFailed(f"{ha_toml}: {nai} is {'no subscriber yet' if rekey else 'a subscriber already: --rekey'}")
    spi = FIRST_SPI if known is None else max(known.associations) + 1
    beside = key_file(ha_toml.parent, nai, spi)
    secret_files.put(beside, key + "\n", like=ha_toml)
    added = ha_toml.read_text("utf-8") + subscriber(nai, spi, "file:" + beside.name, sessions)
    trial = ha_toml.with_name(f".{ha_toml.name}.trial")
    try:
        secret_files.put(trial, added)
        _check(trial, ha_toml)  # what cannot be read is not put in its place
        secret_files.put(ha_toml, added, like=ha_toml, mode=ha_toml.stat().st_mode & 0o777)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    finally:
        trial.unlink(missing_ok=True)
    return spi, show(policy.address)


def _check(trial: Path, name: Path) -> None:
    """Raises ConfigurationError, with the name under which the file is known."""
    try:
        load_home_agent(trial)
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace(str(trial), str(name))) from error


def node_config(wishes: Wishes, home_agent: str, spi: int, key: str) -> dict[str, Any]:
    """The node's configuration."""
    highest = len(wishes.uplinks)
    uplinks = [
        {"ssid": ssid, "password": password, "priority": highest - at, "address": "dhcp"}
        for at, (ssid, password) in enumerate(wishes.uplinks)
    ]
    downlinks: list[dict[str, Any]] = []
    if wishes.access_point:
        password = secrets.token_urlsafe(_ACCESS_POINT_PASSWORD)
        downlinks.append({"kind": "wifi-ap", "ssid": wishes.access_point, "password": password})
    if wishes.slip:
        downlinks.append({"kind": "slip", "port": wishes.slip, "name": wishes.slip})
    portal = {"portal": secrets.token_urlsafe(_ACCESS_POINT_PASSWORD)} if wishes.access_point else {}
    return {
        "nai": wishes.nai,
        "home_agent": home_agent,
        "spi": spi,
        "key": key,
        "algorithm": "hmac-md5",
        "uplinks": uplinks,
        "downlinks": downlinks,
        **portal,
    }


def read_config(path: Path) -> dict[str, Any]:
    """A node's configuration as a board gets it: with the key itself where it names a file. Raises BoardFailed."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BoardFailed(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BoardFailed(f"{path}: not a JSON document: {error}") from error
    if not isinstance(document, dict):
        raise BoardFailed(f"{path}: not a JSON object")
    others = document.get("foreign_agents")  # of which the node will say what it thinks
    others = others if isinstance(others, list) else []
    for one in (document, *(one for one in others if isinstance(one, dict))):
        named = one.get("key")
        if isinstance(named, str) and named.startswith("file:"):
            one["key"] = _key_in(path.parent / named.removeprefix("file:"))
    return document


def _key_in(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise BoardFailed(f"{path}: open to others: chmod 600 it")
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise BoardFailed(f"{path}: {error.strerror}") from error
