"""Damaged messages of those who have no key, at the three engines: none raises anything, none that is forged counts."""

import copy
import random

import pytest

from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import ALL_SYSTEMS, FLAG_D, FLAG_T, PORT, PROTO_ICMP
from mip4.discovery import AgentAdvertisement, MobilityAgent, PrefixLengths
from mip4.effects import Dropped
from mip4.errors import MipError
from mip4.extensions import (
    EncapsulatingDelivery,
    ForeignAgentError,
    ForeignHomeAuthentication,
    GreKey,
    HomeAgentAddress,
    MobileForeignAuthentication,
    MobileHomeAuthentication,
    Nai,
    RevocationSupport,
    UdpTunnelRequest,
    find,
    host_configuration,
)
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.revocation import RegistrationRevocation, RevocationAcknowledgement
from mip4.sub_nai import SubNai
from tests.helpers.alone import NODE, NODE_LINK, ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, PC1, VISITED, a_dhcp_message
from tests.helpers.damage import EACH, chance, damaged
from tests.helpers.messages import FOREIGN_HOME, HOME, MOBILE_FOREIGN, a_reply, a_request, an_identification
from tests.helpers.world import World

__all__ = ["chance"]

FA1 = FOREIGN_AGENTS["fa1"]
HOME_ADDRESS = parse("10.10.0.10")


def _requests() -> list[bytes]:
    asked, udp = [host_configuration(0, b"\0")], [UdpTunnelRequest(True, True, 4)]
    offer = RevocationSupport(True, 1).encode()
    return [
        a_request(name, identification=an_identification(low=low), **{"before": asked, **changes})
        for low, (name, changes) in enumerate(
            [
                ("", {}),
                ("pc1", {"flags": 2}),
                ("pc1", {"lifetime": 0, "home_address": HOME_ADDRESS}),
                ("pc2", {"carrier": SubNai(b"pc2", 0, NAI.encode())}),
                ("pc2", {"foreign_home": FOREIGN_HOME}),
                ("pc3", {"mobile_foreign": MOBILE_FOREIGN}),
                ("pc4", {"flags": FLAG_D | FLAG_T, "care_of_address": NODE, "before": udp}),
                ("pc5", {"home_agent": 0, "before": [HomeAgentAddress(1, HOME_AGENT)], "after": offer}),
                ("pc1", {"flags": 0xD8, "after": GreKey(7).encode()}),
                ("pc2", {"flags": 2, "after": EncapsulatingDelivery().encode(), "mobile_foreign": MOBILE_FOREIGN}),
            ]
        )
    ]


def _is_authentic(datagram: bytes, association=HOME, cls=MobileHomeAuthentication) -> bool:
    """Whether the node's key signed what the first authentication extension `cls` covers."""
    try:
        message = RegistrationRequest.salvage(datagram)
        association.verify(datagram, find(message.extensions, cls)[0])
    except (MipError, IndexError):
        return False
    return True


def _tables_of_home_agent(agent: HomeAgentAlone) -> tuple:
    return dict(agent.rows), dict(agent.identifications), dict(agent.tunnels), len(agent.engine._open)


@pytest.mark.parametrize("signing", [False, True], ids=["", "with a key for the foreign agent"])
def test_home_agent(chance, signing):
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME} if signing else {})
    agent.ask("pc1", home_address=HOME_ADDRESS, foreign_home=FOREIGN_HOME if signing else None)
    valid = _requests()
    outcomes = set()

    for _ in range(EACH):
        datagram = damaged(chance, chance.choice(valid), valid)
        before = _tables_of_home_agent(agent)

        answer = agent.take(datagram, chance.choice((FA1, NODE, HOME_ADDRESS)), chance.randrange(65536))

        authentic = _is_authentic(datagram)
        code = None if answer is None else RegistrationReply.decode(answer.datagram).code
        outcomes.add((authentic, code))
        if not authentic:
            assert _tables_of_home_agent(agent) == before
            assert code in (None, 131)
            assert answer is None or len(answer.datagram) <= len(datagram)
        agent.world.now += 1
    agent.bindings()
    assert {(False, None), (False, 131), (True, 134)} <= outcomes  # noise that is only refused would prove nothing


