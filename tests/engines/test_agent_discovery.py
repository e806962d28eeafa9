"""Which agents are heard, which one is ours, and what makes it another (RFC 5944 §2.4)."""

from itertools import pairwise

import pytest

from mip4.address import parse
from mip4.const import ADVERT_B, ADVERT_F
from mip4.discovery import AgentAdvertisement
from mip4.effects import Dropped, Solicit, UseAgent
from mip4.ip import Packet
from mip4.messages import RegistrationRequest
from tests.helpers.builders import FOREIGN_AGENTS, VISITED
from tests.helpers.driven_node import AGENT_LINKS, FLAGS, DrivenNode, an_advertisement

FA1, FA2 = FOREIGN_AGENTS["fa1"], FOREIGN_AGENTS["fa2"]


@pytest.fixture
def node():
    """Registered through fa1, which is heard every second."""
    node = DrivenNode().up()
    node.answer()
    return node


def _agent(node):
    return node.engine.status(node.now)["agent"]


def _solicitations(node, seconds, step=10):
    times = []
    for _ in range(0, seconds * 1000, step):
        before = len(node.said(Solicit))
        node.pass_time(seconds=step / 1000)
        if len(node.said(Solicit)) > before:
            times.append(node.now)
    return times


def _silence(node, name):
    """`name` is heard no more."""
    del node.adverts[name]


# ---- soliciting


def test_a_new_link_is_asked_at_once_then_twice_300_ms_apart_then_ever_more_rarely():
    node = DrivenNode().up(None)

    times = [0, *_solicitations(node, 400)]

    waits = [later - earlier for earlier, later in pairwise(times)]
    nominal = [300, 300, 1000, 2000, 4000, 8000, 16_000, 32_000, *[60_000] * (len(waits) - 8)]
    assert len(waits) > 10
    assert [wait for wait, usual in zip(waits, nominal, strict=True) if abs(wait - usual) > usual / 8 + 10] == []
    assert len({wait / usual for wait, usual in zip(waits, nominal, strict=True)}) > 8  # by chance around those


def test_who_wakes_for_another_reason_does_not_ask_for_that():
    node = DrivenNode().up(None)

    for _ in range(20):
        node.now += 10
        node.run(node.engine.wake(node.now))

    assert len(node.said(Solicit)) == 1


def test_nodes_that_start_together_do_not_ask_in_step():
    one, other = DrivenNode().up(None), DrivenNode(seed=b"another").up(None)

    assert set(_solicitations(one, 200)) & set(_solicitations(other, 200)) == set()


def test_an_agent_that_is_heard_ends_the_asking():
    node = DrivenNode().up()

    assert len(node.said(Solicit)) == 1
    assert _solicitations(node, 30) == []


def test_an_agent_that_falls_silent_is_looked_for_again(node):
    _silence(node, "fa1")

    node.pass_time(seconds=3.5)

    assert _agent(node) is None
    assert node.said(UseAgent)[-1] == UseAgent(0, b"", 0)
    assert len(node.said(Solicit)) == 3


def test_a_dark_link_is_not_asked():
    node = DrivenNode().up(None)
    node.run(node.engine.link_down(node.now))

    assert _solicitations(node, 30) == []


# ---- whom to believe


@pytest.mark.parametrize(
    "packet",
    [
        an_advertisement(ttl=2),
        an_advertisement(ttl=255),
        an_advertisement()[:-1],
        an_advertisement()[:30] + b"\xff" + an_advertisement()[31:],
        Packet(VISITED["fa1"], parse("224.0.0.1"), 1, 1, AgentAdvertisement(0, 3, [(1, 0)], []).encode()).encode(),
        Packet(VISITED["fa1"], parse("224.0.0.1"), 17, 1, b"\x09" * 40).encode(),
        b"",
    ],
    ids=["TTL 2", "TTL 255", "cut short", "a bad checksum", "no agent's", "not ICMP", "nothing"],
)
def test_mn_33_silence_for_an_advertisement_that_is_none(packet):
    node = DrivenNode().up(None)

    said = node.run(node.engine.heard(packet, AGENT_LINKS["fa1"], 0))

    assert [type(one) for one in said] == [Dropped]
    assert _agent(node) is None


@pytest.mark.parametrize(
    "advertisement",
    [{"flags": ADVERT_F | ADVERT_B}, {"flags": 0}, {"care_of": 0}, {"lifetime": 0}],
    ids=["busy", "no foreign agent", "no care-of address", "going away"],
)
def test_an_agent_that_cannot_be_registered_with_is_not_chosen(advertisement):
    node = DrivenNode().up(**advertisement)

    assert _agent(node) is None
    assert node.requests == []


def test_an_agent_that_was_busy_is_taken_when_it_no_longer_is():
    node = DrivenNode().up(flags=FLAGS | ADVERT_B)

    node.hear()

    assert _agent(node) == "10.99.1.1"


def test_an_agent_that_becomes_busy_keeps_those_it_has(node):
    said = node.hear(flags=FLAGS | ADVERT_B)

    assert said == []
    assert _agent(node) == "10.99.1.1"


# ---- what makes it another


