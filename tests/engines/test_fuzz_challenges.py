"""Challenges and answers, damaged, at the three engines: what is forged uses nothing up and gains nothing."""

import pytest

from mip4.address import parse
from mip4.authentication import AaaAssociation
from mip4.const import ALL_SYSTEMS, PORT, PROTO_ICMP
from mip4.discovery import AdvertisedChallenge, AgentAdvertisement, MobilityAgent, PrefixLengths
from mip4.errors import MipError
from mip4.extensions import (
    ForeignHomeAuthentication,
    MnAaaAuthentication,
    MobileForeignAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    challenge_before,
    find,
)
from mip4.ip import Datagram, Packet, checksum
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.helpers.alone import NODE, ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, VISITED, a_subscriber
from tests.helpers.damage import EACH, chance, damaged
from tests.helpers.driven_node import AGENT_LINKS, DrivenNode
from tests.helpers.messages import FOREIGN_HOME, HOME, MOBILE_FOREIGN, a_reply, a_request, an_identification, octets_of

__all__ = ["chance"]

FA1 = FOREIGN_AGENTS["fa1"]
HOME_ADDRESS = parse("10.10.0.10")
CHAP = AaaAssociation(2, b"for the server")


def _asked(challenge, low=0, aaa=CHAP, mobile_foreign=None, **request):
    """A request with an answer to `challenge`."""
    after = octets_of(MobileForeignChallenge(challenge))
    octets = a_request("pc1", identification=an_identification(low=low), after=after, **request)
    octets = octets if aaa is None else aaa.sign(octets, challenge)
    return octets if mobile_foreign is None else mobile_foreign.sign(octets, MobileForeignAuthentication)


def _holds(datagram, cls, verify):
    """Whether the first extension `cls` holds; None where there is none, or nothing to read."""
    try:
        extensions = RegistrationRequest.salvage(datagram).extensions
        found = find(extensions, cls)
        if not found:
            return None
        verify(extensions, found[0])
    except MipError:
        return False
    return True


def _of_home(datagram):
    return _holds(datagram, MobileHomeAuthentication, lambda _, one: HOME.verify(datagram, one))


def _of_server(datagram):
    def verify(extensions, one):
        CHAP.verify(datagram, one, challenge_before(extensions, one))

    return _holds(datagram, MnAaaAuthentication, verify)


def test_home_agent(chance):
    """What authorises a request holds, all of it, or the request changes nothing."""
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(nonces=True, aaa={2: CHAP})})
    valid = [_asked(b"12345678"), _asked(b"", 1), _asked(b"1" * 255, 2), _asked(b"x", 3, home=None), a_request()]
    outcomes = set()

    for _ in range(EACH):
        datagram = damaged(chance, chance.choice(valid), valid)
        before = dict(agent.rows), dict(agent.nonces), set(agent.engine._replay._nonces._exchanges)

        answer = agent.take(datagram, chance.choice((FA1, NODE)))

        verdicts = {_of_home(datagram), _of_server(datagram)} - {None}
        code = None if answer is None else RegistrationReply.decode(answer.datagram).code
        outcomes.add((verdicts == {True}, code))
        if verdicts != {True}:
            assert (dict(agent.rows), dict(agent.nonces), set(agent.engine._replay._nonces._exchanges)) == before
            assert code in (None, 131, 144)
            assert answer is None or len(answer.datagram) <= len(datagram)
        agent.world.now += 1
    assert {(False, None), (False, 131), (False, 144), (True, 133), (True, 134)} <= outcomes


@pytest.mark.parametrize("keys", [False, True], ids=["no key", "keys of the node and of its AAA server"])
def test_foreign_agent_and_its_visited_link(chance, keys):
    known = {"mobile_nodes": {"friend@example.net": {768: MOBILE_FOREIGN}}, "aaa": {NAI: {2: CHAP}}} if keys else {}
    agent = ForeignAgentAlone(challenge=True, requests_per_minute=60_000, **known)
    challenges = agent.engine._challenges["vis0"]
    friend = {"nai": "friend@example.net", "mobile_foreign": MOBILE_FOREIGN}
    codes = set()

    for low in range(EACH):
        newest = challenges.newest()
        valid = [_asked(newest, low), _asked(b"guessed!", low), _asked(newest, low, None, **friend), a_request()]
        payload = damaged(chance, chance.choice(valid), valid)
        octets = Datagram(chance.choice((0, NODE)), PORT, VISITED["fa1"], PORT, payload).packet(ttl=255).encode()
        sent, before = len(agent.frames), (dict(challenges._used), dict(challenges._given))

        agent.heard(bytes((2, *chance.randbytes(5))), octets)

        for frame in agent.frames[sent:]:
            reply = RegistrationReply.decode(Datagram.decode(Packet.decode(frame.packet)).payload)
            codes.add(reply.code)
            proved = keys and (_of_server(payload) or find(reply.extensions, MobileForeignAuthentication))
            assert len(frame.packet) <= len(octets) or proved
            assert (challenges._used, challenges._given) == before or proved
        if agent.relayed:
            codes.add(0)
            agent.answer(a_reply(agent.relayed.pop().datagram, 144))
        if not keys:
            assert (challenges._used, challenges._given) == ({}, {})
        agent.world.pass_time(seconds=0.05)
    assert {0, 70, 104, 105} | ({67, 108} if keys else set()) <= codes
    assert len(challenges._given) <= EACH


