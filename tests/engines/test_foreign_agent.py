"""Every Reply code and every silence of the foreign agent towards a node, and what it relays (FA-01 … FA-24)."""

import pytest

from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import FLAG_D, FLAG_G, FLAG_M, FLAG_S, FLAG_T, FLAG_r, FLAG_x
from mip4.extensions import (
    CriticalVendor,
    EncapsulatingDelivery,
    Experimental,
    ForeignHomeAuthentication,
    GreKey,
    MessageString,
    MnAaaAuthentication,
    MobileForeignAuthentication,
    MobileForeignChallenge,
    MobileHomeAuthentication,
    Nai,
    NormalVendor,
    RevocationSupport,
    find,
    tlv,
)
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.helpers.alone import NODE, NODE_LINK, ForeignAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, SPI, VISITED
from tests.helpers.messages import (
    FOREIGN_HOME,
    MOBILE_FOREIGN,
    a_reply,
    a_request,
    an_identification,
    octets_of,
)

FA1 = FOREIGN_AGENTS["fa1"]
CRITICAL = CriticalVendor(9, 1, b"?")
STYLE = octets_of(EncapsulatingDelivery())
OTHER_LINK = bytes.fromhex("020000000202")


@pytest.fixture
def agent():
    return ForeignAgentAlone()


def _with_node_key(**changes):
    return ForeignAgentAlone(mobile_nodes={NAI: {768: MOBILE_FOREIGN}}, **changes)


# ---- relayed


def test_fa_22_a_request_is_relayed_byte_for_byte(agent):
    datagram = a_request("pc1", before=[NormalVendor(40000, 1, b"?")])

    assert agent.take(datagram) == datagram
    assert (agent.relayed[0].destination, agent.relayed[0].port) == (HOME_AGENT, 434)
    assert agent.frames == []


STRIPPED = {
    "nothing": b"",
    "a challenge": octets_of(MobileForeignChallenge(b"12345678")),
    "vendor extensions": octets_of(NormalVendor(40000, 1, b"?"), NormalVendor(9, 14, b"\0")),
    "a Mobile-Foreign Authentication of nobody we know": octets_of(MobileForeignAuthentication(900, bytes(16))),
    "padding": b"\0\0\0",
    "unknown extensions that may be skipped": tlv(254, b"?") + tlv(200, b""),
}


@pytest.mark.parametrize("after", STRIPPED.values(), ids=STRIPPED)
def test_fa_22_what_stands_behind_the_authenticator_is_not_relayed(agent, after):
    assert agent.take(a_request("pc1", after=after)) == a_request("pc1")


def test_fa_22_a_challenge_and_the_mn_aaa_authentication_are_kept_together(agent):
    kept = octets_of(MobileForeignChallenge(b"12345678"), MnAaaAuthentication(1024, bytes(16)))

    assert agent.take(a_request(after=kept + octets_of(NormalVendor(9, 14, b"\0")))) == a_request(after=kept)


def test_fa_22_the_foreign_agents_signature_is_appended_where_there_is_a_key():
    agent = ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME})
    datagram = a_request("pc1", after=octets_of(NormalVendor(9, 14, b"\0")))

    relayed = agent.take(datagram)

    assert relayed.startswith(a_request("pc1"))
    assert _signed_last_and_once(relayed)


@pytest.mark.parametrize(
    "request_",
    [{"lifetime": 0}, {"flags": FLAG_D, "care_of_address": NODE}, {"home_agent": parse("192.0.2.9")}],
    ids=["a deregistration", "a care-of address that is not ours", "another home agent"],
)
def test_fa_22_no_signature_is_appended_to(request_):
    agent = ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME})

    assert agent.take(a_request(**request_)) == a_request(**request_)


@pytest.mark.parametrize("destination", [VISITED["fa1"], FA1, parse("224.0.0.11"), 0xFFFFFFFF])
def test_requests_are_taken_at_its_own_addresses_and_at_those_for_all_agents(agent, destination):
    assert agent.take(a_request(), destination=destination) is not None


