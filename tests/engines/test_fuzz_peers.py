"""Peers who hold the right key and say anything: nothing is raised, no table grows, and the honest are served after."""

import random

import pytest

from host_agents.datapath.carrier import Exit
from host_agents.datapath.path_mtu import PathMtu
from host_agents.datapath.udp_carrier import UdpCarrier
from host_agents.effects import SendDatagram
from mip4.address import parse
from mip4.const import ALL_SYSTEMS, FLAG_D, FLAG_S, FLAG_T, PORT, PROTO_ICMP
from mip4.discovery import AgentAdvertisement, MobilityAgent, PrefixLengths
from mip4.effects import Attach, Detach
from mip4.extensions import (
    CriticalVendor,
    ForeignAgentError,
    ForeignHomeAuthentication,
    HomeAgentAddress,
    MessageString,
    MobileHomeAuthentication,
    Nai,
    RevocationSupport,
    UdpTunnelReply,
    UdpTunnelRequest,
    host_configuration,
)
from mip4.ip import Packet, checksum
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.revocation import RegistrationRevocation, RevocationAcknowledgement
from tests.helpers.alone import NODE, ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, VISITED, a_subscriber
from tests.helpers.damage import EACH, chance, damaged
from tests.helpers.driven_node import DrivenNode, named
from tests.helpers.messages import FOREIGN_HOME, HOME, a_reply, a_request, an_identification

__all__ = ["chance"]

FA1 = FOREIGN_AGENTS["fa1"]
HOME_ADDRESS, OUTSIDE, CAFE = parse("10.10.0.10"), parse("203.0.113.130"), parse("198.51.100.77")
IDENTIFICATION = {1: slice(16, 24), 3: slice(12, 20)}  # message type -> where it stands


def _fresh(octets: bytes, identification: int) -> bytes:
    """A request or a reply with that Identification, if it is long enough to have one."""
    place = IDENTIFICATION.get(octets[0] if octets else 0)
    if place is None or len(octets) < place.stop:
        return octets
    return octets[: place.start] + identification.to_bytes(8, "big") + octets[place.stop :]


@pytest.mark.parametrize("nonces", [False, True], ids=["timestamps", "nonces"])
def test_home_agent_and_nodes(chance, nonces):
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME}, subscribers={NAI: a_subscriber(nonces=nonces)})
    udp = [UdpTunnelRequest(True, False, 4)]
    bodies = [
        a_request("pc1", home=None),
        a_request("pc1", home=None, lifetime=0, home_address=HOME_ADDRESS),
        a_request("", home=None, flags=FLAG_D | FLAG_T, care_of_address=NODE, before=udp),
        a_request("pc2", home=None, flags=FLAG_S, home_agent=0, before=[HomeAgentAddress(1, HOME_AGENT)]),
        a_request("pc3", home=None, before=[host_configuration(0, b"\0"), CriticalVendor(9, 1, b"?")]),
    ]
    codes, word = set(), 0

    for number in range(EACH):
        body = damaged(chance, chance.choice(bodies), bodies) if chance.random() < 0.8 else chance.choice(bodies)
        if chance.random() < 0.8:
            body = _fresh(body, word << 32 | number if nonces else an_identification(agent.now, low=number))
        asked = HOME.sign(body, MobileHomeAuthentication) + chance.choice((b"", RevocationSupport(True, 1).encode()))
        if chance.random() < 0.7:
            asked = FOREIGN_HOME.sign(asked, ForeignHomeAuthentication)
        answer = agent.take(asked, chance.choice((FA1, FA1, NODE, OUTSIDE)), chance.choice((PORT, 61001)))
        reply = None if answer is None else RegistrationReply.decode(answer.datagram)
        word = word if reply is None else reply.identification >> 32
        codes.add(None if reply is None else reply.code)
        agent.run(agent.engine.rebound(HOME_ADDRESS + chance.randrange(9), OUTSIDE, chance.randrange(65536), agent.now))
        agent.world.pass_time(seconds=0.01)
        assert len(agent.engine.bindings) <= 8
        assert len(agent.identifications) <= 8 + 64 + 8
    agent.bindings()
    assert {None, 0, 129, 132, 133, 134} <= codes
    agent.world.pass_time(seconds=2000)
    assert agent.bindings() == {}
    if nonces:
        word = agent.ask("pc1", foreign_home=FOREIGN_HOME).identification >> 32
    fresh = word << 32 | EACH if nonces else an_identification(agent.now, low=EACH)
    assert agent.ask("pc1", foreign_home=FOREIGN_HOME, identification=fresh).code == 0


