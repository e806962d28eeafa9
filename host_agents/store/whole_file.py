"""Files that are there whole or not at all: written beside their name, which they get when all of it is on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")  # what has such a name is open already, and not to be replaced


@contextmanager
def whole_file(path: Path, mode: int | None = None, like: Path | None = None) -> Iterator[Path]:
    """Where to write what `path` shall be; what the block fails over is gone, and `path` is what it was.

    mode: None for what the file has that is replaced, or the umask says. like: what belongs to the owner that it shall
    have; None for that file, if that can be. What is no file, as /dev/stdout or a named pipe, is written to as it is.
    Raises OSError, which names `path`.
    """
    try:
        if str(path).startswith(_STREAMS) or (path.exists() and not path.is_file()):
            yield path
            return
        target = Path(os.path.realpath(path))  # a link stays one
        former = target if target.exists() else None
        beside = target.with_name(f".{os.getpid()}.{target.name}")  # two that write at once do not meet
        beside.unlink(missing_ok=True)
        try:
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            yield beside
            _give(beside, like, former)
            os.chmod(beside, _mode(former) if mode is None else mode)
            _flush(beside)
            os.replace(beside, target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _flush(target.parent)
    except BrokenPipeError:
        raise  # who reads /dev/stdout has gone
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def can_be_made(path: Path) -> bool:
    """Whether it looks so, for who has an hour's work to do for it first."""
    return not path.is_dir() and (path.exists() or os.access(path.parent, os.W_OK))


def _give(path: Path, like: Path | None, former: Path | None) -> None:
    owner = like or former
    if owner is not None:
        wanted = os.stat(owner)
        with suppress(*([] if like else [PermissionError])):
            os.chown(path, wanted.st_uid, wanted.st_gid)


def _mode(former: Path | None) -> int:
    if former is not None:
        return former.stat().st_mode & 0o777
    os.umask(mask := os.umask(0o077))
    return 0o666 & ~mask


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
