"""What the foreign agent makes of home agents' replies (FA-31 … FA-41): visitors, delivery, refusals, restarts."""

import pytest
from msgspec.structs import replace

from host_agents.effects import InstallDelivery, InstallTunnel, RemoveDelivery, RemoveTunnel, StoreVisitor, TunnelEnd
from host_agents.foreign_agent.policy import VisitedInterface
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import FLAG_D, FLAG_G, FLAG_M, FLAG_T
from mip4.extensions import (
    CriticalVendor,
    EncapsulatingDelivery,
    Experimental,
    ForeignAgentError,
    ForeignHomeAuthentication,
    MobileForeignAuthentication,
    MobileForeignChallenge,
    Nai,
    RevocationSupport,
    find,
)
from mip4.ip import Datagram
from mip4.messages import RegistrationReply
from mip4.sub_nai import SubNai
from tests.helpers.alone import NODE, NODE_LINK, ForeignAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, VISITED
from tests.helpers.messages import FOREIGN_HOME, MOBILE_FOREIGN, a_reply, a_request, an_identification, octets_of

HOME_ADDRESS = parse("10.10.0.10")
OTHER_AGENT = parse("192.0.2.9")
CRITICAL = CriticalVendor(9, 1, b"?")
OTHER_LINK = bytes.fromhex("020000000202")


@pytest.fixture
def agent():
    return ForeignAgentAlone()


def _signing():
    return ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME})


def _register(agent, sub_nai="pc1", home_address=HOME_ADDRESS, low=1, link_address=NODE_LINK, **request):
    if request.get("nai", NAI) is None:
        sub_nai, request["home_address"] = "", home_address
    datagram = a_request(sub_nai, identification=an_identification(low=low), **request)
    assert agent.take(datagram, link_address=link_address) is not None
    lifetime = request.get("lifetime", 600)
    reply = a_reply(datagram, home_address=home_address, lifetime=lifetime)
    return agent.answer(reply, request.get("home_agent", HOME_AGENT))


# ---- passed on


def test_fa_39_an_accepted_visitor_is_stored_carried_and_told_in_this_order(agent):
    datagram = a_request("pc1", flags=FLAG_T)
    agent.take(datagram)

    turn = agent.engine.receive(a_reply(datagram, home_address=HOME_ADDRESS), HOME_AGENT, 434, 0)

    assert [type(one) for one in turn.effects[:3]] == [StoreVisitor, InstallTunnel, InstallDelivery]
    home = (TunnelEnd(HOME_AGENT, "ipip"),)
    expires = turn.effects[0].visitor.expires
    assert turn.effects[1] == InstallTunnel(HOME_ADDRESS, FOREIGN_AGENTS["fa1"], home, expires=expires)
    assert turn.effects[2] == InstallDelivery(HOME_ADDRESS, "vis0", NODE_LINK, True)
    assert turn.session == (NAI, "pc1")


@pytest.mark.parametrize("flags, kind", [(FLAG_G, "gre"), (FLAG_M, "minimal"), (FLAG_G | FLAG_M, "gre")])
def test_fa_39_the_tunnel_is_of_the_kind_that_was_asked_for_after_a_restart_too(flags, kind):
    agent = ForeignAgentAlone(encapsulations=("gre", "minimal"))
    _register(agent, flags=flags)
    before = agent.installed[HOME_ADDRESS]

    agent.start()

    assert before.ends == (TunnelEnd(HOME_AGENT, kind),)
    assert agent.installed[HOME_ADDRESS] == before


def test_fa_17_of_a_visitor_that_hands_in_only_that_goes_into_the_reverse_tunnel_after_a_restart_too(agent):
    _register(agent, flags=FLAG_T, after=octets_of(EncapsulatingDelivery()))
    before = agent.installed[HOME_ADDRESS]

    agent.start()

    assert before.encapsulating_link == "vis0"
    assert agent.installed[HOME_ADDRESS] == before
    assert agent.delivery(HOME_ADDRESS) == InstallDelivery(HOME_ADDRESS, "vis0", NODE_LINK, False)


def test_fa_17_a_visitor_that_changes_its_delivery_style_is_carried_the_new_way(agent):
    _register(agent, flags=FLAG_T, after=octets_of(EncapsulatingDelivery()))

    _register(agent, flags=FLAG_T, low=2)

    assert agent.installed[HOME_ADDRESS].encapsulating_link == ""
    assert agent.delivery(HOME_ADDRESS).reverse is True


