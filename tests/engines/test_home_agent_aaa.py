"""What authorises a request at the home agent (RFC 5944 §3.8.2.1, RFC 4721 §6): HA-05, HA-06, HA-07; 131 and 144."""

import pytest

from mip4.authentication import AaaAssociation, SecurityAssociation
from mip4.extensions import (
    CriticalVendor,
    ForeignHomeAuthentication,
    MessageString,
    MnAaaAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    RevocationSupport,
    find,
)
from mip4.messages import RegistrationReply
from mip4.sub_nai import SubNai
from tests.helpers.alone import HomeAgentAlone, an_authentic_reply
from tests.helpers.builders import FOREIGN_AGENTS, KEY, NAI, SPI, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, HOME, a_request, an_identification, octets_of

FA1 = FOREIGN_AGENTS["fa1"]
CHALLENGE = bytes.fromhex("c0ffee0102030405")
CHAP, HMAC = AaaAssociation(2, b"for the server"), AaaAssociation(1024, b"for the server", "hmac-sha256")
GUESSED = SecurityAssociation(SPI, b"guessed")


@pytest.fixture
def agent():
    return _agent()


def _agent(**changes):
    return HomeAgentAlone(subscribers={NAI: a_subscriber(aaa={2: CHAP, 1024: HMAC})}, **changes)


def _request(aaa=CHAP, challenge=CHALLENGE, answers=CHALLENGE, foreign_home=None, added=b"", **request):
    """Signed for the AAA server too. challenge: as it stands there; answers: the one that was signed with."""
    octets = a_request("pc1", **request)
    if challenge is not None:
        octets += octets_of(MobileForeignChallenge(challenge))
    octets = aaa.sign(octets, answers) + added
    return octets if foreign_home is None else foreign_home.sign(octets, ForeignHomeAuthentication)


def _reply(agent, datagram):
    return an_authentic_reply(agent.take(datagram).datagram, to=datagram)


# ---- both


@pytest.mark.parametrize("aaa", [CHAP, HMAC], ids=["CHAP", "HMAC"])
def test_ha_07_a_request_is_accepted_whose_authenticators_all_hold(agent, aaa):
    assert _reply(agent, _request(aaa)).code == 0
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_ha_05_silence_for_what_nothing_authorises_and_for_a_stranger_of_another_server(agent):
    unsigned = a_request("pc1", home=None)
    stranger = CHAP.sign(a_request("pc1", nai="stranger@example.net", home=None), b"")

    assert [agent.take(unsigned), agent.take(stranger)] == [None, None]
    assert [str(error) for _, error in agent.world.dropped] == [
        "nothing in it authorises it",
        "no subscriber of that NAI or home address",
    ]


def test_with_a_care_of_address_of_its_own_a_node_has_no_challenge_to_answer(agent):
    assert _reply(agent, _request(challenge=None, answers=b"")).code == 0


BAD = {
    "another key": {"aaa": AaaAssociation(2, b"guessed")},
    "another challenge": {"answers": b"another"},
    "an answer to none": {"answers": b""},
    "an SPI nobody knows": {"aaa": AaaAssociation(1025, b"for the server")},
    "the other SPI's key": {"aaa": AaaAssociation(1024, b"guessed")},
}


@pytest.mark.parametrize("what", BAD)
def test_ha_07_what_the_aaa_server_would_refuse_gets_144_without_text_and_no_longer_than_the_request(agent, what):
    datagram = _request(**BAD[what])

    answer = agent.take(datagram)

    reply = an_authentic_reply(answer.datagram, to=datagram)
    assert (reply.code, find(reply.extensions, MessageString)) == (144, [])
    assert len(answer.datagram) <= len(datagram)
    assert (agent.bindings(), agent.identifications) == ({}, {})
    assert agent.world.dropped[-1][1].kind == "bad-authenticator"
    assert _reply(agent, _request()).code == 0  # its Identification was not used up


def test_ha_07_where_both_are_bad_the_home_agents_own_decides(agent):
    assert _reply(agent, _request(AaaAssociation(2, b"guessed"), home=GUESSED)).code == 131


def test_144_is_not_said_to_a_flood(agent):
    datagram = _request(AaaAssociation(2, b"guessed"))

    assert sum(agent.take(datagram) is not None for _ in range(1000)) == 20
    assert _reply(agent, _request()).code == 0


def test_where_the_aaa_server_is_somebody_else_its_authenticator_is_its_own_affair():
    agent = HomeAgentAlone()

    assert _reply(agent, _request(AaaAssociation(2, b"whatever"))).code == 0


# ---- MN-AAA alone (HA-05: at least one)


def test_ha_05_an_authenticator_for_the_aaa_server_alone_is_enough_and_the_reply_has_the_home_agents_own(agent):
    datagram = _request(home=None)

    answer = agent.take(datagram)

    assert an_authentic_reply(answer.datagram, to=datagram).code == 0
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_ha_07_alone_and_bad_it_gets_144(agent):
    assert _reply(agent, _request(home=None, answers=b"another")).code == 144


def test_ha_06_alone_and_for_somebody_elses_server_it_says_nothing_to_us():
    agent = HomeAgentAlone()

    assert agent.take(_request(home=None)) is None
    assert agent.bindings() == {}


