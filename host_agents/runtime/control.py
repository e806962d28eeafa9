"""The control socket: one JSON object a line in, one out, for the command line and for whoever else asks."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host_agents.runtime.errors import ConfigurationError

_LINE = 4096  # octets of a request
_PATIENCE = 10.0  # seconds for which a client may say nothing, or read nothing
_CLIENTS = 16

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class ControlSocket:
    """Serves `answer` on a Unix socket that only its owner may open."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def open(self) -> None:
        """Raises ConfigurationError: somebody else listens there, or it cannot be made."""
        try:
            _remove_stale(self._path)
            former = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LINE)
            finally:
                os.umask(former)
        except OSError as error:
            raise ConfigurationError(f"control socket {self._path}: {error.strerror or error}") from error

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            while self._clients <= _CLIENTS and (line := await asyncio.wait_for(reader.readline(), _PATIENCE)):
                writer.write(self._reply(line))
                await asyncio.wait_for(writer.drain(), _PATIENCE)
        except (OSError, ValueError, TimeoutError):
            pass  # a client that went away, wrote too long a line or fell asleep
        finally:
            self._clients -= 1
            writer.close()

    def _reply(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("not a JSON object")
            reply = self._answer(request)
        except (ValueError, TypeError) as error:
            reply = {"error": f"bad request: {error}"}
        except KeyError as error:
            reply = {"error": str(error.args[0])}
        return json.dumps(reply).encode() + b"\n"


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The daemon's answer. Raises OSError when nobody is there, ValueError when it makes no sense."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        client.connect(str(path))
        client.sendall(json.dumps(request).encode() + b"\n")
        with client.makefile("rb") as lines:
            reply = json.loads(lines.readline())
    if not isinstance(reply, dict):
        raise ValueError("not a JSON object")
    return reply


def _remove_stale(path: Path) -> None:
    """A socket that a killed daemon left. Raises OSError when it is no socket, or when somebody listens on it."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError("is in the way and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError("another daemon listens there")