def test_without_t_flag_the_reverse_direction_is_routed(agent):
    _register(agent)

    assert agent.delivery(HOME_ADDRESS).reverse is False


def test_fa_41_a_reply_goes_on_byte_for_byte_up_to_the_home_agents_authenticator():
    agent = _signing()
    datagram = a_request("pc1")
    agent.take(datagram)
    signed = a_reply(
        datagram,
        home_address=HOME_ADDRESS,
        after=octets_of(MobileForeignChallenge(b"87654321")),
        foreign_home=FOREIGN_HOME,
    )

    passed_on = agent.answer(signed)

    assert passed_on.payload == a_reply(datagram, home_address=HOME_ADDRESS)


def test_fa_41_to_a_node_that_we_share_a_key_with_it_is_signed():
    agent = ForeignAgentAlone(mobile_nodes={NAI: {768: MOBILE_FOREIGN}})
    datagram = a_request("pc1", mobile_foreign=MOBILE_FOREIGN)
    agent.take(datagram)

    passed_on = agent.answer(a_reply(datagram, home_address=HOME_ADDRESS))

    assert passed_on.payload == a_reply(datagram, home_address=HOME_ADDRESS, mobile_foreign=MOBILE_FOREIGN)


@pytest.mark.parametrize(
    ("source", "given", "destination"),
    [(NODE, HOME_ADDRESS, NODE), (0, HOME_ADDRESS, HOME_ADDRESS), (0, 0, 0xFFFFFFFF)],
    ids=["the request's source", "else the home address in the reply", "else everybody"],
)
def test_fa_41_a_reply_goes_in_a_unicast_frame_to(agent, source, given, destination):
    datagram = a_request("pc1")
    agent.take(datagram, source=source, port=5000)

    passed_on = agent.answer(a_reply(datagram, 0 if given else 130, home_address=given))

    assert agent.frames[-1].link_address == NODE_LINK
    assert (passed_on.destination, passed_on.destination_port) == (destination, 5000)
    assert (passed_on.source, passed_on.source_port) == (VISITED["fa1"], 434)


@pytest.mark.parametrize("code", [*range(128, 143), 64, 77, 255])
def test_fa_40_a_denial_is_passed_on_and_ends_only_the_request(agent, code):
    _register(agent)
    datagram = a_request("pc1", identification=an_identification(low=2))
    agent.take(datagram)

    passed_on = agent.answer(a_reply(datagram, code, home_address=HOME_ADDRESS))

    assert RegistrationReply.decode(passed_on.payload).code == code
    assert agent.visitors() == {"pc1": "10.10.0.10"}
    assert list(agent.engine.visitors.pending()) == []


def test_fa_40_a_deregistration_ends_the_visit(agent):
    _register(agent)

    assert _register(agent, low=2, lifetime=0) is not None

    assert agent.visitors() == {}


def test_a_deregistration_of_another_session_of_that_address_ends_nothing(agent):
    _register(agent)

    _register(agent, sub_nai="pc2", low=2, lifetime=0)

    assert agent.visitors() == {"pc1": "10.10.0.10"}


@pytest.mark.parametrize("nai", [NAI, None])
def test_a_home_agent_that_a_stranger_has_chosen_ends_nobody_elses_visit(agent, nai):
    """He knows the names and the home address of his victim, and has a home agent that says yes to everything."""
    _register(agent, nai=nai)
    forged = {"nai": nai, "home_agent": OTHER_AGENT, "link_address": OTHER_LINK}

    _register(agent, low=2, lifetime=0, **forged)
    refused = _register(agent, low=3, **forged)
    _register(agent, low=4, home_address=HOME_ADDRESS + 5, **forged)

    assert [one.status for one in find(RegistrationReply.decode(refused.payload).extensions, ForeignAgentError)] == [66]
    assert agent.engine.visitors.find(HOME_ADDRESS).home_agent == HOME_AGENT
    assert agent.delivery(HOME_ADDRESS).link_address == NODE_LINK


