"""A mobile node engine by itself: a test is its agent and its home agent, and sees every request."""

from __future__ import annotations

from typing import Any

from mip4 import effects
from mip4.address import parse
from mip4.const import ADVERT_F, ADVERT_R, ADVERT_T, ALL_SYSTEMS, CONFIG_GATEWAY, PROTO_ICMP
from mip4.discovery import AdvertisedChallenge, AgentAdvertisement, MobilityAgent, PrefixLengths
from mip4.extensions import Nai, host_configuration
from mip4.ip import Packet
from mip4.messages import RegistrationRequest
from mobile_node.mobile_node import MobileNode
from tests.helpers.alone import sub_nai_in
from tests.helpers.builders import FOREIGN_AGENTS, GATEWAY, NTP_2026, VISITED, a_dhcp_message, a_node_config
from tests.helpers.messages import a_reply

HOME_ADDRESS = parse("10.10.0.10")
AGENT_LINKS = {"fa1": bytes.fromhex("02000a630101"), "fa2": bytes.fromhex("02000a630201")}
FLAGS = ADVERT_F | ADVERT_R | ADVERT_T


def an_advertisement(
    name: str = "fa1",
    sequence: int = 300,
    flags: int = FLAGS,
    lifetime: int = 3,
    registration: int = 600,
    care_of: int | None = None,
    prefix_length: int | None = 24,
    ttl: int = 1,
    challenge: bytes = b"",
) -> bytes:
    """An IPv4 packet with an Agent Advertisement of `name`."""
    extensions: list[Any] = [
        MobilityAgent(sequence, registration, flags, [FOREIGN_AGENTS[name] if care_of is None else care_of])
    ]
    if prefix_length is not None:
        extensions.append(PrefixLengths([prefix_length]))
    if challenge:
        extensions.append(AdvertisedChallenge(challenge))
    message = AgentAdvertisement(0, lifetime, [(VISITED[name], 0)], extensions).encode()
    return bytes(Packet(VISITED[name], ALL_SYSTEMS, PROTO_ICMP, ttl, message).encode())


class DrivenNode:
    """now: ms. effects: everything it answered with so far. requests: what it sent, (when, datagram)."""

    def __init__(self, ntp_ms: int = NTP_2026, seed: bytes = b"seed", **config: Any) -> None:
        self.now = 0
        self.engine = MobileNode(a_node_config(**config), ntp_ms, seed, [])
        self.effects: list[Any] = []
        self.requests: list[tuple[int, bytes]] = []
        self.adverts: dict[str, dict[str, Any]] = {}
        self.run(self.engine.start(0))

    def run(self, said: list[Any]) -> list[Any]:
        self.effects += said
        self.requests += [(self.now, one.datagram) for one in said if isinstance(one, effects.Send)]
        return said

    def up(self, name: str | None = "fa1", **advertisement: Any) -> DrivenNode:
        """The link comes up, and `name` is heard on it and goes on being heard."""
        self.adverts = {}
        self.run(self.engine.link_up(self.now))
        if name is not None:
            self.hear(name, **advertisement)
        return self

    def hear(self, name: str = "fa1", again: bool = True, **advertisement: Any) -> list[Any]:
        if again:
            self.adverts[name] = advertisement
        return self.run(self.engine.heard(an_advertisement(name, **advertisement), AGENT_LINKS[name], self.now))

    def pass_time(self, seconds: float) -> None:
        """Agents that are heard advertise every second."""
        end = self.now + round(seconds * 1000)
        while True:
            deadline = self.engine.deadline()
            advert = (self.now // 1000 + 1) * 1000 if self.adverts else end + 1
            first = min(advert, max(self.now, end + 1 if deadline is None else deadline))
            if first > end:
                break
            self.now = first
            if first == advert:
                for name, advertisement in list(self.adverts.items()):
                    self.hear(name, **advertisement)
            self.run(self.engine.wake(self.now))
        self.now = end

    def last(self, sub_nai: str | None = None) -> bytes:
        """The last request, of one session if that matters."""
        return next(
            datagram
            for _, datagram in reversed(self.requests)
            if sub_nai is None or named(RegistrationRequest.decode(datagram)) == sub_nai
        )

    def request(self, sub_nai: str | None = None) -> Any:
        return RegistrationRequest.decode(self.last(sub_nai))

    def times(self, sub_nai: str | None = None) -> list[int]:
        """When requests left, ms."""
        return [
            time
            for time, datagram in self.requests
            if sub_nai is None or named(RegistrationRequest.decode(datagram)) == sub_nai
        ]

    def answer(self, code: int = 0, sub_nai: str | None = None, **reply: Any) -> list[Any]:
        """A reply to the last request."""
        asked = self.last(sub_nai)
        message = RegistrationRequest.decode(asked)
        if code in (0, 1):
            reply.setdefault("home_address", message.home_address or HOME_ADDRESS)
            gateway = host_configuration(CONFIG_GATEWAY, GATEWAY.to_bytes(4, "big"))
            echoes = [one for one in message.extensions[:2] if isinstance(one, Nai) or sub_nai_in(message)]
            reply.setdefault("before", [*echoes[: 1 + (sub_nai_in(message) is not None)], gateway])
        if 64 <= code < 128 or code == 194:
            reply.setdefault("home", None)
        return self.run(self.engine.receive(a_reply(asked, code, **reply), VISITED["fa1"], self.now))

    def device(self, kind: int, link_address: bytes, **fields: Any) -> list[Any]:
        return self.run(self.engine.dhcp("down0", a_dhcp_message(kind, link_address, **fields), self.now))

    def status(self, sub_nai: str = "") -> dict[str, Any]:
        return next(one for one in self.engine.status(self.now)["sessions"] if one["sub_nai"] == sub_nai)

    def state(self, sub_nai: str = "") -> str:
        return str(self.status(sub_nai)["state"])

    def said(self, kind: Any) -> list[Any]:
        return [one for one in self.effects if isinstance(one, kind)]


def named(request: Any) -> str:
    found = sub_nai_in(request)
    return "" if found is None else found.sub_nai.decode()
