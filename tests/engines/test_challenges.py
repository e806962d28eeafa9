"""Challenges at the foreign agent (RFC 4721 §3.2): FA-05, FA-07, FA-08, FA-37; what is fresh, stale, and for whom."""

import pytest

from host_agents.foreign_agent.challenges import Challenges
from mip4.address import parse
from mip4.authentication import AaaAssociation, SecurityAssociation
from mip4.const import FLAG_T
from mip4.discovery import AdvertisedChallenge
from mip4.errors import Denied
from mip4.extensions import (
    CriticalVendor,
    EncapsulatingDelivery,
    ForeignAgentError,
    MessageString,
    MnAaaAuthentication,
    MobileForeignAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    find,
)
from mip4.messages import RegistrationReply
from tests.helpers.alone import ForeignAgentAlone
from tests.helpers.builders import HOME_AGENT, NAI
from tests.helpers.messages import FOREIGN_HOME, HOME, MOBILE_FOREIGN, a_reply, a_request, an_identification, octets_of

HOME_ADDRESS = parse("10.10.0.10")
CHAP, HMAC = AaaAssociation(2, b"for the server"), AaaAssociation(1024, b"for the server")
FRIENDS = {"mobile_nodes": {NAI: {768: MOBILE_FOREIGN}}}


@pytest.fixture
def agent():
    return _agent()


def _agent(**changes):
    agent = ForeignAgentAlone(challenge=True, advertise_interval=10_000, **changes)
    agent.wake()
    return agent


def _advertised(agent):
    """The challenge of each advertisement so far."""
    found = [_challenges_in(message) for _, message in agent.advertisements()]
    assert all(len(challenges) == 1 for challenges in found)
    return [challenges[0] for challenges in found]


def _challenges_in(advertisement):
    return [one.challenge for one in advertisement.extensions if type(one) is AdvertisedChallenge]


def _advertise(agent):
    """The challenge of one advertisement more."""
    agent.world.pass_time(seconds=10)
    return _advertised(agent)[-1]


def _asked(challenge, sub_nai="pc1", aaa=CHAP, low=1, **request):
    """A request that answers `challenge`, None for one without."""
    octets = b"" if challenge is None else octets_of(MobileForeignChallenge(challenge))
    request.setdefault("identification", an_identification(low=low))
    signed = a_request(sub_nai, after=octets, **request)
    return signed if aaa is None or "mobile_foreign" in request else aaa.sign(signed, challenge or b"")


def _given(reply):
    """The challenge that goes with a reply, in its place."""
    (challenge,) = find(reply.extensions, MobileForeignChallenge)
    behind = [type(one) for one in reply.extensions if one.at > challenge.at]
    assert behind in ([], [MobileForeignAuthentication])
    return challenge.challenge


def _granted(agent, datagram, **reply):
    """What goes to the node when its home agent has accepted."""
    assert agent.take(datagram) is not None
    reply.setdefault("home_address", HOME_ADDRESS)
    return RegistrationReply.decode(agent.answer(a_reply(datagram, **reply)).payload)


def _code(agent, datagram):
    """Of our own denial, 0 if it is relayed, None for silence. Denials are one a second."""
    agent.world.now += 1000
    before = len(agent.relayed), len(agent.frames)
    agent.take(datagram)
    if len(agent.relayed) > before[0]:
        return 0
    return RegistrationReply.decode(agent.last().payload).code if len(agent.frames) > before[1] else None


# ---- advertised


def test_each_advertisement_has_a_fresh_challenge_and_one_that_is_asked_for_the_newest(agent):
    for _ in range(20):
        _advertise(agent)
    periodic = _advertised(agent)

    agent.solicited()
    agent.solicited()

    assert len(set(periodic)) == len(periodic) >= 20
    assert all(len(challenge) == 8 for challenge in periodic)
    assert _advertised(agent)[-2:] == [periodic[-1]] * 2


def test_who_was_revoked_gets_the_newest_one_too(agent):
    challenge = _advertise(agent)

    frame = agent.engine._advertisers["vis0"].revoked(bytes(6), False)
    agent.frames.append(frame)

    assert _advertised(agent)[-1] == challenge


