"""Log lines are words and `key=value`: one line per event, the same for people, for filters and as JSON."""

from __future__ import annotations

import ast
import re

_FIELD = re.compile(r"""(?<!\S)([a-z_]+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S*)""")


def fields(text: str) -> dict[str, str]:
    """The `key=value` of a line; of two with one key the first, so that what a peer said hides nothing of ours."""
    found: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        if value[:1] in ("'", '"'):
            value = str(ast.literal_eval(value))
        found.setdefault(key, value.rstrip(":,"))
    return found
