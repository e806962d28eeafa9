"""Agent Advertisements (RFC 5944 §2.3): intervals, sequence numbers, flags, solicitations."""

from itertools import pairwise

import pytest

from host_agents.foreign_agent.advertiser import Advertiser
from host_agents.foreign_agent.policy import VisitedInterface
from mip4.address import parse
from mip4.const import ADVERT_B, ADVERT_F, ADVERT_G, ADVERT_M, ADVERT_R, ADVERT_T, PROTO_ICMP
from mip4.discovery import AgentAdvertisement, MobilityAgent, PrefixLengths
from mip4.ip import Packet
from tests.helpers.alone import NODE_LINK, ForeignAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, VISITED, a_foreign_agent_policy
from tests.helpers.messages import a_reply, a_request

ALL_SYSTEMS_LINK = bytes.fromhex("01005e000001")


def _advertiser(kept=False, **changes):
    policy = a_foreign_agent_policy(**changes)
    return Advertiser(policy, policy.interfaces[0], kept, None, 0)


def _times(advertiser, count, before=lambda: None):
    times = []
    for _ in range(count):
        before()
        times.append(advertiser.due)
        advertiser.advertise(False, advertiser.due)
    return times


def _said(frame):
    return AgentAdvertisement.decode(Packet.decode(frame.packet).payload)


def test_an_advertisement_says_who_we_are():
    frame = _advertiser().advertise(False, 0)

    packet = Packet.decode(frame.packet)
    assert (frame.interface, frame.link_address) == ("vis0", ALL_SYSTEMS_LINK)
    assert (packet.source, packet.destination, packet.ttl) == (VISITED["fa1"], parse("224.0.0.1"), 1)
    assert packet.protocol == PROTO_ICMP
    assert _said(frame) == AgentAdvertisement(
        code=16,
        lifetime=3,
        routers=[(VISITED["fa1"], 0)],
        extensions=[
            MobilityAgent(0, 600, ADVERT_R | ADVERT_F | ADVERT_T, [FOREIGN_AGENTS["fa1"]]),
            PrefixLengths([24]),
        ],
    )


@pytest.mark.parametrize(
    ("changes", "busy", "flags"),
    [
        ({}, True, ADVERT_R | ADVERT_F | ADVERT_T | ADVERT_B),
        ({"registration_required": False}, False, ADVERT_F | ADVERT_T),
        ({"reverse_tunnel": False}, False, ADVERT_F | ADVERT_R),
        ({"encapsulations": ("gre",)}, False, ADVERT_R | ADVERT_F | ADVERT_T | ADVERT_G),
        ({"encapsulations": ("gre", "minimal")}, False, ADVERT_R | ADVERT_F | ADVERT_T | ADVERT_G | ADVERT_M),
    ],
)
def test_flags_say_what_is_to_be_had(changes, busy, flags):
    assert _said(_advertiser(**changes).advertise(busy, 0)).agent().flags == flags


@pytest.mark.parametrize("longest", [1000, 4000, 600_000, 1800_000])
def test_intervals_are_between_three_quarters_of_the_maximum_and_the_maximum_and_vary(longest):
    times = _times(_advertiser(advertise_interval=longest), 203)

    waits = [later - earlier for earlier, later in pairwise(times)][3:]
    assert longest * 3 // 4 <= min(waits) <= max(waits) <= longest
    assert len(set(waits)) > 100


def test_the_first_three_are_no_more_than_sixteen_seconds_apart_however_many_were_solicited():
    advertiser = _advertiser(advertise_interval=600_000)

    times = _times(advertiser, 5, before=lambda: advertiser.solicited(NODE_LINK, False, advertiser.due))

    assert times[:4] == [0, 16_000, 32_000, 48_000]
    assert times[4] - times[3] >= 450_000


@pytest.mark.parametrize(
    ("longest", "lifetime"), [(300, 3), (1000, 3), (1001, 4), (1400, 5), (600_000, 1800), (1800_000, 5400)]
)
def test_an_advertisement_holds_for_three_intervals_rounded_up(longest, lifetime):
    assert _said(_advertiser(advertise_interval=longest).advertise(False, 0)).lifetime == lifetime


def test_sequence_numbers_count_from_0_and_0xffff_is_followed_by_256():
    advertiser = _advertiser()

    numbers = [_said(advertiser.advertise(False, now)).agent().sequence for now in range(0x10002)]

    assert numbers == [*range(0x10000), 256, 257]


def test_an_agent_that_kept_its_visitors_begins_where_a_rollover_does():
    assert _said(_advertiser(kept=True).advertise(False, 0)).agent().sequence == 256


def test_restart_with_visitors_and_without_them():
    agent = ForeignAgentAlone()
    datagram = a_request("pc1")
    agent.take(datagram)
    agent.answer(a_reply(datagram, home_address=parse("10.10.0.10")))

    first = [ForeignAgentAlone(kept=kept) for kept in (agent.rows, {})]
    for one in first:
        one.solicited()

    assert [one.advertisements()[0][1].agent().sequence for one in first] == [256, 0]


def test_solicited_and_other_advertisements_share_their_sequence_numbers():
    advertiser = _advertiser()

    frames = [
        advertiser.advertise(False, 0),
        *advertiser.solicited(NODE_LINK, False, 0),
        advertiser.advertise(False, 1),
    ]

    assert [_said(frame).agent().sequence for frame in frames] == [0, 1, 2]


def test_a_solicitation_is_answered_at_once_to_everybody_in_a_frame_for_the_one_who_asked():
    agent = ForeignAgentAlone(advertise_interval=600_000)

    assert agent.solicited()

    frame, _ = agent.advertisements()[-1]
    assert frame.link_address == NODE_LINK
    assert Packet.decode(frame.packet).destination == parse("224.0.0.1")


def test_solicitations_are_limited_by_link_address():
    agent = ForeignAgentAlone(advertise_interval=600_000)

    answered = [agent.solicited() for _ in range(100)]

    assert answered == [True] * 4 + [False] * 96
    assert agent.solicited(bytes.fromhex("020000000202"))
    agent.world.pass_time(seconds=1)
    assert [agent.solicited() for _ in range(100)].count(True) == 4


@pytest.mark.parametrize("ttl", [0, 2, 64, 255])
def test_a_solicitation_from_off_the_link_is_not_answered(ttl):
    assert not ForeignAgentAlone().solicited(ttl=ttl)


@pytest.mark.parametrize(
    "octets", ["0800f7ff00000000", "0a01f5fe00000000", "0a00f5fe00000000"], ids=["an echo", "code", "checksum"]
)
def test_nor_is_what_is_no_solicitation(octets):
    agent = ForeignAgentAlone()

    agent.heard(NODE_LINK, Packet(0, parse("224.0.0.2"), PROTO_ICMP, 1, bytes.fromhex(octets)).encode())

    assert agent.frames == []


def test_every_visited_link_has_its_own_advertisements():
    interfaces = tuple(VisitedInterface(f"vis{at}", parse(f"10.99.{at}.1"), 24) for at in range(2))
    agent = ForeignAgentAlone(interfaces=interfaces)

    agent.world.pass_time(seconds=60)

    heard = {
        name: [said for frame, said in agent.advertisements() if frame.interface == name] for name in ("vis0", "vis1")
    }
    for name, said in heard.items():
        assert 60 <= len(said) <= 81
        assert [one.agent().sequence for one in said] == list(range(len(said)))
        assert {address for one in said for address, _ in one.routers} == {parse(f"10.99.{name[3]}.1")}
