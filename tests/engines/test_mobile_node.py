"""One mobile node: its requests, what it makes of every reply (MN-01 … MN-20), how often it asks."""

from itertools import pairwise

import pytest

from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import CODE_NAMES, FLAG_T, code_name
from mip4.effects import Attach, Detach, Dropped, Said, Send, UseAgent
from mip4.extensions import (
    CriticalVendor,
    Experimental,
    ForeignAgentError,
    MessageString,
    MobileForeignAuthentication,
    MobileHomeAuthentication,
    Nai,
    find,
    find_host_configuration,
    host_configuration,
)
from mip4.messages import RegistrationRequest
from mip4.revocation import RegistrationRevocation
from mip4.sub_nai import SubNai
from tests.helpers.alone import sub_nai_in
from tests.helpers.builders import FOREIGN_AGENTS, GATEWAY, HOME_AGENT, KEY, NAI, SPI, VISITED
from tests.helpers.driven_node import AGENT_LINKS, HOME_ADDRESS, DrivenNode
from tests.helpers.messages import FOREIGN_HOME, HOME, MOBILE_FOREIGN, a_reply, an_identification, octets_of

FROM_HOME = [code for code, _ in CODE_NAMES if 128 <= code <= 192]
FROM_FOREIGN = [code for code, _ in CODE_NAMES if 64 <= code < 128 or code == 194]
QUICK = {
    *(64, 65, 66, 69, 71, 74, 75, 76, 77, 78, 80, 81, 82, 88, 96, 97, 98, 99, 104, 105, 106),
    *(128, 133, 136, 137, 138, 142),
}
# Line of the checklist -> Reply codes of which it speaks, where it asks for no more than patience
LINES = {
    "MN-131": (67, 68, 108, 131, 132, 144),
    "MN-129": (129, 130, 135, 147, 148, 149, 150, 151, 152, 153),
    "MN-16": (64, 194),
}
MN_FA = [
    {
        "care_of_address": FOREIGN_AGENTS["fa1"],
        "spi": 768,
        "key": b"mobile node and foreign agent",
        "algorithm": "hmac-md5",
    }
]


@pytest.fixture
def node():
    """An agent was heard, and the first request left."""
    return DrivenNode().up()


# ---- requests


def test_mn_04_a_first_request_asks_for_any_address(node):
    (sent,) = node.said(Send)

    request = RegistrationRequest.decode(sent.datagram)
    assert (sent.destination, sent.link_address) == (VISITED["fa1"], AGENT_LINKS["fa1"])
    assert (request.flags, request.lifetime) == (FLAG_T, 600)
    assert (request.home_address, request.home_agent) == (0, HOME_AGENT)
    assert request.care_of_address == FOREIGN_AGENTS["fa1"]
    assert request.identification >> 32 == an_identification() >> 32
    assert type(request.extensions[0]) is Nai
    assert find_host_configuration(request.extensions) == {0: b"\0"}
    (own,) = find(request.extensions, MobileHomeAuthentication)
    HOME.verify(sent.datagram, own)
    assert own is request.extensions[-1]


@pytest.mark.parametrize(("vendor", "sub_type"), [(0, 1), (0, 2), (40000, 1), (40000, 2)])
def test_mn_06_a_session_is_named_directly_behind_the_nai(vendor, sub_type):
    node = DrivenNode(own_session="car", sub_nai_vendor=vendor, sub_nai_type=sub_type).up()

    request = node.request()

    expected = SubNai(b"car", vendor, NAI.encode() if sub_type == 2 else None)
    assert sub_nai_in(request, vendor) == expected
    assert request.extensions[1] == expected.extension()


def test_mn_06_a_key_with_the_foreign_agent_is_used():
    node = DrivenNode(foreign_agents=MN_FA).up()

    (signature,) = find(node.request().extensions, MobileForeignAuthentication)

    MOBILE_FOREIGN.verify(node.last(), signature)
    assert signature == node.request().extensions[-1]


@pytest.mark.parametrize(("own", "advertised", "asked"), [(600, 300, 300), (600, 1800, 600), (0xFFFF, 0xFFFF, 0xFFFF)])
def test_mn_03_no_longer_lifetime_is_asked_for_than_is_advertised(own, advertised, asked):
    assert DrivenNode(lifetime=own).up(registration=advertised).request().lifetime == asked