def test_what_stands_behind_it_alone_is_not_the_nodes_word(agent):
    nameless = CHAP.sign(a_request(home=None), b"")

    answer = agent.take(nameless + SubNai(b"pc1", 0, None).extension().encode())

    assert RegistrationReply.decode(answer.datagram).code == 0
    assert set(agent.bindings()) == {""}


# ---- their order


@pytest.mark.parametrize(
    "datagram",
    [
        HOME.sign(CHAP.sign(a_request(home=None), b""), MobileHomeAuthentication),
        _request(added=octets_of(MnAaaAuthentication(2, bytes(16)))),
        _request(added=octets_of(MobileHomeAuthentication(SPI, bytes(16)))),
        CHAP.sign(FOREIGN_HOME.sign(a_request(home=None), ForeignHomeAuthentication), b""),
    ],
    ids=["the AAA server's comes first", "two of them", "two of the home agent's", "a foreign agent's comes first"],
)
def test_ha_05_another_order_or_number_gets_134(agent, datagram):
    answer = agent.take(datagram)

    assert RegistrationReply.decode(answer.datagram).code == 134
    assert agent.bindings() == {}


def test_what_stands_between_the_nodes_authenticators_was_not_said_by_its_foreign_agent():
    agent = _agent(foreign_agents={FA1: FOREIGN_HOME})
    support = RevocationSupport(True, 5).encode()
    between = CHAP.sign(a_request("pc1") + support + octets_of(MobileForeignChallenge(CHALLENGE)), CHALLENGE)

    unoffered = _reply(agent, FOREIGN_HOME.sign(between, ForeignHomeAuthentication))
    offered = _reply(
        agent, _request(added=support, foreign_home=FOREIGN_HOME, identification=an_identification(low=99))
    )

    assert (unoffered.code, find(unoffered.extensions, RevocationSupport)) == (0, [])
    assert (offered.code, len(find(offered.extensions, RevocationSupport))) == (0, 1)


def test_ha_16_a_critical_extension_between_them_is_the_nodes(agent):
    critical = octets_of(CriticalVendor(9, 1, b"?"))
    between = CHAP.sign(a_request("pc1") + critical, b"")

    assert _reply(agent, between).code == 140
    assert _reply(agent, _request(added=critical, identification=an_identification(low=9))).code == 141


# ---- the challenge goes back


def test_the_challenge_comes_back_behind_the_nodes_authenticator_and_under_the_foreign_agents():
    agent = _agent(foreign_agents={FA1: FOREIGN_HOME})
    datagram = _request(foreign_home=FOREIGN_HOME)

    answer = agent.take(datagram)

    reply = an_authentic_reply(answer.datagram, to=datagram)
    (own,), (challenge,), (foreign,) = (
        find(reply.extensions, cls)
        for cls in (MobileHomeAuthentication, MobileForeignChallenge, ForeignHomeAuthentication)
    )
    assert (reply.code, challenge.challenge) == (0, CHALLENGE)
    assert own.at < challenge.at < foreign.at
    FOREIGN_HOME.verify(answer.datagram, foreign)


def test_a_denial_brings_the_challenge_back_too(agent):
    reply = _reply(agent, _request(identification=an_identification(-9000)))

    assert reply.code == 133
    assert [one.challenge for one in find(reply.extensions, MobileForeignChallenge)] == [CHALLENGE]


# ---- HA-07: to whom 131 must, may and must not be said


def _forged(**request):
    return a_request("pc1", home=GUESSED, **request)


def test_ha_07_131_must_be_said_where_a_foreign_agent_vouches_for_what_it_heard_however_often():
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME})

    answered = sum(agent.take(_forged(foreign_home=FOREIGN_HOME)) is not None for _ in range(1000))

    assert answered == 1000
    assert agent.bindings() == {}


def test_ha_07_131_must_be_said_there_even_if_it_is_longer_than_the_request():
    long = SecurityAssociation(SPI, KEY, "hmac-sha256")
    subscriber = a_subscriber()
    subscriber.associations[SPI] = long
    agent = HomeAgentAlone(subscribers={NAI: subscriber}, foreign_agents={FA1: FOREIGN_HOME})
    datagram = _forged(foreign_home=FOREIGN_HOME)

    answer = agent.take(datagram)

    reply = an_authentic_reply(answer.datagram, to=datagram, home=long)
    assert reply.code == 131
    assert len(answer.datagram) > len(datagram)
    FOREIGN_HOME.verify(answer.datagram, find(reply.extensions, ForeignHomeAuthentication)[0])


@pytest.mark.parametrize(
    "datagram",
    [_forged(), _forged(foreign_home=SecurityAssociation(512, b"no")), _request(AaaAssociation(2, b"guessed"))],
    ids=["131, not signed", "131, signed with another key", "144, not signed"],
)
def test_ha_07_a_foreign_agent_with_a_key_who_did_not_use_it_hears_nothing(datagram):
    agent = _agent(foreign_agents={FA1: FOREIGN_HOME})

    assert agent.take(datagram) is None


def test_ha_07_131_may_be_said_where_there_is_no_key_and_to_a_deregistration_which_nobody_signs():
    strangers, friends = HomeAgentAlone(), HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME})

    for agent, datagram in ((strangers, _forged()), (friends, _forged(lifetime=0))):
        assert sum(agent.take(datagram) is not None for _ in range(1000)) == 20
