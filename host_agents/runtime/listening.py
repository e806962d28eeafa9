"""Where the page is served."""

from __future__ import annotations

import socket

from host_agents.runtime.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """A TCP socket that a server may listen on. Raises ConfigurationError: the address is not ours, or taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigurationError(f"http {host}:{port}: {error.strerror}") from error
    return listening