@pytest.mark.parametrize(("wanted", "flags", "asked"), [(True, 0x9100, FLAG_T), (True, 0x9000, 0), (False, 0x9100, 0)])
def test_mn_02_a_reverse_tunnel_is_asked_for_where_it_is_wanted_and_offered(wanted, flags, asked):
    assert DrivenNode(reverse_tunnel=wanted).up(flags=flags).request().flags == asked


def test_no_session_of_its_own_when_the_owner_wants_none():
    node = DrivenNode(own_session=None, applications=["telemetry"]).up()

    assert [one["sub_nai"] for one in node.engine.status(0)["sessions"]] == ["telemetry"]
    assert len(node.requests) == 1


def test_own_session_applications_and_devices_ask_at_once():
    node = DrivenNode(own_session="car", applications=["telemetry", "camera"]).up()

    assert [sub_nai_in(RegistrationRequest.decode(one.datagram)).sub_nai for one in node.said(Send)] == [
        b"car",
        b"telemetry",
        b"camera",
    ]


def test_mn_05_identifications_of_all_sessions_are_one_rising_row():
    node = DrivenNode(applications=["a", "b", "c"]).up()
    node.pass_time(seconds=100)

    row = [RegistrationRequest.decode(datagram).identification for _, datagram in node.requests]

    assert row == sorted(set(row))


# ---- accepted


def test_mn_00_accepted_the_address_is_attached_and_the_agent_used(node):
    node.answer()

    assert node.status() == {
        "sub_nai": "",
        "state": "registered",
        "home_address": "10.10.0.10",
        "lifetime": 600,
        "expires_in": 600,
        "downlink": "",
        "link_address": None,
        "code": 0,
    }
    assert node.said(Attach) == [Attach(HOME_ADDRESS, "", b"", GATEWAY)]
    assert node.said(UseAgent)[-1] == UseAgent(VISITED["fa1"], AGENT_LINKS["fa1"], HOME_ADDRESS)


def test_mn_07_mn_00_the_lifetime_counts_from_the_request_and_is_the_shorter_one(node):
    node.now += 400
    node.answer(lifetime=900)

    assert (node.status()["lifetime"], node.status()["expires_in"]) == (600, 599)


@pytest.mark.parametrize("granted", [2, 3, 10, 60, 300, 600])
def test_mn_00_a_renewal_leaves_at_45_to_50_percent_of_the_lifetime_but_not_within_a_second(node, granted):
    node.answer(lifetime=granted)

    node.pass_time(seconds=granted)

    first = node.times()[1]
    assert max(granted * 450, 1000) <= first <= max(granted * 500, 1000)
    assert node.request().home_address == HOME_ADDRESS


def test_an_endless_lifetime_is_never_renewed():
    node = DrivenNode(lifetime=0xFFFF).up(registration=0xFFFF)
    node.answer(lifetime=0xFFFF)

    node.pass_time(seconds=5000)

    assert len(node.requests) == 1
    assert node.status()["expires_in"] is None


def test_mn_04_an_address_whose_lifetime_is_over_carries_no_packets_and_is_asked_for_again(node):
    node.answer(lifetime=60)
    node.pass_time(seconds=60)

    assert node.said(Detach) == [Detach(HOME_ADDRESS, "", b"", GATEWAY)]
    assert (node.state(), node.request().home_address) == ("registering", HOME_ADDRESS)
    node.pass_time(seconds=60)
    node.answer(lifetime=60)
    assert len(node.said(Attach)) == 2


def test_a_new_address_takes_the_place_of_the_old_one(node):
    node.answer()
    node.pass_time(seconds=301)

    said = node.answer(home_address=HOME_ADDRESS + 1)

    assert [type(one) for one in said[:2]] == [Detach, Attach]
    assert said[1].home_address == HOME_ADDRESS + 1


def test_an_address_that_goes_to_another_session_of_ours_is_carried_for_that_one_alone():
    """The home agent ended the first one's binding and has told nobody; found by test_fuzz_peers."""
    node = DrivenNode(applications=["telemetry"]).up()
    node.answer(sub_nai="", home_address=HOME_ADDRESS)
    node.pass_time(seconds=1)

    said = node.answer(sub_nai="telemetry", home_address=HOME_ADDRESS)

    assert [type(one) for one in said if isinstance(one, Attach | Detach)] == [Detach, Attach]
    assert (node.state(""), node.request("").home_address) == ("registering", 0)
    node.answer(sub_nai="", home_address=HOME_ADDRESS + 1)
    node.pass_time(seconds=100)
    assert [one["home_address"] for one in node.engine.status(node.now)["sessions"]] == ["10.10.0.11", "10.10.0.10"]
    assert len(node.said(Detach)) == 1


