"""The published vectors, damaged one way each, at both agents: the code or the silence that each deserves."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from host_agents.home_agent.policy import HomeNetwork
from mip4.address import parse, show
from mip4.const import PORT
from mip4.effects import Said
from mip4.extensions import (
    ForeignAgentError,
    ForeignHomeAuthentication,
    MobileForeignAuthentication,
    MobileHomeAuthentication,
    find,
)
from mip4.identification import from_ms
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.helpers.alone import NODE_LINK, ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import NTP_2026, VisitedInterface, a_subscriber
from tests.helpers.driven_node import DrivenNode
from tests.vectors import checks

VECTORS = Path(checks.__file__).parent
ROWS = json.loads((VECTORS / "derived.json").read_text())["rows"]
KEYS = checks.keys_beside(str(VECTORS / "derived.json"))
NAI = "gw01@example.net"
KEY, FOREIGN_KEY = (checks.value(checks.load(f"{VECTORS}/keys.json")[name]["key"]) for name in ("K1", "K3"))
HOME_AGENT, CARE_OF, HOME_ADDRESS = parse("198.51.100.1"), parse("192.0.2.1"), parse("203.0.113.10")
AT = 10_000  # ms after the beginning of 2026, as the Identifications say

SILENT_HERE = {
    "the home agent's SPI changed",  # no such association: HA-06 asks for silence, and which key would sign a 131?
}
REQUESTS = [row for row in ROWS if row["of"] in ("V3", "V4")]


@pytest.mark.parametrize("row", REQUESTS, ids=[row["sentence"] for row in REQUESTS])
def test_a_damaged_request_at_the_home_agent(row):
    agent = _home_agent()
    packet = _packet(row)
    source = parse("192.0.2.1") if row["of"] == "V4" else packet.source

    answer = agent.take(packet.payload[8:], source, 50001)

    expected = None if row["sentence"] in SILENT_HERE else row["home_code"]
    if expected is None:  # silence, or no complaint
        assert answer is None or RegistrationReply.decode(answer.datagram).code == 0
        assert (answer is None) == ("error" in row or row["sentence"] in SILENT_HERE)
    else:
        assert RegistrationReply.decode(answer.datagram).code == expected
        assert agent.bindings() == {}


FROM_NODES = [row for row in ROWS if row["of"] == "V3"]


@pytest.mark.parametrize("row", FROM_NODES, ids=[row["sentence"] for row in FROM_NODES])
def test_a_damaged_request_at_the_foreign_agent(row):
    agent = _foreign_agent(shares_a_key="MobileForeignAuthentication" in row.get("holds", ()))

    agent.heard(NODE_LINK, bytes.fromhex(row["datagram"]))

    if row["foreign_code"] is None:
        assert agent.frames == []
        assert bool(agent.relayed) == ("error" not in row)
    else:
        assert RegistrationReply.decode(agent.last().payload).code == row["foreign_code"]
        assert agent.relayed == []


def test_fa_34_a_reply_with_another_lifetime_than_the_home_agent_signed_admits_nobody_and_says_68():
    agent = _foreign_agent()
    agent.heard(NODE_LINK, _datagram_of("v03"))
    (row,) = [row for row in ROWS if row["of"] == "V5"]

    told = RegistrationReply.decode(agent.answer(_packet(row).payload[8:], HOME_AGENT).payload)

    assert find(told.extensions, ForeignAgentError) == [ForeignAgentError(68)]
    assert agent.visitors() == {}
    assert agent.answer(_vector("v05"), HOME_AGENT) is not None  # the true one still is
    assert agent.visitors() == {"cam-1": "203.0.113.10"}


def test_ha_08_a_request_that_is_sent_twice_gets_133():
    agent = _home_agent()

    codes = [_code(agent.take(_vector("v04"), CARE_OF).datagram) for _ in range(2)]

    assert codes == [0, 133]
    assert agent.bindings() == {"cam-1": ("203.0.113.10", "192.0.2.1")}


def test_ha_07_whichever_bit_of_the_nodes_part_is_flipped_it_is_131_if_the_foreign_agent_signed_that():
    """Or silence, where it is another message, or another's NAI or SPI."""
    nodes, rest = _parts(_vector("v04"))
    signed_by_agent = find(RegistrationRequest.decode(_vector("v04")).extensions, ForeignHomeAuthentication)[0].at

    for damaged in _flipped(nodes):
        assert _outcome(damaged + rest) is None  # neither has signed that
    outcomes = {
        _outcome(KEYS["K2"].sign((damaged + rest)[:signed_by_agent], ForeignHomeAuthentication))
        for damaged in _flipped(nodes)
    }

    assert outcomes == {131, None}


def test_ha_09_whichever_bit_of_the_foreign_agents_part_is_flipped_it_is_132():
    """Or 134, where an extension no longer ends where it should; silence, where it must not be skipped."""
    nodes, rest = _parts(_vector("v04"))

    assert {_outcome(nodes + damaged) for damaged in _flipped(rest)} == {132, 134, None}