def test_without_the_operators_wish_nobody_is_challenged():
    agent = ForeignAgentAlone()
    agent.wake()

    assert [_challenges_in(message) for _, message in agent.advertisements()] == [[]]
    assert agent.take(a_request()) is not None


# ---- FA-08


def test_fa_08_an_answer_to_the_newest_challenge_or_the_one_before_is_relayed_with_it(agent):
    first = _advertised(agent)[-1]
    second = _advertise(agent)

    for low, challenge in enumerate((first, second)):
        datagram = _asked(challenge, f"pc{low}")
        assert agent.take(datagram) == datagram


def test_fa_08_without_a_challenge_105(agent):
    reply = agent.denial(_asked(None))

    assert reply.code == 105
    assert _given(reply) == _advertised(agent)[-1]


def test_fa_08_a_challenge_that_was_never_given_out_or_long_ago_gets_104_and_the_newest_one(agent):
    first = _advertised(agent)[-1]
    _advertise(agent)
    newest = _advertise(agent)

    for challenge in (first, b"guessed!", b""):
        agent.world.now += 1000
        reply = agent.denial(_asked(challenge))

        assert (reply.code, _given(reply)) == (104, newest)


def test_fa_08_a_challenge_that_was_used_gets_106_and_one_that_was_not(agent):
    challenge = _advertised(agent)[-1]
    _granted(agent, _asked(challenge))

    agent.world.now += 1000
    reply = agent.denial(_asked(challenge, low=2))

    assert reply.code == 106
    fresh = _given(reply)
    assert fresh != challenge
    assert agent.take(_asked(fresh, low=3)) is not None


def test_fa_08_after_a_later_challenge_an_earlier_one_is_stale(agent):
    first = _advertised(agent)[-1]
    second = _advertise(agent)
    _granted(agent, _asked(second))

    assert _code(agent, _asked(first, low=2)) == 106


def test_fa_08_what_is_still_under_way_may_be_sent_again(agent):
    datagram = _asked(_advertised(agent)[-1])

    assert [agent.take(datagram) for _ in range(3)] == [datagram] * 3


def test_fa_08_each_session_of_a_node_may_answer_the_same_challenge_once(agent):
    challenge = _advertised(agent)[-1]

    for at, name in enumerate(("pc1", "pc2", "pc3")):
        _granted(agent, _asked(challenge, name), home_address=HOME_ADDRESS + at)

    assert len(agent.visitors()) == 3
    assert [_code(agent, _asked(challenge, name, low=2)) for name in ("pc1", "pc2", "pc3")] == [106] * 3


def test_fa_08_a_node_without_nai_is_its_home_address(agent):
    challenge = _advertised(agent)[-1]
    other = {"nai": None, "sub_nai": "", "home_address": HOME_ADDRESS + 1}
    request = {"nai": None, "sub_nai": "", "home_address": HOME_ADDRESS}
    _granted(agent, _asked(challenge, **request))

    assert _code(agent, _asked(challenge, low=2, **request)) == 106
    assert _code(agent, _asked(challenge, low=3, **other)) == 0


def test_fa_08_a_challenge_that_nothing_answers_is_met_with_silence(agent):
    assert _code(agent, _asked(_advertised(agent)[-1], aaa=None)) is None
    assert agent.world.dropped[-1][1].kind == "unexpected"


def test_fa_08_nor_does_an_authenticator_in_front_of_it_answer_it(agent):
    challenge = octets_of(MobileForeignChallenge(_advertised(agent)[-1]))

    assert _code(agent, CHAP.sign(a_request(), b"") + challenge) is None


def test_two_challenges_get_70(agent):
    challenge = octets_of(MobileForeignChallenge(_advertised(agent)[-1]))

    assert _code(agent, CHAP.sign(a_request(after=challenge * 2), b"")) == 70


def test_a_challenge_of_another_link_is_none_of_this_one():
    here, there = _agent(), _agent()
    there.world.random_octets = here.world.random_octets  # as of one machine
    there.engine._challenges["vis0"] = Challenges(here.world.random_octets)

    assert _code(here, _asked(there.engine._challenges["vis0"].newest())) == 104


# ---- the AAA server's key, where the foreign agent was told it


