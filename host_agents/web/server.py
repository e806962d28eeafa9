"""Serves the page, the API and the metrics of one daemon, on the daemon's own event loop.

No thread: every table is the loop's, and a thread that computes would hold the interpreter against registrations for
5 ms at a time. What is asked here is looked at a few hundred records at a time instead (answers.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from host_agents.runtime.daemon import Daemon
from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.listening import listen
from host_agents.store.whole_file import whole_file
from host_agents.web.app import make_app
from host_agents.web.ticker import Ticker

_CONNECTIONS = 64
_FAREWELL = 1  # seconds for who is still being served when the daemon ends


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are the daemon's."""
        yield


class Server:
    """To be opened beside a daemon that has its configuration's `http`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._ticker = Ticker(daemon)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises ConfigurationError: the address is not ours or taken, the token's file open to others."""
        common = self._daemon.common
        assert common.http is not None
        listening = listen(*common.http)
        if not ip_address(common.http[0]).is_loopback:
            self._daemon.journal.warn(f"http={common.http[0]}: whoever reaches this address may look at all sessions")
        app = make_app(self._daemon, self._ticker, make_token(common.http_token), common.http_names)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_FAREWELL,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        self._ticker.start()

    async def close(self) -> None:
        await self._ticker.stop()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving


def make_token(path: Path) -> str:
    """The word that lets a browser change things; made where there is none yet. Raises ConfigurationError."""
    try:
        if path.exists():
            if path.stat().st_mode & 0o077:
                raise ConfigurationError(f"http_token: {path} is open to others: chmod 600 it")
            token = path.read_text().strip()
            if len(token) < 16:
                raise ConfigurationError(f"http_token: {path} holds fewer than 16 characters")
            return token
        token = secrets.token_urlsafe(24)
        with whole_file(path, 0o600) as file:
            file.write_text(token + "\n")
        return token
    except OSError as error:
        raise ConfigurationError(f"http_token: {path}: {error.strerror}") from error