def test_another_agent_is_no_reason_while_ours_is_heard(node):
    node.hear("fa2")
    sent = len(node.requests)

    node.pass_time(seconds=100)

    assert _agent(node) == "10.99.1.1"
    assert len(node.requests) == sent


def test_another_network_is_a_reason_when_ours_is_overdue(node):
    _silence(node, "fa1")
    node.pass_time(seconds=1.1)

    node.hear("fa2")

    assert _agent(node) == "10.99.2.1"


@pytest.mark.parametrize(
    "changes", [{"prefix_length": 16}, {"prefix_length": None}], ids=["one prefix", "unknown prefix"]
)
def test_without_another_network_only_silence_is_a_reason(changes):
    node = DrivenNode().up("fa1", **changes)
    _silence(node, "fa1")
    node.pass_time(seconds=1.1)

    node.hear("fa2", **changes)
    assert _agent(node) == "10.99.1.1"
    node.pass_time(seconds=2)

    assert _agent(node) == "10.99.2.1"


def test_an_agent_that_says_goodbye_is_left_at_once_for_another_that_is_heard(node):
    node.hear("fa2")

    node.hear("fa1", lifetime=0)

    assert _agent(node) == "10.99.2.1"
    assert node.request().care_of_address == FA2


def test_an_agent_that_says_goodbye_alone_is_looked_for(node):
    said = node.hear("fa1", lifetime=0, again=False)

    assert UseAgent(0, b"", 0) in said
    assert _agent(node) is None


def test_an_agent_that_no_longer_is_one_is_left(node):
    node.hear("fa1", flags=0)

    assert _agent(node) is None


@pytest.mark.parametrize(
    ("before", "after", "anew"),
    [
        (300, 0, True),
        (300, 255, True),
        (300, 256, False),
        (0xFFFF, 256, False),
        (0xFFFF, 3, True),
        (5, 4, True),
        (5, 6, False),
        (300, 300, False),
        (300, 9000, False),
    ],
)
def test_a_sequence_number_that_fell_below_256_says_that_the_agent_lost_us(before, after, anew):
    node = DrivenNode().up(sequence=before)
    node.answer()
    node.pass_time(seconds=5)
    sent = len(node.requests)

    node.hear(sequence=after)

    assert len(node.requests) - sent == anew


def test_sequence_numbers_of_another_agent_do_not_matter(node):
    node.hear("fa2", sequence=500)
    node.pass_time(seconds=5)
    sent = len(node.requests)

    node.hear("fa2", sequence=0)

    assert len(node.requests) == sent


@pytest.mark.parametrize("change", [{"care_of": parse("203.0.113.9")}, {}], ids=["care-of address", "link address"])
def test_an_agent_that_is_to_be_had_by_another_way_gets_everybody_anew(node, change):
    node.now += 5000
    other_link = bytes.fromhex("02000a6301ff") if not change else AGENT_LINKS["fa1"]

    node.run(node.engine.heard(an_advertisement("fa1", sequence=301, **change), other_link, node.now))

    assert node.times()[-1] == 5000
    assert node.request().care_of_address == change.get("care_of", FA1)
    assert node.said(UseAgent)[-1].link_address == other_link


def test_what_an_agent_advertises_now_holds_for_the_next_request(node):
    node.hear(registration=100)
    node.pass_time(seconds=301)

    assert node.request().lifetime == 100


def test_a_link_that_comes_up_elsewhere_without_having_gone_down_is_a_new_one(node):
    node.adverts = {}

    node.run(node.engine.link_up(node.now))
    node.pass_time(seconds=100)

    assert _agent(node) is None
    assert len(node.requests) == 1
    assert UseAgent(0, b"", 0) in node.effects


def test_a_link_that_is_not_up_yet_has_no_agent():
    node = DrivenNode()
    node.hear()
    node.up(None)
    assert (_agent(node), node.requests) == (None, [])

    node.run(node.engine.link_down(node.now))
    node.hear()
    assert (_agent(node), node.requests) == (None, [])

    node.up()
    assert _agent(node) is not None and len(node.requests) == 1


# ---- bounds


def test_the_table_of_agents_is_bounded_and_ours_stays(node):
    for number in range(1000):
        packet = _from_another(number)
        node.run(node.engine.heard(packet, AGENT_LINKS["fa2"], node.now))

    discovery = node.engine._care_of._discovery
    assert len(discovery._agents) <= 8
    assert _agent(node) == "10.99.1.1"


def test_agents_that_refuse_one_after_another_fill_no_table():
    node = DrivenNode().up(None)
    for number in range(1000):
        node.now += 10
        node.run(node.engine.heard(_from_another(number), AGENT_LINKS["fa2"], node.now))
        if node.requests:
            node.answer(66)

    assert len(node.engine._care_of._discovery._avoided) <= 8
    assert len(node.engine._singly) <= 8
    assert len(node.engine.status(node.now)["handoffs"]) <= 8
    assert len({RegistrationRequest.decode(one).care_of_address for _, one in node.requests}) > 100


def _from_another(number):
    """An advertisement of one of many agents, each with a care-of address of its own."""
    packet = Packet.decode(an_advertisement("fa2", care_of=FA2 + 100 + number))
    return Packet(VISITED["fa2"] + 1 + number, packet.destination, 1, 1, packet.payload).encode()
