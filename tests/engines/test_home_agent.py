"""Every Reply code and every silence of the home agent. HA-nn: the lines of docs/conformance.md."""

from dataclasses import replace

import pytest

from host_agents.home_agent.policy import Subscriber
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import FLAG_D, FLAG_G, FLAG_M, FLAG_S, FLAG_T, FLAG_r, FLAG_x, code_name
from mip4.extensions import (
    CriticalVendor,
    Experimental,
    ForeignHomeAuthentication,
    GreKey,
    HomeAgentAddress,
    MessageString,
    MobileForeignAuthentication,
    MobileHomeAuthentication,
    Nai,
    NormalVendor,
    RevocationSupport,
    UdpTunnelRequest,
    find,
    find_host_configuration,
    host_configuration,
    tlv,
)
from mip4.messages import RegistrationReply
from mip4.sub_nai import SubNai
from tests.helpers.alone import HomeAgentAlone, an_authentic_reply, sub_nai_in
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, KEY, NAI, SPI, a_home_agent_policy, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, HOME, a_request, an_identification, octets_of

FA1 = FOREIGN_AGENTS["fa1"]
PRINTER = parse("10.10.0.7")
VENDOR = 40000
CRITICAL = CriticalVendor(9, 1, b"?")


@pytest.fixture
def agent():
    return HomeAgentAlone()


def _with_keys(**changes):
    """A home agent that shares a key with fa1."""
    return HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME}, **changes)


# ---- accepted


def test_ha_26_code_0_and_the_lifetime_that_was_asked_for_or_a_little_less(agent):
    reply = agent.ask("pc1", lifetime=600)

    assert reply.code == 0
    assert 540 <= reply.lifetime <= 600
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_ha_26_a_lifetime_is_never_raised_and_the_jitter_is_within_ten_percent(agent):
    asked = [*range(1, 40), 599, 600, 1799, 1800]

    granted = {lifetime: [agent.ask(lifetime=lifetime).lifetime for _ in range(20)] for lifetime in asked}

    for lifetime, found in granted.items():
        assert lifetime * 9 // 10 <= min(found) <= max(found) <= lifetime
        assert min(found) > 0
    assert len(set(granted[1800])) > 10


@pytest.mark.parametrize("asked", [1801, 0xFFFE, 0xFFFF])
def test_ha_26_a_lifetime_is_cut_to_the_agents_own_maximum(agent, asked):
    assert 1620 <= agent.ask(lifetime=asked).lifetime <= 1800


def test_a_binding_for_ever_where_the_operator_allows_it():
    agent = HomeAgentAlone(lifetime=0xFFFF)

    assert agent.ask(lifetime=0xFFFF).lifetime == 0xFFFF
    assert agent.rows[NAI, ""].expires is None
    agent.world.pass_time(seconds=100 * 86400)
    assert agent.bindings() == {"": ("10.10.0.10", "203.0.113.2")}


def test_nor_does_one_end_that_plain_does_not_see():
    agent = HomeAgentAlone(lifetime=0xFFFF)

    assert agent.ask(lifetime=0xFFFF, flags=FLAG_S).lifetime == 0xFFFF
    assert [one.expires for one in agent.engine.bindings] == [None]


def test_ha_26_where_simultaneous_bindings_are_not_supported_none_is_kept_and_code_1_says_so():
    agent = HomeAgentAlone(simultaneous_bindings=1)
    agent.ask("pc1")

    reply = agent.ask("pc1", flags=FLAG_S, care_of_address=FOREIGN_AGENTS["fa2"], source=FOREIGN_AGENTS["fa2"])

    assert reply.code == 1
    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.66")}


def test_ha_26_the_reply_goes_back_to_the_address_and_port_that_the_request_came_from(agent):
    answer = agent.take(a_request(), port=50001)

    assert (answer.destination, answer.port) == (FA1, 50001)
    assert RegistrationReply.decode(answer.datagram).home_agent == HOME_AGENT


def test_what_devices_are_to_be_told_is_told_when_it_is_asked_for(agent):
    asked = agent.ask(before=[host_configuration(0, b"\0")])
    not_asked = agent.ask()

    assert find_host_configuration(asked.extensions) == {
        1: bytes([24]),
        5: bytes([10, 10, 0, 1]),
        2: bytes([198, 51, 100, 53, 0, 0, 0, 0]),
    }
    assert find_host_configuration(not_asked.extensions) == {}


