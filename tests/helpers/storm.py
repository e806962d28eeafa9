"""A world in which a seeded chance decides what happens: bad weather, moves, reboots, devices that come and go."""

from __future__ import annotations

import random

from host_agents.home_agent.policy import HomeNetwork
from mip4.address import parse
from mip4.authentication import AaaAssociation
from mip4.const import PROTO_UDP
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationRequest
from tests.helpers.alone import sub_nai_in
from tests.helpers.builders import GATEWAY, NTP_2026, a_subscriber
from tests.helpers.node_station import NodeStation
from tests.helpers.world import Weather, World

DISCOVER, RELEASE = 1, 7
STORM = 45  # seconds
CALM = 120
DEVICES = [bytes((2, 0, 0, 0, 9, number)) for number in range(4)]
NAIS = ("a@example.net", "b@example.net")


class Storm:
    """A world with two nodes, and a chance that decides what happens to it. Each node has two of the four devices."""

    def __init__(
        self, seed: int, replay: str = "timestamps", challenge: bool = False, places: tuple[str, ...] = ("fa1", "fa2")
    ) -> None:
        """places: where nodes go."""
        self.chance = random.Random(seed)
        self.places = places
        pool = ((parse("10.10.0.10"), parse("10.10.0.250")),)
        network = HomeNetwork((parse("10.10.0.0"), 24), pool, GATEWAY, (parse("198.51.100.53"),))
        aaa = {"spi": 2, "key": b"for the AAA server", "algorithm": "hmac-md5"} if challenge else None
        known = {"nonces": replay == "nonces", "aaa": {2: AaaAssociation(**aaa)} if aaa else {}}
        self.world = World(
            home_agent={
                "subscribers": {nai: a_subscriber(nai, sessions=8, **known) for nai in NAIS},
                "networks": (network,),
            },
            foreign_agents={
                "advertise_interval": self.chance.choice((1000, 2000)),
                "requests_per_minute": 600,
                "challenge": challenge,
            },
        )
        for station in (self.world.home_agent, *self.world.foreign_agents.values()):
            if self.chance.random() < 0.7:
                slowest = self.chance.choice((5, 50, 400))
                station.commit_time = lambda slowest=slowest: self.chance.randint(1, slowest)
        self.nodes = [
            self.world.add_node(
                self.chance.choice(("fa1", "fa2")),
                nai=nai,
                applications=["telemetry"],
                ntp_ms=clock,
                replay=replay,
                aaa=aaa,
            )
            for nai, clock in zip(NAIS, self.chance.choice(((NTP_2026, 0), (NTP_2026, NTP_2026))), strict=True)
        ]
        self.present: set[bytes] = set()
        self.stepped = False
        self.asked: list[tuple[int, object, int]] = []  # when, which registration, through which care-of address
        self.world.watch = self._note

    def _note(self, source: str, destination: str, octets: bytes) -> None:
        for node in self.nodes:
            packet = Packet.decode(octets) if source == node.name else None
            if packet is not None and packet.protocol == PROTO_UDP:
                request = RegistrationRequest.decode(Datagram.decode(packet).payload)
                named = sub_nai_in(request)
                registration = node.registration("" if named is None else named.sub_nai.decode())
                self.asked.append((self.world.now, registration, request.care_of_address))

    def weather(self) -> None:
        self.world.weather = Weather(
            self.chance,
            loss=self.chance.choice((0.05, 0.2, 0.5)),
            duplication=self.chance.choice((0.0, 0.2, 0.5)),
            delay=self.chance.choice((0, 30, 300, 3000)),
        )

    def node_of(self, device: bytes) -> NodeStation:
        return self.nodes[DEVICES.index(device) % 2]

    def blow(self) -> None:
        """One thing happens."""
        node, world = self.chance.choice(self.nodes), self.world
        happening = self.chance.choices(
            ("move", "flap", "nowhere", "arrive", "leave", "node", "fa", "fa lost all", "ha", "weather"),
            weights=(5, 2, 1, 6, 4, 1, 1, 1, 1, 2),
        )[0]
        device = self.chance.choice(DEVICES)
        if happening == "move":
            node.move(self.chance.choice(self.places))
        elif happening == "flap":
            node.move(node.at)
        elif happening == "nowhere":
            node.move(None)
        elif happening == "arrive":
            self.present.add(device)
            self.node_of(device).device(DISCOVER, device)
        elif happening == "leave" and device in self.present:
            self.present.discard(device)
            address = self.node_of(device).address_of_device(device)
            if address:
                self.node_of(device).device(RELEASE, device, client_address=address)
        elif happening == "node":
            node.boot()
        elif happening in ("fa", "fa lost all"):
            station = world.foreign_agents[self.chance.choice(("fa1", "fa2"))]
            station.kill()
            if happening == "fa lost all":
                station.rows.clear()
            world.at(world.now + self.chance.randint(0, 8000), lambda: station.up or station.start())
        elif happening == "ha":
            world.home_agent.kill()
            step = self.chance.choice((0, 0, -86_400_000, 3000))
            self.stepped = self.stepped or step != 0
            world.at(
                world.now + self.chance.randint(0, 8000),
                lambda: world.home_agent.up or world.home_agent.start(NTP_2026 + world.now + step),
            )
        elif happening == "weather":
            self.weather()

    def rage(self) -> None:
        self.weather()
        until = self.world.now + STORM * 1000
        while self.world.now < until:
            self.world.pass_time(self.chance.choice((0.005, 0.05, 0.5, 2, 6)))
            self.blow()
            self.world.nothing_is_shared()

    def calm(self) -> None:
        """The air clears, everybody is up somewhere, and devices ask as devices do.

        Where the home agent's clock was changed, a request of before that is still on its way may carry the larger
        Identification and undo a later one, until that is renewed (RFC 5944 §5.7.1 has no remedy): stragglers first.
        """
        world = self.world
        world.weather = None
        for station in (world.home_agent, *world.foreign_agents.values()):
            if not station.up:
                station.start(*([NTP_2026 + world.now] if station is world.home_agent else []))
        if self.stepped:
            world.pass_time(seconds=10)
        for node in self.nodes:
            if node.at is None or self.stepped:
                node.move(self.chance.choice(self.places))
        for _ in range(CALM // 10):
            for device in self.present:
                self.node_of(device).device(DISCOVER, device)
            world.pass_time(seconds=10)
            world.nothing_is_shared()