@pytest.mark.parametrize("aaa", [CHAP, HMAC], ids=["CHAP", "HMAC"])
def test_fa_08_an_answer_that_does_not_verify_gets_108(aaa):
    agent = _agent(aaa={NAI: {2: CHAP, 1024: HMAC}})
    challenge = _advertised(agent)[-1]
    wrong = AaaAssociation(aaa.spi, b"guessed")

    assert _code(agent, _asked(challenge, aaa=aaa)) == 0
    assert _code(agent, _asked(challenge, aaa=wrong, low=2)) == 108
    assert _code(agent, _asked(challenge, aaa=AaaAssociation(9999, b"for the server"), low=3)) == 108
    assert _code(agent, _asked(challenge, aaa=wrong, nai="other@example.net", low=4)) == 0  # its home agent will see


def test_a_chap_answer_to_the_challenge_before_is_none_to_this_one():
    agent = _agent(aaa={NAI: {2: CHAP}})
    before = _advertised(agent)[-1]
    now = _advertise(agent)
    signed = CHAP.sign(a_request("pc1", after=octets_of(MobileForeignChallenge(now))), before)

    assert _code(agent, signed) == 108


def test_text_goes_with_a_denial_only_where_the_node_has_proved_here_who_it_is():
    known, unknown = _agent(aaa={NAI: {2: CHAP}}), _agent()

    texts = []
    for agent in (known, unknown):
        reply = agent.denial(_asked(_advertised(agent)[-1], lifetime=601))
        assert reply.code == 69
        texts.append([one.text for one in find(reply.extensions, MessageString)])

    assert texts == [[b"600 s is the most"], []]


# ---- FA-07: with a key of the node's


def test_fa_07_a_node_that_we_share_a_key_with_may_leave_the_challenge_out_but_not_answer_an_old_one():
    agent = _agent(**FRIENDS)
    challenge = _advertised(agent)[-1]

    assert _code(agent, _asked(None, mobile_foreign=MOBILE_FOREIGN)) == 0
    assert _code(agent, _asked(b"guessed!", mobile_foreign=MOBILE_FOREIGN, low=2)) == 104
    assert _code(agent, _asked(challenge, mobile_foreign=MOBILE_FOREIGN, low=3)) == 0
    assert _code(agent, _asked(challenge, mobile_foreign=SecurityAssociation(768, b"no"), low=4)) == 67


def test_fa_08_a_challenge_that_somebody_put_behind_its_authenticator_is_met_with_silence():
    agent = _agent(**FRIENDS)
    signed = a_request(mobile_foreign=MOBILE_FOREIGN)

    assert agent.take(signed + octets_of(MobileForeignChallenge(_advertised(agent)[-1]))) is None
    assert agent.take(signed) is not None


def test_its_challenge_and_its_authenticator_stay_here(agent):
    agent = _agent(**FRIENDS)

    relayed = agent.take(_asked(_advertised(agent)[-1], mobile_foreign=MOBILE_FOREIGN))

    assert relayed == a_request("pc1", identification=an_identification(low=1))


def test_v3_order_with_all_of_them(agent):
    agent = _agent(**FRIENDS)
    challenge = _advertised(agent)[-1]
    for_home = CHAP.sign(a_request("pc1", after=octets_of(MobileForeignChallenge(challenge))), challenge)

    relayed = agent.take(MOBILE_FOREIGN.sign(for_home, MobileForeignAuthentication))

    assert relayed == for_home


# ---- FA-05: what authorises


def test_fa_05_an_answer_for_the_aaa_server_alone_may_authorise(agent):
    challenge = _advertised(agent)[-1]
    datagram = _asked(challenge, home=None)

    assert agent.take(datagram) == datagram


@pytest.mark.parametrize(
    "datagram",
    [
        a_request(home=None),
        HOME.sign(CHAP.sign(a_request(home=None), b""), MobileHomeAuthentication),
        CHAP.sign(CHAP.sign(a_request(), b""), b""),
        CHAP.sign(MOBILE_FOREIGN.sign(a_request(home=None), MobileForeignAuthentication), b""),
    ],
    ids=["nothing", "the home agent's behind the AAA server's", "two for the AAA server", "a foreign agent's first"],
)
def test_fa_05_another_order_or_number_gets_70(agent, datagram):
    assert _code(agent, datagram) == 70