@pytest.mark.parametrize("vendor", [0, VENDOR], ids=["carrier A", "carrier B"])
@pytest.mark.parametrize("inner", [None, NAI.encode()], ids=["sub-type 1", "sub-type 2"])
def test_a_reply_uses_the_carrier_and_sub_type_of_its_request(vendor, inner):
    agent = HomeAgentAlone(sub_nai_vendor=VENDOR)
    datagram = a_request(carrier=SubNai(b"pc1", vendor, inner))

    reply = an_authentic_reply(agent.take(datagram).datagram, to=datagram, vendor=VENDOR)

    assert reply.code == 0
    assert sub_nai_in(reply, VENDOR) == SubNai(b"pc1", vendor, inner)
    assert set(agent.bindings()) == {"pc1"}


def test_all_forms_of_a_sub_nai_name_the_same_session():
    agent = HomeAgentAlone(sub_nai_vendor=VENDOR)

    for low, (vendor, inner) in enumerate([(0, None), (0, NAI.encode()), (VENDOR, None), (VENDOR, NAI.encode())]):
        carrier = SubNai(b"pc1", vendor, inner)
        assert agent.take(a_request(carrier=carrier, identification=an_identification(low=low)))

    assert agent.bindings() == {"pc1": ("10.10.0.10", "203.0.113.2")}


def test_a_vendor_extension_of_somebody_else_is_skipped(agent):
    datagram = a_request(before=[NormalVendor(VENDOR, 1, b"pc1"), Experimental(77, b"?")])

    assert agent.take(datagram) is not None
    assert set(agent.bindings()) == {""}


def test_a_node_without_nai_is_known_by_its_reserved_home_address():
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(addresses={"printer": PRINTER})})

    reply = agent.ask(nai=None, home_address=PRINTER)

    assert (reply.code, reply.home_address) == (0, PRINTER)
    assert agent.bindings() == {"printer": ("10.10.0.7", "203.0.113.2")}


# ---- denied; every one of these requests is authentic

DENIALS = {
    "HA-03 an extension runs past the end": (134, {"after": b"\x91\x10\x01"}),
    "HA-05 the Foreign-Home Authentication comes first": (
        134,
        {"before": [ForeignHomeAuthentication(512, bytes(16))]},
    ),
    "HA-05 two Mobile-Home Authentications": (134, {"after": octets_of(MobileHomeAuthentication(SPI, bytes(16)))}),
    "HA-05 two Mobile-Foreign Authentications": (
        134,
        {"after": octets_of(MobileForeignAuthentication(768, bytes(16))) * 2},
    ),
    "HA-05 the NAI stands behind the Mobile-Home Authentication": (
        134,
        {"nai": None, "after": octets_of(Nai(NAI.encode()))},
    ),
    "HA-08 a clock eight seconds ahead": (133, {"identification": an_identification(8000, low=1)}),
    "HA-08 a clock eight seconds behind": (133, {"identification": an_identification(-8000, low=1)}),
    "HA-10 the broadcast address of a network": (136, {"home_agent": parse("192.0.2.255")}),
    "HA-11 another home agent": (136, {"home_agent": parse("192.0.2.9")}),
    "HA-11 a choice among home agents that fell on another": (
        136,
        {"home_agent": 0, "before": [HomeAgentAddress(1, parse("192.0.2.9"))]},
    ),
    "HA-12 r": (134, {"flags": FLAG_r}),
    "HA-12 x": (134, {"flags": FLAG_x}),
    "HA-14 an empty sub-NAI": (134, {"before": [Experimental(1, b"")]}),
    "HA-14 a sub-NAI of 65 octets": (134, {"before": [Experimental(1, b"x" * 65)]}),
    "HA-14 a sub-NAI that is not UTF-8": (134, {"before": [Experimental(1, b"\xff")]}),
    "HA-14 a sub-NAI with a control character": (134, {"before": [Experimental(1, b"a\nb")]}),
    "HA-14 two sub-NAIs": (134, {"before": [Experimental(1, b"a"), Experimental(1, b"a")]}),
    "HA-14 a sub-NAI of another NAI": (134, {"before": [Experimental(2, b"\x03a@bpc1")]}),
    "HA-14 a sub-NAI that ends within its NAI": (134, {"before": [Experimental(2, b"\x20a@b")]}),
    "HA-14 two NAIs": (134, {"before": [Nai(b"other@example.net")]}),
    "HA-15 home address 255.255.255.255": (134, {"home_address": 0xFFFFFFFF}),
    "HA-15 the care-of address is the home address": (134, {"home_address": FA1}),
    "HA-15 the care-of address is a group": (134, {"care_of_address": parse("224.0.0.5")}),
    "HA-15 the care-of address is loopback": (134, {"care_of_address": parse("127.0.0.1")}),
    "HA-15 no care-of address": (134, {"care_of_address": 0}),
    "HA-15 the care-of address is the home agent": (134, {"care_of_address": HOME_AGENT}),
    "HA-16 a critical extension of the node": (140, {"before": [CRITICAL]}),
    "HA-16 a critical extension of the foreign agent": (141, {"after": octets_of(CRITICAL)}),
    "HA-18 an address outside the pool": (129, {"home_address": parse("10.10.0.9")}),
    "HA-18 an address of somebody else's network": (129, {"home_address": parse("192.168.1.1")}),
    "HA-18 the gateway": (129, {"home_address": parse("10.10.0.1")}),
    "HA-18 the address of another session": (129, {"home_address": parse("10.10.0.10")}),
    "HA-18 the address that is reserved for another session": (129, {"home_address": PRINTER}),
    "HA-18 deregistration of the address of another session": (
        129,
        {"home_address": parse("10.10.0.10"), "lifetime": 0},
    ),
    "HA-21 a source that is not the care-of address": (129, {"source": parse("198.51.100.99")}),
    "HA-22 minimal encapsulation": (139, {"flags": FLAG_D | FLAG_M}),
    "HA-22 GRE": (139, {"flags": FLAG_G}),
    "HA-22 a GRE key from the node": (139, {"flags": FLAG_G, "before": [GreKey(7)]}),
    "HA-22 a GRE key from the foreign agent": (139, {"after": octets_of(GreKey(7))}),
}


