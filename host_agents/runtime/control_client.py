"""Asks a daemon, or a node, through its control socket (control.py)."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import msgspec

_PATIENCE = 10.0  # seconds for which nothing may be said
_PIECE = 1 << 20  # octets

_NO = b'{"error": '  # how an answer begins that is none
_ANYTHING: Mapping[str, Any] = MappingProxyType({})


@contextlib.contextmanager
def asked(path: Path, question: bytes) -> Iterator[socket.socket]:
    """Where the answer to one line comes from; each octet of it has to be there within ten seconds. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            if stat.S_ISSOCK(path.stat().st_mode):
                raise
            raise OSError(errno.ENOTSOCK, "is no socket") from None
        client.sendall(question + b"\n")
        yield client


def ask(path: Path, request: dict[str, Any], kinds: Mapping[str, Any] = _ANYTHING) -> dict[str, Any]:
    """The daemon's answer. kinds: as of understood(). Raises OSError when nobody is there, ValueError."""
    with asked(path, json.dumps(request).encode()) as client, client.makefile("rb") as lines:
        return understood(lines.readline(), kinds)


def understood(octets: bytes, kinds: Mapping[str, Any] = _ANYTHING) -> dict[str, Any]:
    """The JSON object that was answered. kinds: keys that it must have, and their types, unless it has an "error".

    Whoever uses an answer says here all that he takes for granted of it. Raises ConnectionResetError where nothing was
    said, ValueError with what is wrong.
    """
    if not octets:
        raise ConnectionResetError(0, "it has hung up")
    try:
        answer = json.loads(octets)
    except (ValueError, RecursionError):
        raise ValueError("what is there speaks no JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("what is there says no JSON object")
    for key, kind in () if "error" in answer else kinds.items():
        if key not in answer:
            raise ValueError(f"what is there says nothing of {key}")
        try:
            msgspec.convert(answer[key], kind)
        except msgspec.ValidationError as error:
            reason, _, place = str(error).partition(" - at `$")
            raise ValueError(f"what is there says of {key}{place.rstrip('`')}: {reason}") from None
    return answer


def copy(path: Path, request: dict[str, Any], out: BinaryIO) -> dict[str, Any]:
    """Write the daemon's answer to `out` as it comes; {} then. One that says no is returned instead.

    Raises OSError when nobody is there, or it ends before its answer does; ValueError where that is no JSON object.
    """
    with asked(path, json.dumps(request).encode()) as client, client.makefile("rb") as answer:
        begins = answer.peek(len(_NO))[: len(_NO)]
        if begins == _NO or not begins.startswith(b"{"):
            return understood(answer.readline(_PIECE))
        piece = b""
        while not piece.endswith(b"\n"):
            piece = answer.readline(_PIECE)
            if not piece:
                raise ConnectionResetError(0, "it has hung up")
            out.write(piece)
    return {}


def watch(path: Path, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the daemon tells, until it ends. Raises OSError, ValueError as ask() does."""
    with asked(path, json.dumps(request).encode()) as client:
        client.settimeout(None)  # nothing may happen for long
        with client.makefile("rb") as lines:
            for line in lines:
                yield understood(line)
