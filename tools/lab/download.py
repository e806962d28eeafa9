"""A TCP transfer that can be checked octet by octet: `python -m tools.lab.download serve|fetch ADDRESS PORT`.

Both ends make the same endless stream from one seed. Each prints one JSON document at its end; before that, the server
prints "ready" when it can be connected to and the client "connected" when it is.
"""

from __future__ import annotations

import argparse
import json
import random
import select
import socket
import sys
import time
from collections.abc import Iterator

_BLOCK = 16384  # octets
_RATE = 1_000_000  # octets per second: far below what the lab can do; captures of it stay small
_PAUSE = 0.05  # seconds without an octet that are worth telling


def blocks(seed: int) -> Iterator[bytes]:
    """The stream, endless."""
    source = random.Random(seed)
    while True:
        yield source.randbytes(_BLOCK)


def serve(address: str, port: int) -> dict[str, object]:
    """Send to the first who connects until our standard input ends; say how many connected."""
    with socket.create_server((address, port)) as listener:
        print("ready", flush=True)
        client, peer = listener.accept()
        sent, began = 0, time.monotonic()
        for block in blocks(port):
            client.sendall(block)
            sent += len(block)
            wait = max(0.0, began + sent / _RATE - time.monotonic())
            if select.select([sys.stdin], [], [], wait)[0]:
                break
        client.shutdown(socket.SHUT_WR)
        client.recv(1)  # until the other end has everything and closes
        listener.setblocking(False)
        connections = 1
        try:
            while True:
                listener.accept()
                connections += 1
        except BlockingIOError:
            return {"sent": sent, "connections": connections, "peer": f"{peer[0]}:{peer[1]}"}


def fetch(address: str, port: int) -> dict[str, object]:
    """Receive and compare. wrong: offset of the first octet that differs, None. pauses: [monotonic s, length s]."""
    with socket.create_connection((address, port), timeout=60) as server:
        print("connected", flush=True)
        received, wrong, pauses = 0, None, []
        expected, stream = b"", blocks(port)
        last = time.monotonic()
        while chunk := server.recv(65536):
            now = time.monotonic()
            if now - last > _PAUSE:
                pauses.append([last, now - last])
            last = now
            while len(expected) < len(chunk):
                expected += next(stream)
            if wrong is None and not expected.startswith(chunk):
                wrong = received + next(at for at, octet in enumerate(chunk) if octet != expected[at])
            expected = expected[len(chunk) :]
            received += len(chunk)
        here = server.getsockname()
        return {"received": received, "wrong": wrong, "pauses": pauses, "local": f"{here[0]}:{here[1]}"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="download")
    parser.add_argument("role", choices=("serve", "fetch"))
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    role = serve if arguments.role == "serve" else fetch
    print(json.dumps(role(arguments.address, arguments.port)), flush=True)


if __name__ == "__main__":
    main()