def test_fa_16_a_critical_extension_among_what_authorises_is_the_home_agents_affair(agent):
    critical = octets_of(CriticalVendor(9, 1, b"?"))
    challenge = _advertised(agent)[-1]
    among = CHAP.sign(a_request(after=critical + octets_of(MobileForeignChallenge(challenge))), challenge)

    assert _code(agent, among) == 0
    assert _code(agent, _asked(challenge) + critical) == 100


def test_fa_17_a_delivery_style_stands_behind_all_that_authorises(agent):
    challenge = _advertised(agent)[-1]
    style = EncapsulatingDelivery().encode()
    in_front = style + octets_of(MobileForeignChallenge(challenge))

    for changes in ({"flags": FLAG_T}, {"flags": FLAG_T, "home": None}):
        assert agent.take(_asked(challenge, **changes) + style) == _asked(challenge, **changes)
    assert _code(agent, CHAP.sign(a_request("pc1", flags=FLAG_T, after=in_front), challenge)) == 70


# ---- with replies


def test_fa_41_every_reply_brings_a_fresh_challenge_that_the_node_may_answer_next(agent):
    challenges = [_advertised(agent)[-1]]

    for low in range(1, 20):
        agent.world.now += 1000
        challenges.append(_given(_granted(agent, _asked(challenges[-1], low=low))))

    assert len(set(challenges)) == len(challenges) == 20


def test_only_the_last_one_that_was_given_counts_and_only_for_whom_it_was_given_to(agent):
    first = _given(_granted(agent, _asked(_advertised(agent)[-1])))
    second = _given(_granted(agent, _asked(first, low=2)))
    third = _given(_granted(agent, _asked(second, low=3)))

    assert _code(agent, _asked(second, low=4)) == 106
    assert _code(agent, _asked(first, low=5)) == 104  # nobody remembers it
    assert _code(agent, _asked(third, "pc2", low=6)) == 104
    assert _code(agent, _asked(third, low=7)) == 0


def test_v6_the_challenge_stands_in_front_of_the_signature_for_the_node():
    agent = _agent(**FRIENDS)

    reply = _granted(agent, _asked(_advertised(agent)[-1], mobile_foreign=MOBILE_FOREIGN))

    assert [type(one) for one in reply.extensions[-3:]] == [
        MobileHomeAuthentication,
        MobileForeignChallenge,
        MobileForeignAuthentication,
    ]
    MOBILE_FOREIGN.verify(agent.last().payload, reply.extensions[-1])


@pytest.mark.parametrize("code", [131, 133, 144, 130])
def test_a_denial_of_the_home_agents_makes_no_challenge_stale(agent, code):
    challenge = _advertised(agent)[-1]
    datagram = _asked(challenge)
    agent.take(datagram)
    reply = RegistrationReply.decode(agent.answer(a_reply(datagram, code)).payload)

    assert _given(reply) == challenge  # what everybody may answer: nothing is kept of whoever that was
    assert _code(agent, _asked(challenge, low=2)) == 0


def test_where_the_foreign_agent_has_verified_the_answer_a_denial_uses_it_up():
    agent = _agent(aaa={NAI: {2: CHAP}})
    challenge = _advertised(agent)[-1]
    datagram = _asked(challenge)
    agent.take(datagram)
    agent.answer(a_reply(datagram, 130))

    assert _code(agent, _asked(challenge, low=2)) == 106


def test_when_no_home_agent_answers_the_node_may_answer_the_same_challenge_again(agent):
    challenge = _advertised(agent)[-1]
    agent.take(_asked(challenge))
    agent.world.pass_time(seconds=7.5)

    assert RegistrationReply.decode(agent.last().payload).code == 78
    assert _code(agent, _asked(challenge, low=2)) == 0


def test_fa_37_another_challenge_in_the_home_agents_reply_gets_109_behind_it_and_no_visitor(agent):
    datagram = _asked(_advertised(agent)[-1])

    reply = _granted(agent, datagram, after=octets_of(MobileForeignChallenge(b"87654321")))

    assert [one.status for one in find(reply.extensions, ForeignAgentError)] == [109]
    assert reply.code == 0
    assert agent.visitors() == {}


