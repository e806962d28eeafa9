"""A mobile node where agents challenge (RFC 4721 §3.1): MN-06, MN-14, what 104, 105, 106, 108, 109 and 144 lead to."""

import pytest

from mip4.authentication import AaaAssociation, SecurityAssociation
from mip4.effects import Dropped, Said, Solicit
from mip4.extensions import (
    EncapsulatingDelivery,
    ForeignAgentError,
    MnAaaAuthentication,
    MobileForeignAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    Nai,
    find,
)
from tests.helpers.builders import FOREIGN_AGENTS, NAI, PC1, a_subscriber
from tests.helpers.driven_node import DrivenNode
from tests.helpers.messages import MOBILE_FOREIGN, octets_of
from tests.helpers.world import World

DISCOVER, RELEASE = 1, 7
FIRST, SECOND, THIRD = b"11111111", b"22222222", b"33333333"
CHAP = {"spi": 2, "key": b"for the server", "algorithm": "hmac-md5"}
HMAC = {"spi": 1024, "key": b"for the server", "algorithm": "hmac-sha1"}
FRIEND = {
    "care_of_address": FOREIGN_AGENTS["fa1"],
    "spi": 768,
    "key": b"mobile node and foreign agent",
    "algorithm": "hmac-md5",
}


def _node(challenge=FIRST, **config):
    return DrivenNode(**{"aaa": CHAP, **config}).up(challenge=challenge)


def _challenge(request):
    """That a request answers; None for none."""
    found = find(request.extensions, MobileForeignChallenge)
    assert len(found) < 2
    return found[0].challenge if found else None


def _kinds(request):
    """Of the extensions from the home agent's authenticator on."""
    kinds = [type(one) for one in request.extensions]
    return kinds[kinds.index(MobileHomeAuthentication) :]


# ---- MN-06


@pytest.mark.parametrize("aaa", [CHAP, HMAC], ids=["CHAP", "HMAC"])
def test_mn_06_the_challenge_that_is_heard_is_answered_for_the_aaa_server_behind_all_that_is_for_the_home_agent(aaa):
    node = _node(aaa=aaa)

    request = node.request()

    assert _kinds(request) == [MobileHomeAuthentication, MobileForeignChallenge, MnAaaAuthentication]
    assert type(request.extensions[0]) is Nai
    AaaAssociation(**aaa).verify(node.last(), request.extensions[-1], FIRST)
    assert _challenge(request) == FIRST


def test_mn_06_a_foreign_agent_that_shares_a_key_with_us_gets_its_own_authenticator_last():
    request = _node(aaa=None, foreign_agents=[FRIEND]).request()
    with_both = _node(foreign_agents=[FRIEND]).request()

    assert _kinds(request) == [MobileHomeAuthentication, MobileForeignChallenge, MobileForeignAuthentication]
    assert _kinds(with_both) == [
        MobileHomeAuthentication,
        MobileForeignChallenge,
        MnAaaAuthentication,
        MobileForeignAuthentication,
    ]


@pytest.mark.parametrize("keys", [[], [FRIEND]], ids=["", "with a key for the agent"])
def test_mn_06_a_delivery_style_stands_behind_all_that_the_home_agent_gets(keys):
    request = _node(foreign_agents=keys, delivery="encapsulating").request()

    assert _kinds(request) == [
        MobileHomeAuthentication,
        MobileForeignChallenge,
        MnAaaAuthentication,
        EncapsulatingDelivery,
        *[MobileForeignAuthentication for _ in keys],
    ]


def test_mn_06_a_challenge_that_we_have_no_key_to_answer_is_left_out():
    node = _node(aaa=None)

    assert _kinds(node.request()) == [MobileHomeAuthentication]


def test_mn_06_an_agent_that_asks_for_no_answer_gets_none():
    assert _kinds(_node(challenge=b"").request()) == [MobileHomeAuthentication]


def test_with_a_care_of_address_of_our_own_nobody_asks():
    node = DrivenNode(aaa=CHAP, mode="co-located").up(None)
    node.run(node.engine.address(0xCB007182, 0))

    assert _kinds(node.request()) == [MobileHomeAuthentication]


def test_mn_14_of_an_agent_that_shares_a_key_with_us_we_take_no_challenge_but_under_that_key():
    node = _node(foreign_agents=[FRIEND])
    fresh = octets_of(MobileForeignChallenge(SECOND))

    node.answer(104, after=fresh)
    node.answer(104, after=fresh, mobile_foreign=SecurityAssociation(768, b"guessed"))
    assert len(node.said(Dropped)) == 2
    node.answer(104, after=fresh, mobile_foreign=MOBILE_FOREIGN)
    node.adverts = {}
    node.pass_time(seconds=1.5)

    assert _challenge(node.request()) == SECOND


