"""A RADIUS client that asks for subscribers (RFC 2865), with the attributes of 3GPP2 (X.S0011) for their keys.

Every request has a Message-Authenticator, and no answer without one is believed (RFC 3579 §3.2; BlastRADIUS).
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessReject, AuthPacket, Packet, PacketError

from host_agents.home_agent.policy import Subscriber
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.errors import Malformed

_IDENTIFIERS = 256  # requests under way at a time: their number is one octet
_AUTHORIZE_ONLY = 17
_DICTIONARY = Dictionary(
    io.StringIO(
        """
ATTRIBUTE User-Name 1 string
ATTRIBUTE Service-Type 6 integer
ATTRIBUTE Framed-IP-Address 8 ipaddr
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Message-Authenticator 80 octets
VENDOR 3GPP2 5535
BEGIN-VENDOR 3GPP2
ATTRIBUTE 3GPP2-MN-HA-SPI 57 integer
ATTRIBUTE 3GPP2-MN-HA-Shared-Key 58 octets encrypt=2
END-VENDOR 3GPP2
"""
    )
)


class NoAnswer(Exception):
    """The server said nothing that can be believed, or nothing that can be used: nothing is known."""


@dataclass(slots=True)
class _Asked:
    packet: AuthPacket
    answer: asyncio.Future[Packet]


class RadiusClient(asyncio.DatagramProtocol):
    """Asks one server."""

    def __init__(self, server: tuple[str, int], secret: bytes, timeout: float, tries: int, sessions: int) -> None:
        """timeout: seconds for each of `tries`. sessions: of each subscriber."""
        self._server = server
        self._secret = secret
        self._timeout = timeout
        self._tries = tries
        self._sessions = sessions
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

    async def ask(self, nai: str, spi: int) -> Subscriber | None:
        """Who `nai` is; None: nobody, says the server. Raises NoAnswer."""
        reply = await self._exchange(nai, spi)
        if reply.code == AccessReject:
            return None
        if reply.code != AccessAccept or "3GPP2-MN-HA-Shared-Key" not in reply:
            raise NoAnswer(f"an answer without 3GPP2-MN-HA-Shared-Key about nai={nai}")
        try:
            number = reply["3GPP2-MN-HA-SPI"][0] if "3GPP2-MN-HA-SPI" in reply else spi
            association = SecurityAssociation(number, bytes(reply["3GPP2-MN-HA-Shared-Key"][0]), "hmac-md5")
            addresses = {"": parse(reply["Framed-IP-Address"][0])} if "Framed-IP-Address" in reply else {}
        except (ValueError, Malformed, PacketError) as error:
            raise NoAnswer(f"an answer that makes no sense about nai={nai}: {error}") from error
        return Subscriber(nai, {number: association}, self._sessions, addresses)

    async def _exchange(self, nai: str, spi: int) -> Packet:
        if self._transport is None:
            raise NoAnswer(f"not ready to ask about nai={nai}")
        packet = AuthPacket(id=self._identifier(), secret=self._secret, dict=_DICTIONARY)
        packet["User-Name"] = nai
        packet["NAS-Identifier"] = "entourage"
        packet["Service-Type"] = _AUTHORIZE_ONLY
        packet["3GPP2-MN-HA-SPI"] = spi
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
        raise NoAnswer(f"no answer from the RADIUS server about nai={nai}")

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
            reply = Packet(packet=data, secret=self._secret, dict=_DICTIONARY)
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
