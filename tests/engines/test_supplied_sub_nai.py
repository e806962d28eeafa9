"""A foreign agent names the session of a node that does not, by the node's link address; who believes it, and why."""

import pytest

from mip4.address import parse, show
from mip4.const import FLAG_D
from mip4.extensions import Experimental, ForeignHomeAuthentication, MobileHomeAuthentication, NormalVendor, find
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import SubNai
from tests.helpers.alone import NODE, NODE_LINK, ForeignAgentAlone, HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI
from tests.helpers.messages import FOREIGN_HOME, a_reply, a_request, an_identification, octets_of
from tests.helpers.world import World

FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]
LINK = "02:00:00:00:01:01"  # of NODE_LINK
SUPPLIED = Experimental(1, LINK.encode())
HOME_ADDRESS = parse("10.10.0.10")
OTHER_LINK = bytes.fromhex("0200000002FF")


def _supplying(**changes):
    return ForeignAgentAlone(home_agents={HOME_AGENT: FOREIGN_HOME}, sub_nai_from_link=True, **changes)


def _believing(**changes):
    return HomeAgentAlone(foreign_agents={FA1: FOREIGN_HOME}, **changes)


def _a_supplied_request(link=LINK, **request):
    return a_request(after=octets_of(Experimental(1, link.encode())), foreign_home=FOREIGN_HOME, **request)


def _register(home_agent, link=LINK, low=1, **request):
    datagram = _a_supplied_request(link, identification=an_identification(home_agent.now, low=low), **request)
    return RegistrationReply.decode(home_agent.take(datagram).datagram)


def _leave(home_agent, home_address, low=9, **request):
    identification = an_identification(home_agent.now, low=low)
    datagram = a_request(lifetime=0, home_address=home_address, identification=identification, **request)
    return RegistrationReply.decode(home_agent.take(datagram).datagram)


def _order(message):
    return [type(one) for one in message.extensions if type(one) in _ORDERED]


_ORDERED = (MobileHomeAuthentication, Experimental, ForeignHomeAuthentication)


# ---- the foreign agent


def test_fa_22_a_sub_nai_is_put_between_the_nodes_and_the_foreign_agents_authenticator():
    agent = _supplying()

    relayed = agent.take(a_request())

    assert relayed.startswith(a_request())
    message = RegistrationRequest.decode(relayed)
    assert find(message.extensions, Experimental) == [SUPPLIED]
    assert _order(message) == [MobileHomeAuthentication, Experimental, ForeignHomeAuthentication]
    FOREIGN_HOME.verify(relayed, message.extensions[-1])
    assert [one.session for one in agent.engine.visitors.pending()] == [(NAI, LINK)]


def test_the_link_address_is_written_in_lower_case():
    message = RegistrationRequest.decode(_supplying().take(a_request(), link_address=OTHER_LINK))

    assert find(message.extensions, Experimental) == [Experimental(1, b"02:00:00:00:02:ff")]


def test_it_travels_in_the_operators_carrier():
    message = RegistrationRequest.decode(_supplying(sub_nai_vendor=40000).take(a_request()))

    assert find(message.extensions, NormalVendor) == [NormalVendor(40000, 1, LINK.encode())]


@pytest.mark.parametrize(
    "request_",
    [
        {"sub_nai": "pc1"},
        {"nai": None, "home_address": HOME_ADDRESS},
        {"lifetime": 0},
        {"flags": FLAG_D, "care_of_address": NODE},
        {"home_agent": parse("192.0.2.9")},
    ],
    ids=["named", "without NAI", "a deregistration", "co-located", "a home agent that we share no key with"],
)
def test_no_sub_nai_is_added_to_a_request_that_is(request_):
    agent = _supplying()

    message = RegistrationRequest.decode(agent.take(a_request(**request_)))

    assert find(message.extensions, Experimental) == ([Experimental(1, b"pc1")] if "sub_nai" in request_ else [])
    assert [one.session[1] for one in agent.engine.visitors.pending()] == [request_.get("sub_nai", "")]


def test_a_sub_nai_behind_the_nodes_authenticator_is_not_the_nodes():
    agent = _supplying()

    message = RegistrationRequest.decode(agent.take(a_request(after=octets_of(Experimental(1, b"pc1")))))

    assert find(message.extensions, Experimental) == [SUPPLIED]