def test_a_node_that_has_changed_its_home_agent_is_served_at_once(agent):
    _register(agent)

    _register(agent, low=2, home_agent=OTHER_AGENT)

    assert agent.engine.visitors.find(HOME_ADDRESS).home_agent == OTHER_AGENT
    assert agent.visitors() == {"pc1": "10.10.0.10"}


def test_an_accepted_deregistration_of_who_never_had_an_address_is_passed_on(agent):
    passed_on = _register(agent, home_address=0, lifetime=0)

    assert RegistrationReply.decode(passed_on.payload).code == 0


def test_a_co_located_nodes_reply_is_passed_on_and_nobody_is_a_visitor(agent):
    assert _register(agent, flags=FLAG_D, care_of_address=NODE) is not None

    assert agent.visitors() == {}


@pytest.mark.parametrize(("granted", "kept"), [(60, 60), (600, 600), (900, 600), (0xFFFF, 600)])
def test_fa_39_the_lifetime_is_the_shortest_of_all_and_begins_when_the_reply_goes_on(agent, granted, kept):
    datagram = a_request("pc1")
    agent.take(datagram)
    agent.world.now += 500

    agent.answer(a_reply(datagram, home_address=HOME_ADDRESS, lifetime=granted))

    visitor = agent.rows[HOME_ADDRESS]
    assert (visitor.lifetime, visitor.expires) == (kept, 500 + kept * 1000)


def test_a_visitor_for_ever_where_the_operator_allows_it():
    agent = ForeignAgentAlone(lifetime=0xFFFF, advertise_interval=600_000)
    _register(agent, lifetime=0xFFFF)

    agent.world.pass_time(seconds=100_000)

    assert agent.rows[HOME_ADDRESS].expires is None
    assert agent.visitors() == {"pc1": "10.10.0.10"}
    agent.kill()
    agent.start()
    assert agent.visitors() == {"pc1": "10.10.0.10"}
    assert agent.engine.visitors.next_expiry() is None


# ---- FA-35: what an accepting reply lacks


@pytest.mark.parametrize(
    ("code", "changes"),
    [(97, {"before": []}), (98, {"home_agent": 0}), (99, {"home_address": 0})],
    ids=["97 no NAI", "98 no home agent", "99 no home address"],
)
def test_fa_35_the_code_is_written_over_with(agent, code, changes):
    datagram = a_request("pc1")
    agent.take(datagram)

    passed_on = agent.answer(a_reply(datagram, **{"home_address": HOME_ADDRESS, **changes}))

    assert RegistrationReply.decode(passed_on.payload).code == code
    assert agent.visitors() == {}


# ---- silent


def _reply(datagram, **changes):
    return a_reply(datagram, **{"home_address": HOME_ADDRESS, **changes})


REQUEST = a_request("pc1")
LOW = an_identification() ^ 1
SILENCES = {
    "FA-31 shorter than the fixed part": (_reply(REQUEST)[:19], HOME_AGENT),
    "FA-31 a request": (REQUEST, HOME_AGENT),
    "FA-32 an unknown extension below 128": (_reply(REQUEST, after=b"\x7e\x00"), HOME_AGENT),
    "FA-33 two sub-NAIs": (_reply(REQUEST, before=[Nai(NAI.encode()), *[Experimental(1, b"pc1")] * 2]), HOME_AGENT),
    "FA-33 another Identification": (_reply(REQUEST, identification=LOW), HOME_AGENT),
    "FA-33 another source": (_reply(REQUEST), OTHER_AGENT),
    "FA-33 another NAI": (_reply(REQUEST, before=[Nai(b"other@example.net")]), HOME_AGENT),
    "FA-33 a NAI that is not UTF-8": (_reply(REQUEST, before=[Nai(b"\xff")]), HOME_AGENT),
    "FA-33 another sub-NAI": (_reply(REQUEST, before=[Nai(NAI.encode()), Experimental(1, b"pc2")]), HOME_AGENT),
    "accepted in the name of another home agent": (_reply(REQUEST, home_agent=OTHER_AGENT), HOME_AGENT),
}


@pytest.mark.parametrize(("datagram", "source"), SILENCES.values(), ids=SILENCES)
def test_silence_for(agent, datagram, source):
    agent.take(REQUEST)

    assert agent.answer(datagram, source) is None

    assert agent.visitors() == {}
    assert len(list(agent.engine.visitors.pending())) == 1
    assert agent.answer(_reply(REQUEST)) is not None


