"""What an operator may agree on with nodes and agents, end to end: MN-FA keys, carrier B, sub-type 2."""

from __future__ import annotations

from typing import Any

import pytest

from mip4.const import PORT, PROTO_UDP, REGISTRATION_REQUEST
from mip4.extensions import Experimental, MobileForeignAuthentication, NormalVendor, find
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from tests.lab.conftest import MakeWorld
from tools.lab import capture, plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.world import World

_NAI = "kleung@example.net"
_VENDOR = 32473  # the enterprise number for examples (RFC 5612)
_HOST_CONFIGURATION = 9  # the vendor whose extensions tell DNS servers and gateway (RFC 4332)
_SPI = 768
_KEY = "hex:00112233445566778899aabbccddeeff"
_OTHER_KEY = "hex:ffeeddccbbaa99887766554433221100"
_SOON = 30.0


def foreign_agents(key: str) -> dict[str, object]:
    """A node's side of an association with both foreign agents."""
    addresses = [plan.NETWORKS[name][0] for name in plan.FOREIGN_AGENTS]
    return {"foreign_agents": [{"care_of_address": one, "spi": _SPI, "key": key} for one in addresses]}


def mobile_nodes(*nais: str) -> tuple[tuple[str, dict[str, object]], ...]:
    """A foreign agent's side of it."""
    return tuple(("mobile_node", {"nai": nai, "spi": _SPI, "key": _KEY}) for nai in nais)


def bindings(world: World) -> dict[tuple[str, str], str]:
    """(NAI, sub-NAI) -> care-of address."""
    shown = world.entourage("ha", "show", "bindings")["bindings"]
    return {(one["nai"], one["sub_nai"]): one["care_of_address"] for one in shown}


def registrations(world: World) -> list[Any]:
    """Every registration message on the home agent's uplink so far, decoded."""
    world.stop_capture()
    found = []
    for _, frame in capture.frames(world.pcap):
        if frame[12:14] == b"\x08\x00" and frame[23] == PROTO_UDP:
            datagram = Datagram.decode(Packet.decode(frame[14:]), False)  # a veth leaves checksums undone
            if PORT in (datagram.source_port, datagram.destination_port):
                payload = datagram.payload
                kind = RegistrationRequest if payload[0] == REGISTRATION_REQUEST else RegistrationReply
                found.append(kind.decode(payload))
    return found


def carried(message: Any) -> list[tuple[int, int, bytes]]:
    """Of each sub-NAI in it: vendor (0: carrier A), sub-type, value."""
    alone = [(0, one.sub_type, one.value) for one in find(message.extensions, Experimental)]
    vendors = [one for one in find(message.extensions, NormalVendor) if one.vendor != _HOST_CONFIGURATION]
    return alone + [(one.vendor, one.vendor_type, one.value) for one in vendors]


def test_a_foreign_agent_serves_the_node_it_shares_a_key_with_and_nobody_else_of_that_name(
    make_world: MakeWorld,
) -> None:
    nodes = (
        NodePlan("mn", _NAI, ("pc1",), settings=foreign_agents(_KEY)),
        NodePlan("mn2", "ada@example.net", (), settings=foreign_agents(_OTHER_KEY)),
        NodePlan("mn3", "bob@example.net", ()),
        NodePlan("mn4", "eve@example.net", ()),
    )
    world = make_world(nodes=nodes, foreign_agent_tables=mobile_nodes(_NAI, "ada@example.net", "bob@example.net"))
    address = world.await_address("pc1")

    world.roam("mn", "fa2")

    fa2 = plan.NETWORKS["fa2"][0]
    expected = {(_NAI, ""): fa2, (_NAI, "KleungPC1"): fa2, ("eve@example.net", ""): plan.NETWORKS["fa1"][0]}
    wait_until(lambda: bindings(world) == expected, _SOON, f"bindings {expected}")
    ping = ["ping", "-c", "1", "-W", "0.5", address]
    wait_until(lambda: world.run("cn", ping).returncode == 0, _SOON, f"cn reaches {address}")
    denied = world.crew.log("fa1").read_text()
    assert "nai=ada@example.net sub_nai='' link=02:00:00:00:01:02 code=67" in denied  # another key
    assert "nai=bob@example.net sub_nai='' link=02:00:00:00:01:03 code=67" in denied  # none
    assert "denied" not in world.crew.log("fa2").read_text()
    # what it proves is between the node and the foreign agent (RFC 5944 §3.7.2.2)
    relayed = registrations(world)
    assert len(relayed) >= 8
    assert all(not find(one.extensions, MobileForeignAuthentication) for one in relayed)


