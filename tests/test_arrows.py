"""Imports point one way: codec <- engines <- runtimes, store, datapath <- command line, web, tools.

Every import of firmware/, host_agents/ and tools/ is read from the syntax tree, wherever it stands in its file.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path for top in ("firmware", "host_agents", "tools") for path in (ROOT / top).rglob("*.py"))

CODEC, EFFECTS, SHARED, ENGINE, RUNTIME, EDGE = range(6)  # SHARED: what both agents' engines are made of
LAYERS = {
    "mip4": CODEC,
    "mobile_node": ENGINE,
    "host_agents.effects": EFFECTS,
    "host_agents.advertiser": SHARED,
    "host_agents.encapsulation": SHARED,
    "host_agents.limiter": EFFECTS,  # no effects, but shared rooms are made of it too
    "host_agents.open_turns": SHARED,
    "host_agents.revocation": SHARED,
    "host_agents.home_agent": ENGINE,
    "host_agents.foreign_agent": ENGINE,
    "runtime": RUNTIME,
    "port_unix": RUNTIME,
    "port_esp32": RUNTIME,
    "host_agents.runtime": RUNTIME,
    "host_agents.store": RUNTIME,
    "host_agents.datapath": RUNTIME,
    "host_agents.decoder": RUNTIME,
    "host_agents.cli": EDGE,
    "host_agents.web": EDGE,
    "tools": EDGE,
    "main": EDGE,
    "boot": EDGE,
    "manifest": EDGE,
}
# What code that runs on a board may have from outside the project.
BOARD = {"mip4": {"struct", "hashlib", "hmac", "io", "_md5"}, "mobile_node": {"struct"}}  # all but two are compat.py's
# An engine is told what happened: none of these tells it anything.
NOT_IN_ENGINES = {
    "asyncio",
    "datetime",
    "fcntl",
    "http",
    "json",
    "logging",
    "os",
    "pyroute2",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "tomllib",
    "urllib",
}
# The doors to the outside, and who may stand in them.
DOORS = {
    "socket": [
        "host_agents.runtime",
        "host_agents.datapath",
        "host_agents.cli",
        "runtime",
        "port_unix",
        "port_esp32",
        "tools",
    ],
    "pyroute2": ["host_agents.runtime", "host_agents.datapath", "tools"],
    "fcntl": ["host_agents.runtime", "host_agents.datapath", "port_unix", "tools"],
    "machine": ["port_esp32"],
    "network": ["port_esp32"],
    "esp32": ["port_esp32"],
}


def module_of(path: Path) -> str:
    """The name under which a file is imported; firmware/ itself is on the path, the other tops are packages."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "firmware" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str | None:
    """The part of the project that a module belongs to, None for anything from outside."""
    for name in (".".join(module.split(".")[:2]), module.split(".")[0]):
        if name in LAYERS:
            return name
    return None


