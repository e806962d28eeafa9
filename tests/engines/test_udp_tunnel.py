"""RFC 3519 at the home agent: what each UDP Tunnel Request gets (HA-20, HA-21), and the octets of V8, V9, V10."""

from pathlib import Path

import pytest

from host_agents.home_agent.policy import HomeNetwork, Subscriber
from mip4.address import parse, show
from mip4.authentication import SecurityAssociation
from mip4.const import FLAG_D, FLAG_G, FLAG_M, FLAG_T, PROTO_ICMP
from mip4.errors import MipError
from mip4.extensions import UdpTunnelReply, UdpTunnelRequest, encode_all, find
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply
from mobile_node.keepalive import Keepalive
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, NAI
from tests.helpers.messages import FOREIGN_HOME, a_request, an_identification
from tests.vectors import checks

FOLDER = Path(checks.__file__).parent
OWN = parse("192.168.7.50")
OUTSIDE = parse("203.0.113.130")
FA1 = FOREIGN_AGENTS["fa1"]


class FromNode:
    """Asks as a node with the co-located address OWN. answer: the UDP Tunnel Reply, None for none."""

    def __init__(self, **policy):
        self.agent = HomeAgentAlone(**policy)
        self.count = 0

    def __call__(
        self, *before, source=OUTSIDE, port=61001, flags=FLAG_D | FLAG_T, care_of=OWN, after=(), keys=None, lifetime=600
    ):
        self.count += 1
        datagram = a_request(
            "pc1", before=before, after=encode_all(list(after)), flags=flags, care_of_address=care_of,
            lifetime=lifetime, identification=an_identification(self.agent.now, low=self.count), foreign_home=keys,
        )  # fmt: skip
        answer = self.agent.take(datagram, source, port)
        assert answer is not None, self.agent.world.dropped[-1:]
        assert (answer.destination, answer.port) == (source, port)
        reply = RegistrationReply.decode(answer.datagram)
        answers = find(reply.extensions, UdpTunnelReply)
        assert len(answers) <= 1
        return reply.code, (answers[0] if answers else None), reply

    def end(self):
        return self.agent.ends_by_session().get("pc1")


@pytest.fixture
def ask():
    return FromNode()


PLEASE = UdpTunnelRequest(False, False, 4)
FORCED = UdpTunnelRequest(True, False, 4)


def test_ha_20_a_nat_that_is_seen_gets_a_tunnel_to_where_the_request_came_from(ask):
    code, answer, reply = ask(PLEASE)

    assert (code, answer) == (0, UdpTunnelReply(0, False, 20))
    assert ask.end() == "udp 203.0.113.130:61001"
    assert ask.agent.rows[NAI, "pc1"].care_of_address == OWN
    assert 54 <= reply.lifetime <= 60


def test_ha_20_without_a_nat_it_is_declined_and_ip_in_ip_it_is(ask):
    code, answer, reply = ask(PLEASE, source=OWN, port=434)

    assert (code, answer) == (0, UdpTunnelReply(64, False, 0))
    assert ask.end() == f"ipip {show(OWN)}:0"
    assert reply.lifetime > 500


def test_ha_20_without_a_nat_it_is_given_where_it_is_forced(ask):
    code, answer, _ = ask(FORCED, source=OWN, port=434)

    assert (code, answer) == (0, UdpTunnelReply(0, True, 20))
    assert ask.end() == f"udp {show(OWN)}:434"


@pytest.mark.parametrize("asked, source", [(PLEASE, OUTSIDE), (FORCED, OUTSIDE), (FORCED, OWN)])
def test_ha_20_an_operator_who_wants_no_udp_tunnels_denies_with_129(asked, source):
    ask = FromNode(udp_tunnel=False)

    assert ask(asked, source=source)[:2] == (129, None)
    assert ask(PLEASE, source=OWN)[0] == 0


def test_ha_21_another_source_without_asking_for_a_tunnel_is_denied_with_129(ask):
    assert ask()[:2] == (129, None)


def test_ha_21_a_request_with_reserved_bits_is_as_if_it_were_not_there(ask):
    class Odd(UdpTunnelRequest):
        __slots__ = ("encapsulation", "forced", "routed")

        def encode(self):
            return super().encode()[:-1] + b"\1"

    assert ask(Odd(False, False, 4))[:2] == (129, None)


def test_ha_20_place_and_d_flag_must_agree_or_134(ask):
    assert ask(PLEASE, flags=FLAG_T)[0] == 134
    assert ask(after=[PLEASE])[0] == 134
    assert ask(PLEASE, PLEASE)[0] == 134


@pytest.mark.parametrize("encapsulation, flags", [(47, 0), (55, 0), (6, 0), (0, FLAG_G), (0, FLAG_M)])
def test_ha_20_an_encapsulation_other_than_ip_in_ip_is_denied_with_142(ask, encapsulation, flags):
    assert ask(UdpTunnelRequest(False, False, encapsulation), flags=FLAG_D | FLAG_T | flags)[:2] == (142, None)


def test_ha_20_no_encapsulation_named_means_ip_in_ip(ask):
    assert ask(UdpTunnelRequest(False, False, 0))[0] == 0


def test_ha_20_a_foreign_agent_behind_a_nat_is_believed_with_its_key_and_without_it_is_not():
    keyed = FromNode(foreign_agents={OUTSIDE: FOREIGN_HOME})
    code, answer, _ = keyed(after=[PLEASE], flags=FLAG_T, care_of=FA1, keys=FOREIGN_HOME)
    assert (code, answer) == (0, UdpTunnelReply(0, False, 20))
    assert keyed.end() == "udp 203.0.113.130:61001"

    assert FromNode()(after=[PLEASE], flags=FLAG_T, care_of=FA1)[0] == 129


