"""Questions to one RADIUS server, asked again until it answers or all tries are over (RFC 2865 §2.5).

No answer to an Access-Request is believed without a Message-Authenticator (RFC 3579 §3.2; BlastRADIUS).
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessRequest, Packet, PacketError

NAS_IDENTIFIER = "entourage"  # who we are to the server
_IDENTIFIERS = 256  # requests under way at a time: their number is one octet
DICTIONARY = Dictionary(
    io.StringIO(
        """
ATTRIBUTE User-Name 1 string
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE Service-Type 6 integer
ATTRIBUTE Framed-IP-Address 8 ipaddr
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Acct-Status-Type 40 integer
ATTRIBUTE Acct-Delay-Time 41 integer
ATTRIBUTE Acct-Input-Octets 42 integer
ATTRIBUTE Acct-Output-Octets 43 integer
ATTRIBUTE Acct-Session-Id 44 string
ATTRIBUTE Acct-Session-Time 46 integer
ATTRIBUTE Acct-Input-Packets 47 integer
ATTRIBUTE Acct-Output-Packets 48 integer
ATTRIBUTE Acct-Terminate-Cause 49 integer
ATTRIBUTE Acct-Input-Gigawords 52 integer
ATTRIBUTE Acct-Output-Gigawords 53 integer
ATTRIBUTE Event-Timestamp 55 integer
ATTRIBUTE NAS-Port-Type 61 integer
ATTRIBUTE Tunnel-Client-Endpoint 66 string
ATTRIBUTE Tunnel-Server-Endpoint 67 string
ATTRIBUTE Message-Authenticator 80 octets
ATTRIBUTE Error-Cause 101 integer
VENDOR 3GPP2 5535
BEGIN-VENDOR 3GPP2
ATTRIBUTE 3GPP2-Home-Agent-IP-Address 7 ipaddr
ATTRIBUTE 3GPP2-MN-HA-SPI 57 integer
ATTRIBUTE 3GPP2-MN-HA-Shared-Key 58 octets encrypt=2
ATTRIBUTE 3GPP2-Foreign-Agent-Address 79 ipaddr
END-VENDOR 3GPP2
"""
    )
)


class NoAnswer(Exception):
    """The server said nothing that can be believed, or nothing that can be used: nothing is known."""


@dataclass(slots=True)
class _Asked:
    packet: Packet
    answer: asyncio.Future[Packet]


class RadiusClient(asyncio.DatagramProtocol):
    """Asks one server."""

    def __init__(self, server: tuple[str, int], secret: bytes, timeout: float, tries: int) -> None:
        """timeout: seconds for each of `tries`."""
        self._server = server
        self._secret = secret
        self._timeout = timeout
        self._tries = tries
        self._asked: dict[int, _Asked] = {}
        self._last = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=self._server)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def exchange(self, kind: Callable[..., Packet], attributes: Mapping[str, Any], about: str) -> Packet:
        """The answer to a packet of this kind. about: what it is about, for the log. Raises NoAnswer."""
        if self._transport is None:
            raise NoAnswer(f"not ready to ask about {about}")
        packet = kind(id=self._identifier(), secret=self._secret, dict=DICTIONARY)
        for name, value in attributes.items():
            packet[name] = value
        if packet.code == AccessRequest:
            packet.add_message_authenticator()
        octets = packet.RequestPacket()
        asked = self._asked[packet.id] = _Asked(packet, asyncio.get_running_loop().create_future())
        try:
            for _ in range(self._tries):
                self._transport.sendto(octets)
                done, _pending = await asyncio.wait([asked.answer], timeout=self._timeout)
                if done:
                    return asked.answer.result()
        finally:
            del self._asked[packet.id]
        raise NoAnswer(f"no answer from the RADIUS server about {about}")

    def _identifier(self) -> int:
        """Not one that is under way, nor, if that can be, one that a late answer may come to."""
        for step in range(1, _IDENTIFIERS + 1):
            number = (self._last + step) % _IDENTIFIERS
            if number not in self._asked:
                self._last = number
                return number
        raise NoAnswer("too many questions under way")

    def datagram_received(self, data: bytes, addr: object) -> None:
        """The socket is connected, so it is the server's address; whether the server's words, the secret tells."""
        try:
            reply = Packet(packet=data, secret=self._secret, dict=DICTIONARY)
            asked = self._asked.get(reply.id)
            if asked is None or asked.answer.done():
                return
            reply.request_authenticator = asked.packet.authenticator
            if asked.packet.VerifyReply(reply, data, enforce_ma=True):
                asked.answer.set_result(reply)
        except (PacketError, ValueError, IndexError, KeyError):
            return

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there; that is as good as no answer."""