def test_foreign_agent_and_its_home_agent(chance):
    agent = ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME}, requests_per_minute=60_000, visitors=8)
    told = {"visiting": 0, "denied": 0}

    for number in range(EACH):
        request = a_request(f"pc{number % 12}", identification=an_identification(low=number), flags=FLAG_T)
        if agent.take(request, link_address=(number % 7).to_bytes(6, "big")) is not None:
            code, lifetime = chance.choice((0, 0, 0, 1, 130)), chance.choice((0, 60, 600, 0xFFFF))
            home_address = HOME_ADDRESS + chance.randrange(12)
            bodies = [a_reply(request, code, home_address=home_address, lifetime=lifetime), a_reply(request, 133)]
            body = damaged(chance, bodies[0], bodies) if chance.random() < 0.7 else bodies[0]
            body = _fresh(body, an_identification(low=number)) + RevocationSupport(True, 1).encode()
            passed_on = agent.answer(FOREIGN_HOME.sign(body, ForeignHomeAuthentication))
            told["visiting" if passed_on is not None and passed_on.payload[:2] == b"\3\0" else "denied"] += 1
        agent.world.pass_time(seconds=chance.choice((0.1, 1, 3)))
        assert len(agent.visitors()) <= 8
    assert min(told.values()) > EACH // 20
    agent.world.pass_time(seconds=1000)
    assert agent.visitors() == {}
    assert list(agent.engine.visitors.pending()) == []


@pytest.mark.parametrize("home", [True, False], ids=["home agent", "foreign agent"])
def test_revocations(chance, home):
    if home:
        agent, peer = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME}), FA1
    else:
        agent, peer = ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME}, requests_per_minute=60_000), HOME_AGENT
    answered = 0

    for number in range(EACH):
        if number % 10 == 0:
            _register(agent, home, number)
        stamp = 0xED003780 + agent.now // 1000 + chance.choice((-5, 0, 1, 5))
        fields = (not home, chance.random() < 0.5, HOME_ADDRESS, HOME_AGENT, FA1, stamp, [Nai(NAI.encode())])
        bodies = [
            RegistrationRevocation(*fields).encode(),
            RevocationAcknowledgement(True, HOME_ADDRESS, stamp, []).encode(),
        ]
        body = damaged(chance, chance.choice(bodies), bodies) if chance.random() < 0.7 else bodies[0]
        turn = agent.engine.receive(FOREIGN_HOME.sign(body, ForeignHomeAuthentication), peer, PORT, agent.now)
        agent.run(turn)
        answers = [one for one in turn.effects if isinstance(one, SendDatagram)]
        answered += len(answers)
        assert len(answers) <= 1
        agent.world.pass_time(seconds=0.2)
    assert answered > EACH // 20
    assert len(agent.engine._revocations._carried_out) <= 2
    agent.bindings() if home else agent.visitors()