@pytest.mark.parametrize("check", DENIALS, ids=[f"{check}: {code}" for check, (code, _) in DENIALS.items()])
def test_an_authentic_request_is_denied_for(check):
    code, request_ = DENIALS[check]
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(addresses={"printer": PRINTER})}, encapsulations=())
    agent.ask("taken")
    before = agent.bindings()
    changes = {"identification": an_identification(low=77), **request_}
    source = changes.pop("source", FA1)
    datagram = a_request("" if "before" in changes else "pc1", **changes)

    answer = agent.take(datagram, source)

    reply = an_authentic_reply(answer.datagram, to=datagram, echoes=not check.startswith("HA-14"))
    assert reply.code == code
    assert reply.home_agent == HOME_AGENT
    assert reply.home_address == changes.get("home_address", 0)
    assert _text(reply)
    assert agent.bindings() == before
    if code != 133:
        assert reply.identification == changes["identification"]


@pytest.mark.parametrize("binding", [False, True], ids=["without a binding", "with one"])
def test_ha_15_a_home_address_that_turns_out_to_be_the_care_of_address_gets_134(binding):
    """Its packets would go round in circles, and the reply with them: who asks for any address cannot have that one."""
    only = parse("10.10.0.10")
    network = replace(a_home_agent_policy().networks[0], pool=((only, only),))
    agent = HomeAgentAlone(networks=(network,))
    before = [agent.ask("pc1")] if binding else []

    reply = agent.ask("pc1", care_of_address=only, source=only)

    assert reply.code == 134
    assert list(agent.bindings()) == ["pc1"][: len(before)]


def test_ha_15_nor_may_it_be_a_reserved_one_of_no_home_network():
    far = parse("198.51.100.7")
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(addresses={"printer": far})})

    assert agent.ask("printer", care_of_address=far, source=far).code == 134
    assert agent.ask("printer").home_address == far


def test_every_text_of_a_denial_is_for_people_and_the_log_says_who_was_denied_and_why(agent):
    agent.ask("pc1", flags=FLAG_r)

    assert _text(RegistrationReply.decode(agent.sent[-1].datagram)) == "a reserved flag is set"
    assert agent.world.said[-1] == (
        "info",
        f"denied nai={NAI} sub_nai='pc1' care_of=203.0.113.2 code={code_name(134)}: a reserved flag is set",
    )


@pytest.mark.parametrize(("flags", "code"), [(0, 138), (FLAG_T, 0), (FLAG_D, 138), (FLAG_D | FLAG_T, 0)])
def test_ha_23_where_a_reverse_tunnel_is_mandatory_who_asks_for_none_gets_138(flags, code):
    agent = HomeAgentAlone(reverse_tunnel_required=True)

    assert agent.ask(flags=flags).code == code
    assert agent.ask(lifetime=0).code == 0