# ---- which challenge


@pytest.mark.parametrize("later", ["reply", "advertisement"])
def test_the_later_one_is_answered_whether_it_came_with_a_reply_or_was_advertised(later):
    node = DrivenNode(aaa=CHAP).up(challenge=FIRST, lifetime=1000)
    node.adverts = {}
    if later == "reply":
        node.pass_time(seconds=0.5)
        node.hear(again=False, challenge=SECOND, lifetime=1000)
        node.pass_time(seconds=0.1)
        node.answer(0, after=octets_of(MobileForeignChallenge(THIRD)))
    else:
        node.answer(0, after=octets_of(MobileForeignChallenge(SECOND)))
        node.pass_time(seconds=0.5)
        node.hear(again=False, challenge=THIRD, lifetime=1000)

    node.pass_time(seconds=310)

    assert _challenge(node.request()) == THIRD


def test_what_one_agent_asked_is_not_answered_to_another():
    node = _node()
    node.answer(0, after=octets_of(MobileForeignChallenge(SECOND)))

    node.up("fa2", challenge=THIRD)
    assert _challenge(node.request()) == THIRD
    node.up("fa2")
    node.pass_time(seconds=1.1)

    assert _challenge(node.request()) is None


def test_each_session_answers_what_came_with_its_own_reply():
    node = DrivenNode(aaa=CHAP, applications=["a"]).up(challenge=FIRST, lifetime=1000)
    node.adverts = {}
    node.answer(0, "", after=octets_of(MobileForeignChallenge(SECOND)))
    node.answer(0, "a", after=octets_of(MobileForeignChallenge(THIRD)), home_address=0x0A0A000B)

    node.pass_time(seconds=310)

    assert (_challenge(node.request("")), _challenge(node.request("a"))) == (SECOND, THIRD)


# ---- denials


@pytest.mark.parametrize("code", [104, 105, 106])
def test_mn_104_the_challenge_that_comes_with_a_denial_is_answered_after_a_second(code):
    node = DrivenNode(aaa=CHAP).up(challenge=FIRST, lifetime=1000)
    node.adverts = {}

    node.answer(code, after=octets_of(MobileForeignChallenge(SECOND)))
    node.pass_time(seconds=1.1)

    assert node.times() == [0, 1000]
    assert _challenge(node.request()) == SECOND
    assert [one.level for one in node.said(Said) if "challenge" in one.text] == ["info"]


@pytest.mark.parametrize("code", [104, 105, 106])
def test_mn_104_where_none_comes_with_it_the_agent_is_asked_for_one(code):
    node = DrivenNode(aaa=CHAP).up(challenge=FIRST, lifetime=1000)
    node.adverts = {}

    said = node.answer(code)
    node.hear(again=False, challenge=SECOND, lifetime=1000)
    node.pass_time(seconds=1.1)

    assert [one for one in said if isinstance(one, Solicit)] == [Solicit()]
    assert _challenge(node.request()) == SECOND


@pytest.mark.parametrize("code", [104, 106])
def test_an_agent_that_counts_all_our_sessions_as_one_gets_them_one_at_a_time(code):
    node = DrivenNode(aaa=CHAP, applications=["a", "b"]).up(challenge=FIRST, lifetime=1000)
    node.adverts = {}
    fresh = octets_of(MobileForeignChallenge(SECOND))
    node.answer(0, "", after=fresh)
    marked = []
    for _ in range(2):
        for name in ("a", "b"):
            node.answer(code, name, after=fresh)
        marked.append(len(node.engine._singly))
        node.pass_time(seconds=1.05)

    assert marked == [0, 1]


@pytest.mark.parametrize("code", [108, 144])
def test_a_key_that_is_refused_is_the_owners_affair(code):
    node = _node()

    node.answer(code)
    node.pass_time(seconds=11)

    assert node.times() == [0, 10_000]
    assert [one.level for one in node.said(Said) if "AAA" in one.text] == ["warning"]


@pytest.mark.parametrize("code", [105, 108, 109])
def test_another_agent_may_not_ask(code):
    node = _node(aaa=None)
    node.hear("fa2", challenge=b"")

    if code == 109:
        node.answer(0, after=octets_of(ForeignAgentError(109)))
    else:
        node.answer(code)

    assert node.request().care_of_address == FOREIGN_AGENTS["fa2"]


# ---- with agents that challenge


def _world(aaa=True, **foreign_agents):
    keys = {2: AaaAssociation(2, b"for the server")} if aaa else {}
    return World(
        home_agent={"subscribers": {NAI: a_subscriber(aaa=keys)}},
        foreign_agents={"challenge": True, **foreign_agents},
    )


