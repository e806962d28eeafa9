"""The plain baselines: servers in Python that send back what they get, and do nothing else.

`python -m tools.bench.echo_server KIND ADDRESS PORT` says "ready" and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvloop

Address = tuple[str, int]

KINDS = ("blocking", "asyncio", "uvloop")
_LARGEST = 2048


def serve(kind: str, address: Address) -> None:
    """One of KINDS, for ever."""
    if kind == "blocking":
        _block(address)
    elif kind == "asyncio":
        asyncio.run(_loop(address))
    else:
        uvloop.run(_loop(address))


def _block(address: Address) -> None:
    """The least that Python can do for a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(address)
        print("ready", flush=True)
        while True:
            datagram, sender = server.recvfrom(_LARGEST)
            server.sendto(datagram, sender)


async def _loop(address: Address) -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(_Echo, address)
    print("ready", flush=True)
    await asyncio.Event().wait()


class _Echo(asyncio.DatagramProtocol):
    """On the transport that the event loop brings."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(data, addr)


if __name__ == "__main__":
    serve(sys.argv[1], (sys.argv[2], int(sys.argv[3])))
