"""Tunnels of every kind that a node can ask for, with real TCP in them, counted by the routers on their way."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.lab.conftest import MakeWorld
from tests.lab.test_colocated import assert_whole, await_direct
from tests.lab.test_main_job import addresses, await_all_at, await_ping, bindings, pings, visitors
from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.traffic import Download
from tools.lab.world import World

_CN, _HA = plan.NETWORKS["cn"][0], plan.HOME_AGENT
_FA1, _FA2 = plan.NETWORKS["fa1"][0], plan.NETWORKS["fa2"][0]
_SOON = 30.0
_BULK = 300  # packets of a download, so that none of them is a chance
_PROTOCOLS = {"ipip": 4, "gre": 47, "minimal": 55}
_SEND_BROADCAST = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.sendto(b"who is there", (sys.argv[1], 9))
"""


class Counts:
    """Packets that arrive at `name`, counted by nftables under the words that describe them."""

    def __init__(self, world: World, name: str, *described: str) -> None:
        self._world, self._name = world, name
        self._nft("add table ip seen; add chain ip seen arriving { type filter hook prerouting priority -400; }")
        for words in described:
            self._nft(f"add rule ip seen arriving {words} counter")

    def __getitem__(self, described: str) -> int:
        found = re.search(rf"^\s*{re.escape(described)} counter packets (\d+)", self._nft("list table ip seen"), re.M)
        assert found is not None, described
        return int(found[1])

    def _nft(self, words: str) -> str:
        done = self._world.run(self._name, ["nft", "-nn", words])
        assert done.returncode == 0, done.stderr
        return str(done.stdout)


def outer(kind: str, source: str, destination: str) -> str:
    """A tunnel's outer header, as nftables says it."""
    return f"ip saddr {source} ip daddr {destination} ip protocol {_PROTOCOLS[kind]}"


def a_world(make_world: MakeWorld, settings: dict[str, object], address: str = "none", **more: Any) -> World:
    """mn at fa1 with the device pc1; everything has its address, and packets flow."""
    world = make_world(
        nodes=(NodePlan("mn", "kleung@example.net", ("pc1",), address=address, settings=settings),), **more
    )
    world.await_address("pc1")
    wait_until(lambda: len(addresses(world)) == 2, _SOON, "two sessions")
    await_ping(world, "pc1", _CN)
    return world


def carries_tcp(world: World, counts: Counts, *ways: str) -> None:
    """A download of pc1 and one from it, each with many packets on all these ways."""
    for server, client, address in (("cn", "pc1", _CN), ("pc1", "cn", addresses(world)["KleungPC1"])):
        enough = [counts[way] + _BULK for way in ways]
        download = Download(world, server, client, address)
        for way, wanted in zip(ways, enough, strict=True):
            wait_until(lambda way=way, wanted=wanted: counts[way] > wanted, _SOON, f"{way}, {wanted} packets")
        assert_whole(download.finish())


def tunnels(world: World) -> set[tuple[str, str]]:
    return {(one["via"], one["tunnel"]) for one in bindings(world)}


@pytest.mark.parametrize("kind", ["gre", "minimal"])
def test_tcp_both_ways_in_the_encapsulation_that_the_node_asked_for(make_world: MakeWorld, kind: str) -> None:
    offered = {"encapsulations": ["gre", "minimal"]}
    world = a_world(make_world, {"encapsulation": kind}, foreign_agent=offered)
    there, back = outer(kind, _HA, _FA1), outer(kind, _FA1, _HA)
    other = outer("ipip", _HA, _FA1)
    counts = Counts(world, "inet", there, back, other)

    carries_tcp(world, counts, there, back)

    assert counts[other] == 0
    assert tunnels(world) == {("fa", kind)}


def test_tcp_survives_a_move_from_an_agent_with_gre_to_one_without(make_world: MakeWorld) -> None:
    world = a_world(make_world, {"encapsulation": "gre"}, foreign_agent={"encapsulations": ["gre"]})
    expected = addresses(world)
    config = world.directory / "fa2/fa.toml"
    config.write_text(config.read_text().replace('encapsulations = ["gre"]', "encapsulations = []"))
    world.stop("fa2")
    world.start("fa2")
    download = Download(world, "cn", "pc1", _CN)
    assert tunnels(world) == {("fa", "gre")}

    world.roam("mn", "fa2")
    await_all_at(world, "fa2", expected)
    await_ping(world, "pc1", _CN)

    assert tunnels(world) == {("fa", "ipip")}
    assert_whole(download.finish())


def test_a_node_with_an_address_of_its_own_unwraps_gre_itself(make_world: MakeWorld) -> None:
    settings = {"mode": "co-located", "encapsulation": "gre"}
    world = a_world(make_world, settings, "dhcp", foreign_agent={"registration_required": False})
    await_direct(world, addresses(world), "gre")
    care_of = bindings(world)[0]["care_of_address"]
    there, back = outer("gre", _HA, care_of), outer("gre", care_of, _HA)
    counts = Counts(world, "fa1", there, back)

    carries_tcp(world, counts, there, back)

    assert pings(world, "mn", _CN)


