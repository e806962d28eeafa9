"""What a flight recorder has written, for the tests of both ports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime.flight_ring import decode, file_names


def kept(folder: Path) -> list[dict[str, Any]]:
    """The records of `folder`'s "flight", oldest first."""
    found: list[tuple[int, bytes]] = []
    for path in map(Path, file_names(str(folder / "flight"))):
        if path.exists():
            found += decode(path.read_bytes())
    return [json.loads(body) for _, body in sorted(found)]
