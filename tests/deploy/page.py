"""A page of docs as steps: which machine it speaks of, what is to be run there, which files are to be written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`([\w./-]+\.\w+)`")


@dataclass(frozen=True)
class Step:
    """heading: of its part. path: of the file that `text` is; None: it is a script."""

    heading: str
    path: Path | None
    text: str


def steps(page: str) -> list[Step]:
    """Each ```sh block is a script, any other the file that the paragraph before it begins with or ends in."""
    found, heading, at = [], "", 0
    for fence in _FENCE.finditer(page):
        before = page[at : fence.start()]
        headings = re.findall(r"^## (.*)$", before, re.MULTILINE)
        heading = headings[-1] if headings else heading
        path = None
        if fence[1] != "sh":
            names = _PATH.findall(before.rstrip().rpartition("\n\n")[2])
            assert names, f"which file is this?\n{fence[0]}"
            path = Path(names[0])
        found.append(Step(heading, path, fence[2]))
        at = fence.end()
    return found