@pytest.mark.parametrize("keys", [{}, {HOME_AGENT: FOREIGN_HOME}], ids=["", "with a key"])
def test_fa_32_a_malformed_reply_is_71_once_a_second_and_the_true_one_still_counts(keys):
    agent = ForeignAgentAlone(home_agents=keys)
    agent.take(REQUEST)
    malformed = _reply(REQUEST)[:-1]

    told = [agent.answer(malformed) for _ in range(3)]

    assert told[1:] == [None, None]
    reply = RegistrationReply.decode(told[0].payload)
    assert (reply.code, reply.identification) == (71, an_identification())
    assert agent.visitors() == {}
    agent.answer(_reply(REQUEST, foreign_home=FOREIGN_HOME if keys else None))
    assert agent.visitors() == {"pc1": "10.10.0.10"}


@pytest.mark.parametrize("source", [HOME_AGENT, OTHER_AGENT])
def test_fa_32_silence_for_a_malformed_reply_to_nothing(agent, source):
    if source == OTHER_AGENT:
        agent.take(REQUEST)

    assert agent.answer(_reply(REQUEST)[:-1], source) is None


def test_fa_36_a_critical_extension_for_us_is_101_and_nobody_becomes_a_visitor():
    agent = _signing()
    agent.take(REQUEST)
    signed = _reply(REQUEST, after=octets_of(CRITICAL), foreign_home=FOREIGN_HOME)

    reply = RegistrationReply.decode(agent.answer(signed).payload)

    assert (reply.code, reply.identification) == (101, an_identification())
    assert agent.visitors() == {}
    assert list(agent.engine.visitors.pending()) == []


def test_fa_36_a_critical_extension_for_the_node_is_passed_on(agent):
    agent.take(REQUEST)
    reply = _reply(REQUEST, before=[Nai(NAI.encode()), Experimental(1, b"pc1"), CRITICAL])

    assert agent.answer(reply).payload == reply


def test_fa_36_nor_is_one_of_a_home_agent_that_has_not_signed_for_the_node_for_us(agent):
    agent.take(REQUEST)
    reply = _reply(REQUEST, code=128, before=[Nai(NAI.encode()), Experimental(1, b"pc1"), CRITICAL], home=None)

    assert agent.answer(reply).payload == reply


def test_fa_41_what_a_home_agent_has_signed_for_us_alone_is_for_us():
    agent = _signing()
    agent.take(REQUEST)
    denial = _reply(REQUEST, code=132, home=None)

    passed_on = agent.answer(_reply(REQUEST, code=132, home=None, foreign_home=FOREIGN_HOME))

    assert passed_on.payload == denial


def test_a_home_agent_without_a_key_can_offer_what_it_likes(agent):
    agent.take(REQUEST)

    agent.answer(_reply(REQUEST, after=RevocationSupport(True, 1).encode()))

    assert [one.revocation for one in agent.engine.visitors] == [None]


def test_of_two_requests_with_one_low_word_an_unnamed_reply_answers_neither(agent):
    for name in ("pc1", "pc2"):
        agent.take(a_request(name))

    assert agent.answer(_reply(REQUEST, before=[Nai(NAI.encode())])) is None


def test_nothing_is_left_of_requests_that_were_answered_or_given_up(agent):
    for number in range(20):
        agent.take(a_request(f"pc{number}", identification=an_identification(low=number)))
    agent.answer(_reply(a_request("pc0", identification=an_identification(low=0))))

    agent.world.pass_time(seconds=8)

    table = agent.engine.visitors
    assert (table._pending, table._by_low, table._count) == ({}, {}, {})


def test_a_reply_to_nothing_is_silence(agent):
    assert agent.answer(_reply(REQUEST)) is None


def test_a_reply_is_passed_on_once(agent):
    agent.take(REQUEST)

    assert [agent.answer(_reply(REQUEST)) is not None, agent.answer(_reply(REQUEST)) is not None] == [True, False]


def test_a_home_agent_that_knows_no_sub_nais_may_answer_without_one(agent):
    """The node sees that its sub-NAI is missing; for us the word that every reply copies decides."""
    agent.take(REQUEST)

    assert agent.answer(_reply(REQUEST, before=[Nai(NAI.encode())])) is not None


