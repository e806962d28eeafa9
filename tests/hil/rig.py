"""rig.toml: what surrounds a board in a laboratory. tests/hil/README.md describes it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec


class Host(msgspec.Struct, forbid_unknown_fields=True):
    """This machine. address: as the board reaches it, through whatever network it is on."""

    address: str


class Network(msgspec.Struct, forbid_unknown_fields=True):
    """A Wi-Fi. password: of WPA, "file:PATH" for a file that holds it, "" for an open one."""

    ssid: str
    password: str = ""


class Power(msgspec.Struct, forbid_unknown_fields=True):
    """cut: a command that takes the board's power away and gives it back, and ends when that is done."""

    cut: list[str]


class Rig(msgspec.Struct, forbid_unknown_fields=True):
    host: Host | None = None
    network: list[Network] = []
    power: Power | None = None


def load(path: Path) -> Rig:
    """Raises OSError, ValueError: tomllib's or msgspec's, which names the key."""
    rig = msgspec.convert(tomllib.loads(path.read_text()), Rig)
    for one in rig.network:
        if one.password.startswith("file:"):
            one.password = (path.parent / one.password.removeprefix("file:")).read_text().strip()
    return rig