def test_foreign_agent_and_its_visited_link(chance):
    agent = ForeignAgentAlone(mobile_nodes={NAI: {768: MOBILE_FOREIGN}}, requests_per_minute=60_000)
    datagram = a_request("kept", mobile_foreign=MOBILE_FOREIGN)
    agent.take(datagram)
    agent.answer(a_reply(datagram, home_address=HOME_ADDRESS))
    before = agent.visitors()
    valid = [*_requests(), a_request("pc1", nai="other@example.net"), a_request("pc1", nai=None)]
    relayed = 0

    for _ in range(EACH):
        payload = damaged(chance, chance.choice(valid), valid)
        octets = Datagram(chance.choice((0, NODE)), PORT, VISITED["fa1"], PORT, payload).packet(ttl=255).encode()
        if chance.random() < 0.2:
            octets = damaged(chance, octets, [octets])
        sent = len(agent.frames)

        agent.heard(bytes((2, *chance.randbytes(5))), octets)

        for frame in agent.frames[sent:]:
            assert len(frame.packet) <= len(octets) or _is_authentic(
                payload, MOBILE_FOREIGN, MobileForeignAuthentication
            )
        relayed += len(agent.relayed)
        agent.relayed.clear()
        agent.world.pass_time(seconds=0.01)
        assert len(list(agent.engine.visitors.pending())) <= 800
    assert agent.visitors() == (before if agent.now < 600_000 else {})
    assert relayed > 50
    agent.world.pass_time(seconds=10)
    assert list(agent.engine.visitors.pending()) == []


def test_foreign_agent_and_its_home_agents(chance):
    """A forger who sees every request, without the home agent's key."""
    agent = ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME}, requests_per_minute=60_000)
    datagram = a_request("kept")
    agent.take(datagram)
    agent.answer(a_reply(datagram, home_address=HOME_ADDRESS, foreign_home=FOREIGN_HOME))
    before = agent.visitors()
    genuine = a_reply(a_request("kept"), home_address=HOME_ADDRESS, lifetime=300, foreign_home=FOREIGN_HOME)
    outcomes = set()

    for number in range(EACH):
        request = a_request("kept", identification=an_identification(low=number))
        agent.take(request, link_address=number.to_bytes(6, "big"))
        forged = [
            a_reply(request, home_address=HOME_ADDRESS, **changes)
            for changes in ({}, {"lifetime": 0}, {"code": 131}, {"home_agent": 0})
        ]

        told = agent.answer(damaged(chance, chance.choice(forged), [*forged, genuine]))

        outcomes.add(None if told is None else _complaint(told.payload))
        agent.run(agent.engine.unreachable(damaged(chance, b"\x01\x02\x03", [genuine]), 80, agent.now))
        agent.world.pass_time(seconds=2)
        assert agent.visitors() == (before if agent.now < 600_000 else {})
    assert outcomes == {None, 68, 71}


def _complaint(octets: bytes) -> int:
    """71 in a denial of its own, or 68 behind what nobody but the node can judge."""
    reply = RegistrationReply.decode(octets)
    errors = find(reply.extensions, ForeignAgentError)
    return errors[-1].status if errors else reply.code


