"""The least that a home agent in Python does for a request, as two servers.

`signing` verifies it and signs the reply, and remembers nothing. `keeping` takes what came together, holds each against
the session's last Identification, and has its octets in FILE, synced, before the replies leave together.

`python -m tools.bench.signing_server KIND ADDRESS PORT FILE` says "ready" and serves the sessions of a Population until
it is killed.
"""

from __future__ import annotations

import functools
import os
import select
import socket
import sys
from struct import Struct

from host_agents.runtime.datagrams import Inbox, Outbox
from mip4.authentication import SecurityAssociation
from mip4.const import ACCEPTED, REGISTRATION_REPLY
from tools.bench.registrants import SPI, key

KINDS = SIGNING, KEEPING = "signing", "keeping"

_LARGEST = 2048
_REQUEST, _REPLY = Struct("!xxHII4x8s"), Struct("!BBHII8s")  # RFC 5944 §3.3, §3.4; of a request what a reply repeats
_HEADER, _AUTHENTICATOR = 6, 16  # octets of the Mobile-Home Authentication
_ROOM = 16 << 20  # octets of the file, which are written again and again


def serve(kind: str, address: tuple[str, int], file: str) -> None:
    """For ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(address)
        if kind == SIGNING:
            _sign(server)
        else:
            _keep(server, file)


def _sign(server: socket.socket) -> None:
    print("ready", flush=True)
    while True:
        request, sender = server.recvfrom(_LARGEST)
        reply = _reply(request)
        if reply is not None:
            server.sendto(reply, sender)


def _keep(server: socket.socket, file: str) -> None:
    kept = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.pwrite(kept, bytes(_ROOM), 0)  # so that a sync has nothing to do but to write
    os.fsync(kept)
    inbox, outbox, readable, at = Inbox(), Outbox(), select.poll(), 0
    last: dict[bytes, bytes] = {}
    readable.register(server, select.POLLIN)
    print("ready", flush=True)
    while True:
        readable.poll()
        inbox.receive(server.fileno())
        requests = []
        for payload, source, port, _ in inbox:
            request = bytes(payload)
            session, identification = request[_REQUEST.size : -_HEADER - _AUTHENTICATOR], request[16 : _REQUEST.size]
            reply = _reply(request) if last.get(session, b"") < identification else None
            if reply is not None:
                last[session] = identification
                requests.append(request)
                outbox.put(reply, source, port)
        octets = b"".join(requests)
        at = at if at + len(octets) <= _ROOM else 0
        at += os.pwrite(kept, octets, at)
        os.fdatasync(kept)
        outbox.send(server.fileno())


def _reply(request: bytes) -> bytes | None:
    """An acceptance; None unless the request is authentic."""
    lifetime, home_address, home_agent, identification = _REQUEST.unpack_from(request)
    nai = request[_REQUEST.size + 2 : _REQUEST.size + 2 + request[_REQUEST.size + 1]]
    association = _association(nai)
    if not association.holds(request[:-_AUTHENTICATOR], request[-_AUTHENTICATOR:]):
        return None
    fixed = _REPLY.pack(REGISTRATION_REPLY, ACCEPTED, lifetime, home_address, home_agent, identification)
    reply: bytes = fixed + request[_REQUEST.size : -_AUTHENTICATOR]
    return reply + bytes(association.authenticator(reply))


@functools.cache
def _association(nai: bytes) -> SecurityAssociation:
    number = nai.partition(b"@")[0][1:]
    return SecurityAssociation(SPI, key(int(number)))


if __name__ == "__main__":
    serve(sys.argv[1], (sys.argv[2], int(sys.argv[3])), sys.argv[4])
