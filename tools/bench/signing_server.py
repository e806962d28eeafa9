"""The least that a home agent in Python does for a request: verify it, and sign the reply. Nothing is remembered.

`python -m tools.bench.signing_server ADDRESS PORT` says "ready" and serves the sessions of a Population until it is
killed.
"""

from __future__ import annotations

import functools
import socket
import sys
from struct import Struct

from mip4.authentication import SecurityAssociation
from mip4.const import ACCEPTED, REGISTRATION_REPLY
from tools.bench.registrants import SPI, key

_LARGEST = 2048
_REQUEST, _REPLY = Struct("!xxHII4x8s"), Struct("!BBHII8s")  # RFC 5944 §3.3, §3.4; of a request what a reply repeats
_AUTHENTICATOR = 16  # octets


def serve(address: tuple[str, int]) -> None:
    """For ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(address)
        print("ready", flush=True)
        while True:
            request, sender = server.recvfrom(_LARGEST)
            lifetime, home_address, home_agent, identification = _REQUEST.unpack_from(request)
            nai = request[_REQUEST.size + 2 : _REQUEST.size + 2 + request[_REQUEST.size + 1]]
            association = _association(nai)
            if association.holds(request[:-_AUTHENTICATOR], request[-_AUTHENTICATOR:]):
                fixed = _REPLY.pack(REGISTRATION_REPLY, ACCEPTED, lifetime, home_address, home_agent, identification)
                reply = fixed + request[_REQUEST.size : -_AUTHENTICATOR]
                server.sendto(reply + association.authenticator(reply), sender)


@functools.cache
def _association(nai: bytes) -> SecurityAssociation:
    number = nai.partition(b"@")[0][1:]
    return SecurityAssociation(SPI, key(int(number)))


if __name__ == "__main__":
    serve((sys.argv[1], int(sys.argv[2])))
