"""Files that hold keys and passwords: nobody else's to read, and never half written."""

from __future__ import annotations

import os
from pathlib import Path

from tools.board.errors import BoardFailed


def put(path: Path, text: str, like: Path | None = None, mode: int = 0o600) -> None:
    """Make `path`, or replace it as a whole. like: the owner shall be the same. Raises BoardFailed."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w") as file:
            if like is not None:
                owner = os.stat(like)
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.fchmod(descriptor, mode)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BoardFailed(f"{path}: {error.strerror}") from error


def file_name(text: str) -> str:
    """Of an NAI, which may have a slash in it."""
    return "".join(one if one.isalnum() or one in ".@_-" else "_" for one in text)