def test_a_gateway_that_changed_is_answered_for_instead_of_the_old_one(node):
    node.answer()
    node.pass_time(seconds=301)

    said = node.answer(before=[Nai(NAI.encode()), host_configuration(5, bytes([10, 10, 0, 254]))])

    assert [(type(one), one.gateway) for one in said if isinstance(one, Attach | Detach)] == [
        (Detach, GATEWAY),
        (Attach, parse("10.10.0.254")),
    ]


# ---- denied


def _with_its_line(code):
    return " ".join([*(line for line, codes in LINES.items() if code in codes), str(code)])


@pytest.mark.parametrize("code", FROM_HOME + FROM_FOREIGN, ids=_with_its_line)
def test_a_denial_is_told_and_asked_again_ever_more_rarely_and_never_given_up(node, code):
    """No denial makes it ask more than once a second, or stop."""
    for _ in range(9):
        sent = len(node.requests)
        node.answer(code, lifetime=0)
        assert len(node.requests) == sent
        while len(node.requests) == sent:
            node.pass_time(seconds=1)
            assert node.now < 24 * 3600_000

    waits = [later - earlier for earlier, later in pairwise(node.times())]
    assert waits[0] == (1000 if code in QUICK else 10_000)
    assert waits == sorted(waits)
    assert waits[-1] == (60_000 if code in QUICK else 300_000)
    assert node.status()["code"] == code
    assert any(f"code={code_name(code)}" in one.text for one in node.said(Said))


@pytest.mark.parametrize("code", [65, 128, 133])
def test_a_denial_that_comes_again_is_no_reason_to_ask_for_one_session_at_a_time(code):
    node = DrivenNode(applications=["telemetry"]).up()
    for _ in range(2):
        node.answer(code, sub_nai="", lifetime=0)
        node.pass_time(seconds=5)

    node.up("fa1")

    assert len([at for at, _ in node.requests if at == node.now]) == 2


def test_without_a_link_a_registration_holds_for_as_long_as_it_was_granted(node):
    node.answer()
    node.pass_time(seconds=10)

    node.run(node.engine.link_down(node.now))
    assert node.state() == "registered"
    node.adverts = {}
    node.pass_time(seconds=600)

    assert node.state() == "registering"


def test_mn_129_an_address_that_is_held_is_asked_for_again_until_its_lifetime_is_over(node):
    node.answer()
    node.pass_time(seconds=301)

    node.answer(129, lifetime=0)
    sent = len(node.requests)
    node.pass_time(seconds=100)

    assert len(node.requests) > sent
    assert node.request().home_address == HOME_ADDRESS
    node.answer(129, lifetime=0)
    node.pass_time(seconds=600)
    node.answer(129, lifetime=0)
    node.pass_time(seconds=600)
    assert node.request().home_address == 0


REACTIONS = {
    "MN-69 a shorter lifetime": (69, {"lifetime": 200}, lambda request: request.lifetime == 200),
    "MN-69 with nonsense": (69, {"lifetime": 900}, lambda request: request.lifetime == 600),
    "MN-69 with nothing": (69, {"lifetime": 0}, lambda request: request.lifetime == 600),
    "MN-136 another home agent": (
        136,
        {"home_agent": parse("192.0.2.9")},
        lambda one: one.home_agent == parse("192.0.2.9"),
    ),
    "MN-136 with nothing": (136, {"home_agent": 0}, lambda request: request.home_agent == HOME_AGENT),
    "MN-74 no reverse tunnel": (74, {}, lambda request: request.flags == 0),
    "MN-74 137 no reverse tunnel": (137, {}, lambda request: request.flags == 0),
    "MN-133 the home agent's clock": (
        133,
        {"identification": an_identification(3600_000, low=0)},
        lambda request: request.identification >> 32 == an_identification(3601_000) >> 32,
    ),
}


@pytest.mark.parametrize("reaction", REACTIONS)
def test_the_next_request_after(node, reaction):
    code, reply, holds = REACTIONS[reaction]
    if "identification" in reply:
        reply = {"identification": reply["identification"] | node.request().identification & 0xFFFFFFFF}

    node.answer(code, **reply)
    node.pass_time(seconds=1)

    assert len(node.requests) == 2
    assert holds(node.request())