@pytest.mark.parametrize("home", [True, False], ids=["home agent", "foreign agent"])
def test_revocations(chance, home):
    """A forger who has seen revocations and acknowledgements of another key ends nothing and hears nothing."""
    agent = (
        HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME})
        if home
        else ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME})
    )
    if home:
        agent.ask(
            "kept", home_address=HOME_ADDRESS, foreign_home=FOREIGN_HOME, after=RevocationSupport(True, 1).encode()
        )
    else:
        datagram = a_request("kept")
        agent.take(datagram)
        agent.answer(a_reply(datagram, home_address=HOME_ADDRESS, foreign_home=FOREIGN_HOME))
    before = agent.bindings() if home else agent.visitors()
    fields = (not home, True, HOME_ADDRESS, HOME_AGENT, FA1, 0xF0000000, [Nai(NAI.encode())])
    wrong = SecurityAssociation(512, b"another key than theirs")
    valid = [
        wrong.sign(message.encode(), ForeignHomeAuthentication)
        for message in (
            RegistrationRevocation(*fields),
            RevocationAcknowledgement(True, HOME_ADDRESS, 0xF0000000, []),
        )
    ]

    for _ in range(EACH):
        turn = agent.engine.receive(damaged(chance, chance.choice(valid), valid), FA1 if home else HOME_AGENT, 434, 0)
        assert [type(effect) for effect in turn.effects] == [Dropped]

    assert (agent.bindings() if home else agent.visitors()) == before


def test_mobile_node(chance):
    world = World(foreign_agents={"advertise_interval": 600_000})
    node = world.add_node(names={"02:00:00:00:00:11": "pc1"})
    world.pass_time(seconds=1)
    node.device(1, PC1)
    world.pass_time(seconds=1)
    advertisement = AgentAdvertisement(
        0, 1800, [(VISITED["fa1"], 0)], [MobilityAgent(300, 600, 0x9100, [FA1]), PrefixLengths([24])]
    ).encode()
    heard = Packet(VISITED["fa1"], ALL_SYSTEMS, PROTO_ICMP, 1, advertisement).encode()
    asked = []
    world.watch = lambda source, destination, octets: asked.append(octets) if source == "mn1" else None
    node.run(node.engine.wake(node.engine.deadline()))
    requests = [Datagram.decode(Packet.decode(octets)).payload for octets in asked]
    replies = [a_reply(one, home_address=node.home_address(""), home=None) for one in requests]
    genuine = [a_reply(one, home_address=node.home_address("")) for one in requests]
    dhcp = [a_dhcp_message(kind, PC1, client_address=HOME_ADDRESS + 1) for kind in (1, 3, 7)]
    before = copy.deepcopy(node.sessions())
    attached = dict(node.attached)

    for _ in range(EACH):
        forged = damaged(chance, chance.choice(replies), replies)
        truncated = chance.choice(genuine)
        node.run(node.engine.receive(forged, VISITED["fa1"], node.now))
        node.run(node.engine.receive(truncated[: chance.randrange(len(truncated))], VISITED["fa1"], node.now))
        node.run(node.engine.heard(_spoilt(chance, heard), NODE_LINK, node.now))
        node.run(node.engine.dhcp("down0", damaged(chance, chance.choice(dhcp), dhcp)[:240], node.now))
    assert node.sessions() == before
    assert node.attached == attached
    assert node.router == VISITED["fa1"]
    assert len(world.dropped) > EACH


def test_mobile_node_and_devices_that_say_anything(chance):
    world = World(foreign_agents={"advertise_interval": 600_000})
    node = world.add_node()
    world.pass_time(seconds=1)

    for number in range(EACH):
        octets = a_dhcp_message(chance.choice((1, 3, 4, 7, 8)), bytes((2, 0, 0, 0, 0, number % 40)), host_name="pc")
        node.run(node.engine.dhcp("down0", damaged(chance, octets, [octets]), node.now))
        world.pass_time(seconds=0.05)
        assert len(node.sessions()) <= 16

    world.pass_time(seconds=2000)
    world.nothing_is_shared()
    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert list(world.home_agent.bindings()) == [""]


def _spoilt(chance: random.Random, octets: bytes) -> bytes:
    """An advertisement whose checksum no longer holds, or that came from further away."""
    if chance.random() < 0.1:
        packet = Packet.decode(octets)
        return Packet(
            packet.source, packet.destination, packet.protocol, chance.randrange(2, 256), packet.payload
        ).encode()
    at = chance.randrange(len(octets))
    return octets[:at] + bytes((octets[at] ^ chance.randrange(1, 256),)) + octets[at + 1 :]
