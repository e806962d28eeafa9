"""The control socket: one JSON object a line in, one out, for the command line and for whoever else asks.

Who may open it may look; only root and the daemon's own user may change anything (SO_PEERCRED, unix(7)). What is
watched comes as a line for each event, until whoever watches says another word or hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import msgspec

from host_agents.runtime.answers import Reply
from host_agents.runtime.errors import BadRequest, ConfigurationError, NotAllowed

_LINE = 4096  # octets of a request
_PATIENCE = 10.0  # seconds for which a client may say nothing, or read nothing
_LAST_PATIENCE = 2.0  # seconds for answers that are being made when we close
_CLIENTS = 16
_AT_ONCE = 100  # documents in a piece of an answer
_PIECE = 1 << 20  # octets

_NO = b'{"error": '  # how an answer begins that is none
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

_ANYTHING: Mapping[str, Any] = MappingProxyType({})

Answer = Callable[[dict[str, Any], bool], Awaitable[Reply]]


class ControlSocket:
    """Serves `answer` on a Unix socket that only its owner may open, or also his group (group_may_read)."""

    def __init__(self, path: Path, answer: Answer, group_may_read: bool = False) -> None:
        self._path = path
        self._answer = answer
        self._mask = 0o117 if group_may_read else 0o177
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None] | None, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def open(self) -> None:
        """Raises ConfigurationError: somebody else listens there, or it cannot be made."""
        try:
            _remove_stale(self._path)
            former = os.umask(self._mask)
            try:
                self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LINE)
            finally:
                os.umask(former)
        except OSError as error:
            raise ConfigurationError(f"control socket {self._path}: {error.strerror or error}") from error

    async def close(self) -> None:
        """Nobody is heard any more; who has asked already has a moment for his answer."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for reader, writer in self._clients.values():
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads, too
            reader.feed_eof()
        if tasks := [task for task in self._clients if task is not None]:
            await asyncio.wait(tasks, timeout=_LAST_PATIENCE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients[asyncio.current_task()] = reader, writer
        try:
            may_change = _may_change(writer.get_extra_info("socket"))
            while len(self._clients) <= _CLIENTS and (line := await asyncio.wait_for(reader.readline(), _PATIENCE)):
                reply = await self._reply(line, may_change)
                if isinstance(reply, dict):
                    await _write(writer, reply)
                else:
                    await _stream(reply, reader, writer)
                    return
        except (OSError, ValueError, TimeoutError, asyncio.CancelledError):
            pass  # a client that went away, wrote too long a line or fell asleep, until we end perhaps
        finally:
            del self._clients[asyncio.current_task()]
            writer.close()

    async def _reply(self, line: bytes, may_change: bool) -> Reply:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadRequest("not a JSON object")
            return await self._answer(request, may_change)
        except (BadRequest, NotAllowed) as error:
            return {"error": str(error)}
        except (ValueError, RecursionError) as error:
            return {"error": f"bad request: {error}"}


def _may_change(sock: socket.socket) -> bool:
    octets = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(octets)[1] in (0, os.geteuid())


async def _write(writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
    """A line, as long as a million bindings make it, of which little is there that the client has not read yet."""
    async for piece in _pieces(document):
        writer.write(piece.encode())
        await asyncio.wait_for(writer.drain(), _PATIENCE)


async def _pieces(document: dict[str, Any]) -> AsyncIterator[str]:
    """Its JSON."""
    between = "{"
    for key, value in document.items():
        yield f"{between}{json.dumps(key)}: "
        between = ", "
        if isinstance(value, AsyncIterator):
            async for piece in _array(value):
                yield piece
        else:
            yield json.dumps(value)
    yield "}\n" if document else "{}\n"


async def _array(documents: AsyncIterator[Any]) -> AsyncIterator[str]:
    some, between = list[str](), "["
    async for document in documents:
        some.append(json.dumps(document))
        if len(some) == _AT_ONCE:
            yield between + ", ".join(some)
            some, between = [], ", "
    yield (between if some or between == "[" else "") + ", ".join(some) + "]"


async def _stream(
    documents: AsyncIterator[dict[str, Any]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Until there are no more, or the client says anything, or goes."""
    spoken = asyncio.ensure_future(reader.read(_LINE))
    following: asyncio.Future[dict[str, Any] | None] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(documents, None))
            await asyncio.wait({spoken, following}, return_when=asyncio.FIRST_COMPLETED)
            if spoken.done() or (document := following.result()) is None:
                return
            await _write(writer, document)
    finally:
        for one in (spoken, following):
            if one is not None:
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError, ValueError):
                    await one


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