@pytest.mark.parametrize("source", [0, NODE, parse("10.10.0.10")])
def test_requests_are_taken_from_any_source(agent, source):
    assert agent.take(a_request(), source=source) is not None


@pytest.mark.parametrize("lifetime", [0, 1, 600])
def test_fa_14_lifetimes_up_to_the_maximum_pass(agent, lifetime):
    assert agent.take(a_request(lifetime=lifetime)) is not None


def test_fa_11_a_deregistration_may_name_any_care_of_address(agent):
    assert agent.take(a_request(lifetime=0, care_of_address=FOREIGN_AGENTS["fa2"])) is not None


def test_a_co_located_nodes_request_passes(agent):
    assert agent.take(a_request(flags=FLAG_D | FLAG_M, care_of_address=NODE)) is not None


def test_simultaneous_bindings_are_the_home_agents_affair(agent):
    assert agent.take(a_request(flags=FLAG_S)) is not None


# ---- denied

DENIALS = {
    "FA-02 an extension runs past the end": (70, {"after": b"\x91\x10\x01"}),
    "FA-02 a bad NAI": (70, {"nai": "no..body"}),
    "FA-02 two NAIs": (70, {"before": [Nai(NAI.encode())]}),
    "FA-02 an empty sub-NAI": (70, {"before": [Experimental(1, b"")]}),
    "FA-02 two sub-NAIs": (70, {"before": [Experimental(1, b"a"), Experimental(1, b"b")]}),
    "FA-02 a sub-NAI of another NAI": (70, {"before": [Experimental(2, b"\x03a@bpc1")]}),
    "FA-04 r": (70, {"flags": FLAG_r}),
    "FA-04 x": (70, {"flags": FLAG_x}),
    "FA-05 no authenticator": (70, {"home": None}),
    "FA-05 two Mobile-Home Authentications": (70, {"after": octets_of(MobileHomeAuthentication(SPI, bytes(16)))}),
    "FA-05 the Mobile-Foreign one first": (70, {"before": [MobileForeignAuthentication(768, bytes(16))]}),
    "FA-06 neither home address nor NAI": (97, {"nai": None}),
    "FA-09 the home agent is this foreign agent": (194, {"home_agent": FA1}),
    "FA-09 the home agent is this foreign agent, on the link": (194, {"home_agent": VISITED["fa1"]}),
    "FA-09 the home agent is a group": (194, {"home_agent": parse("224.0.0.5")}),
    "FA-09 the home agent is loopback": (194, {"home_agent": parse("127.0.0.1")}),
    "FA-10 no home agent": (90, {"home_agent": 0}),
    "FA-10 any home agent": (90, {"home_agent": 0xFFFFFFFF}),
    "FA-11 a care-of address that is not offered": (77, {"care_of_address": FOREIGN_AGENTS["fa2"]}),
    "FA-14 too long a lifetime": (69, {"lifetime": 601}),
    "FA-14 an endless lifetime": (69, {"lifetime": 0xFFFF}),
    "FA-15 minimal encapsulation": (72, {"flags": FLAG_M}),
    "FA-15 GRE": (72, {"flags": FLAG_G}),
    "FA-15 a GRE key": (72, {"after": octets_of(GreKey(7))}),
    "FA-16 a critical extension for us": (100, {"after": octets_of(CRITICAL)}),
    "FA-17 a delivery style without reverse tunnel": (70, {"after": STYLE}),
    "FA-17 a delivery style for the home agent": (70, {"flags": FLAG_T, "before": [EncapsulatingDelivery()]}),
    "FA-17 a delivery style behind the last authentication": (
        70,
        {"flags": FLAG_T, "after": octets_of(MobileForeignAuthentication(768, bytes(16))) + STYLE},
    ),
    "FA-17 two delivery styles": (70, {"flags": FLAG_T, "after": STYLE * 2}),
    "FA-18 a reverse tunnel from further away": (76, {"flags": FLAG_T, "ttl": 254}),
    "a home address inside a connected prefix": (66, {"home_address": parse("10.99.1.77")}),
    "a home address that is loopback": (66, {"home_address": parse("127.0.0.1")}),
    "a home address that is a group": (66, {"home_address": parse("224.0.0.5")}),
    "a home address that is everybody's": (66, {"home_address": 0xFFFFFFFF}),
}


