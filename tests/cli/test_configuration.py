"""docs/configuration.md has every key that the programs take, and no other, with its default."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from host_agents.runtime import config, foreign_agent_config, home_config
from port_unix import fields
from runtime.fields import REQUIRED
from runtime.node_fields import node
from tools.lab.anchor import PROJECT

_PAGE = (PROJECT / "docs/configuration.md").read_text()
_BOTH = config.AgentSection
_OWN = {"state", "control", "lifetime"}  # of which each agent has a default of its own


def section(cls: type[msgspec.Struct], without: set[str]) -> dict[str, Any]:
    """key -> default, None for what has none."""
    found = msgspec.structs.fields(cls)
    defaults = {one.name: one.default if one.default_factory is msgspec.NODEFAULT else [] for one in found}
    plain = {name: None if value is msgspec.NODEFAULT else value for name, value in defaults.items()}
    return {name: value for name, value in plain.items() if name not in without}


_IN_BOTH = {one.name for one in msgspec.structs.fields(_BOTH)} - _OWN
_TAKEN = {
    "Both agents": section(_BOTH, _OWN),
    "ha.toml: `[home_agent]`": section(config.HomeAgentSection, _IN_BOTH),
    "ha.toml: `[[network]]`": section(home_config.NetworkSection, set()),
    "ha.toml: `[[subscriber]]`": section(home_config.SubscriberSection, set()) | {"addresses": {}},
    "fa.toml: `[foreign_agent]`": section(foreign_agent_config.ForeignAgentSection, _IN_BOTH),
    "A node": {name: None if default is REQUIRED else default for name, default, _ in node(fields)},
}


def described(heading: str) -> dict[str, str]:
    """key -> what the page has for its default, of the table below a heading."""
    table = _PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]*?) ?\|", table, re.MULTILINE)
    return {key: default.strip("`") for keys, default in rows for key in re.findall(r"`(\w+)`", keys)}


@pytest.mark.parametrize("heading", _TAKEN)
def test_the_page_has_each_key_and_no_other(heading: str) -> None:
    assert set(described(heading)) == set(_TAKEN[heading])


@pytest.mark.parametrize("heading", _TAKEN)
def test_the_page_has_each_default(heading: str) -> None:
    said = described(heading)

    known = {key: json.dumps(value) for key, value in _TAKEN[heading].items() if value not in (None, "")}
    known = {key: value for key, value in known.items() if key != "algorithm"}  # which the page says once for all

    assert {key: said[key] for key in known} == known