def test_foreign_agent_and_a_home_agent_that_says_anything(chance):
    agent = ForeignAgentAlone(
        challenge=True, home_agents={HOME_AGENT: FOREIGN_HOME}, requests_per_minute=60_000, visitors=8
    )
    challenges = agent.engine._challenges["vis0"]
    told = set()

    for low in range(EACH):
        request = _asked(challenges.offer((NAI, "pc1")), low)
        if agent.take(request) is not None:
            after = octets_of(MobileForeignChallenge(chance.choice((b"", b"another!", challenges.newest()))))
            reply = a_reply(request, chance.choice((0, 0, 133)), home_address=HOME_ADDRESS, after=after)
            body = damaged(chance, reply, [reply]) if chance.random() < 0.7 else reply
            body = body[:12] + request[16:24] + body[20:]
            passed_on = agent.answer(FOREIGN_HOME.sign(body, ForeignHomeAuthentication))
            told.add(None if passed_on is None else passed_on.payload[1])
        agent.world.pass_time(seconds=chance.choice((0.1, 1, 3)))
        assert len(agent.visitors()) <= 8
        assert len(challenges._used) <= 1
    assert {None, 0, 133} <= told


def test_mobile_node_and_agents_that_ask_anything(chance):
    """Nothing of what they say is signed; the node answers in time what can be answered, and no more than it must."""
    node = DrivenNode(
        aaa={"spi": 2, "key": b"for the server", "algorithm": "hmac-md5"}, applications=["telemetry"]
    ).up()
    node.adverts = {}
    answered = set()

    for number in range(EACH):
        asked = AdvertisedChallenge(chance.randbytes(chance.choice((0, 1, 8, 237, 238, 255))))
        extensions = [MobilityAgent(300 + number % 60_000, 600, 0x9100, [FA1]), PrefixLengths([24]), asked]
        message = AgentAdvertisement(16, 30, [(VISITED["fa1"], 0)], extensions).encode()
        message = damaged(chance, message, [message]) if chance.random() < 0.5 else message
        message = message[:2] + checksum(message[:2] + b"\0\0" + message[4:]).to_bytes(2, "big") + message[4:]
        heard = Packet(VISITED["fa1"], ALL_SYSTEMS, PROTO_ICMP, 1, message).encode()
        node.run(node.engine.heard(heard, AGENT_LINKS["fa1"], node.now))
        if node.requests and chance.random() < 0.7:
            given = octets_of(MobileForeignChallenge(chance.randbytes(chance.randrange(256))))
            reply = a_reply(node.last(), chance.choice((104, 105, 106, 108)), home=None, after=given)
            node.run(node.engine.receive(damaged(chance, reply, [reply]), VISITED["fa1"], node.now))
        for _, datagram in node.requests[1:]:
            found = RegistrationRequest.decode(datagram).extensions
            answered |= {len(one.challenge) for one in find(found, MobileForeignChallenge)}
            assert _of_server(datagram) in (True, None)
            assert _of_home(datagram)
        node.requests = node.requests[-1:]
        node.effects.clear()
        node.pass_time(chance.choice((0, 0.1, 1, 5)))
    assert {1, 8, 237, 238, 255} <= answered
    node.run(node.engine.link_down(node.now))
    node.pass_time(2)
    node.up("fa1", challenge=b"12345678")
    for name in ("", "telemetry"):
        node.answer(sub_nai=name, home_address=HOME_ADDRESS + len(name))
    assert [node.state(name) for name in ("", "telemetry")] == ["registered", "registered"]