@pytest.mark.parametrize("check", DENIALS, ids=[f"{check}: {code}" for check, (code, _) in DENIALS.items()])
def test_a_request_is_denied_for(agent, check):
    code, request_ = DENIALS[check]
    request_ = dict(request_)
    ttl = request_.pop("ttl", 255)
    datagram = a_request("" if "before" in request_ else "pc1", **{"lifetime": 500, **request_})

    reply = agent.denial(datagram, ttl=ttl)

    asked = RegistrationRequest.salvage(datagram)
    assert reply.code == code
    assert reply.lifetime == (600 if code == 69 else asked.lifetime)
    assert (reply.home_address, reply.home_agent) == (asked.home_address, asked.home_agent)
    assert reply.identification == asked.identification
    assert find(reply.extensions, MessageString) == []  # nobody has authenticated it
    assert len(agent.last().payload) <= len(datagram)
    if code not in (70, 97):
        assert reply.extensions == [one for one in asked.extensions[:2] if isinstance(one, Nai | Experimental)]
    assert list(agent.engine.visitors.pending()) == []
    assert agent.visitors() == {}


def test_fa_12_a_node_with_a_care_of_address_of_its_own_may_be_revoked(agent):
    datagram = a_request(flags=FLAG_D, care_of_address=NODE, before=[RevocationSupport(True, 1)])

    assert agent.take(datagram) == datagram


def test_fa_13_who_comes_while_the_agent_drains_gets_65_and_who_goes_may_go(agent):
    agent.run(agent.engine.drain(0))

    assert agent.denial(a_request("pc1")).code == 65
    assert agent.take(a_request("pc2", lifetime=0)) is not None


@pytest.mark.parametrize(
    "offered, flags, passes",
    [
        (("gre",), FLAG_G, True),
        (("minimal",), FLAG_M, True),
        (("gre",), FLAG_M, False),
        (("minimal",), FLAG_G, False),
        (("gre",), FLAG_G | FLAG_M, True),
        (("minimal",), FLAG_G | FLAG_M, False),
    ],
)
def test_fa_15_an_encapsulation_that_is_offered_passes_and_of_two_gre_counts(offered, flags, passes):
    agent = ForeignAgentAlone(encapsulations=offered)

    assert (agent.take(a_request(flags=flags)) is not None) == passes
    if not passes:
        assert RegistrationReply.decode(agent.last().payload).code == 72


def test_fa_15_who_gives_a_tunnel_up_is_not_asked_what_kind_it_was(agent):
    assert agent.take(a_request(flags=FLAG_G, lifetime=0)) is not None


def test_fa_16_a_critical_extension_for_the_home_agent_passes(agent):
    assert agent.take(a_request(before=[CRITICAL])) is not None


def test_fa_18_a_reverse_tunnel_needs_ttl_255_and_gets_through_with_it(agent):
    assert agent.take(a_request(flags=FLAG_T), ttl=255) is not None


def test_fa_18_without_reverse_tunnel_any_ttl_will_do(agent):
    assert agent.take(a_request(), ttl=1) is not None


@pytest.mark.parametrize(("flags", "code"), [(0, 75), (FLAG_D, 75), (FLAG_T, None)])
def test_fa_19_where_a_reverse_tunnel_is_mandatory_who_asks_for_none_gets_75(flags, code):
    agent = ForeignAgentAlone(reverse_tunnel_required=True)

    if code is None:
        assert agent.take(a_request(flags=flags)) is not None
    else:
        assert agent.denial(a_request(flags=flags)).code == code
    assert agent.take(a_request(lifetime=0)) is not None