def imports_of(tree: ast.AST, module: str) -> set[str]:
    """Every module that a syntax tree imports, relative ones resolved, `from package import module` as both."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{one.name}" for one in node.names if part_of(f"{base}.{one.name}")}
    return found


def catches_import_error(tree: ast.AST) -> bool:
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type is not None]
    names = {one.id for handler in handlers for one in ast.walk(handler.type) if isinstance(one, ast.Name)}
    return bool(names & {"ImportError", "ModuleNotFoundError"})


def faults(module: str, source: str) -> list[str]:
    """What is wrong with the imports of a module, one sentence each."""
    tree = ast.parse(source)
    part, wrong = part_of(module), []
    # A package's __main__ is where a command line begins, whatever stands beside it.
    layer = EDGE if module.endswith("__main__") or part is None else LAYERS[part]
    if catches_import_error(tree) and module != "mip4.compat":
        wrong.append(f"{module} asks with ImportError what is installed; only mip4.compat may")
    for name in sorted(imports_of(tree, module)):
        other, top = part_of(name), name.split(".")[0]
        if name == "host_agents" or other == part:
            continue
        if other is not None:
            # Runtimes, and what stands at the edge, may know their neighbours; engines may not.
            if LAYERS[other] > layer or (LAYERS[other] == layer and layer < RUNTIME):
                wrong.append(f"{module} imports {name}: an arrow to the right")
        elif part in BOARD and top not in BOARD[part] and (module, top) != ("mip4.compat", "micropython"):
            wrong.append(f"{module} imports {name}, which is not on its list: {', '.join(sorted(BOARD[part]))}")
        elif layer in (EFFECTS, SHARED, ENGINE) and top in NOT_IN_ENGINES:
            wrong.append(f"{module} imports {name}: an engine is told, it does not look")
        if top in DOORS and not any(module == door or module.startswith(door + ".") for door in DOORS[top]):
            wrong.append(f"{module} imports {name}, whose doors are {', '.join(DOORS[top])}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_no_import_points_to_the_right(path):
    assert faults(module_of(path), path.read_text()) == []


def test_every_file_belongs_to_a_part_with_a_layer():
    homeless = [module_of(path) for path in FILES if part_of(module_of(path)) is None]

    assert homeless in ([], ["host_agents"])  # the package's own empty __init__.py


@pytest.mark.parametrize(
    "module, source",
    [
        ("mip4.messages", "import mobile_node"),
        ("mip4.messages", "from host_agents.effects import SendDatagram"),
        ("mip4.messages", "import ipaddress"),
        ("mip4.messages", "import micropython"),
        ("mip4.messages", "try:\n    import struct\nexcept ImportError:\n    pass"),
        ("mobile_node.registration", "import runtime.loop"),
        ("mobile_node.registration", "import json"),
        ("mobile_node.registration", "def f():\n    import time"),
        ("host_agents.home_agent.home_agent", "import sqlite3"),
        ("host_agents.home_agent.home_agent", "from host_agents import store"),
        ("host_agents.home_agent.home_agent", "from ..runtime import daemon"),
        ("host_agents.home_agent.home_agent", "from host_agents.foreign_agent import limiter"),
        ("host_agents.foreign_agent.limiter", "import random, time"),
        ("host_agents.effects", "import host_agents.home_agent.binding_table"),
        ("host_agents.effects", "import asyncio"),
        ("host_agents.runtime.daemon", "from host_agents.cli import main"),
        ("host_agents.store.sqlite", "import socket"),
        ("host_agents.store.sqlite", "try:\n    import psycopg\nexcept (ValueError, ModuleNotFoundError):\n    pass"),
        ("host_agents.datapath.tun", "import tools.lab"),
        ("host_agents.web.page", "from pyroute2 import IPRoute"),
        ("host_agents.cli.main", "import fcntl"),
        ("runtime.loop", "import machine"),
        ("port_unix.uplink", "import network"),
    ],
)
def test_an_arrow_to_the_right_is_found(module, source):
    assert len(faults(module, source)) >= 1


@pytest.mark.parametrize(
    "module, source",
    [
        ("mip4.compat", "try:\n    from micropython import const\nexcept ImportError:\n    pass"),
        ("mip4.messages", "import struct\nfrom mip4.cursor import Cursor\nfrom . import nai"),
        ("mobile_node.registration", "import struct\nfrom mip4 import effects\nfrom mobile_node import sessions"),
        (
            "host_agents.home_agent.home_agent",
            "from mip4.messages import RegistrationReply\nfrom host_agents.effects import X",
        ),
        ("host_agents.home_agent.home_agent", "from . import policy\nfrom .policy import Policy\nimport dataclasses"),
        ("host_agents.home_agent.__main__", "from host_agents.cli import main\nimport sys"),
        ("host_agents.runtime.daemon", "import asyncio, socket, time\nfrom host_agents.store import sqlite"),
        ("host_agents.cli.main", "import socket\nfrom host_agents.runtime import daemon\nimport tools.lab"),
        ("port_esp32.uplink", "import network, machine, esp32, socket"),
        ("main", "import runtime.loop, port_unix.uplink"),
    ],
)
def test_an_arrow_to_the_left_is_let_be(module, source):
    assert faults(module, source) == []