def test_ha_24_where_there_are_no_reverse_tunnels_who_asks_for_one_gets_137():
    agent = HomeAgentAlone(reverse_tunnel=False)

    assert agent.ask(flags=FLAG_T).code == 137
    assert agent.ask(flags=FLAG_T | FLAG_r).code == 134  # whatever else is wrong is told first
    assert agent.ask(flags=FLAG_T, lifetime=0).code == 0
    assert agent.ask().code == 0
    assert agent.ask(flags=FLAG_S).code == 0  # as plain.py does not see it


NOT_DONE = {
    "service selection": tlv(151, b"internet"),
    "a mobile network": tlv(148, bytes((0, 24, 10, 20, 0, 0))),
    "an interface of a proxy": tlv(147, bytes((1, 2, 0, 0, 0, 0, 7))),
}


@pytest.mark.parametrize("asked", NOT_DONE)
def test_ha_19_code_0_and_not_a_word_of(agent, asked):
    without = agent.ask()

    reply = agent.ask(before=[Octets(NOT_DONE[asked])])

    assert reply.code == 0
    assert [one.kind for one in reply.extensions] == [one.kind for one in without.extensions]


def test_ha_25_more_sessions_than_a_subscriber_may_have_get_130_and_the_nodes_own_session_counts():
    agent = HomeAgentAlone(subscribers={NAI: a_subscriber(sessions=2)})
    agent.ask("")
    agent.ask("pc1")

    refused = agent.ask("pc2")
    agent.ask("pc1", lifetime=0)
    accepted = agent.ask("pc2")

    assert (refused.code, _text(refused)) == (130, "all 2 sessions of this NAI are in use")
    assert accepted.code == 0
    assert agent.ask("").code == 0  # a renewal is no session more
    assert agent.ask("", flags=FLAG_S).code == 0  # nor is one that plain.py does not see


# ---- silent


SILENCES = {
    "HA-02 shorter than the fixed part": a_request()[:23],
    "HA-02 no octet": b"",
    "HA-02 a reply": b"\x03" + a_request()[1:],
    "HA-03 malformed ahead of any authenticator": a_request(before=[], home=None, after=b"\x91\x10\x01"),
    "HA-04 an unknown extension below 128": a_request(after=b"\x7e\x00"),
    "HA-04 the same, inside the signature": HOME.sign(
        a_request(home=None, after=tlv(126, b"")), MobileHomeAuthentication
    ),
    "HA-05 no authenticator": a_request(home=None),
    "HA-05 only a Foreign-Home Authentication": a_request(home=None, foreign_home=FOREIGN_HOME),
    "HA-06 an unknown NAI": a_request(nai="nobody@example.net"),
    "HA-06 a NAI that is not UTF-8": HOME.sign(
        a_request(nai=None, home=None, before=[Nai(b"\xff\xfe")]), MobileHomeAuthentication
    ),
    "HA-06 an unknown SPI": a_request(home=SecurityAssociation(SPI + 1, KEY)),
    "HA-06 neither NAI nor a reserved home address": a_request(nai=None, home_address=parse("10.10.0.10")),
    "HA-13 neither NAI nor home address": a_request(nai=None),
    "HA-19 who authenticates a node of PMIPv4": a_request(after=bytes((47, 1, 0, 1, 1))),
    "HA-09 a Foreign-Home Authentication nobody can check": a_request(foreign_home=FOREIGN_HOME),
}


@pytest.mark.parametrize("datagram", SILENCES.values(), ids=SILENCES)
def test_silence_for(agent, datagram):
    assert agent.take(datagram) is None

    assert len(agent.world.dropped) == 1
    assert agent.bindings() == {}
    assert agent.identifications == {}
    assert agent.world.said == []


# ---- 131


def test_ha_07_a_bad_authenticator_gets_131_without_text_and_no_longer_than_the_request(agent):
    datagram = a_request("pc1", home=SecurityAssociation(SPI, b"guessed"))

    answer = agent.take(datagram)

    reply = an_authentic_reply(answer.datagram, to=datagram)
    assert reply.code == 131
    assert _text(reply) == ""
    assert len(answer.datagram) <= len(datagram)
    assert agent.identifications == {}


@pytest.mark.parametrize("size", range(1, 17))
def test_an_authenticator_that_is_cut_short_gets_nothing_longer_back(agent, size):
    forged = MobileHomeAuthentication(SPI, bytes(size))

    answer = agent.take(a_request(home=None, after=octets_of(forged)))

    assert (answer is None) == (size < 12)  # a request's fixed part is 4 octets longer than a reply's