def test_fa_41_the_node_gets_its_reply_without_it_and_the_visitor_has_it():
    agent = _supplying()
    datagram = a_request()
    agent.take(datagram)
    echoed = octets_of(SUPPLIED)

    passed_on = agent.answer(a_reply(datagram, home_address=HOME_ADDRESS, after=echoed, foreign_home=FOREIGN_HOME))

    assert passed_on.payload == a_reply(datagram, home_address=HOME_ADDRESS)
    assert agent.visitors() == {LINK: "10.10.0.10"}
    assert list(agent.engine.visitors.pending()) == []


@pytest.mark.parametrize("care_of_address", [FA1, HOME_ADDRESS], ids=["here", "wherever it is"])
def test_fa_40_the_nodes_deregistration_ends_the_visit(care_of_address):
    agent = _supplying()
    datagram = a_request()
    agent.take(datagram)
    agent.answer(a_reply(datagram, home_address=HOME_ADDRESS, after=octets_of(SUPPLIED), foreign_home=FOREIGN_HOME))
    known = {"home_address": HOME_ADDRESS, "care_of_address": care_of_address}
    goodbye = a_request(lifetime=0, identification=an_identification(low=7), **known)

    assert agent.take(goodbye) == goodbye
    passed_on = agent.answer(a_reply(goodbye))

    assert passed_on.payload == a_reply(goodbye)
    assert agent.visitors() == {}


def test_a_denial_of_ours_shows_the_node_nothing_that_it_did_not_send():
    reply = _supplying().denial(a_request(lifetime=601))

    assert reply.code == 69
    assert find(reply.extensions, Experimental) == []


def test_two_nodes_of_one_nai_are_two_visitors():
    agent = _supplying()
    for low, link_address in enumerate((NODE_LINK, OTHER_LINK), 1):
        datagram = a_request(identification=an_identification(low=low))
        relayed = RegistrationRequest.decode(agent.take(datagram, link_address=link_address))
        echoed = octets_of(*find(relayed.extensions, Experimental))
        agent.answer(a_reply(datagram, home_address=HOME_ADDRESS + low, after=echoed, foreign_home=FOREIGN_HOME))

    assert agent.visitors() == {LINK: "10.10.0.11", "02:00:00:00:02:ff": "10.10.0.12"}


# ---- the home agent


def test_ha_18_only_who_leaves_is_known_by_the_home_address_of_a_session_that_its_agent_has_named():
    home_agent = _believing()
    home_address = _register(home_agent).home_address

    taken_over = home_agent.ask(source=FA2, care_of_address=FA2, home_address=home_address)

    assert taken_over.code == 129
    assert home_agent.bindings() == {LINK: (show(home_address), show(FA1))}


def test_ha_14_a_supplied_sub_nai_names_the_session_and_is_echoed_between_the_authenticators():
    agent = _believing()

    reply = _register(agent)

    assert reply.code == 0
    assert find(reply.extensions, Experimental) == [SUPPLIED]
    assert _order(reply) == [MobileHomeAuthentication, Experimental, ForeignHomeAuthentication]
    assert agent.bindings() == {LINK: ("10.10.0.10", "203.0.113.2")}
    assert agent.rows[NAI, LINK].supplied


def test_ha_14_where_the_node_named_its_session_that_counts():
    agent = _believing()

    reply = _register(agent, sub_nai="pc1")

    assert find(reply.extensions, Experimental) == [Experimental(1, b"pc1")]
    assert not agent.rows[NAI, "pc1"].supplied


def test_ha_09_nothing_is_believed_under_a_bad_authenticator_of_the_foreign_agent():
    agent = _believing()
    datagram = bytearray(_a_supplied_request())
    datagram[-1] ^= 1

    reply = RegistrationReply.decode(agent.take(bytes(datagram)).datagram)

    assert (reply.code, agent.bindings()) == (132, {})
    assert find(reply.extensions, Experimental) == []


def test_ha_14_nothing_is_believed_of_an_agent_without_a_key():
    agent = HomeAgentAlone()

    reply = RegistrationReply.decode(agent.take(a_request(after=octets_of(SUPPLIED))).datagram)

    assert (reply.code, set(agent.bindings())) == (0, {""})
    assert find(reply.extensions, Experimental) == []


