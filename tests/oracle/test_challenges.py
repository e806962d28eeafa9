"""A challenged conversation as tshark dissects it, from the first advertisement to a renewal after a denial."""

import shutil

import pytest

from mip4.authentication import AaaAssociation
from mip4.const import PORT
from mip4.ip import Datagram
from tests.helpers.builders import FOREIGN_AGENTS, HOME_AGENT, NAI, a_subscriber
from tests.helpers.messages import FOREIGN_HOME, MOBILE_FOREIGN
from tests.helpers.world import World
from tests.oracle.test_tshark import dissect, shows

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

FA1 = FOREIGN_AGENTS["fa1"]
FRIEND = {"care_of_address": FA1, "spi": 768, "key": b"mobile node and foreign agent", "algorithm": "hmac-md5"}


@pytest.fixture(params=[2, 1024], ids=["CHAP", "HMAC"])
def conversation(request, tmp_path):
    """(from, to, fields) of every packet between a node and its agents, and the SPI it answers challenges with."""
    spi = request.param
    aaa = {"spi": spi, "key": b"for the server", "algorithm": "hmac-md5"}
    world = World(
        home_agent={
            "subscribers": {NAI: a_subscriber(aaa={spi: AaaAssociation(**aaa)}, nonces=True)},
            "foreign_agents": {FA1: FOREIGN_HOME},
        },
        foreign_agents={
            "challenge": True,
            "home_agents": {HOME_AGENT: FOREIGN_HOME},
            "mobile_nodes": {NAI: {768: MOBILE_FOREIGN}},
            "advertise_interval": 600_000,
        },
    )
    ends, packets = [], []

    def watch(source: str, destination: str, octets: bytes) -> None:
        between = {"ha": HOME_AGENT, "fa1": FA1}
        if source in between and destination in between:
            octets = Datagram(between[source], PORT, between[destination], PORT, octets).packet(64).encode()
        ends.append((source, destination))
        packets.append(octets)

    world.watch = watch
    world.add_node(applications=["telemetry"], aaa=aaa, foreign_agents=[FRIEND], replay="nonces")
    world.pass_time(seconds=400)
    assert len(world.home_agent.bindings()) == 2
    return [(*who, fields) for who, fields in zip(ends, dissect(packets, tmp_path), strict=True)], spi


def _values(fields, name):
    return [value for field, value in fields if field == name]


def _of_kind(fields, kind):
    """What stands in the extensions of that type that tshark shows as octets."""
    types = [at for at, pair in enumerate(fields) if pair == ("mip.ext.type", str(kind))]
    return [next(value for name, value in fields[at:] if name == "mip.extension") for at in types]


def test_every_packet_is_whole_and_says_in_order_what_is_meant(conversation):
    packets, spi = conversation
    aaa = [("mip.ext.type", "36"), ("mip.ext.auth.subtype", "1"), ("mip.ext.len", "20")]
    aaa.append(("mip.auth.spi", f"0x{spi:08x}"))
    home, foreign, agents = ([("mip.auth.spi", f"0x{one:08x}")] for one in (256, 768, 512))
    challenge = [("mip.ext.type", "132"), ("mip.ext.len", "8")]
    expected = {
        ("mn1", "fa1", "1"): [*home, *challenge, *aaa, *foreign],
        ("fa1", "ha", "1"): [*home, *challenge, *aaa, *agents],
        ("ha", "fa1", "3"): [*home, *challenge, *agents],
        ("fa1", "mn1", "3"): [*home, *challenge, *foreign],
    }

    seen = set()
    for source, destination, fields in packets:
        kind = (source, destination, *_values(fields, "mip.type"))
        shows(fields, expected.get(kind, []))
        seen.add(kind)

    assert set(expected) <= seen


def test_what_is_answered_was_advertised_or_given_and_comes_back_from_the_home_agent(conversation):
    packets, _ = conversation
    known, answered = set(), []
    for source, destination, fields in packets:
        found = _of_kind(fields, 132)
        known |= set(_values(fields, "icmp.mip.challenge"))
        if destination == "mn1":
            known |= set(found)
        elif source == "mn1" and found:
            answered += found
        elif "ha" in (source, destination):
            assert found[0] in answered

    assert set(answered) <= known
    assert len(set(answered)) > 3
