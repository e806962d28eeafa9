"""Tell systemd, or whoever started us, how we are (sd_notify(3))."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """state: "READY=1", "STOPPING=1", … Without NOTIFY_SOCKET, nobody asked."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return  # who asked is gone
