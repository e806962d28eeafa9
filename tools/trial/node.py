"""The flight recorder of a node on this machine, asked by its control socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from host_agents.cli.node import ask_node, control_of
from runtime.flight_ring import file_names
from tools.trial.errors import TrialFailed


class Local:
    """A node on this machine. config: its JSON file."""

    def __init__(self, config: Path) -> None:
        """Raises ConfigurationError."""
        self._control = control_of(config)

    def ask(self, what: str) -> dict[str, Any]:
        """what: start, stop, mark, write or status. Raises TrialFailed."""
        try:
            answer = ask_node(self._control, f"record {what}", {"path": str})
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else ""
            raise TrialFailed(f"{self._control}: no answer from the node: {reason or error}")
        if answer.get("error") == "unknown question":
            raise TrialFailed('the node has no flight recorder: its configuration needs "recorder": {}')
        if "error" in answer:
            raise TrialFailed(f"the node says: {answer['error']}")
        return answer

    def fetch(self) -> list[bytes]:
        """The files of the ring, with everything up to now. Raises TrialFailed."""
        path: str = self.ask("write")["path"]
        try:
            return [Path(name).read_bytes() for name in file_names(path) if Path(name).exists()]
        except OSError as error:
            raise TrialFailed(f"{error.filename}: {error.strerror}")