@pytest.mark.parametrize("code", [75, 138])
def test_mn_75_a_reverse_tunnel_is_taken_where_it_is_mandatory(code):
    node = DrivenNode(reverse_tunnel=False).up()

    node.answer(code)
    node.pass_time(seconds=1)

    assert node.request().flags == FLAG_T


def test_129_for_an_address_of_another_life_makes_any_address_do(node):
    node.answer(lifetime=60)
    node.pass_time(seconds=61)  # the lifetime is over, the address still asked for

    node.answer(129)
    node.pass_time(seconds=10)

    assert node.request().home_address == 0


def test_what_one_agent_denied_another_is_asked_for(node):
    node.answer(69, lifetime=100)
    node.answer(74)

    node.run(node.engine.link_down(node.now))
    node.up("fa2")

    assert (node.request().lifetime, node.request().flags) == (600, FLAG_T)


def test_a_denials_text_is_told_without_control_characters(node):
    node.answer(130, before=[Nai(NAI.encode()), MessageString(1, b"no\nroom \xff" + b"x" * 200)])

    text = node.said(Said)[-1].text
    assert text.startswith("denied sub_nai=- code=130 insufficient resources (HA): no?room ?xxx")
    assert len(text) < 160


def test_mn_133_is_no_warning_the_first_time(node):
    node.answer(133, identification=an_identification(60_000, low=node.request().identification & 0xFFFFFFFF))
    node.pass_time(seconds=1)
    node.answer(133, identification=an_identification(90_000, low=node.request().identification & 0xFFFFFFFF))

    assert [one.level for one in node.said(Said) if "133" in one.text] == ["info", "warning"]


def test_mn_133_for_a_request_that_was_answered_is_ignored(node):
    node.answer()
    before = node.status()

    said = node.answer(133, identification=an_identification(3600_000, low=node.request().identification & 0xFFFFFFFF))

    assert [type(one) for one in said] == [Dropped]
    assert node.status() == before
    node.pass_time(seconds=301)
    assert node.request().identification >> 32 < an_identification(400_000) >> 32


@pytest.mark.parametrize("code", [78, 66, 130])
def test_mn_16_an_acceptance_after_a_denial_of_the_same_request_is_taken(node, code):
    node.answer(code)

    node.answer(0)

    assert node.state() == "registered"
    sent = len(node.requests)
    node.pass_time(seconds=100)
    assert len(node.requests) == sent


def test_mn_19_an_fa_error_behind_an_acceptance_is_a_denial(node):
    node.answer(0, after=octets_of(ForeignAgentError(66)))

    assert (node.state(), node.status()["code"]) == ("registering", 66)
    assert node.said(Attach) == []


def test_mn_19_another_agent_is_asked_if_one_is_heard(node):
    node.hear("fa2")

    node.answer(0, after=octets_of(ForeignAgentError(66)))

    assert node.request().care_of_address == FOREIGN_AGENTS["fa2"]


@pytest.mark.parametrize("code", [0, 130])
def test_mn_13_a_critical_extension_that_is_not_known_grants_nothing(node, code):
    node.answer(code, before=[Nai(NAI.encode()), CriticalVendor(9, 1, b"?")])

    assert (node.state(), node.status()["code"]) == ("registering", code or 101)
    assert node.said(Attach) == []


def test_mn_13_a_critical_extension_that_nobody_signed_was_not_for_the_node(node):
    node.answer(0, after=octets_of(CriticalVendor(9, 1, b"?")))

    assert node.state() == "registered"


def test_mn_16_code_194_is_a_foreign_agents_word_and_needs_no_signature(node):
    node.answer(194, home=None)

    assert node.status()["code"] == 194


# ---- not believed


def _reply(node, code=0, **changes):
    fields = {"home_address": HOME_ADDRESS, **changes}
    return a_reply(node.last(), code, **fields)