@pytest.mark.parametrize("signing", [None, MOBILE_FOREIGN], ids=["", "authenticated"])
def test_fa_17_a_delivery_style_is_for_the_foreign_agent_and_goes_no_further(signing):
    agent = _with_node_key() if signing else ForeignAgentAlone()

    relayed = agent.take(a_request("pc1", flags=FLAG_T, after=STYLE, mobile_foreign=signing))

    assert relayed == a_request("pc1", flags=FLAG_T)


def test_fa_17_a_delivery_style_that_is_not_to_be_had_gets_79():
    agent = ForeignAgentAlone(encapsulating_delivery=False)

    assert agent.denial(a_request(flags=FLAG_T, after=STYLE)).code == 79


def test_fa_20_where_there_are_no_reverse_tunnels_who_asks_for_one_gets_74():
    agent = ForeignAgentAlone(reverse_tunnel=False)

    assert agent.denial(a_request(flags=FLAG_T)).code == 74


# ---- silent


def _packet(payload=None, **changes):
    fields = {"source": NODE, "source_port": 434, "destination": VISITED["fa1"], "destination_port": 434}
    datagram = Datagram(payload=a_request() if payload is None else payload, **{**fields, **changes})
    return datagram.packet(ttl=255).encode()


def _spoilt(octets, at):
    return octets[:at] + bytes((octets[at] ^ 0x40,)) + octets[at + 1 :]


SILENCES = {
    "FA-01 a bad UDP checksum": _spoilt(_packet(), 26),
    "FA-01 a bad IP checksum": _spoilt(_packet(), 10),
    "FA-01 shorter than the fixed part": _packet(a_request()[:23]),
    "FA-01 no payload": _packet(b""),
    "FA-01 a reply": _packet(b"\x03" + a_request()[1:]),
    "FA-01 a fragment": Packet(NODE, VISITED["fa1"], 17, 255, b"").encode()[:6] + b"\x20\x00" + _packet()[8:],
    "FA-03 an unknown extension below 128": _packet(a_request(after=b"\x7e\x00")),
    "FA-12 revocation of a node behind an agent": _packet(a_request(before=[RevocationSupport(True, 1)])),
    "FA-12 the same behind its authenticator": _packet(a_request(after=octets_of(RevocationSupport(True, 1)))),
    "not UDP": Packet(NODE, VISITED["fa1"], 6, 255, _packet()[20:]).encode(),
    "not IPv4": b"\x60" + _packet()[1:],
    "three octets": b"\x45\x00\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("octets", SILENCES.values(), ids=SILENCES)
def test_silence_for(agent, octets):
    agent.heard(NODE_LINK, octets)

    assert (agent.relayed, agent.frames, agent.world.said) == ([], [], [])
    assert len(agent.world.dropped) == 1


@pytest.mark.parametrize("destination", ["192.0.2.1", "224.0.0.1"])
def test_what_its_router_forwards_is_none_of_its_business(agent, destination):
    agent.heard(NODE_LINK, _packet(destination=parse(destination)))

    assert (agent.relayed, agent.frames, agent.world.said, agent.world.dropped) == ([], [], [], [])


def test_a_checksum_that_its_sender_left_to_hardware_is_not_looked_at(agent):
    octets = _spoilt(_packet(), 26)

    agent.run(agent.engine.heard("vis0", NODE_LINK, octets, False, 0))

    assert len(agent.relayed) == 1


def test_no_udp_checksum_is_accepted(agent):
    agent.heard(NODE_LINK, _packet()[:26] + b"\0\0" + _packet()[28:])

    assert len(agent.relayed) == 1


# ---- Mobile-Foreign Authentication


def test_fa_07_a_node_that_we_share_a_key_with_proves_it():
    agent = _with_node_key()

    assert agent.take(a_request(mobile_foreign=MOBILE_FOREIGN)) == a_request()


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"mobile_foreign": SecurityAssociation(768, b"guessed")},
        {"mobile_foreign": SecurityAssociation(769, b"mobile node and foreign agent")},
        {"mobile_foreign": MOBILE_FOREIGN, "after": octets_of(MobileForeignAuthentication(768, bytes(16)))},
        {"after": octets_of(MobileForeignAuthentication(768, bytes(3)))},
    ],
    ids=["none", "another key", "another SPI", "two", "cut short"],
)
def test_fa_07_else_67_without_a_word_and_unsigned(request_):
    agent = _with_node_key()
    datagram = a_request(**request_)

    reply = agent.denial(datagram)

    assert reply.code == 67
    assert find(reply.extensions, MessageString) + find(reply.extensions, MobileForeignAuthentication) == []
    assert len(agent.last().payload) <= len(datagram)