def test_ha_26_while_bindings_overlap_packets_reach_both_agents_and_then_the_new_one_alone(
    make_world: MakeWorld,
) -> None:
    world = a_world(make_world, {"simultaneous": True}, lifetime=30)
    expected = addresses(world)
    download = Download(world, "cn", "pc1", _CN)
    counts = Counts(world, "inet", outer("ipip", _HA, _FA1), outer("ipip", _HA, _FA2))

    def at_fa1_by_a_ping() -> int:
        before = counts[outer("ipip", _HA, _FA1)]
        await_ping(world, "cn", expected["KleungPC1"])
        return counts[outer("ipip", _HA, _FA1)] - before

    world.roam("mn", "fa2")
    both = {(name, care_of) for name in expected for care_of in (_FA1, _FA2)}
    wait_until(lambda: _care_ofs(world) == both, _SOON, "every session at both agents")
    wait_until(lambda: visitors(world, "fa2") == expected, _SOON, "the replies at fa2: what they promise is durable")
    world.kill("ha")
    world.start("ha")
    assert _care_ofs(world) == both
    before = counts[outer("ipip", _HA, _FA1)], counts[outer("ipip", _HA, _FA2)]
    await_ping(world, "cn", expected["KleungPC1"])
    assert counts[outer("ipip", _HA, _FA1)] > before[0]
    assert counts[outer("ipip", _HA, _FA2)] > before[1]
    wait_until(lambda: _care_ofs(world) == {(name, _FA2) for name in expected}, 40, "fa1's lifetime over")
    wait_until(lambda: not at_fa1_by_a_ping(), _SOON, "nothing more to fa1")

    assert not at_fa1_by_a_ping()
    assert_whole(download.finish())


def _care_ofs(world: World) -> set[tuple[str, str]]:
    return {(one["sub_nai"], one["care_of_address"]) for one in bindings(world)}


def test_fa_17_what_a_node_hands_in_is_tunnelled_back_and_nothing_else(make_world: MakeWorld) -> None:
    world = a_world(make_world, {"delivery": "encapsulating"})
    expected = addresses(world)
    home_address = expected["KleungPC1"]
    handed_in = f'iifname "vis0" ip saddr {home_address} ip protocol 4'
    plain = f'iifname "vis0" ip saddr {home_address} ip protocol 6'
    counts = {name: Counts(world, name, handed_in, plain) for name in ("fa1", "fa2")}

    upload = Download(world, "pc1", "cn", home_address)
    wait_until(lambda: counts["fa1"][handed_in] > _BULK, _SOON, "packets inside packets at fa1")
    world.roam("mn", "fa2")
    await_all_at(world, "fa2", expected)
    wait_until(lambda: counts["fa2"][handed_in] > _BULK, _SOON, "packets inside packets at fa2")

    assert_whole(upload.finish())
    assert (counts["fa1"][plain], counts["fa2"][plain]) == (0, 0)
    assert pings(world, "mn", _CN)


def test_fa_17_a_visited_link_that_is_made_anew_still_takes_what_is_handed_in(make_world: MakeWorld) -> None:
    world = a_world(make_world, {"delivery": "encapsulating"})
    ports = re.findall(r"^\d+: ([^@:]+)", _ip(world, "-o link show master vis0"), re.M)
    link_address = _ip(world, "-o link show vis0").split("link/ether ")[1].split()[0]

    _ip(world, "link delete vis0")
    _ip(world, f"link add vis0 address {link_address} type bridge")
    for port in ports:
        _ip(world, f"link set {port} master vis0")
    _ip(world, "address add 10.99.1.1/24 dev vis0")
    _ip(world, "link set vis0 up")
    for name in ("rp_filter", "send_redirects"):
        world.run("fa1", ["sh", "-c", f"echo 0 > /proc/sys/net/ipv4/conf/vis0/{name}"])

    await_ping(world, "pc1", _CN)


def _ip(world: World, words: str) -> str:
    """ip(8) at fa1."""
    done = world.run("fa1", ["ip", *words.split()])
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_mn_02_a_broadcast_of_the_home_network_is_heard_by_devices_of_a_node_that_unwraps_it(
    make_world: MakeWorld,
) -> None:
    settings = {"mode": "co-located", "broadcast": True}
    world = a_world(make_world, settings, "dhcp", foreign_agent={"registration_required": False})
    await_direct(world, addresses(world), "ipip")
    heard = f"ip saddr {_HA} ip daddr 10.10.0.255 udp dport 9"
    counts = Counts(world, "pc1", heard)

    world.run("ha", ["python3", "-c", _SEND_BROADCAST, "10.10.0.255"])

    wait_until(lambda: counts[heard] >= 1, _SOON, "a broadcast")
    await_ping(world, "cn", addresses(world)["KleungPC1"])  # behind it on the same way
    assert counts[heard] == 1


def test_python_carries_a_download_on_from_agent_to_agent_where_the_kernel_does_not(make_world: MakeWorld) -> None:
    by_python = {"datapath": "tun"}
    world = a_world(make_world, {}, home_agent=by_python, foreign_agent=by_python)

    download = Download(world, "cn", "pc1", _CN)
    world.roam("mn", "fa2")
    await_all_at(world, "fa2", addresses(world))

    assert_whole(download.finish())
    for agent in ("ha", "fa2"):
        assert "datapath tun on mip0: as configured" in world.crew.log(agent).read_text()