UNBELIEVABLE = {
    "MN-11 shorter than the fixed part": lambda node: _reply(node)[:19],
    "MN-11 a request": lambda node: node.last(),
    "MN-11 cut short": lambda node: _reply(node)[:-1],
    "MN-12 another Identification": lambda node: _reply(node, identification=node.request().identification ^ 1),
    "MN-13 an unknown extension below 128": lambda node: _reply(node, after=b"\x7e\x00"),
    "MN-15 unsigned": lambda node: _reply(node, home=None),
    "MN-15 another key": lambda node: _reply(node, home=SecurityAssociation(SPI, b"guessed")),
    "MN-15 another SPI": lambda node: _reply(node, home=SecurityAssociation(SPI + 1, KEY)),
    "MN-15 signed twice": lambda node: _reply(node, after=octets_of(MobileHomeAuthentication(SPI, bytes(16)))),
    "MN-15 an unsigned denial of the home agent": lambda node: _reply(node, code=130, home=None),
    "MN-17 another high word": lambda node: _reply(node, identification=node.request().identification ^ 1 << 40),
    "MN-18 no NAI": lambda node: _reply(node, before=[]),
    "MN-18 another NAI": lambda node: _reply(node, before=[Nai(b"other@example.net")]),
    "MN-18 two NAIs": lambda node: _reply(node, before=[Nai(NAI.encode())] * 2),
    "MN-18 a sub-NAI that was not asked for": lambda node: _reply(
        node, before=[Nai(NAI.encode()), Experimental(1, b"pc1")]
    ),
    "MN-18 a NAI that nobody signed": lambda node: _reply(node, before=[], after=octets_of(Nai(NAI.encode()))),
    "MN-18 no home address": lambda node: _reply(node, home_address=0),
    "MN-18 no home agent": lambda node: _reply(node, home_agent=0),
    "for no time": lambda node: _reply(node, lifetime=0),
}


@pytest.mark.parametrize("case", UNBELIEVABLE)
def test_silence_and_no_change_for_a_reply(node, case):
    before = node.status()

    said = node.run(node.engine.receive(UNBELIEVABLE[case](node), VISITED["fa1"], node.now))

    assert [type(one) for one in said] == [Dropped]
    assert node.status() == before
    node.answer()
    assert node.state() == "registered"


def test_mn_14_silence_for_an_agents_own_denial_that_is_unsigned_though_there_is_a_key():
    node = DrivenNode(foreign_agents=MN_FA).up()

    assert [type(one) for one in node.answer(77)] == [Dropped]
    assert [type(one) for one in node.answer(0)] == [Dropped]
    node.answer(77, mobile_foreign=MOBILE_FOREIGN)
    assert node.status()["code"] == 77
    node.answer(0, mobile_foreign=MOBILE_FOREIGN)
    assert node.state() == "registered"


@pytest.mark.parametrize("octets", [b"", b"\x04\x04\0\0", b"\x16" + bytes(23), b"\xff?"])
def test_silence_and_no_change_for_a_message_of_another_type(node, octets):
    assert [type(one) for one in node.run(node.engine.receive(octets, HOME_AGENT, 0))] == [Dropped]


@pytest.mark.parametrize("association", [HOME, FOREIGN_HOME], ids=["the node's key", "another key"])
def test_mn_31_silence_for_a_revocation_which_was_never_agreed_to(node, association):
    node.answer()
    revocation = RegistrationRevocation(True, True, HOME_ADDRESS, HOME_AGENT, FOREIGN_AGENTS["fa1"], 0xF0000000, [])

    said = node.run(node.engine.receive(association.sign(revocation.encode(), MobileHomeAuthentication), HOME_AGENT, 0))

    assert [type(one) for one in said] == [Dropped]
    assert node.state() == "registered"


def test_what_nobody_signed_is_not_told_to_devices(node):
    """Gateway and name server behind the authenticator: whoever put them there is not the home agent."""
    forged = octets_of(host_configuration(5, bytes([6, 6, 6, 6])), host_configuration(2, bytes([6, 6, 6, 6])))

    node.answer(after=forged)

    assert node.said(Attach)[0].gateway == GATEWAY


def test_mn_12_a_replayed_acceptance_changes_nothing():
    node = DrivenNode(applications=["telemetry"]).up()
    accepted = _reply(node, before=list(node.request().extensions[:2]))
    node.run(node.engine.receive(accepted, VISITED["fa1"], node.now))
    before = node.engine.status(node.now)

    again = [node.run(node.engine.receive(accepted, VISITED["fa1"], node.now)) for _ in range(3)]

    assert again == [[], [], []]
    assert node.engine.status(node.now) == before


def test_mn_19_a_replayed_acceptance_with_an_fa_error_appended_changes_nothing(node):
    node.answer()
    before = node.status()

    said = node.answer(0, after=octets_of(ForeignAgentError(66)))

    assert [type(one) for one in said] == [Dropped]
    assert node.status() == before