def test_ha_14_nothing_is_believed_behind_the_foreign_agents_authenticator():
    agent = _believing()
    datagram = a_request(foreign_home=FOREIGN_HOME) + octets_of(SUPPLIED)

    assert RegistrationReply.decode(agent.take(datagram).datagram).code == 0
    assert set(agent.bindings()) == {""}


@pytest.mark.parametrize("bad", [b"", b"\xff", b"x" * 65, b"a\nb"])
def test_ha_14_a_supplied_sub_nai_that_is_none_gets_134(bad):
    agent = _believing()
    datagram = a_request(after=octets_of(Experimental(1, bad)), foreign_home=FOREIGN_HOME)

    assert RegistrationReply.decode(agent.take(datagram).datagram).code == 134
    assert agent.bindings() == {}


def test_ha_26_a_deregistration_without_sub_nai_is_matched_by_home_address():
    agent = _believing()
    _register(agent, low=1)
    _register(agent, "02:00:00:00:02:ff", low=2)

    reply = _leave(agent, HOME_ADDRESS)

    assert (reply.code, reply.lifetime) == (0, 0)
    assert agent.bindings() == {"02:00:00:00:02:ff": ("10.10.0.11", "203.0.113.2")}


def test_ha_26_the_nodes_own_session_is_deregistered_beside_them():
    agent = _believing()
    own = agent.take(a_request(foreign_home=FOREIGN_HOME))
    _register(agent, low=2)

    _leave(agent, RegistrationReply.decode(own.datagram).home_address)

    assert set(agent.bindings()) == {LINK}


def test_ha_18_a_session_that_the_node_named_is_not_deregistered_by_its_address_alone():
    agent = _believing()
    named = agent.take(a_request("pc1", foreign_home=FOREIGN_HOME))

    reply = _leave(agent, RegistrationReply.decode(named.datagram).home_address)

    assert (reply.code, set(agent.bindings())) == (129, {"pc1"})


def test_ha_08_a_deregistration_by_home_address_is_replay_checked_with_its_session():
    agent = _believing()
    _register(agent, low=1)
    goodbye = a_request(lifetime=0, home_address=HOME_ADDRESS, identification=an_identification(low=0))

    reply = RegistrationReply.decode(agent.take(goodbye).datagram)

    assert (reply.code, set(agent.bindings())) == (133, {LINK})


def test_a_binding_remembers_after_a_restart_that_its_sub_nai_was_supplied():
    agent = _believing()
    _register(agent)
    agent.kill()
    agent.start(3_976_214_400_000)

    assert _leave(agent, HOME_ADDRESS).code == 0
    assert agent.bindings() == {}


def test_both_forms_are_believed():
    agent = _believing(sub_nai_vendor=40000)
    both = [SubNai(b"a", 40000, None), SubNai(b"b", 0, NAI.encode())]
    for low, one in enumerate(both):
        after = octets_of(one.extension())
        agent.take(a_request(after=after, foreign_home=FOREIGN_HOME, identification=an_identification(low=low)))

    assert set(agent.bindings()) == {"a", "b"}


# ---- together


def test_nodes_that_know_no_sub_nai_share_a_nai_where_foreign_agents_name_them():
    keys = {FOREIGN_AGENTS[name]: FOREIGN_HOME for name in ("fa1", "fa2")}
    world = World(
        home_agent={"foreign_agents": keys},
        foreign_agents={"home_agents": {HOME_AGENT: FOREIGN_HOME}, "sub_nai_from_link": True},
    )
    one, other = world.add_node("fa1"), world.add_node("fa1")
    world.pass_time(seconds=1)
    assert one.sessions()[""] == ("registered", "10.10.0.10")
    assert other.sessions()[""] == ("registered", "10.10.0.11")

    one.move("fa2")
    world.pass_time(seconds=400)

    assert world.home_agent.bindings() == {
        "02:00:00:00:01:01": ("10.10.0.10", "203.0.113.66"),
        "02:00:00:00:01:02": ("10.10.0.11", "203.0.113.2"),
    }
    assert world.foreign_agents["fa2"].visitors() == {"02:00:00:00:01:01": "10.10.0.10"}
    assert (world.dropped, world.warnings()) == ([], [])
