"""Asks a daemon through its control socket (control.py)."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

_PATIENCE = 10.0  # seconds for which a daemon may say nothing
_PIECE = 1 << 20  # octets

_NO = b'{"error": '  # how an answer begins that is none


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The daemon's answer. Raises OSError when nobody is there, ValueError when it makes no sense."""
    with _asked(path, request) as (_, answer):
        return _document(answer.readline())


def copy(path: Path, request: dict[str, Any], out: BinaryIO) -> dict[str, Any]:
    """Write the daemon's answer to `out` as it comes; {} then. One that says no is returned instead.

    Raises OSError when nobody is there, or it ends before its answer does; ValueError as ask() does.
    """
    with _asked(path, request) as (_, answer):
        if answer.peek(len(_NO))[: len(_NO)] == _NO:
            return _document(answer.readline())
        piece = b""
        while not piece.endswith(b"\n"):
            piece = answer.readline(_PIECE)
            if not piece:
                raise ConnectionResetError(0, "it has hung up")
            out.write(piece)
    return {}


def watch(path: Path, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the daemon tells, until it ends. Raises OSError, ValueError as ask() does."""
    with _asked(path, request) as (client, events):
        client.settimeout(None)  # nothing may happen for long
        yield from map(_document, events)


@contextlib.contextmanager
def _asked(path: Path, request: dict[str, Any]) -> Iterator[tuple[socket.socket, BufferedReader]]:
    """A connection over which the question has gone, and what comes back. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        client.connect(str(path))
        client.sendall(json.dumps(request).encode() + b"\n")
        with client.makefile("rb") as answer:
            yield client, answer


def _document(line: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document