def test_an_acceptance_whose_lifetime_is_over_is_not_believed_again(node):
    accepted = _reply(node, lifetime=60)
    node.run(node.engine.receive(accepted, VISITED["fa1"], node.now))
    node.adverts = {}
    node.run(node.engine.link_down(node.now))
    node.pass_time(seconds=61)

    said = node.run(node.engine.receive(accepted, VISITED["fa1"], node.now))

    assert [type(one) for one in said] == [Dropped]
    assert node.state() == "registering"


# ---- how often


def test_mn_08_unanswered_requests_wait_twice_as_long_each_time_up_to_a_minute(node):
    node.pass_time(seconds=600)

    waits = [later - earlier for earlier, later in pairwise(node.times())]
    assert waits[:6] == [1000, 2000, 4000, 8000, 16_000, 32_000]
    assert set(waits[6:]) == {60_000}


def test_retransmissions_wait_no_longer_than_the_lifetime_that_is_asked_for():
    node = DrivenNode(lifetime=5).up()

    node.pass_time(seconds=60)

    assert max(later - earlier for earlier, later in pairwise(node.times())) == 5000


def test_mn_07_every_request_has_its_own_identification_and_only_the_last_one_can_be_answered(node):
    first = node.last()
    node.pass_time(seconds=1)

    said = node.run(node.engine.receive(a_reply(first, home_address=HOME_ADDRESS), VISITED["fa1"], node.now))

    assert node.last() != first
    assert [type(one) for one in said] == [Dropped]


def test_a_lifetime_that_ends_between_two_tries_makes_no_third(node):
    """It is asked for anew all the time: what was sent a moment ago need not be sent again."""
    node.answer(lifetime=7)

    node.pass_time(seconds=60)

    assert min(later - earlier for earlier, later in pairwise(node.times())) >= 1000


def test_mn_08_an_agent_that_flaps_is_asked_once_a_second(node):
    for _ in range(100):
        node.now += 50
        node.run(node.engine.link_down(node.now))
        node.up("fa1")

    node.pass_time(seconds=1)

    assert min(later - earlier for earlier, later in pairwise(node.times())) >= 1000


def lives_through(node, sequences, seconds=1.0):
    """An advertisement each so many seconds, and a home agent that says yes to whatever they cause."""
    answered = len(node.requests)
    for sequence in sequences:
        node.hear(sequence=sequence, again=False)
        for pause in (0, seconds):
            node.pass_time(pause)
            for _ in node.requests[answered:]:
                node.answer()
            answered = len(node.requests)


def test_an_agent_that_says_all_the_time_that_it_was_rebooted_is_asked_less_and_less_often():
    node = DrivenNode(lifetime=0xFFFE).up()
    node.answer()
    node.adverts = {}

    lives_through(node, [300] + [0] * 200)

    pauses = [later - earlier for earlier, later in pairwise(node.times())]
    assert pauses == [1000, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]


def test_an_agent_that_is_rebooted_again_at_once_is_asked_again_and_later_believed_at_once():
    """Such as one that has revoked two sessions (RFC 3543 §4.1), or one that is being set up."""
    node = DrivenNode(lifetime=0xFFFE).up(registration=0xFFFE)
    node.answer()
    node.adverts = {}

    lives_through(node, [300])
    lives_through(node, [0, 0, 1], seconds=0.1)
    lives_through(node, [*range(2, 100), 0])

    assert node.times() == [0, 1000, 2000, 99_300]


def test_after_a_move_everybody_asks_at_once():
    node = DrivenNode(applications=["a", "b"]).up()
    for name in ("", "a", "b"):
        node.answer(sub_nai=name, home_address=HOME_ADDRESS + len(name) + (name == "b"))
    sent = len(node.requests)

    node.now += 100
    node.run(node.engine.link_down(node.now))
    node.up("fa2")

    assert [time for time, _ in node.requests[sent:]] == [100] * 3
    assert {RegistrationRequest.decode(one).care_of_address for _, one in node.requests[sent:]} == {
        FOREIGN_AGENTS["fa2"]
    }


def test_while_the_link_is_down_nothing_is_sent(node):
    node.run(node.engine.link_down(node.now))
    node.adverts = {}
    sent = len(node.requests)

    node.pass_time(seconds=1000)

    assert len(node.requests) == sent


# ---- agents that refuse