def test_fa_07_whichever_bit_is_flipped_it_is_67_and_nothing_of_that_node_is_relayed():
    """Or 70, where it is no longer a request as it should be; 97, where it is nobody's; silence, where it is none."""
    outcomes = set()

    for damaged in _flipped(_vector("v03")):
        agent = _foreign_agent()
        agent.heard(NODE_LINK, Datagram(0, 49152, CARE_OF, PORT, damaged).packet(ttl=255).encode())
        assert NAI.encode() not in b"".join(one.datagram for one in agent.relayed)
        outcomes.add(_code(agent.last().payload) if agent.frames else None)

    assert outcomes == {67, 70, 97, None}


def test_mn_16_194_in_v6_without_a_word_of_the_home_agent_is_a_denial():
    node = DrivenNode(
        nai=NAI, own_session="cam-1", home_agent=HOME_AGENT, spi=256, key=KEY,
        foreign_agents=[{"care_of_address": CARE_OF, "spi": 768, "key": FOREIGN_KEY, "algorithm": "hmac-md5"}],
    ).up(care_of=CARE_OF, registration=1800)  # fmt: skip
    v6 = RegistrationReply.decode(_vector("v06"))
    v6.code, v6.identification, v6.extensions = 194, node.request().identification, v6.extensions[:2]

    said = node.run(node.engine.receive(KEYS["K3"].sign(v6.encode(), MobileForeignAuthentication), CARE_OF, 0))

    assert [type(one) for one in said] == [Said]
    assert (node.state("cam-1"), node.status("cam-1")["code"]) == ("registering", 194)


def test_the_vectors_themselves_tell_one_registration():
    """V3 from the node, V4 to the home agent as far as we go, V5 back, V6 to the node as far as we go."""
    agent = _foreign_agent()

    agent.heard(NODE_LINK, _datagram_of("v03"))
    relayed = agent.relayed[0]

    assert relayed.destination == HOME_AGENT
    assert relayed.datagram.startswith(_parts(_vector("v04"))[0])
    assert RegistrationReply.decode(_home_agent().take(relayed.datagram, CARE_OF).datagram).code == 0
    passed_on = agent.answer(_vector("v05"), HOME_AGENT)
    assert passed_on.payload.startswith(_parts(_vector("v06"))[0])
    assert (passed_on.source, passed_on.source_port) == (CARE_OF, PORT)
    assert (passed_on.destination, passed_on.destination_port) == (HOME_ADDRESS, 49152)


def test_ha_26_v14_the_node_is_home_again():
    agent = _home_agent()
    agent.take(_vector("v04"), CARE_OF)
    assert agent.bindings() == {"cam-1": (show(HOME_ADDRESS), show(CARE_OF))}
    agent.world.now = 900_000

    answer = agent.take(_vector("v14"), HOME_ADDRESS, 49152)

    reply = RegistrationReply.decode(answer.datagram)
    assert (reply.code, reply.lifetime, reply.home_address) == (0, 0, HOME_ADDRESS)
    assert (answer.destination, answer.port) == (HOME_ADDRESS, 49152)
    assert agent.bindings() == {}
    assert agent.came_home == [HOME_ADDRESS]


def _parts(message):
    """What the home agent's key covers, with its authenticator, and what agents put behind it."""
    cls = RegistrationRequest if message[0] == 1 else RegistrationReply
    (own,) = find(cls.decode(message).extensions, MobileHomeAuthentication)
    end = own.covered() + len(own.authenticator)
    return message[:end], message[end:]


def _flipped(octets):
    """It with one bit flipped, each in turn."""
    for bit in range(len(octets) * 8):
        damaged = bytearray(octets)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        yield bytes(damaged)


def _outcome(request):
    """The Reply code at the home agent, None for silence; nobody is bound."""
    agent = _home_agent()
    answer = agent.take(request, CARE_OF)
    assert agent.bindings() == {}
    return None if answer is None else _code(answer.datagram)


def _code(datagram):
    return RegistrationReply.decode(datagram).code


def _home_agent():
    network = (parse("203.0.113.0"), 24)
    pool = ((HOME_ADDRESS, parse("203.0.113.20")),)
    agent = HomeAgentAlone(
        address=HOME_AGENT,
        networks=(_network(network, pool),),
        subscribers={NAI: _subscriber()},
        foreign_agents={CARE_OF: KEYS["K2"]},
    )
    agent.world.now = AT
    return agent


def _network(prefix, pool):
    return HomeNetwork(prefix=prefix, pool=pool, gateway=parse("203.0.113.1"), dns=())


def _subscriber():
    return replace(a_subscriber(NAI), associations={256: KEYS["K1"]})


def _foreign_agent(shares_a_key=True):
    agent = ForeignAgentAlone(
        care_of_address=CARE_OF,
        interfaces=(VisitedInterface("vis0", CARE_OF, 24),),
        connected=((parse("192.0.2.0"), 24),),
        lifetime=1800,
        home_agents={HOME_AGENT: KEYS["K2"]},
        mobile_nodes={NAI: {768: KEYS["K3"]}} if shares_a_key else {},
    )
    assert from_ms(NTP_2026 + AT) >> 32 == 0xED00378A
    return agent


def _packet(row):
    return Packet.decode(bytes.fromhex(row["datagram"]))


def _datagram_of(name):
    return bytes.fromhex(json.loads((VECTORS / f"{name}.json").read_text())["datagram"])


def _vector(name):
    return Datagram.decode(Packet.decode(_datagram_of(name))).payload
