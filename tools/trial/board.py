"""The flight recorder on a board, through mpremote."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from runtime.flight_ring import file_names
from tools.board.connection import Connection
from tools.board.errors import BoardFailed
from tools.board.payload import CONFIG
from tools.trial.errors import TrialFailed

_PATH = "flight"  # of the ring, where the configuration says nothing else


class Board:
    """A node on a board. It is interrupted for each of these, starts again, and its sessions come back."""

    def __init__(self, port: str) -> None:
        """port: as of tools.board.ports.resolve()."""
        self._port = port

    def ask(self, what: str) -> dict[str, Any]:
        """what: start or stop, which is a line in the board's configuration. Raises TrialFailed."""
        if what not in ("start", "stop"):
            raise TrialFailed(f"{what}: a board is not asked while it drives; press its button")
        with self._connected() as board:
            config = self._config(board)
            recorder = {**(config.get("recorder") or {}), "on": what == "start"}
            board.write(CONFIG, json.dumps({**config, "recorder": recorder}).encode())
        return {"on": recorder["on"], "path": recorder.get("path", _PATH)}

    def fetch(self) -> list[bytes]:
        """The files of the ring; what the board had in RAM is lost. Raises TrialFailed."""
        with self._connected() as board:
            recorder = self._config(board).get("recorder")
            if recorder is None:
                raise TrialFailed(f"{self._port}: no flight recorder in the board's configuration")
            path = str(recorder.get("path", _PATH)).lstrip("/")  # of the board's root, where its REPL is
            found = [board.read(name) for name in file_names(path)]
        return [octets for octets in found if octets is not None]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Whatever becomes of it, the node runs again behind the block. Raises TrialFailed."""
        try:
            with Connection(self._port) as board:
                try:
                    yield board
                finally:
                    board.leave()
        except BoardFailed as error:
            raise TrialFailed(str(error))

    def _config(self, board: Connection) -> dict[str, Any]:
        octets = board.read(CONFIG)
        try:
            config = json.loads(octets or b"")
        except ValueError:
            raise TrialFailed(f"{self._port}: no configuration on the board: `entourage board provision` writes one")
        return dict(config)
