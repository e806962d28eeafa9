"""Revocation (RFC 3543) between the two agents: either ends a session at both within one round trip."""

from dataclasses import replace
from itertools import pairwise

import pytest

from host_agents.effects import SendDatagram
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import FOREIGN_HOME_AUTHENTICATION, REGISTRATION_REVOCATION
from mip4.effects import Dropped
from mip4.extensions import ForeignHomeAuthentication, Nai, RevocationSupport, find
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.revocation import RegistrationRevocation, RevocationAcknowledgement
from mip4.sub_nai import SubNai
from tests.helpers.alone import HomeAgentAlone
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, NTP_2026
from tests.helpers.world import World

KEY = SecurityAssociation(512, bytes(range(16)))
OTHER_HOME_AGENT = parse("192.0.2.9")
ROUND_TRIP = 0.02  # seconds, between the agents


@pytest.fixture
def world():
    """Agents that share a key."""
    return World(
        home_agent={"foreign_agents": {address: KEY for address in FOREIGN_AGENTS.values()}},
        foreign_agents={"home_agents": {HOME_AGENT: KEY, OTHER_HOME_AGENT: KEY}, "advertise_interval": 600_000},
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
    sent = find(RegistrationReply.decode(reply).extensions, RevocationSupport)[0].encode()
    assert to_node and all(sent not in datagram for datagram in to_node)


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


def test_a_node_is_told_of_one_session_after_another_though_its_agent_says_nothing_else_in_between(world):
    """Each time with a sequence number of 0, the second as the first (RFC 3543 §4.1)."""
    world.add_node(applications=["telemetry", "camera"])
    world.pass_time(seconds=20)
    before = world.home_agent.bindings()

    for name in ("telemetry", "camera"):
        world.home_agent.run(world.home_agent.engine.release((NAI, name), True, world.home_agent.now))
        world.pass_time(seconds=2)

    assert world.home_agent.bindings() == before


def test_a_foreign_agent_that_tells_no_node_is_not_asked_to(world):
    """The I bit is for agents that have both set it when the session was registered (RFC 3543 §3.1)."""
    world.add_node()
    _offer(world, lambda offer: RevocationSupport(False, offer.timestamp).encode())
    world.pass_time(seconds=1)

    world.home_agent.kill()
    world.home_agent.start(NTP_2026 + world.now)
    ended = world.home_agent.engine.release((NAI, ""), True, world.home_agent.now)

    sent = [RegistrationRevocation.decode(one.datagram) for one in ended.effects if isinstance(one, SendDatagram)]
    assert [one.inform for one in sent] == [False]


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


def test_nor_is_one_of_a_foreign_agent_lost_for_good(world):
    world.add_node()
    world.pass_time(seconds=1)
    world.lose_next("fa1", "ha")

    world.foreign_agents["fa1"].run(world.foreign_agents["fa1"].engine.drain(world.now))
    world.pass_time(seconds=1.1)

    assert world.home_agent.bindings() == {}


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


def test_nobody_is_told_of_an_end_that_the_lifetime_has_brought_meanwhile(world):
    world.add_node(lifetime=10)
    world.pass_time(seconds=4)
    world.foreign_agents["fa1"].kill()
    sent = []
    world.watch = lambda source, destination, datagram: sent.append(world.now) if source == "ha" else None

    world.home_agent.run(world.home_agent.engine.release((NAI, ""), False, world.home_agent.now))
    world.pass_time(seconds=600)

    assert [at - sent[0] for at in sent] == [0, 1000, 3000]  # and not after 7 s


def test_a_session_that_is_registered_anew_is_not_revoked_once_more(world):
    """It would end what was registered since: each repetition says that it is later than all before."""
    node = world.add_node()
    world.pass_time(seconds=1)
    sent = []
    world.watch = lambda source, destination, datagram: sent.append(datagram[:1])
    world.lose_next("ha", "fa1")
    world.home_agent.run(world.home_agent.engine.release((NAI, ""), True, world.home_agent.now))
    node.move("fa1")

    world.pass_time(seconds=60)

    assert set(world.home_agent.bindings()) == set(world.foreign_agents["fa1"].visitors()) == {""}
    assert sent.count(bytes((REGISTRATION_REVOCATION,))) == 1


def test_who_is_looked_at_for_another_reason_is_not_asked_again_before_the_time(world):
    world.add_node()
    world.pass_time(seconds=1)
    world.foreign_agents["fa1"].kill()
    world.home_agent.run(world.home_agent.engine.release((NAI, ""), False, world.home_agent.now))

    assert world.home_agent.engine.wake(world.home_agent.now + 999).effects == []
    (again,) = world.home_agent.engine.wake(world.home_agent.now + 1000).effects
    assert RegistrationRevocation.decode(again.datagram).home_address == HOME_ADDRESS


def test_a_revocation_names_its_session_for_whoever_reads_along(world):
    world.add_node(applications=["telemetry"])
    world.pass_time(seconds=1)

    ended = world.home_agent.engine.release((NAI, "telemetry"), False, world.home_agent.now)

    sent = next(RegistrationRevocation.decode(one.datagram) for one in ended.effects if isinstance(one, SendDatagram))
    assert sent.extensions[:-1] == [Nai(NAI.encode()), SubNai(b"telemetry", 0, None).extension()]


@pytest.mark.parametrize("at_first", [NTP_2026, ((1 << 32) - 2) * 1000], ids=["", "when an era of NTP ends"])
def test_a_foreign_agent_that_restarts_with_a_clock_put_back_is_still_believed_when_it_drains(world, at_first):
    agent = world.foreign_agents["fa1"]
    agent.start(at_first)
    world.home_agent.start(at_first)
    world.add_node()
    world.pass_time(seconds=5)
    agent.kill()
    agent.start(NTP_2026 - 86_400_000)

    agent.run(agent.engine.drain(world.now))
    world.pass_time(seconds=ROUND_TRIP)

    assert world.home_agent.bindings() == {}
    assert agent.engine._revocations.deadline() is None


HOME_ADDRESS = parse("10.10.0.10")
STRANGER, ANOTHER = parse("203.0.113.99"), "another agent with a key"
SILENCES = {
    "R1 cut within the fixed part": {"cut": 19},
    "R1 forged": {"key": SecurityAssociation(512, b"wrong")},
    "R1 another SPI": {"key": SecurityAssociation(513, bytes(range(16)))},
    "R1 unsigned": {"key": None},
    "R1 signed twice": {"behind": ForeignHomeAuthentication(512, bytes(16)).encode()},
    "R1 an unknown extension below 128": {"more": b"\x7e\x00"},
    "R1 of an agent without a key": {"sender": STRANGER, "claims": STRANGER},
    "R1 that speaks of another agent than this one": {"ours": parse("192.0.2.77")},
    "R1 that speaks of none": {"ours": 0},
    "R2 our own come back": {"reflected": True},
    "R2 older than the registration": {"after": -1},
    "R2 as old as the registration": {"after": 0},
    "R3 of no binding": {"home_address": parse("10.10.0.99")},
    "R3 of another agent's": {"claims": ANOTHER},
    "R3 of another agent's, who says so": {"sender": ANOTHER, "claims": ANOTHER},
}


@pytest.mark.parametrize("change", SILENCES.values(), ids=[f"HA-{one}" for one in SILENCES])
def test_silence_of_a_home_agent_for_a_revocation(world, change):
    _register(world)
    (binding,) = world.home_agent.rows.values()

    answers = _revoke(world.home_agent, binding.revocation, FOREIGN_AGENTS["fa1"], **change)

    assert answers == []
    assert set(world.home_agent.bindings()) == {""}


@pytest.mark.parametrize("change", SILENCES.values(), ids=[f"FA-52 {one}" for one in SILENCES])
def test_silence_of_a_foreign_agent_for_a_revocation(world, change):
    _register(world)
    (visitor,) = world.foreign_agents["fa1"].rows.values()

    answers = _revoke(world.foreign_agents["fa1"], visitor.revocation, HOME_AGENT, **change)

    assert answers == []
    assert set(world.foreign_agents["fa1"].visitors()) == {""}


@pytest.mark.parametrize("side", ["ha_r3", "fa_52"])
def test_silence_for_a_revocation_of_what_was_registered_without_the_means(world, side):
    world.add_node()
    _offer(world, lambda offer: b"")
    world.pass_time(seconds=1)
    station, peer = _station(world, side)

    answers = _revoke(station, NTP_2026 // 1000, peer)

    assert answers == []
    assert len(station.rows) == 1


@pytest.mark.parametrize("side", ["ha_r4", "fa_52"])
@pytest.mark.parametrize("inform", [False, True], ids=["", "informing"])
def test_a_revocation_ends_the_session_and_is_acknowledged_as_often_as_it_is_asked(world, side, inform):
    _register(world)
    station, peer = _station(world, side)
    (row,) = station.rows.values()

    answers = [_revoke(station, row.revocation, peer, after=after, inform=inform) for after in (1, 1, 2)]

    assert station.rows == {}
    for (answer,), after in zip(answers, (1, 1, 2), strict=True):
        message = RevocationAcknowledgement.decode(answer.datagram)
        KEY.verify(answer.datagram, find(message.extensions, ForeignHomeAuthentication)[0])
        assert (message.home_address, message.identifier) == (HOME_ADDRESS, (row.revocation + after) & 0xFFFFFFFF)
        assert message.informed == inform
        assert (answer.destination, answer.port) == (peer, 50100)
    assert _revoke(station, row.revocation, peer, after=1) == []  # of before what was carried out last


@pytest.mark.parametrize("side", ["ha_r3", "fa_52"])
def test_silence_for_a_revocation_while_it_is_not_certain_what_is_registered_and_it_is_asked_again(world, side):
    _register(world)
    station, peer = _station(world, side)
    (row,) = station.rows.values()
    station.commit_time = lambda: 1000
    world.nodes[0].move("fa1")
    world.pass_time(seconds=0.1)
    assert station.engine._open

    early = _revoke(station, row.revocation, peer)
    world.pass_time(seconds=2)
    assert (early, len(station.rows)) == ([], 1)
    _revoke(station, row.revocation, peer, after=101)
    world.pass_time(seconds=2)

    assert station.rows == {}


WRONG_ACKNOWLEDGEMENTS = {
    "of another home address": (1, 0, KEY),
    "with another identifier": (0, 1, KEY),
    "forged": (0, 0, SecurityAssociation(512, b"wrong")),
    "unsigned": (0, 0, None),
}


@pytest.mark.parametrize("side", ["ha_r5", "fa_52"])
@pytest.mark.parametrize(("address", "identifier", "key"), WRONG_ACKNOWLEDGEMENTS.values(), ids=WRONG_ACKNOWLEDGEMENTS)
def test_silence_for_an_acknowledgement_that_does_not_count(world, side, address, identifier, key):
    _register(world)
    station, peer = _station(world, side)
    ended = station.engine.release((NAI, ""), False, 0) if side == "ha_r5" else station.engine.drain(world.now)
    sent = next(RegistrationRevocation.decode(one.datagram) for one in ended.effects if isinstance(one, SendDatagram))

    wrong = _acknowledge(station, peer, sent.home_address + address, sent.identifier + identifier, key)
    still_asked = station.engine._revocations.deadline() is not None
    right = _acknowledge(station, peer, sent.home_address, sent.identifier, KEY)

    assert [type(one) for one in wrong] == [Dropped]
    assert still_asked
    assert right == []
    assert station.engine._revocations.deadline() is None


def _acknowledge(station, peer, home_address, identifier, key):
    octets = RevocationAcknowledgement(False, home_address, identifier, []).encode()
    octets = octets if key is None else key.sign(octets, ForeignHomeAuthentication)
    return station.engine.receive(octets, peer, 434, station.now).effects


def _register(world):
    world.add_node()
    world.pass_time(seconds=1)


def _station(world, side):
    """The agent that a revocation comes to, and the address of the one that it is to come from."""
    if side.startswith("ha"):
        return world.home_agent, FOREIGN_AGENTS["fa1"]
    return world.foreign_agents["fa1"], HOME_AGENT


def _revoke(
    station, registered, peer, *, sender=None, claims=None, home_address=HOME_ADDRESS, after=100, reflected=False,
    inform=False, key=KEY, more=b"", behind=b"", cut=None, ours=None,
):  # fmt: skip
    """What `station` answers to a revocation of what was registered at that time.

    sender: where it comes from; claims: whose it says it is. Both are `peer` if nothing else is said. ours: the address
    of `station` in it, if it is to be another.
    """
    at_home = station.name == "ha"
    own = (HOME_AGENT if at_home else FOREIGN_AGENTS["fa1"]) if ours is None else ours
    named = {None: peer, ANOTHER: FOREIGN_AGENTS["fa2"] if at_home else OTHER_HOME_AGENT}
    sender, claims = named.get(sender, sender), named.get(claims, claims)
    message = RegistrationRevocation(
        from_home_agent=at_home == reflected,
        inform=inform,
        home_address=home_address,
        home_domain=own if at_home else claims,
        foreign_domain=claims if at_home else own,
        identifier=(registered + after) & 0xFFFFFFFF,
        extensions=[],
    )
    octets = message.encode() + more
    octets = octets if key is None else key.sign(octets, ForeignHomeAuthentication)
    turn = station.engine.receive((octets + behind)[:cut], sender, 50100, station.now)
    station.run(turn)
    return [one for one in turn.effects if isinstance(one, SendDatagram)]


def _offer(world, made):
    """The foreign agent is another one, that makes what `made` gives of our own one's offer."""
    home = world.home_agent
    receive = home.receive

    def without(datagram, source, port):
        request = RegistrationRequest.decode(datagram)
        offer = find(request.extensions, RevocationSupport)[0]
        receive(KEY.sign(datagram[: offer.at] + made(offer), ForeignHomeAuthentication), source, port)

    home.receive = without


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


def test_nor_when_it_is_taken_away_while_an_acknowledgement_is_waited_for(world):
    """What else is over in that moment ends as it would."""
    world.add_node(applications=["telemetry"], lifetime=10)
    world.pass_time(seconds=1)
    world.foreign_agents["fa1"].kill()
    station = world.home_agent
    station.run(station.engine.release((NAI, "telemetry"), False, station.now))
    station.engine.reload(dict(station.policy.subscribers), {}, station.now)

    world.pass_time(seconds=60)

    assert station.engine._revocations.deadline() is None
    assert station.rows == {} == station.tunnels


def test_without_a_common_key_there_is_nothing_to_negotiate():
    world = World(foreign_agents={"advertise_interval": 600_000})
    seen = []
    world.watch = lambda source, destination, datagram: seen.append(datagram) if source == "ha" else None

    world.add_node()
    world.pass_time(seconds=1)

    (binding,) = world.home_agent.rows.values()
    assert binding.revocation is None
    assert [find(RegistrationReply.decode(datagram).extensions, RevocationSupport) for datagram in seen] == [[]]


def test_ha_r3_who_shares_no_key_can_offer_what_he_likes():
    agent = HomeAgentAlone()

    reply = agent.ask("pc1", after=RevocationSupport(True, 1).encode())

    assert (reply.code, find(reply.extensions, RevocationSupport)) == (0, [])
    assert [one.revocation for one in agent.engine.bindings] == [None]
