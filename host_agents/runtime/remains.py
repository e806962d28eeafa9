"""What of a configuration says where an agent's remains in the kernel are, as far as that can be read.

Who takes an agent away for good, as the removal of the package does, is not to need a file that it could run with.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from host_agents.runtime.config import need_device
from host_agents.runtime.config_reader import Reader
from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.foreign_agent_config import ForeignAgentSection
from host_agents.runtime.home_agent_config import HomeAgentSection

DEVICE = "mip0"


@dataclass(slots=True, frozen=True)
class Remains:
    """device: of the tunnels. state: the file that a running agent has locked, None: of which nothing is known.

    address: of a home agent, 0 where it is not known. interfaces: visited links of a foreign agent. wrong: what of the
    file, as far as it matters, cannot be read; "" where all can.
    """

    device: str
    state: Path | None = None
    address: int = 0
    interfaces: tuple[str, ...] = ()
    wrong: str = ""


class _HomeAgent(msgspec.Struct):
    """Of ha.toml the one table, whatever else is in it."""

    home_agent: HomeAgentSection


class _ForeignAgent(msgspec.Struct):
    foreign_agent: ForeignAgentSection


def read_remains(path: Path, home: bool) -> Remains:
    """Of ha.toml if `home`, else of fa.toml. Raises ConfigurationError where there is no file to be read."""
    reader = Reader(path)
    name = "home_agent" if home else "foreign_agent"
    tables = _tables(reader, name)
    section = reader.fit(tables, _HomeAgent).home_agent if home else reader.fit(tables, _ForeignAgent).foreign_agent
    address = reader.address(f"{name}.address", section.address) if isinstance(section, HomeAgentSection) else 0
    interfaces = tuple(section.interfaces) if isinstance(section, ForeignAgentSection) else ()
    named = need_device(reader, name, section)
    device, state = section.device if named else DEVICE, reader.beside(section.state) if section.state else None
    return Remains(device, state, address, interfaces, "; ".join(reader.complaints))


def _tables(reader: Reader, name: str) -> dict[str, Any]:
    """Of what is no TOML those lines of the table `name` that are, each by itself."""
    try:
        text = reader.path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise ConfigurationError(f"{reader.path}: {error.strerror} (--device NAME needs no file)") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reader.complaints.append(f"not TOML: {error}")
    found: dict[str, Any] = {}
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            inside = line.split("#")[0].strip() == f"[{name}]"
        elif inside:
            found |= _line(line)
    return {name: found}


def _line(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