def test_a_denial_to_a_node_that_proved_itself_is_signed_and_says_why():
    agent = _with_node_key()

    reply = agent.denial(a_request(lifetime=1200, mobile_foreign=MOBILE_FOREIGN))

    assert reply.code == 69
    (text,) = find(reply.extensions, MessageString)
    assert (text.sub_type, text.text) == (2, b"600 s is the most")
    MOBILE_FOREIGN.verify(agent.last().payload, find(reply.extensions, MobileForeignAuthentication)[0])


# ---- limits


def test_fa_21_more_than_five_requests_under_way_get_66(agent):
    relayed = [agent.take(a_request("pc1", identification=an_identification(low=low))) for low in range(5)]
    agent.world.now += 1000

    reply = agent.denial(a_request("pc1", identification=an_identification(low=5)))

    assert None not in relayed
    assert reply.code == 66
    assert agent.take(a_request("pc2")) is not None  # another session has five of its own


def test_fa_21_each_node_without_nai_has_five_requests_under_way(agent):
    for node in range(3):
        at = {"nai": None, "home_address": parse("10.10.0.10") + node}
        link = {"link_address": bytes((2, 0, 0, 0, 4, node))}

        passed = [agent.take(a_request(identification=an_identification(low=low), **at), **link) for low in range(5)]

        assert None not in passed
        agent.world.now += 1000
        assert agent.denial(a_request(identification=an_identification(low=5), **at), **link).code == 66


def test_requests_of_a_session_are_limited_with_a_burst_of_five(agent):
    agent.engine.visitors.await_reply = lambda pending: None  # the limit of pending ones is another one
    passed = [agent.take(a_request(identification=an_identification(low=low))) is not None for low in range(100)]

    assert passed == [True] * 5 + [False] * 95
    assert agent.frames == []
    agent.world.now += 1000
    assert agent.take(a_request()) is not None
    assert agent.take(a_request()) is None


def test_sixty_four_sessions_have_five_requests_each_at_once(agent):
    passed = {name: 0 for name in range(70)}
    for name in passed:
        for low in range(6):
            passed[name] += agent.take(a_request(f"pc{name}", identification=an_identification(low=low))) is not None

    assert list(passed.values()) == [5] * 64 + [0] * 6  # 64 sessions' worth is what a node may send
    assert agent.take(a_request("pc69"), link_address=OTHER_LINK) is not None  # another node of the same owner
    assert agent.take(a_request("pc69", nai="other@example.net")) is not None


def test_a_denial_goes_once_a_second_to_each_session(agent):
    bad = [a_request(name, lifetime=900) for name in ("pc1", "pc2")]

    assert [agent.denial(bad[0]) is not None, agent.denial(bad[0]) is not None] == [True, False]
    assert agent.denial(bad[1]) is not None
    agent.world.now += 999
    assert agent.denial(bad[0]) is None
    agent.world.now += 1
    assert agent.denial(bad[0]) is not None


def test_who_is_looked_at_for_another_reason_does_not_advertise_for_that_and_never_again_once_it_drains():
    agent = ForeignAgentAlone(advertise_interval=600_000)
    agent.world.pass_time(seconds=100)
    agent.take(a_request("pc1"))
    before = len(agent.advertisements())

    agent.world.pass_time(seconds=7)
    assert len(agent.advertisements()) == before
    agent.run(agent.engine.drain(agent.now))
    agent.run(agent.engine.wake(agent.now + 600_000))

    assert [one.lifetime for _, one in agent.advertisements()[before:]] == [0]