def test_the_carrier_of_the_sub_nai_does_not_matter():
    agent = ForeignAgentAlone(sub_nai_vendor=40000)
    datagram = a_request(carrier=SubNai(b"pc1", 40000, NAI.encode()))
    agent.take(datagram)

    agent.answer(_reply(datagram, before=[Nai(NAI.encode()), Experimental(1, b"pc1")]))

    assert agent.visitors() == {"pc1": "10.10.0.10"}


def test_replies_to_nodes_without_nai_go_by_home_address(agent):
    one, other = (a_request(nai=None, home_address=HOME_ADDRESS + at) for at in range(2))
    agent.take(one)
    agent.take(other, link_address=OTHER_LINK)

    agent.answer(a_reply(other))
    agent.answer(a_reply(one))

    assert [agent.delivery(HOME_ADDRESS + at).link_address for at in range(2)] == [NODE_LINK, OTHER_LINK]
    agent.take(one)
    assert agent.answer(a_reply(one, home_address=HOME_ADDRESS + 7)) is None


# ---- FA-34: the home agent's signature


FORGED = {
    "unsigned": {},
    "another key": {"foreign_home": SecurityAssociation(512, b"guessed")},
    "another SPI": {"foreign_home": SecurityAssociation(513, b"foreign agent and home agent")},
    "signed twice": {"after": octets_of(ForeignHomeAuthentication(512, bytes(16))), "foreign_home": FOREIGN_HOME},
    "a denial": {"code": 131},
    "a denial for no time": {"code": 131, "lifetime": 0},
    "for no time": {"lifetime": 0},
    "a denial by another home agent": {"home_agent": OTHER_AGENT, "code": 136},
    "by no home agent": {"home_agent": 0},
}


@pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED)
def test_fa_34_unsigned_it_goes_on_with_68_behind_the_home_agents_word_for_the_node_and_nothing_more(changes):
    agent = _signing()
    agent.take(REQUEST)
    forged = _reply(REQUEST, **changes)
    kept = {one: value for one, value in changes.items() if one not in ("foreign_home", "after")}

    told = [agent.answer(forged) for _ in range(3)]

    assert told[0].payload == _reply(REQUEST, **kept) + octets_of(ForeignAgentError(68))
    assert told[1:] == [None, None]
    assert agent.visitors() == {}
    agent.answer(_reply(REQUEST, foreign_home=FOREIGN_HOME))
    assert agent.visitors() == {"pc1": "10.10.0.10"}


@pytest.mark.parametrize(
    "changes",
    [{"home": None}, {"home_agent": OTHER_AGENT}, {"code": 77}],
    ids=["without a word for the node", "in the name of another home agent", "a foreign agent's denial"],
)
def test_fa_34_silence_for_an_unsigned_reply(changes):
    agent = _signing()
    agent.take(REQUEST)

    assert agent.answer(_reply(REQUEST, **changes)) is None

    assert len(list(agent.engine.visitors.pending())) == 1


def test_fa_34_a_forger_cannot_end_a_visit_with_a_reply_of_lifetime_0():
    agent = _signing()
    agent.take(REQUEST)
    agent.answer(_reply(REQUEST, foreign_home=FOREIGN_HOME))
    renewal = a_request("pc1", identification=an_identification(low=2))
    agent.take(renewal)

    agent.answer(_reply(renewal, lifetime=0))

    assert agent.visitors() == {"pc1": "10.10.0.10"}


def test_fa_34_a_deregistration_is_answered_unsigned_and_a_signature_is_checked_if_there_is_one():
    agent = _signing()
    agent.take(REQUEST)
    agent.answer(_reply(REQUEST, foreign_home=FOREIGN_HOME))
    goodbye = a_request("pc1", identification=an_identification(low=2), lifetime=0)
    agent.take(goodbye)

    agent.answer(_reply(goodbye, foreign_home=SecurityAssociation(512, b"guessed")))
    assert agent.visitors() == {"pc1": "10.10.0.10"}
    assert agent.answer(_reply(goodbye)) is not None
    assert agent.visitors() == {}


