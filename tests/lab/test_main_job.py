"""The main job in the real world of the lab: addresses and connections that survive whatever happens."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from host_agents.cli.main import main
from tests.lab.conftest import MakeWorld
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.traffic import Download, ping_train
from tools.lab.world import World

_CN = plan.NETWORKS["cn"][0]
_SOON = 30.0  # seconds within which a session is back, however it was lost
_BINDING = {
    "nai", "sub_nai", "home_address", "care_of_address", "lifetime", "expires_in", "tunnel", "via",
    "packets_in", "packets_out", "bytes_in", "bytes_out",
}  # fmt: skip
_VISITOR = {
    "nai", "sub_nai", "home_address", "home_agent", "interface", "link_address", "lifetime", "expires_in", "state",
}  # fmt: skip


def bindings(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.entourage("ha", "show", "bindings")["bindings"]
    return found


def addresses(world: World) -> dict[str, str]:
    """sub-NAI -> home address, as the home agent has it."""
    return {one["sub_nai"]: one["home_address"] for one in bindings(world)}


def visitors(world: World, agent: str) -> dict[str, str]:
    shown = world.entourage(agent, "show", "visitors")["visitors"]
    return {one["sub_nai"]: one["home_address"] for one in shown if one["state"] == "registered"}


def await_all_at(world: World, agent: str, expected: dict[str, str]) -> None:
    """Every expected session has its address, through this agent."""
    care_of = plan.NETWORKS[agent][0]

    def there() -> bool:
        at = {one["sub_nai"]: one["home_address"] for one in bindings(world) if one["care_of_address"] == care_of}
        return at == expected and visitors(world, agent) == expected

    wait_until(there, _SOON, f"{sorted(expected)} registered through {agent}")


def pings(world: World, name: str, *words: str) -> bool:
    return world.run(name, ["ping", "-c", "1", "-W", "1", *words]).returncode == 0


def await_ping(world: World, name: str, address: str) -> None:
    wait_until(lambda: pings(world, name, address), _SOON, f"{name} reaches {address}")


def test_one_tcp_connection_and_all_addresses_survive_two_roams_and_every_restart(make_world: MakeWorld) -> None:
    node = NodePlan("mn", "kleung@example.net", ("pc1", "pc2"), settings={"applications": ["telemetry"]})
    world = make_world(nodes=(node,), lifetime=20)  # renewed every ten seconds
    for device in ("pc1", "pc2"):
        world.await_address(device)
    wait_until(lambda: len(bindings(world)) == 4, _SOON, "four bindings")
    expected = addresses(world)
    await_ping(world, "pc1", _CN)
    download = Download(world, "cn", "pc1", _CN)

    world.roam("mn", "fa2")
    await_all_at(world, "fa2", expected)
    world.stop("fa2")
    world.start("fa2")
    await_all_at(world, "fa2", expected)
    world.kill("ha")
    world.start("ha")
    await_all_at(world, "fa2", expected)
    world.roam("mn", "fa1")
    await_all_at(world, "fa1", expected)
    world.kill("mn")
    world.start("mn")
    await_all_at(world, "fa1", expected)
    await_ping(world, "cn", expected["KleungPC2"])
    await_ping(world, "cn", expected["telemetry"])
    with ping_train(world, "cn", expected["KleungPC2"], 0.2) as train:  # longer than a lifetime
        wait_until(lambda: len(train.replies()) > 120, 40, "25 seconds of pings")
    await_all_at(world, "fa1", expected)

    assert world.await_address("pc1") == expected["KleungPC1"]
    assert world.await_address("pc2") == expected["KleungPC2"]
    report = download.finish()
    assert report["wrong"] is None
    assert report["received"] == report["sent"] > 0
    assert report["connections"] == 1
    assert report["peer"] == report["local"]


def test_a_downlink_that_goes_dark_gives_its_devices_addresses_back(world: World) -> None:
    wait_until(lambda: len(bindings(world)) == 3, _SOON, "three bindings")

    for device in ("pc1", "pc2"):
        world.plug(device, plugged=False)
    wait_until(lambda: set(addresses(world)) == {""}, _SOON, "the devices' bindings gone")
    for device in ("pc1", "pc2"):
        world.plug(device)
        world.stop(device)
        world.start(device)

    wait_until(lambda: len(bindings(world)) == 3, _SOON, "three bindings again")


def typed(world: World, agent: str, what: str) -> list[dict[str, Any]]:
    """What the command prints."""
    command = [sys.executable, "-m", "host_agents.cli.main", agent.rstrip("12"), "show", what, "--json"]
    done = world.run(agent, [*command, "--config", str(world.crew.program(agent).config)])
    found: list[dict[str, Any]] = json.loads(done.stdout)[what]
    assert len(found) == 3
    return found


def test_what_is_shown_is_worded_as_programs_rely_on(world: World) -> None:
    wait_until(lambda: len(bindings(world)) == 3, _SOON, "three bindings")

    for binding in typed(world, "ha", "bindings"):
        assert set(binding) >= _BINDING
        assert (binding["tunnel"], binding["via"]) == ("ipip", "fa")
    for visitor in typed(world, "fa1", "visitors"):
        assert set(visitor) >= _VISITOR
        assert visitor["interface"] == "vis0"


def test_a_node_says_where_its_sessions_are_and_what_its_handoffs_took(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_until(lambda: len(bindings(world)) == 3, _SOON, "three bindings")

    assert main(["node", "status", "--config", str(world.crew.program("mn").config)]) == 0

    shown = capsys.readouterr().out
    assert all(address in shown for address in addresses(world).values())
    handoffs = shown.partition("the last handoffs")[2]
    assert "registration ms" in handoffs
    assert "203.0.113.2 " in handoffs


def test_either_dhcp_client_hands_on_what_the_home_agent_says_of_the_home_network(world: World) -> None:
    """RFC 4332 on the way to the node, RFC 2131 from there."""
    for device in ("pc1", "pc2"):
        address = world.await_address(device)
        assert world.links.addresses(device)["net0"] == [f"{address}/32"]
        assert f"default via {plan.HOME_GATEWAY} dev net0" in world.run(device, ["ip", "route"]).stdout
        servers = world.run(device, ["cat", "/etc/resolv.conf"]).stdout
        assert f"nameserver {plan.DNS_SERVER}" in servers.splitlines()


def test_both_directions_are_counted_for_each_session(world: World) -> None:
    address = addresses(world)["KleungPC1"]
    before = next(one for one in bindings(world) if one["home_address"] == address)

    assert world.run("cn", ["ping", "-c", "3", "-i", "0.1", address]).returncode == 0

    after = next(one for one in bindings(world) if one["home_address"] == address)
    assert after["packets_in"] - before["packets_in"] == 3
    assert after["packets_out"] - before["packets_out"] == 3
    assert after["bytes_in"] - before["bytes_in"] == 3 * 84


def test_a_sender_learns_the_tunnels_mtu(world: World) -> None:
    address = addresses(world)["KleungPC1"]

    refused = world.run("cn", ["ping", "-c", "1", "-M", "do", "-s", "1472", address])
    passed = world.run("cn", ["ping", "-c", "1", "-M", "do", "-s", "1452", address])
    whole = world.run("cn", ["ping", "-c", "1", "-M", "dont", "-s", "4000", address])

    assert "mtu = 1480" in refused.stdout + refused.stderr
    assert passed.returncode == 0
    assert whole.returncode == 0


def test_the_foreign_agents_key_is_used_on_every_registration_it_relays(world: World) -> None:
    """Without it the home agent answers 132: two such denials would be in its counters."""
    assert world.entourage("ha", "show", "counters")["counters"].get("denied-132", 0) == 0
    assert len(bindings(world)) == 3


def test_direct_delivery_fails_where_the_internet_filters_sources_and_works_where_it_does_not(
    make_world: MakeWorld,
) -> None:
    node = NodePlan("mn", "kleung@example.net", ("pc1",), settings={"reverse_tunnel": False})
    world = make_world(nodes=(node,))
    address = world.await_address("pc1")

    assert not pings(world, "cn", address)
    world.run("inet", ["sh", "-c", "for each in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$each; done"])
    assert pings(world, "cn", address)

    counted = next(one for one in bindings(world) if one["home_address"] == address)
    assert counted["packets_in"] > 0
    assert counted["packets_out"] == 0


@pytest.mark.parametrize("shared", [False, True], ids=["two NAIs", "one NAI, two own sessions"])
def test_two_nodes_at_the_same_time(make_world: MakeWorld, shared: bool) -> None:
    other = "kleung@example.net" if shared else "ada@example.net"
    nodes = (
        NodePlan("mn", "kleung@example.net", ("pc1",), settings={"own_session": "car"}),
        NodePlan("mn2", other, ("pc2",), at="fa2", settings={"own_session": "boat"}),
    )
    world = make_world(nodes=nodes)
    for device in ("pc1", "pc2"):
        world.await_address(device)
    wait_until(lambda: len(bindings(world)) == 4, _SOON, "four bindings")
    expected = addresses(world)

    world.roam("mn2", "fa1")
    await_all_at(world, "fa1", expected)
    world.roam("mn", "fa2")
    wait_until(lambda: set(visitors(world, "fa2")) >= {"car", "KleungPC1"}, _SOON, "mn at fa2")

    assert addresses(world) == expected
    for name in ("KleungPC1", "KleungPC2"):
        await_ping(world, "cn", expected[name])
    assert world.run("pc1", ["ping", "-c", "1", "-W", "2", expected["KleungPC2"]]).returncode == 0


def test_forged_replayed_and_cut_datagrams_change_no_table(world: World) -> None:
    before = (addresses(world), visitors(world, "fa1"))
    script = (
        "import sys; from scapy.all import *; import logging;"
        "seen = [bytes(p[UDP].payload) for p in rdpcap(sys.argv[1]) if UDP in p and p[UDP].dport == 434"
        " and bytes(p[UDP].payload)[:1] == b'\\x01'];"
        "one = seen[-1];"
        "forms = [one, one[:-1], one[:30], one[:-1] + bytes([one[-1] ^ 1]), one[:2] + b'\\0\\0' + one[4:],"
        " b'', b'\\x01', b'\\x03' * 40, b'\\xff' * 1400];"
        "sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind((sys.argv[2], 0));"
        "[sock.sendto(form, (sys.argv[3], 434)) for form in forms for _ in range(20)]"
    )
    from sys import executable

    for name, source in (("cn", _CN), ("fa1", plan.NETWORKS["fa1"][0])):
        for target in (plan.HOME_AGENT, plan.NETWORKS["fa1"][0], plan.NETWORKS["fa2"][0]):
            if target != source:
                done = world.run(name, [executable, "-c", script, str(world.pcap), source, target])
                assert done.returncode == 0, done.stderr

    assert (addresses(world), visitors(world, "fa1")) == before
    counters = world.entourage("ha", "show", "counters")["counters"]
    assert counters["dropped-malformed"] >= 20
    assert counters["dropped-bad-authenticator"] >= 20
    log = world.crew.log("ha").read_text()
    assert log.count(" dropped-malformed from=") <= 3  # once in each interval, the rest is counted