@pytest.mark.parametrize(
    ("vendor", "sub_type"),
    [(_VENDOR, 1), (0, 2), (_VENDOR, 2)],  # (0, 1) is what all other labs have
    ids=["carrier B", "sub-type 2", "carrier B and sub-type 2"],
)
def test_sessions_are_told_apart_by_either_carrier_and_sub_type(
    make_world: MakeWorld, vendor: int, sub_type: int
) -> None:
    settings = {"sub_nai_vendor": vendor, "sub_nai_type": sub_type, "applications": ["telemetry"]}
    agents = {"sub_nai_vendor": vendor}
    node = NodePlan("mn", _NAI, ("pc1",), settings=settings)
    world = make_world(nodes=(node,), home_agent=agents, foreign_agent=agents)
    address = world.await_address("pc1")

    world.roam("mn", "fa2")

    expected = {(_NAI, name): plan.NETWORKS["fa2"][0] for name in ("", "KleungPC1", "telemetry")}
    wait_until(lambda: bindings(world) == expected, _SOON, f"bindings {expected}")
    assert world.await_address("pc1") == address
    ping = ["ping", "-c", "1", "-W", "0.5", address]
    wait_until(lambda: world.run("cn", ping).returncode == 0, _SOON, f"cn reaches {address}")
    prefix = bytes([len(_NAI)]) + _NAI.encode() if sub_type == 2 else b""
    told = {(vendor, sub_type, prefix + name) for name in (b"KleungPC1", b"telemetry")}
    seen = registrations(world)
    for kind in (RegistrationRequest, RegistrationReply):
        assert {it for message in seen if type(message) is kind for it in carried(message)} == told


def test_agents_that_know_carrier_b_still_understand_carrier_a(make_world: MakeWorld) -> None:
    agents = {"sub_nai_vendor": _VENDOR}
    world = make_world(nodes=(NodePlan("mn", _NAI, ("pc1",)),), home_agent=agents, foreign_agent=agents)

    world.await_address("pc1")

    assert (_NAI, "KleungPC1") in bindings(world)
    assert {it for message in registrations(world) for it in carried(message)} == {(0, 1, b"KleungPC1")}


def test_one_node_of_a_subscriber_rolls_its_key_over_while_another_has_the_old_one(make_world: MakeWorld) -> None:
    new = {"nai": _NAI, "spi": 300, "key": _OTHER_KEY, "algorithm": "hmac-sha256"}
    rolled = {"spi": 300, "key": _OTHER_KEY, "algorithm": "hmac-sha256", "own_session": "boat"}
    nodes = (NodePlan("mn", _NAI, ()), NodePlan("mn2", _NAI, (), settings=rolled))

    world = make_world(nodes=nodes, home_agent_tables=(("subscriber", new),))

    wait_until(lambda: set(bindings(world)) == {(_NAI, ""), (_NAI, "boat")}, _SOON, "both sessions bound")


def test_nodes_without_sub_nais_share_a_nai_where_foreign_agents_name_them(make_world: MakeWorld) -> None:
    nodes = tuple(NodePlan(name, _NAI, ()) for name in ("mn", "mn2"))
    world = make_world(nodes=nodes, foreign_agent={"sub_nai_from_link": True})
    first, second = ((_NAI, f"02:00:00:00:01:0{number}") for number in (1, 2))
    fa1, fa2 = (plan.NETWORKS[name][0] for name in plan.FOREIGN_AGENTS)
    wait_until(lambda: bindings(world) == {first: fa1, second: fa1}, _SOON, "both bound")

    world.roam("mn", "fa2")

    wait_until(lambda: bindings(world) == {first: fa2, second: fa1}, _SOON, "the one that roamed")
    visitors = world.entourage("fa2", "show", "visitors")["visitors"]
    assert [one["sub_nai"] for one in visitors] == [first[1]]