@pytest.mark.parametrize("code", [65, 66, 76, 77, 78, 80, 81, 82, 88, 96])
def test_mn_80_mn_76_an_agent_that_refuses_is_left_for_another_that_is_heard(node, code):
    node.hear("fa2")

    node.answer(code)

    assert node.request().care_of_address == FOREIGN_AGENTS["fa2"]


@pytest.mark.parametrize("code", [129, 131, 67, 97, 133])
def test_what_another_agent_could_not_help_changes_no_agent(node, code):
    node.hear("fa2")

    node.answer(code)
    node.pass_time(seconds=20)

    assert {RegistrationRequest.decode(one).care_of_address for _, one in node.requests} == {FOREIGN_AGENTS["fa1"]}


def test_an_agent_that_refuses_a_renewal_is_left_too(node):
    """By then its advertisements were heard many times since the registration."""
    node.answer()
    node.hear("fa2")
    node.pass_time(seconds=301)

    node.answer(66)

    assert node.request().care_of_address == FOREIGN_AGENTS["fa2"]


def test_between_two_agents_that_refuse_it_does_not_flap(node):
    node.hear("fa2")
    changes = []

    for _ in range(600):
        if node.said(Send)[-1].datagram != (changes[-1] if changes else None):
            changes.append(node.last())
            node.answer(66)
        node.pass_time(seconds=1)

    used = [RegistrationRequest.decode(one).care_of_address for one in changes]
    assert sum(one != other for one, other in pairwise(used)) <= 11  # once a minute, not once a second
    assert set(used) == {FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]}


# ---- agents that take one request at a time


def _answer_all(node, code=0, **reply):
    """Answer what is under way, as often as that brings new requests within a millisecond."""
    answered = 0
    while answered < len(node.requests):
        answered = len(node.requests)
        name = sub_nai_in(node.request())
        node.answer(code, None, home_address=HOME_ADDRESS + (0 if name is None else name.sub_nai[0]), **reply)


@pytest.mark.parametrize("code", [66, 97, 96])
def test_an_agent_without_room_or_eyes_for_sessions_gets_one_at_a_time_from_then_on(code):
    node = DrivenNode(applications=["a", "b"]).up()
    node.answer(code, sub_nai="a")
    node.run(node.engine.link_down(node.now))
    sent = len(node.requests)
    node.now += 5000

    node.up("fa1")
    assert len(node.requests) - sent == 1
    _answer_all(node)

    assert len(node.requests) - sent == 3
    assert {one["state"] for one in node.engine.status(node.now)["sessions"]} == {"registered"}


def test_a_session_that_is_never_answered_there_keeps_nobody_waiting():
    node = DrivenNode(applications=["a", "b"]).up()
    node.answer(66, sub_nai="a")
    node.run(node.engine.link_down(node.now))
    node.now += 5000
    node.up("fa1")  # the node's own session is asked for, and nobody ever answers that

    for _ in range(10):
        for name in ("a", "b"):
            if node.times(name)[-1] == node.now:
                node.answer(sub_nai=name, home_address=HOME_ADDRESS + ord(name))
        node.pass_time(seconds=1)

    assert (node.state("a"), node.state("b"), node.state("")) == ("registered", "registered", "registering")


def test_a_first_registration_unanswered_while_another_was_answered_marks_the_agent():
    node = DrivenNode(applications=["a"]).up()
    node.answer(sub_nai="")
    node.pass_time(seconds=1.5)
    node.run(node.engine.link_down(node.now))
    sent = len(node.requests)
    node.now += 5000

    node.up("fa1")

    assert len(node.requests) - sent == 1


def test_a_device_that_came_back_while_it_left_is_not_forgotten_at_such_an_agent():
    node = DrivenNode(applications=["a", "b"]).up()
    node.answer(66, sub_nai="a")
    pc1 = bytes.fromhex("020000000011")
    node.now += 2000
    _answer_all(node)
    node.device(1, pc1)
    node.pass_time(seconds=10)
    name = "02:00:00:00:00:11"
    node.answer(sub_nai=name, home_address=HOME_ADDRESS + 9)

    node.device(7, pc1, client_address=HOME_ADDRESS + 9)
    node.pass_time(seconds=1)
    node.device(1, pc1)
    node.answer(sub_nai=name, lifetime=0)
    node.pass_time(seconds=5)
    node.answer(sub_nai=name, home_address=HOME_ADDRESS + 9)

    assert node.state(name) == "registered"