@pytest.mark.parametrize("echo", [True, False])
def test_fa_37_the_same_one_or_none_is_right(echo):
    agent = _agent(home_agents={HOME_AGENT: FOREIGN_HOME})
    challenge = _advertised(agent)[-1]
    after = octets_of(MobileForeignChallenge(challenge)) if echo else b""

    reply = _granted(agent, _asked(challenge), after=after, foreign_home=FOREIGN_HOME)

    assert find(reply.extensions, ForeignAgentError) == []
    assert _given(reply) != challenge
    assert agent.visitors() == {"pc1": "10.10.0.10"}


# ---- forgers


def test_forged_requests_take_no_room_and_make_nothing_stale(agent):
    challenges = agent.engine._challenges["vis0"]
    given = _given(_granted(agent, _asked(_advertised(agent)[-1])))
    before = dict(challenges._used), dict(challenges._given)

    for low in range(2, 200):
        agent.world.now += 100
        agent.take(_asked(b"guessed!", f"x{low}", low=low), link_address=low.to_bytes(6, "big"))
        datagram = _asked(given, aaa=AaaAssociation(2, b"guessed"), low=low)
        agent.take(datagram, link_address=low.to_bytes(6, "big"))
        agent.answer(a_reply(datagram, 144))

    assert (dict(challenges._used), dict(challenges._given)) == before
    assert _code(agent, _asked(given, low=999)) == 0


def test_no_denial_of_what_anybody_may_have_sent_is_longer_than_that(agent):
    short = [
        a_request(nai=None, home=None),
        a_request(nai=None, home=None, after=octets_of(MobileHomeAuthentication(256, b"?"))),
        _asked(None, aaa=None),
        _asked(b"", aaa=None),
        _asked(b"guessed!"),
    ]

    for datagram in short:
        agent.world.now += 1000
        reply = agent.denial(datagram)

        assert reply is not None
        assert len(agent.last().payload) <= len(datagram)


def test_a_node_more_than_there_is_room_for_pushes_the_one_out_that_was_unheard_of_for_longest(monkeypatch):
    monkeypatch.setattr("host_agents.foreign_agent.challenges._CAPACITY", 3)
    challenges = Challenges(lambda count: bytes(count))
    for node in "abc":
        challenges.give(node)
        challenges.use(node, challenges.find(node, challenges.newest()))
    challenges.give("a")
    challenges.give("d")

    assert list(challenges._given) == ["c", "a", "d"]
    assert list(challenges._used) == ["a", "b", "c"]


def test_by_themselves_challenges_know_old_from_new():
    counted = iter(range(1, 1000))
    challenges = Challenges(lambda count: next(counted).to_bytes(count, "big"))
    octets = [challenges.newest()]
    for _ in range(3):
        challenges.renew()
        octets.append(challenges.newest())

    for old in octets[:2]:
        with pytest.raises(Denied) as denied:
            challenges.find("a", old)
        assert denied.value.code == 104
    challenges.use("a", challenges.find("a", octets[3]))
    challenges.use("a", challenges.find("b", octets[2]))  # a straggler: what is stale stays stale

    for stale in octets[2:]:
        with pytest.raises(Denied) as denied:
            challenges.find("a", stale)
        assert denied.value.code == 106
    assert challenges.find("b", octets[2]).octets == octets[2]
    assert challenges.offer("b") == octets[3]
    assert challenges.offer("a") == challenges.offer("a") not in octets


def test_after_a_restart_nothing_of_before_is_a_challenge():
    agent = _agent()
    challenge = _advertised(agent)[-1]
    agent.kill()
    agent.start()
    agent.wake()

    assert _code(agent, _asked(challenge)) == 104


def test_the_node_is_told_by_an_authenticator_of_its_own_kind_only(agent):
    challenge = _advertised(agent)[-1]
    datagram = _asked(challenge, aaa=None) + octets_of(MnAaaAuthentication(2, bytes(16)))

    assert agent.take(datagram) == datagram  # the home agent says 144