def _register(agent, home, number):
    support = RevocationSupport(True, 0xED003780 + agent.now // 1000).encode()
    if home:
        agent.ask("kept", home_address=HOME_ADDRESS, foreign_home=FOREIGN_HOME, after=support)
    else:
        request = a_request("kept", identification=an_identification(low=number))
        agent.take(request)
        agent.answer(a_reply(request, home_address=HOME_ADDRESS, after=support, foreign_home=FOREIGN_HOME))


def _heard_or_addressed(co_located: bool, replay: str = "timestamps") -> DrivenNode:
    if not co_located:
        return DrivenNode(applications=["telemetry"], replay=replay).up(lifetime=9000)
    node = DrivenNode(applications=["telemetry"], mode="co-located", replay=replay)
    node.run(node.engine.link_up(0))
    node.run(node.engine.address(CAFE, 0))
    return node


@pytest.mark.parametrize("co_located", [False, True], ids=["through an agent", "co-located"])
@pytest.mark.parametrize("replay", ["timestamps", "nonces"])
def test_mobile_node_and_its_home_agent(chance, co_located, replay):
    node = _heard_or_addressed(co_located, replay)
    node.adverts = {}
    latest, attached, codes = {}, set(), set()

    for number in range(EACH):
        if not co_located and number % 100 == 0:
            node.hear("fa1", again=False, lifetime=9000)
        latest |= {named(RegistrationRequest.decode(one)): one for _, one in node.requests}
        node.requests.clear()
        asked = latest[chance.choice(("", "telemetry"))]
        bodies = [_reply_to(chance, asked), _reply_to(chance, asked)]
        body = damaged(chance, bodies[0], bodies) if chance.random() < 0.7 else bodies[0]
        if chance.random() < 0.9:
            body = _fresh(body, int.from_bytes(asked[16:24], "big"))
        errors = b"" if chance.random() < 0.9 else ForeignAgentError(chance.choice((66, 68))).encode()
        node.run(node.engine.receive(HOME.sign(body, MobileHomeAuthentication) + errors, HOME_AGENT, node.now))
        node.run(node.engine.tunnelled(damaged(chance, _keepalive_answer(), [body]), node.now))
        node.pass_time(chance.choice((0, 0.5, 2, 40)))
        for one in node.effects:
            if isinstance(one, Attach | Detach):
                (attached.add if isinstance(one, Attach) else attached.remove)(one.home_address)
        node.effects.clear()
        codes |= {node.status(name)["code"] for name in ("", "telemetry")}
        assert len(attached) <= 2
    assert {0, 130, 133} <= codes
    node.requests += [(0, one) for one in latest.values()]
    assert "" in _served(node)  # the other, too, unless the home agent has shown that it knows no sub-NAI


def _reply_to(chance: random.Random, asked: bytes) -> bytes:
    """What a home agent might say, and some things that none would."""
    before = [
        *([HomeAgentAddress(2, HOME_AGENT + 1)] if chance.random() < 0.2 else []),
        *([UdpTunnelReply(chance.choice((0, 64)), False, chance.randrange(200))] if chance.random() < 0.5 else []),
        *([MessageString(1, chance.randbytes(9))] if chance.random() < 0.2 else []),
        host_configuration(chance.choice((1, 2, 5)), chance.randbytes(chance.choice((1, 4, 8)))),
    ]
    code = chance.choice((0, 0, 0, 1, 129, 130, 133, 136, 138, 142, 143))
    echoed = RegistrationReply.decode(a_reply(asked, home=None)).extensions
    lifetime = chance.choice((0, 1, 60, 600, 0xFFFF))
    address = HOME_ADDRESS + chance.randrange(3)
    return a_reply(asked, code, before=[*echoed, *before], home=None, home_address=address, lifetime=lifetime)


def _keepalive_answer() -> bytes:
    head = bytes((0, 0, 0, 0, 0x4D, 0x49, 0, 1)) + b"keep"
    message = head[:2] + checksum(head).to_bytes(2, "big") + head[4:]
    return bytes(Packet(HOME_AGENT, HOME_ADDRESS, PROTO_ICMP, 64, message).encode())


def test_mobile_node_and_its_visited_link(chance):
    """Agents that nobody knows, who answer requests as they like; nothing of what they say is signed."""
    node = _heard_or_addressed(False)
    node.adverts = {}
    sent = []

    for number in range(EACH):
        extensions = [MobilityAgent(chance.randrange(65536), 600, 0x9100, [FA1]), PrefixLengths([24])]
        message = AgentAdvertisement(16, chance.choice((0, 3, 30)), [(VISITED["fa1"], 0)], extensions).encode()
        message = damaged(chance, message, [message]) if chance.random() < 0.8 else message
        message = message[:2] + checksum(message[:2] + b"\0\0" + message[4:]).to_bytes(2, "big") + message[4:]
        source = VISITED["fa1"] + chance.randrange(20)
        heard = Packet(source, ALL_SYSTEMS, PROTO_ICMP, 1, message).encode()
        node.run(node.engine.heard(heard, bytes((2, 0, 0, 0, 0, chance.randrange(4))), node.now))
        if node.requests and chance.random() < 0.5:
            code = chance.choice((64, 65, 66, 69, 71, 74, 75, 77, 78, 80, 96, 97, 101, 194))
            reply = a_reply(node.last(), code, home=None, lifetime=chance.randrange(700))
            node.run(node.engine.receive(damaged(chance, reply, [reply]), source, node.now))
        sent += [time for time, _ in node.requests]
        node.requests = node.requests[-2:] if number % 7 else []
        node.effects.clear()
        node.pass_time(chance.choice((0, 0.1, 1, 5)))
        assert len(node.engine._care_of._discovery._agents) <= 8
        assert len(node.engine._care_of._discovery._avoided) <= 8
    assert len(set(sent)) > EACH // 20
    node.run(node.engine.link_down(node.now))
    node.pass_time(2)
    node.up("fa1")
    assert _served(node) == ["", "telemetry"]


def _served(node: DrivenNode) -> list[str]:
    """The sessions that an honest home agent has registered when the longest backoff is over."""
    for _ in range(40):
        for name in ("", "telemetry"):
            if node.state(name) != "registered" and node.times(name):
                node.answer(sub_nai=name, home_address=HOME_ADDRESS + len(name))
        node.pass_time(10)
    return [name for name in ("", "telemetry") if node.state(name) == "registered"]


class _Port:
    """The agent's socket, which the test is."""

    port = PORT

    def carry(self, tunnelled, failed):
        self.tunnelled, self.failed = tunnelled, failed

    def send_tunnelled(self, *_):
        raise AssertionError("nothing is to be sent")


def test_message_4_at_an_agent(chance):
    arrived, dropped = [], []
    exit_ = Exit(lambda _, inner, *more: arrived.append(inner), lambda *one: dropped.append(one), dropped.append)
    carrier, port = UdpCarrier(PathMtu(HOME_AGENT), exit_), _Port()
    carrier.use(port)
    genuine = b"\4\4\0\0" + _keepalive_answer()

    for number in range(1, EACH + 1):
        octets = damaged(chance, genuine, [genuine]) if chance.random() < 0.9 else genuine
        before = len(dropped)
        port.tunnelled(memoryview(b"\4" + octets[1:]), OUTSIDE, chance.choice((0, 61001)), chance.randrange(256))
        assert len(arrived) + len(dropped) == number
        assert not arrived or len(arrived[-1].packet) <= len(octets) - 4 or len(dropped) > before
        port.failed(memoryview(octets), OUTSIDE, 61001, 3, chance.randrange(16))
        dropped.pop()
    assert min(len(arrived), len(dropped)) > EACH // 20
