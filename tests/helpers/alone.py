"""One agent by itself, asked by a test and watched for its answers."""

from __future__ import annotations

from typing import Any

from host_agents.effects import InstallDelivery, SendDatagram, SendFrame
from mip4.address import parse
from mip4.const import PORT, PROTO_ICMP
from mip4.discovery import AgentAdvertisement, AgentSolicitation
from mip4.extensions import MobileHomeAuthentication, Nai, find
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import SubNai, find_sub_nai
from tests.helpers.agent_stations import ForeignAgentStation, HomeAgentStation
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, VISITED
from tests.helpers.messages import HOME, a_request, an_identification
from tests.helpers.world import World

NODE_LINK = bytes.fromhex("020000000101")
NODE = parse("10.99.1.20")  # on its uplink


def _a_quiet_world() -> World:
    world = World()
    for station in world.foreign_agents.values():
        station.kill()
    world.home_agent.kill()
    return world


class HomeAgentAlone(HomeAgentStation):
    """A home agent; sent: everything it answered."""

    def __init__(self, **changes: Any) -> None:
        self.sent: list[SendDatagram] = []
        super().__init__(_a_quiet_world(), changes)
        self.world.home_agent = self

    def _send(self, effect: SendDatagram) -> None:
        self.sent.append(effect)

    def take(self, datagram: bytes, source: int = FOREIGN_AGENTS["fa1"], port: int = PORT) -> SendDatagram | None:
        """What it answers to `datagram`, None for silence."""
        before = len(self.sent)
        self.receive(datagram, source, port)
        assert len(self.sent) - before <= 1
        return self.sent[-1] if len(self.sent) > before else None

    def ask(self, sub_nai: str = "", *, source: int = FOREIGN_AGENTS["fa1"], **request: Any) -> RegistrationReply:
        """The reply to a_request(...) with a fresh Identification; there must be one, and it must be authentic."""
        request.setdefault("identification", an_identification(self.now, low=self._fresh()))
        datagram = a_request(sub_nai, **request)
        answer = self.take(datagram, source)
        assert answer is not None, self.world.dropped[-1:]
        assert answer.destination == source
        return an_authentic_reply(answer.datagram, to=datagram)

    def _fresh(self) -> int:
        self.asked = getattr(self, "asked", 0) + 1
        return self.asked

    def address_of(self, sub_nai: str = "") -> str:
        return self.bindings()[sub_nai][0]


def an_authentic_reply(
    datagram: bytes, to: bytes, vendor: int = 0, home: Any = HOME, echoes: bool = True
) -> RegistrationReply:
    """Decoded; signed with the node's key, and with NAI and sub-NAI exactly as the request had them."""
    reply = RegistrationReply.decode(datagram)
    request = RegistrationRequest.salvage(to)
    (own,) = find(reply.extensions, MobileHomeAuthentication)
    home.verify(datagram, own)
    assert (reply.identification ^ request.identification) & 0xFFFFFFFF == 0
    if echoes:
        assert find(reply.extensions, Nai) == find(request.extensions, Nai)[:1]
        nai = find(request.extensions, Nai)
        assert sub_nai_in(reply, vendor) == (find_sub_nai(request.extensions, vendor, nai[0].nai) if nai else None)
    return reply


def sub_nai_in(message: RegistrationReply | RegistrationRequest, vendor: int = 0) -> SubNai | None:
    nais = find(message.extensions, Nai)
    return find_sub_nai(message.extensions, vendor, nais[0].nai if nais else b"")


class ForeignAgentAlone(ForeignAgentStation):
    """A foreign agent. relayed: what went to home agents; frames: what went out on the visited link."""

    def __init__(self, kept: dict[int, Any] | None = None, now: int = 0, **changes: Any) -> None:
        """kept: rows of an earlier life."""
        self.relayed: list[SendDatagram] = []
        self.frames: list[SendFrame] = []
        world = _a_quiet_world()
        world.now = now
        self._kept = kept or {}
        super().__init__(world, "fa1", changes)
        self.world.foreign_agents = {"fa1": self}

    def start(self) -> None:
        self.rows.update(self._kept)
        super().start()

    def _run(self, effect: Any) -> None:
        if isinstance(effect, SendDatagram):
            self.relayed.append(effect)
        elif isinstance(effect, SendFrame):
            self.frames.append(effect)
        else:
            super()._run(effect)

    def take(
        self,
        datagram: bytes,
        *,
        source: int = NODE,
        destination: int = VISITED["fa1"],
        ttl: int = 255,
        link_address: bytes = NODE_LINK,
        port: int = PORT,
    ) -> bytes | None:
        """A request from a node on the visited link: what goes to its home agent, None for nothing."""
        before = len(self.relayed)
        octets = Datagram(source, port, destination, PORT, datagram).packet(ttl=ttl).encode()
        self.heard(link_address, octets)
        return self.relayed[-1].datagram if len(self.relayed) > before else None

    def answer(self, datagram: bytes, source: int = HOME_AGENT) -> Datagram | None:
        """A reply from a home agent: what goes to the node, None for nothing."""
        before = len(self.frames)
        self.receive(datagram, source, PORT)
        return self.last() if len(self.frames) > before else None

    def last(self) -> Datagram:
        """The last datagram to a node."""
        packet = Packet.decode(self.frames[-1].packet)
        return Datagram.decode(packet)

    def denial(self, datagram: bytes, **take: Any) -> RegistrationReply | None:
        """The agent's own answer to a request that must not be relayed, None for silence."""
        before = len(self.frames)
        assert self.take(datagram, **take) is None
        return RegistrationReply.decode(self.last().payload) if len(self.frames) > before else None

    def advertisements(self) -> list[tuple[SendFrame, AgentAdvertisement]]:
        found = []
        for frame in self.frames:
            packet = Packet.decode(frame.packet)
            if packet.protocol == PROTO_ICMP:
                assert packet.ttl == 1
                found.append((frame, AgentAdvertisement.decode(packet.payload)))
        return found

    def solicited(self, link_address: bytes = NODE_LINK, ttl: int = 1) -> bool:
        """Whether a solicitation is answered."""
        before = len(self.frames)
        self.heard(link_address, Packet(0, parse("224.0.0.2"), PROTO_ICMP, ttl, AgentSolicitation().encode()).encode())
        return len(self.frames) > before

    def delivery(self, home_address: int) -> InstallDelivery | None:
        return self.deliveries.get(home_address)
