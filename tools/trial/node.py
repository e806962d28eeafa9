"""A node's flight recorder from afar: one on this machine by its control socket, one on a board through mpremote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from host_agents.cli.node import ask_node, control_of
from host_agents.runtime.errors import ConfigurationError
from runtime.flight_ring import file_names
from tools.trial.errors import TrialFailed

_PATH = "flight"  # of the ring, where the configuration says nothing else


class Local:
    """A node on this machine. config: its JSON file."""

    def __init__(self, config: Path) -> None:
        """Raises TrialFailed."""
        try:
            self._control = control_of(config)
        except ConfigurationError as error:
            raise TrialFailed(str(error))

    def ask(self, what: str) -> dict[str, Any]:
        """what: start, stop, mark, write or status. Raises TrialFailed."""
        try:
            answer = ask_node(self._control, f"record {what}")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise TrialFailed(f"{self._control}: no answer from the node: {reason}")
        if answer.get("error") == "unknown question":
            raise TrialFailed('the node has no flight recorder: its configuration needs "recorder": {}')
        if "error" in answer:
            raise TrialFailed(f"the node says: {answer['error']}")
        return answer

    def fetch(self) -> list[bytes]:
        """The files of the ring, with everything up to now. Raises TrialFailed."""
        path = str(self.ask("write")["path"])
        try:
            return [Path(name).read_bytes() for name in file_names(path) if Path(name).exists()]
        except OSError as error:
            raise TrialFailed(f"{error.filename}: {error.strerror}")


class Board:
    """A node on a board. It is interrupted for each of these, starts again, and its sessions come back."""

    def __init__(self, port: str) -> None:
        """port: as of tools.board.ports.resolve()."""
        self._port = port

    def ask(self, what: str) -> dict[str, Any]:
        """what: start or stop, which is a line in the board's configuration. Raises TrialFailed."""
        from tools.board.payload import CONFIG

        if what not in ("start", "stop"):
            raise TrialFailed(f"{what}: a board is not asked while it drives; press its button")
        with self._connected() as board:
            config = self._config(board)
            recorder = {**(config.get("recorder") or {}), "on": what == "start"}
            board.write(CONFIG, json.dumps({**config, "recorder": recorder}).encode())
            board.leave()
        return {"on": recorder["on"], "path": recorder.get("path", _PATH)}

    def fetch(self) -> list[bytes]:
        """The files of the ring; what the board had in RAM is lost. Raises TrialFailed."""
        with self._connected() as board:
            recorder = self._config(board).get("recorder")
            if recorder is None:
                raise TrialFailed(f"{self._port}: no flight recorder in the board's configuration")
            path = "/" + str(recorder.get("path", _PATH)).lstrip("/")
            found = [board.read(name) for name in file_names(path)]
            board.leave()
        return [octets for octets in found if octets is not None]

    def _connected(self) -> Any:
        from tools.board.connection import Connection
        from tools.board.errors import BoardFailed

        try:
            return Connection(self._port)
        except BoardFailed as error:
            raise TrialFailed(str(error))

    def _config(self, board: Any) -> dict[str, Any]:
        from tools.board.payload import CONFIG

        octets = board.read(CONFIG)
        try:
            config = json.loads(octets or b"")
        except ValueError:
            raise TrialFailed(f"{self._port}: no configuration on the board: `entourage board provision` writes one")
        return dict(config)
