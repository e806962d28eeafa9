"""Revocation (RFC 3543) between the two agents: either ends a session at both within one round trip."""

from dataclasses import replace
from itertools import pairwise

import pytest

from mip4.authentication import SecurityAssociation
from mip4.const import FOREIGN_HOME_AUTHENTICATION, REGISTRATION_REVOCATION
from mip4.extensions import ForeignHomeAuthentication, RevocationSupport, find
from mip4.messages import RegistrationReply
from mip4.revocation import RegistrationRevocation
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, NTP_2026
from tests.helpers.world import World

KEY = SecurityAssociation(512, bytes(range(16)))
ROUND_TRIP = 0.02  # seconds, between the agents


@pytest.fixture
def world():
    """Agents that share a key."""
    return World(
        home_agent={"foreign_agents": {address: KEY for address in FOREIGN_AGENTS.values()}},
        foreign_agents={"home_agents": {HOME_AGENT: KEY}, "advertise_interval": 600_000},
    )


def test_agents_that_share_a_key_agree_on_revocation_and_the_node_never_sees_it(world):
    seen = []
    world.watch = lambda source, destination, datagram: seen.append((source, destination, datagram))

    world.add_node()
    world.pass_time(seconds=1)

    (binding,) = world.home_agent.rows.values()
    (visitor,) = world.foreign_agents["fa1"].rows.values()
    assert binding.revocation is not None
    assert visitor.revocation is not None
    reply = next(datagram for source, _, datagram in seen if source == "ha")
    kinds = [one.kind for one in RegistrationReply.decode(reply).extensions]
    assert kinds[-2:] == [RevocationSupport.kind, FOREIGN_HOME_AUTHENTICATION]
    to_node = [datagram for source, destination, datagram in seen if (source, destination) == ("fa1", "mn1")]
    assert all(RevocationSupport(True, binding.revocation).encode() not in datagram for datagram in to_node)


def test_the_operator_releases_a_session_at_both_agents_within_a_round_trip(world):
    world.add_node(applications=["telemetry"])
    world.pass_time(seconds=1)

    world.home_agent.run(world.home_agent.engine.release((NAI, "telemetry"), False, world.home_agent.now))
    world.pass_time(seconds=ROUND_TRIP)

    assert set(world.home_agent.bindings()) == {""}
    assert set(world.foreign_agents["fa1"].visitors()) == {""}
    assert world.dropped == []


def test_a_node_that_is_told_registers_anew_and_gets_its_address_back(world):
    node = world.add_node()
    world.pass_time(seconds=1)
    before = world.home_agent.bindings()

    world.home_agent.run(world.home_agent.engine.release((NAI, ""), True, world.home_agent.now))
    world.pass_time(seconds=2)

    assert world.home_agent.bindings() == before
    assert node.sessions()[""][0] == "registered"


def test_a_drained_foreign_agent_revokes_everybody_and_takes_nobody(world):
    node = world.add_node(applications=["telemetry"])
    world.pass_time(seconds=1)

    world.foreign_agents["fa1"].run(world.foreign_agents["fa1"].engine.drain(world.now))
    world.pass_time(seconds=5)

    assert world.home_agent.bindings() == {}
    assert world.foreign_agents["fa1"].visitors() == {}
    assert node.engine.status(node.now)["agent"] is None
    node.move("fa2")
    world.pass_time(seconds=1)
    assert set(world.home_agent.bindings()) == {"", "telemetry"}


def test_a_lost_revocation_is_sent_again_with_a_new_identifier(world):
    world.add_node()
    world.pass_time(seconds=1)
    sent = []
    world.watch = lambda source, destination, datagram: (
        sent.append(RegistrationRevocation.decode(datagram).identifier) if datagram[0] == REGISTRATION_REVOCATION else 0
    )
    world.lose_next("ha", "fa1")

    world.home_agent.run(world.home_agent.engine.release((NAI, ""), False, world.home_agent.now))
    world.pass_time(seconds=30)

    assert len(sent) == 2
    assert sent[0] < sent[1]
    assert world.foreign_agents["fa1"].visitors() == {}


def test_a_lost_acknowledgement_is_given_again(world):
    world.add_node()
    world.pass_time(seconds=1)
    world.lose_next("fa1", "ha")

    world.home_agent.run(world.home_agent.engine.release((NAI, ""), False, world.home_agent.now))
    world.pass_time(seconds=60)

    assert world.home_agent.engine.deadline() is None or world.home_agent.engine._revocations.deadline() is None
    assert world.dropped == []


def test_nobody_answers_for_ever(world):
    """A foreign agent that is gone is asked five times; then its visitor's lifetime must do."""
    world.add_node()
    world.pass_time(seconds=1)
    world.foreign_agents["fa1"].kill()
    sent = []
    world.watch = lambda source, destination, datagram: sent.append(world.now) if source == "ha" else None

    world.home_agent.run(world.home_agent.engine.release((NAI, ""), False, world.home_agent.now))
    world.pass_time(seconds=600)

    assert len(sent) == 5
    assert min(later - earlier for earlier, later in pairwise(sent)) >= 1000


@pytest.mark.parametrize("change", ["forged", "old", "reflected", "another's", "unsigned"])
def test_a_revocation_that_is_not_to_be_believed_ends_nothing(world, change):
    world.add_node()
    world.pass_time(seconds=1)
    (binding,) = world.home_agent.rows.values()
    message = RegistrationRevocation(
        from_home_agent=change == "reflected",
        inform=False,
        home_address=binding.home_address,
        home_domain=HOME_AGENT,
        foreign_domain=FOREIGN_AGENTS["fa2" if change == "another's" else "fa1"],
        identifier=binding.revocation - 1 if change == "old" else binding.revocation + 100,
        extensions=[],
    )
    key = SecurityAssociation(512, b"wrong") if change == "forged" else KEY
    octets = message.encode() if change == "unsigned" else key.sign(message.encode(), ForeignHomeAuthentication)

    world.home_agent.receive(octets, FOREIGN_AGENTS["fa1"], 434)

    assert set(world.home_agent.bindings()) == {""}
    assert len(world.dropped) == 1


def test_a_key_that_was_taken_away_leaves_nothing_half_done(world):
    """The binding was negotiated under it; the release ends it here, durably, and nobody can be told."""
    world.add_node()
    world.pass_time(seconds=1)
    station = world.home_agent
    station.policy = replace(station.policy, foreign_agents={})
    station.kill()
    station.start(NTP_2026 + world.now)

    station.run(station.engine.release((NAI, ""), True, station.now))

    assert station.bindings() == {}
    assert station.rows == {}


def test_without_a_common_key_there_is_nothing_to_negotiate():
    world = World(foreign_agents={"advertise_interval": 600_000})
    seen = []
    world.watch = lambda source, destination, datagram: seen.append(datagram) if source == "ha" else None

    world.add_node()
    world.pass_time(seconds=1)

    (binding,) = world.home_agent.rows.values()
    assert binding.revocation is None
    assert [find(RegistrationReply.decode(datagram).extensions, RevocationSupport) for datagram in seen] == [[]]
