"""The published vectors, damaged one way each, at both agents: the code or the silence that each deserves."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from host_agents.home_agent.policy import HomeNetwork
from mip4.address import parse
from mip4.const import PORT
from mip4.extensions import ForeignAgentError, find
from mip4.identification import from_ms
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.helpers.alone import NODE_LINK, ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import NTP_2026, VisitedInterface, a_subscriber
from tests.vectors import checks

VECTORS = Path(checks.__file__).parent
ROWS = json.loads((VECTORS / "derived.json").read_text())["rows"]
KEYS = checks.keys_beside(str(VECTORS / "derived.json"))
NAI = "gw01@example.net"
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


def test_the_vectors_themselves_tell_one_registration():
    """V3 from the node, V4 to the home agent as far as we go, V5 back, V6 to the node as far as we go."""
    agent = _foreign_agent()

    agent.heard(NODE_LINK, _datagram_of("v03"))
    relayed = agent.relayed[0]

    own = RegistrationRequest.decode(_vector("v04")).extensions[2]
    kept = own.covered() + len(own.authenticator)
    assert relayed.destination == HOME_AGENT
    assert relayed.datagram[:kept] == _vector("v04")[:kept]
    assert RegistrationReply.decode(_home_agent().take(relayed.datagram, CARE_OF).datagram).code == 0
    passed_on = agent.answer(_vector("v05"), HOME_AGENT)
    own = RegistrationReply.decode(_vector("v06")).extensions[2]
    kept = own.covered() + len(own.authenticator)
    assert passed_on.payload[:kept] == _vector("v06")[:kept]
    assert (passed_on.source, passed_on.source_port) == (CARE_OF, PORT)
    assert (passed_on.destination, passed_on.destination_port) == (HOME_ADDRESS, 49152)


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