@pytest.mark.parametrize("interval", [1000, 600_000], ids=["heard every second", "hardly ever heard"])
@pytest.mark.parametrize("replay", ["timestamps", "nonces"])
def test_all_sessions_are_registered_at_once_renewed_and_moved(interval, replay):
    world = World(
        home_agent={
            "subscribers": {NAI: a_subscriber(aaa={2: AaaAssociation(2, b"for the server")}, nonces=replay == "nonces")}
        },
        foreign_agents={"challenge": True, "advertise_interval": interval},
    )
    node = world.add_node(aaa=CHAP, applications=["a", "b", "c"], replay=replay)
    world.pass_time(seconds=0.1 if replay == "timestamps" else 1.2)
    assert len(world.home_agent.bindings()) == 4

    world.pass_time(seconds=2 * 3600)
    assert len(world.home_agent.bindings()) == 4
    node.move("fa2")
    world.pass_time(seconds=0.05)

    assert {care_of for _, care_of in world.home_agent.bindings().values()} == {"203.0.113.66"}
    assert world.warnings() == []
    assert [text for _, text in world.said if "challenge" in text] == []


def test_who_hands_in_packets_is_served_where_agents_challenge():
    world = _world()
    world.add_node(aaa=CHAP, delivery="encapsulating")
    world.pass_time(seconds=1)

    (delivery,) = world.foreign_agents["fa1"].deliveries.values()
    assert delivery.reverse is False  # only what is handed in goes into the tunnel
    assert len(world.home_agent.bindings()) == 1


def test_a_device_comes_and_goes_where_agents_challenge():
    world = _world()
    node = world.add_node(aaa=CHAP, names={"02:00:00:00:00:11": "pc1"})
    world.pass_time(seconds=2)
    node.device(DISCOVER, PC1)
    world.pass_time(seconds=2)
    assert set(world.home_agent.bindings()) == {"", "pc1"}

    node.device(RELEASE, PC1, client_address=node.address_of_device(PC1))
    world.pass_time(seconds=2)

    assert set(world.home_agent.bindings()) == {""}
    assert world.foreign_agents["fa1"].visitors() == {"": "10.10.0.10"}


def test_a_lost_reply_costs_one_106_at_an_agent_that_is_hardly_ever_heard():
    world = _world(advertise_interval=600_000)
    node = world.add_node(aaa=CHAP)
    world.pass_time(seconds=0.01)
    world.lose_next("fa1", "mn1")

    world.pass_time(seconds=4)

    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert sum("106" in text for _, text in world.said) == 2  # the agent and the node say it once each
    assert world.warnings() == []


def test_an_agent_that_was_restarted_knows_no_challenge_of_before_and_gives_a_new_one():
    world = _world(advertise_interval=600_000)
    node = world.add_node(aaa=CHAP)
    world.pass_time(seconds=5)
    station = world.foreign_agents["fa1"]
    station.kill()
    world.now += 1
    station.start()
    for _ in range(4):
        world.lose_next("fa1", "mn1")  # what it advertises in its first minute

    world.pass_time(seconds=310)

    assert sum("104" in text for _, text in world.said) == 2
    assert node.sessions() == {"": ("registered", "10.10.0.10")}
    assert world.home_agent.rows[NAI, ""].expires - world.home_agent.engine.clock(world.home_agent.now) > 400_000


def test_who_has_no_key_is_not_served_and_says_why():
    world = _world()
    node = world.add_node()
    world.pass_time(seconds=30)

    assert node.sessions() == {"": ("registering", None)}
    assert any("105 missing challenge" in text for text in world.warnings())


def test_who_has_another_key_than_the_home_agent_knows_is_not_served():
    world = _world()
    node = world.add_node(aaa={**CHAP, "key": b"guessed"})
    world.pass_time(seconds=30)

    assert node.sessions() == {"": ("registering", None)}
    assert any("144 mobile node failed AAA authentication" in text for text in world.warnings())


def test_a_recorded_request_is_of_no_use_at_the_foreign_agent():
    world = _world()
    recorded = []
    node = world.add_node(aaa=CHAP)
    world.watch = lambda source, destination, octets: recorded.append(octets) if source == "mn1" else None
    world.pass_time(seconds=600)
    requests = [octets for octets in recorded if octets[9] == 17]
    assert len(requests) > 1
    node.move(None)
    relayed = []
    world.watch = lambda source, destination, octets: relayed.append(octets) if source == "fa1" else None
    before = len(world.home_agent.engine._replay.timestamps._last)

    for octets in requests:
        world.foreign_agents["fa1"].heard(bytes(6), octets)
        world.pass_time(seconds=2)

    assert [one for one in relayed if one[:1] == b"\x01"] == []
    assert len(world.home_agent.engine._replay.timestamps._last) == before
