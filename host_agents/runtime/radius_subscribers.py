"""What a RADIUS server says of a subscriber (RFC 2865), with the attributes of 3GPP2 (X.S0011) for his key."""

from __future__ import annotations

from pyrad.packet import AccessAccept, AccessReject, AuthPacket, PacketError

from host_agents.home_agent.policy import Subscriber
from host_agents.runtime.radius import NAS_IDENTIFIER, NoAnswer, RadiusClient
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.errors import Malformed

_AUTHORIZE_ONLY = 17


class RadiusSubscribers:
    """Asks one server who somebody is. sessions: of each subscriber."""

    def __init__(self, client: RadiusClient, sessions: int) -> None:
        self._client = client
        self._sessions = sessions
        self.open, self.close = client.open, client.close

    async def ask(self, nai: str, spi: int) -> Subscriber | None:
        """Who `nai` is; None: nobody, says the server. Raises NoAnswer."""
        wanted = {
            "User-Name": nai,
            "NAS-Identifier": NAS_IDENTIFIER,
            "Service-Type": _AUTHORIZE_ONLY,
            "3GPP2-MN-HA-SPI": spi,
        }
        reply = await self._client.exchange(AuthPacket, wanted, f"nai={nai}")
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