def test_an_association_with_long_authenticators_amplifies_nothing_either():
    long = SecurityAssociation(SPI, KEY, "hmac-sha256")
    agent = HomeAgentAlone(subscribers={NAI: Subscriber(NAI, {SPI: long}, 8)})

    assert agent.take(a_request(home=SecurityAssociation(SPI, b"guessed"))) is None
    assert agent.take(a_request(home=SecurityAssociation(SPI, b"guessed", "hmac-sha256"))) is not None


def test_ha_07_131_is_not_said_to_a_flood_and_authentic_requests_are_not_slowed_by_it(agent):
    forged = a_request(home=SecurityAssociation(SPI, b"guessed"))

    answered = sum(agent.take(forged) is not None for _ in range(1000))

    assert answered == 20
    assert agent.ask("pc1").code == 0
    agent.world.pass_time(seconds=1)
    assert sum(agent.take(forged) is not None for _ in range(1000)) == 10


def test_ha_07_131_to_a_foreign_agent_that_has_a_key_needs_its_signature():
    agent = _with_keys()
    guessed = SecurityAssociation(SPI, b"guessed")

    assert agent.take(a_request(home=guessed)) is None
    assert agent.take(a_request(home=guessed, foreign_home=SecurityAssociation(512, b"no"))) is None
    answer = agent.take(a_request(home=guessed, foreign_home=FOREIGN_HOME))

    reply = RegistrationReply.decode(answer.datagram)
    assert reply.code == 131
    FOREIGN_HOME.verify(answer.datagram, find(reply.extensions, ForeignHomeAuthentication)[0])


# ---- HA-09: Foreign-Home Authentication


def test_a_foreign_agent_with_a_key_signs_and_the_reply_is_signed_for_it():
    agent = _with_keys()

    reply = agent.ask("pc1", foreign_home=FOREIGN_HOME)

    assert reply.code == 0
    (signature,) = find(reply.extensions, ForeignHomeAuthentication)
    FOREIGN_HOME.verify(agent.sent[-1].datagram, signature)
    assert signature is reply.extensions[-1]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"foreign_home": SecurityAssociation(512, b"another key")},
        {"foreign_home": SecurityAssociation(513, b"foreign agent and home agent")},
        {"after": octets_of(ForeignHomeAuthentication(512, bytes(15)))},
    ],
    ids=["none", "another key", "another SPI", "cut short"],
)
def test_ha_09_without_the_foreign_agents_signature_the_answer_is_132(request_):
    agent = _with_keys()

    reply = agent.ask("pc1", **request_)

    assert reply.code == 132
    assert agent.bindings() == {}


@pytest.mark.parametrize(
    "added", [RevocationSupport(True, 1), UdpTunnelRequest(True, False, 4), CRITICAL], ids=["137", "144", "38"]
)
def test_ha_09_what_somebody_put_behind_the_foreign_agents_signature_counts_for_nothing(added):
    agent = HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME})
    signed = a_request("pc1", foreign_home=FOREIGN_HOME)

    reply = an_authentic_reply(agent.take(signed + octets_of(added)).datagram, to=signed)

    assert reply.code == 0
    assert find(reply.extensions, RevocationSupport) == []
    (binding,) = agent.engine.bindings
    assert (binding.revocation, binding.udp_remote) == (None, 0)


def test_ha_09_a_deregistration_needs_no_signature_and_gets_none():
    agent = _with_keys()
    agent.ask(foreign_home=FOREIGN_HOME)

    reply = agent.ask(lifetime=0)

    assert reply.code == 0
    assert find(reply.extensions, ForeignHomeAuthentication) == []
    assert agent.ask(lifetime=0, foreign_home=FOREIGN_HOME).code == 0  # RFC 3344 agents sign those too
    assert agent.ask(lifetime=0, foreign_home=SecurityAssociation(512, b"no")).code == 132


def test_ha_09_where_every_foreign_agent_must_have_a_key_a_stranger_gets_132_and_a_node_by_itself_does_not():
    agent = HomeAgentAlone(require_foreign_agent_key=True)

    assert agent.ask().code == 132
    assert agent.ask(flags=FLAG_D).code == 0
    assert agent.ask(lifetime=0).code == 0  # which nobody signs (RFC 5944 §3.5.4)


class Octets:
    """An extension as it is on the wire."""

    def __init__(self, octets):
        self._octets = octets

    def encode(self):
        return self._octets


def _text(reply):
    return "".join(one.text.decode() for one in find(reply.extensions, MessageString))