def test_nobody_becomes_a_visitor_by_asking_to_leave(agent):
    goodbye = a_request("pc1", lifetime=0)
    agent.take(goodbye)

    agent.answer(_reply(goodbye, lifetime=600))

    assert agent.visitors() == {}


# ---- whom we cannot carry


@pytest.mark.parametrize("address", ["10.99.1.77", "127.0.0.1", "224.0.0.5", "255.255.255.255"])
def test_fa_39_a_home_address_that_would_harm_our_links_gets_66_behind_the_untouched_reply(agent, address):
    agent.take(REQUEST)
    accepted = _reply(REQUEST, home_address=parse(address))

    passed_on = agent.answer(accepted)

    assert passed_on.payload == accepted + octets_of(ForeignAgentError(66))
    assert agent.visitors() == {}


def test_one_home_address_of_two_home_agents_is_carried_for_the_first(agent):
    _register(agent)

    passed_on = _register(agent, sub_nai="pc2", low=2, home_agent=OTHER_AGENT, link_address=OTHER_LINK)

    assert [one.status for one in find(RegistrationReply.decode(passed_on.payload).extensions, ForeignAgentError)] == [
        66
    ]
    assert agent.visitors() == {"pc1": "10.10.0.10"}
    assert agent.delivery(HOME_ADDRESS).link_address == NODE_LINK


def test_one_home_address_of_two_sessions_of_one_home_agent_is_the_later_ones(agent):
    """It was given back while its first owner was somewhere else: who gives addresses knows whose they are."""
    _register(agent)

    passed_on = _register(agent, sub_nai="pc2", low=2, link_address=OTHER_LINK)

    assert find(RegistrationReply.decode(passed_on.payload).extensions, ForeignAgentError) == []
    assert agent.visitors() == {"pc2": "10.10.0.10"}
    assert agent.delivery(HOME_ADDRESS).link_address == OTHER_LINK


def test_the_visitor_list_is_bounded_and_says_so_in_advertisements():
    agent = ForeignAgentAlone(visitors=3)
    for number in range(3):
        _register(agent, sub_nai=f"pc{number}", home_address=HOME_ADDRESS + number)

    assert agent.denial(a_request("pc3")).code == 66
    agent.solicited()
    assert agent.advertisements()[-1][1].agent().flags & 0x4000
    renewal = _register(agent, sub_nai="pc0", low=2)  # that, and a goodbye
    assert find(RegistrationReply.decode(renewal.payload).extensions, ForeignAgentError) == []
    assert _register(agent, sub_nai="elsewhere", low=3, lifetime=0, home_address=0) is not None
    assert _register(agent, sub_nai="by itself", low=6, flags=FLAG_D, care_of_address=NODE, home_address=0) is not None
    assert _register(agent, sub_nai="pc1", low=4, lifetime=0, home_address=HOME_ADDRESS + 1) is not None
    assert _register(agent, sub_nai="pc3", low=5, home_address=HOME_ADDRESS + 3) is not None


def test_a_full_list_renews_whoever_is_on_it_without_a_nai_too():
    agent = ForeignAgentAlone(visitors=1)
    _register(agent, nai=None)

    renewal = _register(agent, nai=None, low=2)

    assert find(RegistrationReply.decode(renewal.payload).extensions, ForeignAgentError) == []
    assert agent.denial(a_request(nai=None, home_address=HOME_ADDRESS + 1)).code == 66


def test_the_last_place_goes_to_the_first_reply():
    agent = ForeignAgentAlone(visitors=1)
    requests = [a_request(f"pc{number}") for number in range(2)]
    for datagram in requests:
        agent.take(datagram)

    passed_on = [agent.answer(_reply(one, home_address=HOME_ADDRESS + at)) for at, one in enumerate(requests)]

    errors = [find(RegistrationReply.decode(one.payload).extensions, ForeignAgentError) for one in passed_on]
    assert [[error.status for error in found] for found in errors] == [[], [66]]


def test_a_session_with_a_new_address_gives_up_the_old_one(agent):
    _register(agent)

    _register(agent, low=2, home_address=HOME_ADDRESS + 5)

    assert agent.visitors() == {"pc1": "10.10.0.15"}
    assert agent.engine.visitors.find(HOME_ADDRESS) is None


