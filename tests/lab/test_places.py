"""The world before anything runs in it: who reaches whom, what is private, what a move does to the carrier."""

from __future__ import annotations

import pytest

from tests.lab.conftest import MakeWorld
from tools.lab.errors import LabFailed
from tools.lab.traffic import Download
from tools.lab.world import World


def pings(world: World, name: str, *words: str) -> bool:
    return world.run(name, ["ping", "-c", "1", "-W", "1", *words]).returncode == 0


@pytest.mark.parametrize("address", ["192.0.2.1", "203.0.113.2", "203.0.113.66", "10.99.1.1", "10.99.2.1"])
def test_the_correspondent_node_reaches_every_agent(bare_world: World, address: str) -> None:
    assert pings(bare_world, "cn", address)


def test_the_internet_drops_a_source_that_is_routed_elsewhere(bare_world: World) -> None:
    bare_world.run("fa1", ["ip", "address", "add", "10.10.0.200/32", "dev", "lo"])

    assert not pings(bare_world, "fa1", "-I", "10.10.0.200", "198.51.100.2")
    strict = bare_world.run("inet", ["nstat", "-asz", "TcpExtIPReversePathFilter"]).stdout
    assert int(strict.split()[-2]) > 0


def test_a_move_takes_the_carrier_away_and_brings_it_back_on_the_other_visited_link(bare_world: World) -> None:
    bare_world.run("mn", ["ip", "address", "add", "10.99.2.77/24", "dev", "up0"])
    watch = bare_world.spawn("mn", ["ip", "-o", "monitor", "link"], stdout=-1)
    assert watch.stdout is not None
    assert not pings(bare_world, "mn", "10.99.2.1")

    bare_world.roam("mn", "fa2")

    seen = [watch.stdout.readline()]
    while "LOWER_UP" not in seen[-1]:
        seen.append(watch.stdout.readline())
    watch.kill()
    watch.communicate()
    assert any("NO-CARRIER" in line and "up0" in line for line in seen)
    assert pings(bare_world, "mn", "10.99.2.1")
    assert {one["name"]: one.get("at") for one in bare_world.status()["nodes"]}["mn"] == "fa2"


def test_a_node_out_of_range_has_no_carrier_until_it_roams_again(bare_world: World) -> None:
    bare_world.leave("mn")
    assert not bare_world.links.carrier("mn", "up0")

    bare_world.roam("mn", "fa1")

    assert bare_world.links.carrier("mn", "up0")


def test_a_device_has_its_address_once_it_can_answer(bare_world: World) -> None:
    bare_world.run("pc1", ["ip", "address", "add", "10.10.0.12/32", "dev", "net0"])
    with pytest.raises(LabFailed, match="an address for pc1"):
        bare_world.await_address("pc1", seconds=0)

    bare_world.run("pc1", ["ip", "route", "add", "default", "dev", "net0"])

    assert bare_world.await_address("pc1") == "10.10.0.12"


def test_an_unplugged_device_and_its_port_lose_carrier(bare_world: World) -> None:
    bare_world.plug("pc1", False)
    assert not bare_world.links.carrier("pc1", "net0")

    bare_world.plug("pc1")

    assert bare_world.links.carrier("pc1", "net0")


def test_a_visited_link_has_carrier_without_any_node_on_it(bare_world: World) -> None:
    bare_world.roam("mn", "fa1")

    assert bare_world.links.carrier("fa2", "vis0")


def test_what_a_dhcp_client_writes_stays_in_its_place(bare_world: World) -> None:
    write = "echo here >/etc/resolv.conf && echo here >/etc/new && echo here >/run/new && echo here >/var/lib/dhcp/new"
    read = ["cat", "/etc/resolv.conf", "/etc/new", "/run/new", "/var/lib/dhcp/new"]

    assert bare_world.run("pc1", ["sh", "-c", write]).returncode == 0

    assert bare_world.run("pc1", read).stdout == "here\n" * 4
    assert "here" not in bare_world.run("pc2", read).stdout
    assert bare_world.run("pc2", ["hostname"]).stdout == "pc2\n"


def test_names_that_are_not_there_are_refused(bare_world: World) -> None:
    with pytest.raises(LabFailed, match="no place is named pc9"):
        bare_world.run("pc9", ["true"])
    with pytest.raises(LabFailed, match="no node is named pc1"):
        bare_world.roam("pc1", "fa2")
    with pytest.raises(LabFailed, match="cannot roam to ha"):
        bare_world.roam("mn", "ha")


def test_a_wire_to_the_home_agent_takes_its_time_and_carries_large_segments_whole(make_world: MakeWorld) -> None:
    world = make_world(delay=40)

    pings = world.run("cn", ["ping", "-c", "3", "-i", "0.2", "192.0.2.1"]).stdout
    download = Download(world, "ha", "cn", "192.0.2.1").finish()

    times = [float(line.partition("time=")[2].split()[0]) for line in pings.splitlines() if "time=" in line]
    assert len(times) == 3
    assert min(times) >= 2 * 40
    assert download["received"] == download["sent"] > 0
    assert download["wrong"] is None
