"""Disconnect-Requests of a RADIUS server (RFC 5176 §2.1): authenticated, answered once, for sessions that are named."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pyrad.packet import CoAPacket, DisconnectACK, DisconnectNAK, DisconnectRequest, PacketError

from host_agents.runtime.errors import ConfigurationError, in_words
from host_agents.runtime.radius import DICTIONARY, NAS_IDENTIFIER
from mip4.address import parse
from mip4.effects import Dropped
from mip4.errors import Malformed, MipError

_LATE = 300  # seconds that an Event-Timestamp may be off (RFC 5176 §6.3)
_REMEMBERED = 256  # requests, with their answers
_UNDER_WAY = 64
# What a request may name a session by, or say besides; others have it refused (RFC 5176 §3).
_USER_NAME, _NAS_IP, _SERVICE_TYPE, _FRAMED_IP, _STATION, _NAS_IDENTIFIER = 1, 4, 6, 8, 31, 32
_SESSION_ID, _EVENT_TIMESTAMP = 44, 55
_OTHERS = {18, 33, 49, 80}  # Reply-Message, Proxy-State, Acct-Terminate-Cause, Message-Authenticator
_KNOWN = {_USER_NAME, _NAS_IP, _FRAMED_IP, _STATION, _NAS_IDENTIFIER, _SESSION_ID, _EVENT_TIMESTAMP} | _OTHERS
_UNSUPPORTED, _MISSING, _OTHER_NAS, _UNSUPPORTED_SERVICE, _INVALID = 401, 402, 403, 405, 407  # Error-Cause
_NO_SUCH_SESSION, _RESOURCES = 503, 506

Place = tuple[str, int]
_Key = tuple[str, int, int, bytes]  # address, port, identifier, Request Authenticator


class NotBelieved(MipError):
    """It may be anybody's."""

    kind = "disconnect-not-believed"


@dataclass(slots=True, frozen=True)
class Wanted:
    """The sessions that all of this is true of; None: any."""

    nai: str | None = None
    sub_nai: str | None = None
    home_address: int | None = None
    account_id: str | None = None


@dataclass(slots=True)
class _Answer:
    """To a request that came `at` a time of the event loop's clock; b"": not yet."""

    at: float
    octets: bytes = b""


class _Refused(Exception):
    def __init__(self, cause: int) -> None:
        self.cause = cause


class Disconnects(asyncio.DatagramProtocol):
    """Listens at `place` to `servers` alone. home_agent: our address.

    end: ends sessions, and returns how many when that is durable. dropped: called with what is not believed.
    """

    def __init__(
        self,
        place: Place,
        servers: frozenset[str],
        secret: bytes,
        home_agent: int,
        end: Callable[[Wanted], Awaitable[int]],
        dropped: Callable[[Dropped], None],
    ) -> None:
        self._place = place
        self._servers = servers
        self._secret = secret
        self._home_agent = home_agent
        self._end, self._dropped = end, dropped
        self._answers: OrderedDict[_Key, _Answer] = OrderedDict()  # the oldest first
        self._under_way: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Raises ConfigurationError."""
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self._place)
        except OSError as error:
            raise ConfigurationError(f"radius.disconnect: {in_words(error)}") from error

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One that comes again gets the same answer again, and ends nothing again."""
        source: Place = addr[:2]
        try:
            request = self._believed(data, source[0])
        except MipError as error:
            self._dropped(Dropped(error, parse(source[0])))
            return
        # What says when it was made is the same one from whichever port it comes: so nobody can send it anew.
        port = 0 if _EVENT_TIMESTAMP in request else source[1]
        key = (source[0], port, request.id, request.authenticator)
        self._forget()
        if key in self._answers:
            self._send(self._answers[key].octets, source)
            return
        self._answers[key] = _Answer(asyncio.get_running_loop().time())
        task = asyncio.ensure_future(self._answer(request, key, source))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _forget(self) -> None:
        """What is older was not sent again: a server that has gone through its identifiers may ask for the same."""
        since = asyncio.get_running_loop().time() - _LATE
        while self._answers and (len(self._answers) >= _REMEMBERED or next(iter(self._answers.values())).at < since):
            self._answers.popitem(last=False)

    def error_received(self, exc: Exception) -> None:
        """Who asked is gone."""

    def _believed(self, data: bytes, source: str) -> CoAPacket:
        """Raises NotBelieved."""
        if source not in self._servers:
            raise NotBelieved("not the RADIUS server's address")
        try:
            request = CoAPacket(packet=data, secret=self._secret, dict=DICTIONARY)
            authentic = request.code == DisconnectRequest and request.VerifyCoARequest()
            if authentic and request.message_authenticator:
                authentic = request.verify_message_authenticator()
            stamp = int.from_bytes(request[_EVENT_TIMESTAMP][0], "big") if _EVENT_TIMESTAMP in request else None
        except (PacketError, ValueError, IndexError, KeyError) as error:
            raise NotBelieved(f"no Disconnect-Request: {error}") from error
        if not authentic:
            raise NotBelieved("another kind of request, or another secret")
        if stamp is not None and abs(time.time() - stamp) > _LATE:
            raise NotBelieved("an Event-Timestamp that is minutes off: old, or a clock is wrong")
        return request

    async def _answer(self, request: CoAPacket, key: _Key, source: Place) -> None:
        cause = 0
        try:
            wanted = self._wanted(request)
            if len(self._under_way) > _UNDER_WAY:
                raise _Refused(_RESOURCES)
            if not await self._end(wanted):
                raise _Refused(_NO_SUCH_SESSION)
        except _Refused as refused:
            cause = refused.cause
        reply = request.CreateReply()
        reply.code = DisconnectNAK if cause else DisconnectACK
        if cause:
            reply["Error-Cause"] = cause
        if request.message_authenticator:
            reply.add_message_authenticator()
        octets = reply.ReplyPacket()
        if key in self._answers:
            self._answers[key].octets = octets
        self._send(octets, source)

    def _wanted(self, request: CoAPacket) -> Wanted:
        """Raises _Refused."""
        if _SERVICE_TYPE in request:  # it would have us ask before we do it
            raise _Refused(_UNSUPPORTED_SERVICE)
        if any(one not in _KNOWN for one in request):
            raise _Refused(_UNSUPPORTED)
        try:
            said = {one: str(request[one][0], "utf-8") for one in (_USER_NAME, _STATION, _SESSION_ID) if one in request}
            address = parse(request["Framed-IP-Address"][0]) if _FRAMED_IP in request else None
        except (ValueError, Malformed, PacketError) as error:
            raise _Refused(_INVALID) from error
        ours = {_NAS_IP: self._home_agent.to_bytes(4, "big"), _NAS_IDENTIFIER: NAS_IDENTIFIER.encode()}
        if any(one in request and request[one][0] != value for one, value in ours.items()):
            raise _Refused(_OTHER_NAS)
        if not {_USER_NAME, _FRAMED_IP, _SESSION_ID} & set(request):
            raise _Refused(_MISSING)
        return Wanted(said.get(_USER_NAME), said.get(_STATION), address, said.get(_SESSION_ID))

    def _send(self, octets: bytes, to: Place) -> None:
        if octets and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(octets, to)