def test_fa_24_after_seven_seconds_of_silence_78_is_said(agent):
    datagram = a_request("pc1")
    agent.take(datagram, source=0)

    agent.world.pass_time(seconds=6.999)
    assert [frame for frame in agent.frames if frame.link_address == NODE_LINK] == []
    agent.world.pass_time(seconds=0.001)

    reply = RegistrationReply.decode(agent.last().payload)
    assert (reply.code, reply.identification) == (78, an_identification())
    assert list(agent.engine.visitors.pending()) == []


def test_fa_24_a_reply_after_that_answers_nothing(agent):
    datagram = a_request("pc1")
    agent.take(datagram)
    agent.world.pass_time(seconds=8)

    assert agent.answer(a_reply(datagram, home_address=parse("10.10.0.10"))) is None
    assert agent.visitors() == {}


@pytest.mark.parametrize("code", [80, 81, 82, 88])
def test_fa_23_an_unreachable_home_agent_is_reported_as(agent, code):
    relayed = agent.take(a_request("pc1"))

    agent.run(agent.engine.unreachable(relayed, code, 0))

    assert RegistrationReply.decode(agent.last().payload).code == code
    assert list(agent.engine.visitors.pending()) == []


def test_fa_23_what_icmp_quotes_of_something_else_is_nobodys_affair(agent):
    agent.take(a_request("pc1"))

    agent.run(agent.engine.unreachable(a_request("pc1", identification=7), 80, 0))
    agent.run(agent.engine.unreachable(b"\x01\x02", 80, 0))

    assert agent.frames == []
    assert len(list(agent.engine.visitors.pending())) == 1


def test_the_table_of_pending_requests_is_bounded():
    agent = ForeignAgentAlone(requests_per_minute=60_000)
    for number in range(4096):
        link_address = (number // 64).to_bytes(6, "big")
        assert agent.take(a_request(f"pc{number}"), link_address=link_address) is not None

    assert agent.denial(a_request("one more")).code == 66
    agent.world.pass_time(seconds=8)
    assert agent.take(a_request("one more")) is not None


# ---- delivery of denials


@pytest.mark.parametrize(
    ("source", "home_address", "destination"),
    [
        (NODE, 0, NODE),
        (NODE, parse("10.10.0.10"), NODE),
        (0, parse("10.10.0.10"), parse("10.10.0.10")),
        (0, 0, 0xFFFFFFFF),
    ],
    ids=["the source", "the source even if a home address is known", "the home address", "everybody"],
)
def test_a_denial_goes_in_a_unicast_frame_to(agent, source, home_address, destination):
    agent.denial(a_request(lifetime=900, home_address=home_address), source=source, port=5000)

    datagram = agent.last()
    assert agent.frames[-1].link_address == NODE_LINK
    assert (datagram.destination, datagram.destination_port) == (destination, 5000)
    assert (datagram.source, datagram.source_port) == (VISITED["fa1"], 434)


@pytest.mark.parametrize(
    ("asked", "answers"), [(FA1, FA1), (parse("224.0.0.11"), VISITED["fa1"]), (0xFFFFFFFF, VISITED["fa1"])]
)
def test_a_denial_comes_from_the_address_that_was_asked(agent, asked, answers):
    agent.denial(a_request(lifetime=900), destination=asked)

    assert agent.last().source == answers


def test_a_node_cannot_make_it_sign_a_foreign_home_authentication_of_its_own():
    agent = ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME})
    own = octets_of(ForeignHomeAuthentication(512, bytes(16)))

    relayed = agent.take(a_request(after=own))

    assert relayed.startswith(a_request())
    assert _signed_last_and_once(relayed)


def _signed_last_and_once(relayed):
    """By us, over everything that went before."""
    extensions = RegistrationRequest.decode(relayed).extensions
    (signature,) = find(extensions, ForeignHomeAuthentication)
    FOREIGN_HOME.verify(relayed, signature)
    return signature == extensions[-1]