@pytest.mark.parametrize("left", [False, True], ids=["", "after it was given back"])
def test_who_has_an_address_that_was_anothers_keeps_it_when_that_one_comes_back_with_a_new_one(agent, left):
    _register(agent, sub_nai="pc1")
    if left:
        _register(agent, sub_nai="pc1", low=2, lifetime=0)
    _register(agent, sub_nai="pc2", low=3, link_address=OTHER_LINK)

    _register(agent, sub_nai="pc1", low=4, home_address=HOME_ADDRESS + 5)

    assert agent.visitors() == {"pc1": "10.10.0.15", "pc2": "10.10.0.10"}


def test_a_visitor_that_appears_behind_another_link_address_is_delivered_there(agent):
    _register(agent)

    _register(agent, low=2, link_address=OTHER_LINK)

    assert agent.delivery(HOME_ADDRESS).link_address == OTHER_LINK


def test_a_visitor_that_moves_to_another_visited_link_is_delivered_there_alone():
    interfaces = tuple(VisitedInterface(f"vis{at}", VISITED["fa1"] + at, 24) for at in range(2))
    agent = ForeignAgentAlone(interfaces=interfaces)
    _register(agent)
    datagram = a_request("pc1", identification=an_identification(low=2))
    packet = _as_packet(datagram)
    agent.run(agent.engine.heard("vis1", NODE_LINK, packet, True, 0))

    turn = agent.engine.receive(_reply(datagram), HOME_AGENT, 434, 0)

    assert [one for one in turn.effects if isinstance(one, RemoveDelivery)] == [RemoveDelivery(HOME_ADDRESS, "vis0")]
    agent.run(turn)
    assert agent.delivery(HOME_ADDRESS).interface == "vis1"


def _as_packet(datagram):

    return Datagram(NODE, 434, VISITED["fa1"], 434, datagram).packet(ttl=255).encode()


# ---- the store or the kernel refuses


def _refuse_once(agent, what="refusing"):
    setattr(agent, what, "no buffer space")
    refused = agent.engine.refused

    def once(session, reason, now):
        setattr(agent, what, "")
        agent.engine.refused = refused
        return refused(session, reason, now)

    agent.engine.refused = once


@pytest.mark.parametrize("what", ["failing", "refusing"])
def test_fa_39_a_visitor_that_cannot_be_carried_is_none_and_the_node_gets_66(agent, what):
    agent.take(REQUEST)
    _refuse_once(agent, what)

    passed_on = agent.answer(_reply(REQUEST))

    assert passed_on.payload == _reply(REQUEST) + octets_of(ForeignAgentError(66))
    assert agent.visitors() == {}
    assert "no buffer space" in agent.world.warnings()[-1]
    assert _register(agent, low=2) is not None
    assert agent.visitors() == {"pc1": "10.10.0.10"}


@pytest.mark.parametrize("nai", [NAI, None])
@pytest.mark.parametrize("what", ["failing", "refusing"])
def test_a_renewal_that_cannot_be_carried_leaves_the_former_visitor(agent, what, nai):
    _register(agent, nai=nai)
    former, before = agent.rows[HOME_ADDRESS], agent.visitors()
    agent.world.now += 1000
    known = {"sub_nai": "pc1"} if nai else {"nai": None, "home_address": HOME_ADDRESS}
    datagram = a_request(identification=an_identification(low=2), **known)
    agent.take(datagram, link_address=OTHER_LINK)
    _refuse_once(agent, what)

    passed_on = agent.answer(_reply(datagram))

    assert passed_on.payload.endswith(octets_of(ForeignAgentError(66)))
    assert agent.rows[HOME_ADDRESS] == former
    assert agent.visitors() == before


def test_a_visitor_whose_removal_is_refused_too_is_given_up(agent):
    agent.take(REQUEST)
    agent.failing = "disk full"

    assert agent.answer(_reply(REQUEST)) is None

    agent.failing = ""
    assert agent.visitors() == {}
    assert _register(agent, low=2) is not None


def test_a_reply_during_an_open_turn_of_its_session_waits_for_the_end_of_it(agent):
    agent.commit_time = lambda: 50
    requests = [a_request("pc1", identification=an_identification(low=low)) for low in range(2)]
    for datagram in requests:
        agent.take(datagram)
    for datagram in requests:
        agent.receive(_reply(datagram), HOME_AGENT, 434)

    agent.world.pass_time(seconds=0.2)

    replies = [frame for frame in agent.frames if frame.link_address == NODE_LINK]
    assert len(replies) == 2
    assert list(agent.engine.visitors.pending()) == []


