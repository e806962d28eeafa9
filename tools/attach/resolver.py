"""The DNS servers that the node gave: by systemd-resolved where that runs, else in /etc/resolv.conf, for a time."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.attach.errors import AttachFailed

_RESOLVED = Path("/run/systemd/resolve/io.systemd.Resolve")
_CONFIGURATION = Path("/etc/resolv.conf")


class Resolver:
    """Nothing is touched until use()."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._before: bytes | None = None

    def use(self, servers: Sequence[str]) -> None:
        """Raises AttachFailed."""
        if not servers:
            return
        if _RESOLVED.exists() and shutil.which("resolvectl"):
            done = subprocess.run(
                ["resolvectl", "dns", self._interface, *servers], capture_output=True, text=True, timeout=10
            )
            if done.returncode:
                raise AttachFailed(f"resolvectl: {done.stderr.strip()}")
            return
        try:
            if self._before is None:
                self._before = _CONFIGURATION.read_bytes() if _CONFIGURATION.exists() else b""
            _CONFIGURATION.write_text("".join(f"nameserver {server}\n" for server in servers))
        except OSError as error:
            raise AttachFailed(f"{_CONFIGURATION}: {error.strerror}") from error

    def close(self) -> None:
        """systemd-resolved forgets an interface that goes; a file is as it was."""
        if self._before is not None:
            with contextlib.suppress(OSError):
                _CONFIGURATION.write_bytes(self._before)
