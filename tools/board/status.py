"""What is on a board: its MicroPython, our firmware, its configuration without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tools.board import files as on_board
from tools.board import payload
from tools.board.connection import Connection
from tools.board.identity import identify


def status(board: Connection) -> dict[str, Any]:
    """`firmware`: "same" as this tree's, "none", or "other" with `differing`, the paths. Raises BoardFailed."""
    identity = identify(board)
    files = payload.compiled(identity.arch)
    plan = on_board.plan(board, files)
    differing = sorted([*plan.write, *plan.remove])
    firmware = "same" if not differing else "none" if plan.same == 0 else "other"
    row = identity.row()
    del row["files"]
    return {
        "port": board.port,
        "board": row,
        "firmware": firmware,
        "differing": differing if firmware == "other" else [],
        "config": summary(board.read(payload.CONFIG)),
    }


def summary(octets: bytes | None) -> dict[str, Any] | None:
    """What may be shown of a board's config.json; None if it has none, and an empty object if it cannot be read."""
    if octets is None:
        return None
    try:
        document = json.loads(octets)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    shown = {key: document.get(key) for key in ("nai", "home_agent", "spi", "mode")}
    for kind in ("uplinks", "downlinks"):
        links = document.get(kind, [])
        shown[kind] = [_link(one) for one in links] if isinstance(links, list) else []
    return shown


def _link(link: object) -> str:
    """A word for a link: its network's name, or what it is."""
    if not isinstance(link, Mapping):
        return "?"
    return str(link.get("ssid") or link.get("name") or link.get("interface") or link.get("kind") or "?")