def test_ha_21_what_a_known_foreign_agent_relays_for_a_co_located_address_is_accepted():
    ask = FromNode(foreign_agents={FA1: FOREIGN_HOME})

    assert ask(source=FA1, port=434)[:2] == (0, None)
    assert ask.end() == f"ipip {show(OWN)}:0"
    assert ask(source=FA1, port=434, flags=FLAG_T, keys=FOREIGN_HOME)[:2] == (129, None)  # which is an agent's, then


def test_ha_20_a_routed_request_waits_for_the_first_keepalive_from_that_very_address(ask):
    code, _, reply = ask(UdpTunnelRequest(False, True, 4))
    assert (code, ask.end()) == (0, "udp 203.0.113.130:0")
    home = reply.home_address

    ask.agent.run(ask.agent.engine.rebound(home, parse("198.51.100.66"), 5000, ask.agent.now))
    assert ask.end() == "udp 203.0.113.130:0"
    ask.agent.run(ask.agent.engine.rebound(home, OUTSIDE, 61234, ask.agent.now))
    assert ask.end() == "udp 203.0.113.130:61234"
    assert ask.agent.rows[NAI, "pc1"].udp_port == 61234
    ask.agent.run(ask.agent.engine.rebound(home, OUTSIDE, 61235, ask.agent.now))
    assert ask.end() == "udp 203.0.113.130:61234"


def test_a_renewal_from_another_port_moves_the_tunnel_and_is_told_once(ask):
    ask(PLEASE)
    ask(PLEASE, port=61002)
    ask(PLEASE, port=61002)

    assert ask.end() == "udp 203.0.113.130:61002"
    assert [text for _, text in ask.agent.world.said if text.startswith("rebound")] == [
        text for _, text in ask.agent.world.said if "udp=203.0.113.130:61002" in text
    ]
    assert len([text for _, text in ask.agent.world.said if text.startswith("rebound")]) == 1


def test_a_udp_tunnel_outlives_a_restart(ask):
    ask(PLEASE)

    ask.agent.kill()
    ask.agent.start(ask.agent.policy and 3_976_214_400_000 + ask.agent.world.now)

    assert ask.end() == "udp 203.0.113.130:61001"


def test_a_deregistration_through_the_nat_ends_it(ask):
    ask(PLEASE)

    assert ask(PLEASE, lifetime=0)[0] == 0
    assert ask.agent.bindings() == {}


def _vector(name):
    octets = bytes.fromhex(checks.load(f"{FOLDER}/{name}.json")["datagram"])
    return Datagram.decode(Packet.decode(octets))


def test_v8_gets_v9():
    """To the octet: the home agent of the vectors answers the node behind the NAT."""
    key = SecurityAssociation(0x100, bytes.fromhex("00112233445566778899aabbccddeeff"))
    network = HomeNetwork((parse("203.0.113.0"), 24), ((parse("203.0.113.11"), parse("203.0.113.20")),),
                          parse("203.0.113.1"), ())  # fmt: skip
    agent = HomeAgentAlone(
        address=parse("198.51.100.1"), networks=(network,), udp_keepalive=110,
        subscribers={"gw01@example.net": Subscriber("gw01@example.net", {0x100: key}, 8)},
    )  # fmt: skip
    asked, answer = _vector("v08"), _vector("v09")
    agent.world.pass_time(seconds=30)

    given = agent.take(asked.payload, asked.source, asked.source_port)

    assert (given.destination, given.port) == (answer.destination, answer.destination_port)
    ours, theirs = RegistrationReply.decode(given.datagram), RegistrationReply.decode(answer.payload)
    assert 54 <= ours.lifetime <= theirs.lifetime == 60
    assert ours.extensions[:-1] == theirs.extensions[:-1]
    as_given = bytes((3, 0)) + theirs.lifetime.to_bytes(2, "big") + given.datagram[4:-22]
    assert key.sign(as_given, type(theirs.extensions[-1])) == answer.payload


def test_v10_is_what_a_keepalive_looks_like_inside():
    home_agent, home_address = parse("198.51.100.1"), parse("203.0.113.11")
    keepalive = Keepalive()
    keepalive.start(home_agent, 0, 0)

    (packet,), lost = keepalive.wake([home_address], 110_000)

    payload = _vector("v10").payload
    assert payload[:4] == b"\4\4\0\0"
    assert Packet.decode(packet) == Packet.decode(payload[4:])
    assert lost == []


def test_only_the_answer_that_is_waited_for_counts():
    home_agent, home = parse("198.51.100.1"), parse("203.0.113.11")
    keepalive = Keepalive()
    keepalive.start(home_agent, 20, 0)
    (packet,), _ = keepalive.wake([home], 20_000)
    asked = Packet.decode(packet).payload
    answer = bytes((0, 0)) + (int.from_bytes(asked[2:4], "big") + 0x800 & 0xFFFF).to_bytes(2, "big") + asked[4:]
    right = Packet(home_agent, home, PROTO_ICMP, 64, answer).encode()

    for wrong in (
        Packet(parse("198.51.100.9"), home, PROTO_ICMP, 64, answer).encode(),
        Packet(home_agent, parse("203.0.113.12"), PROTO_ICMP, 64, answer).encode(),
        Packet(home_agent, home, PROTO_ICMP, 64, asked).encode(),
        Packet(home_agent, home, PROTO_ICMP, 64, answer[:6] + b"\0\7" + answer[8:]).encode(),
        right[:25],
    ):
        with pytest.raises(MipError):
            keepalive.answered(wrong, 20_010)
    keepalive.answered(right, 20_020)

    assert keepalive.deadline() == 40_020
    assert keepalive.wake([home], 40_020)[1] == []
