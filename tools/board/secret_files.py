"""Files that hold keys and passwords: nobody else's to read, and never half written."""

from __future__ import annotations

from pathlib import Path

from host_agents.store.whole_file import whole_file
from tools.board.errors import BoardFailed


def put(path: Path, text: str, like: Path | None = None, mode: int = 0o600) -> None:
    """Make `path`, or replace it as a whole. like: the owner shall be the same. Raises BoardFailed."""
    try:
        with whole_file(path, mode, like) as beside:
            beside.write_text(text, "utf-8")
    except OSError as error:
        raise BoardFailed(f"{path}: {error.strerror}") from error


def file_name(text: str) -> str:
    """Of an NAI, which may have a slash in it."""
    return "".join(one if one.isalnum() or one in ".@_-" else "_" for one in text)