def test_replies_to_nodes_without_nai_do_not_wait_for_each_others_turns(agent):
    agent.commit_time = lambda: 50
    requests = [a_request(nai=None, home_address=HOME_ADDRESS + at) for at in range(3)]
    for datagram in requests:
        agent.take(datagram)
    for datagram in requests:
        agent.receive(a_reply(datagram), HOME_AGENT, 434)

    agent.world.pass_time(seconds=0.2)

    assert len(agent.engine.visitors) == 3
    assert list(agent.engine.visitors.pending()) == []


# ---- expiry and restart


def test_a_visit_ends_with_its_lifetime(agent):
    _register(agent, lifetime=60)

    agent.world.pass_time(seconds=59.999)
    assert agent.visitors() == {"pc1": "10.10.0.10"}
    agent.world.pass_time(seconds=0.001)

    assert agent.visitors() == {}


def test_a_visit_that_is_renewed_goes_on_until_the_lifetime_of_the_renewal_is_over(agent):
    _register(agent)
    agent.world.pass_time(seconds=400)
    _register(agent, low=2)

    agent.world.pass_time(seconds=599)
    assert agent.visitors() == {"pc1": "10.10.0.10"}
    agent.world.pass_time(seconds=1)
    assert agent.visitors() == {}


def test_hundreds_of_visits_that_end_at_once_end_in_several_turns():
    agent = ForeignAgentAlone(requests_per_minute=60_000)
    for number in range(300):
        datagram = a_request(f"pc{number}", lifetime=10)
        agent.take(datagram, link_address=number.to_bytes(6, "big"))
        agent.answer(_reply(datagram, home_address=HOME_ADDRESS + number))

    ended = [sum(isinstance(one, RemoveTunnel) for one in agent.engine.wake(20_000).effects) for _ in range(3)]

    assert ended == [256, 44, 0]


def test_a_restart_keeps_visitors_and_carries_them_again(agent):
    _register(agent)

    again = ForeignAgentAlone(kept=agent.rows, now=1000)

    assert again.visitors() == {"pc1": "10.10.0.10"}
    assert again.rows[HOME_ADDRESS].expires == 600_000
    again.world.pass_time(seconds=599)
    assert again.visitors() == {}


@pytest.mark.parametrize(
    ("changes", "now"),
    [({}, 700_000), ({"interfaces": (VisitedInterface("vis9", VISITED["fa1"], 24),)}, 0)],
    ids=["its lifetime is over", "its link is no longer served"],
)
def test_a_restart_forgets_a_visitor_for_good_when(agent, changes, now):
    _register(agent)

    again = ForeignAgentAlone(kept=agent.rows, now=now, **changes)

    assert again.visitors() == {}
    assert again.rows == {}


def test_a_restart_with_room_for_fewer_visitors_keeps_as_many(agent):
    for number in range(3):
        _register(agent, sub_nai=f"pc{number}", home_address=HOME_ADDRESS + number)

    again = ForeignAgentAlone(kept=agent.rows, visitors=2)

    assert len(again.visitors()) == 2


def test_a_restart_with_a_shorter_maximum_believes_no_longer_lifetime(agent):
    _register(agent)
    rows = {address: replace(row, expires=10**12) for address, row in agent.rows.items()}

    again = ForeignAgentAlone(kept=rows, now=1000, lifetime=60)
    again.world.pass_time(seconds=60)

    assert again.visitors() == {}


def test_fa_41_a_signature_for_the_node_covers_the_fa_error():
    agent = ForeignAgentAlone(mobile_nodes={NAI: {768: MOBILE_FOREIGN}})
    datagram = a_request("pc1", mobile_foreign=MOBILE_FOREIGN)
    agent.take(datagram)

    passed_on = agent.answer(_reply(datagram, home_address=parse("10.99.1.77")))

    reply = RegistrationReply.decode(passed_on.payload)
    MOBILE_FOREIGN.verify(passed_on.payload, find(reply.extensions, MobileForeignAuthentication)[0])
    assert [one.status for one in find(reply.extensions, ForeignAgentError)] == [66]
