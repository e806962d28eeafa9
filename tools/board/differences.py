"""What differs between two configurations of a node, in lines a person can read, with nothing secret in them."""

from __future__ import annotations

import json
from typing import Any

_SECRET = ("key", "password", "portal")
_ABSENT = object()


def differences(before: object, after: object) -> list[str]:
    """One line for each value that is new (+), gone (-) or another (~). Of keys and passwords only that they are."""
    old, new = _flat("", before), _flat("", after)
    lines = []
    for path in sorted(old.keys() | new.keys()):
        former, latter = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if former is _ABSENT:
            lines.append(f"+ {path}: {_shown(path, latter)}")
        elif latter is _ABSENT:
            lines.append(f"- {path}: {_shown(path, former)}")
        elif former != latter:
            how = "another" if _is_secret(path) else f"{_shown(path, former)} -> {_shown(path, latter)}"
            lines.append(f"~ {path}: {how}")
    return lines


def _flat(path: str, value: object) -> dict[str, Any]:
    """path -> value of everything that is no object or list, and of those that are empty."""
    found: dict[str, Any] = {}
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            found |= _flat(f"{path}.{key}" if path else key, inner)
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            found |= _flat(f"{path}[{at}]", inner)
    elif path:
        found[path] = value
    return found


def _is_secret(path: str) -> bool:
    return path.rpartition(".")[2].partition("[")[0] in _SECRET


def _shown(path: str, value: object) -> str:
    # An open network's password is null, and that is no secret
    return "(not shown)" if _is_secret(path) and value is not None else json.dumps(value, ensure_ascii=False)
