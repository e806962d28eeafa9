"""What the node has the Linux kernel do: carry packets, forget what is over, and start again over its own traces."""

import socket
import subprocess
import time

import pytest

from mip4.address import parse
from mip4.ip import Datagram
from tests.mpy.runtime_world import AGENT, AGENT_LINK, DEVICE_LINK, NODE_LINK, a_world, inside, wait_until

HOME = "10.10.0.10"
DEVICE = "10.10.0.11"
ATTACH_NODE = f'Attach(parse("{HOME}"), "", b"", 0)'
ATTACH_DEVICE = f'Attach(parse("{DEVICE}"), "down0", {DEVICE_LINK!r}, parse("10.10.0.1"))'
USE_AGENT = f'UseAgent({AGENT}, {AGENT_LINK!r}, parse("{HOME}"))'


@pytest.fixture
def world(micropython, tmp_path):
    with a_world(micropython, tmp_path) as world:
        yield world


def test_a_thousand_bulk_packets_a_second_cost_python_nothing(world):
    world.begin()
    world.order(f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {USE_AGENT}]")
    bulk = Datagram(AGENT, 5000, parse(DEVICE), 5001, bytes(1000)).packet(64)
    frame = NODE_LINK + AGENT_LINK + b"\x08\x00" + bulk.encode()
    device = world.frames_of_the_device()

    time.sleep(0.1)  # what the order caused is over
    began, idle = time.monotonic(), world.wakings()
    time.sleep(2)
    before, ticks = world.wakings(), world.cpu_ticks()
    started = time.monotonic()
    for _ in range(2000):
        world.agent.send(frame)
        while len(device.recv(2048)) != len(frame):
            pass
        time.sleep(0.0008)
    ended, woken, used = time.monotonic(), world.wakings() - before, world.cpu_ticks() - ticks
    rate, usual = woken / (ended - started), (before - idle) / (started - began)

    print(f"{2000 / (ended - started):.0f} packets/s for 2000: {used * 10} ms of CPU")
    print(f"woken {rate:.0f} times a second, idle {usual:.0f} times")
    assert rate < 2 * usual


def test_a_reply_to_a_devices_address_is_neither_forwarded_nor_refused(world):
    world.begin()
    world.order(f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {USE_AGENT}]")
    device = world.frames_of_the_device()

    for destination in (DEVICE, HOME, "10.10.0.99"):
        world.say(b"[]", parse(destination))
    wait_until(lambda: len(world.told("receive")) == 4)
    world.order("[Solicit()]")

    icmp = [world.hears(lambda frame: frame[23] == 1)[34] for _ in range(2)]
    assert icmp == [10, 10]  # the solicitations at the beginning and the end, no "port unreachable" between
    device.setblocking(False)
    with pytest.raises(BlockingIOError):
        device.recv(2048)


def test_a_device_and_the_node_reach_the_agent_and_are_reached(world):
    world.begin()
    world.order(f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {USE_AGENT}]")
    pc, fa = ["ip", "-n", world.device], ["ip", "-n", world.visited]
    for command in (
        [*pc, "address", "add", f"{DEVICE}/32", "dev", "eth0"],
        [*pc, "route", "add", "10.10.0.1", "dev", "eth0"],
        [*pc, "route", "add", "default", "via", "10.10.0.1"],
        *([*fa, "route", "add", one, "dev", "vis0"] for one in (HOME, DEVICE)),
        *([*fa, "neighbour", "add", one, "lladdr", NODE_LINK.hex(":"), "dev", "vis0"] for one in (HOME, DEVICE)),
    ):
        subprocess.run(command, check=True)

    for namespace, destination in ((world.device, "10.99.1.1"), (world.visited, DEVICE), (world.node, "10.99.1.1")):
        subprocess.run(["ip", "netns", "exec", namespace, "ping", "-c1", "-W2", destination], check=True)

    neighbours = subprocess.check_output(["ip", "-n", world.visited, "neighbour"], text=True).splitlines()
    assert [one for one in neighbours if "PERMANENT" not in one] == []  # the node asked nothing by ARP


def test_the_agent_is_the_default_router_until_another_takes_over(world):
    world.begin()
    world.order(f"[{ATTACH_NODE}, {USE_AGENT}]")
    first = world.ip("route")
    world.order('[UseAgent(parse("10.99.2.1"), b"\\2\\0\\0\\0\\xaa\\2", 0)]')
    second, neighbours = world.ip("route"), world.ip("neighbour")
    world.order('[UseAgent(0, b"", 0)]')

    assert first == "default via 10.99.1.1 dev up0 proto 144 src 10.10.0.10 onlink \n"
    assert second == "default via 10.99.2.1 dev up0 proto 144 onlink \n"
    assert neighbours.startswith("10.99.2.1 dev up0 lladdr 02:00:00:00:aa:02 PERMANENT")
    assert "10.99.1.1" not in neighbours
    assert world.ip("route") + world.ip("neighbour") == ""


def test_losing_the_nodes_own_address_leaves_the_default_route(world):
    world.begin()
    world.order(f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {USE_AGENT}]")

    world.order(f"[{ATTACH_NODE.replace('Attach', 'Detach')}]")

    assert "default via 10.99.1.1 dev up0 proto 144 onlink" in world.ip("route")
    assert HOME not in world.ip("address")


def test_devices_keep_the_default_route_when_the_node_has_no_address_of_its_own(world):
    world.begin()

    world.order(f"[{ATTACH_DEVICE}, {USE_AGENT}]")

    assert "default via 10.99.1.1 dev up0 proto 144 onlink" in world.ip("route")


def test_attaching_twice_or_elsewhere_leaves_one_place_and_detaching_leaves_none(world):
    world.begin()
    before = world.ip("address") + world.ip("route")

    world.order(f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {ATTACH_DEVICE}, {ATTACH_NODE.replace(HOME, DEVICE)}]")
    moved = world.ip("route")
    world.order(f"[{ATTACH_DEVICE}]")
    there = world.ip("route")
    gateway = world.ip("address", "show", "dev", "down0")
    world.order(f"[{ATTACH_NODE.replace('Attach', 'Detach')}, {ATTACH_DEVICE.replace('Attach', 'Detach')}] * 2")

    assert moved == ""
    assert there == "10.10.0.11 dev down0 proto 144 scope link \n"
    assert "inet 10.10.0.1/32 scope global" in gateway
    assert world.ip("address") + world.ip("route") == before


def test_routes_come_back_with_an_interface_that_was_shut_or_made_anew(world):
    world.begin()
    world.order(f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {USE_AGENT}]")
    before = world.ip("route")

    for name in ("up0", "down0"):
        world.ip("link", "set", name, "down")
        world.ip("link", "set", name, "up")
    wait_until(lambda: world.ip("route") == before)
    world.ip("link", "delete", "down0")
    wait_until(lambda: len(world.told("downlink_down")) == 2)
    world.join("down0", bytes.fromhex("02000000bb02"), world.device, "eth0", DEVICE_LINK)
    wait_until(lambda: world.ip("route") == before)

    assert "10.10.0.11 dev down0 lladdr 02:00:00:00:00:11 PERMANENT" in world.ip("neighbour")


def test_a_downlink_that_another_program_serves_is_waited_for_and_the_uplink_works_meanwhile(world):
    with inside(world.node):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with other:
        other.bind(("0.0.0.0", 67))
        world.launch()
        wait_until(lambda: world.told("link_up"))
        wait_until(lambda: "WARNING UDP port 67 on down0: EADDRINUSE" in world.log.read_text())

    wait_until(lambda: world.told("downlink_up"))


def test_interfaces_may_come_after_the_node(world):
    for name in ("up0", "down0"):
        world.ip("link", "delete", name)
    world.launch(address="10.99.1.17/24")
    wait_until(lambda: world.told("start"))

    world.join("up0", NODE_LINK, world.visited, "vis0", AGENT_LINK)
    world.join("down0", bytes.fromhex("02000000bb02"), world.device, "eth0", DEVICE_LINK)
    wait_until(lambda: len(world.told("link_up", "downlink_up")) == 2)

    assert "WARNING interface up0 is not there yet" in world.log.read_text()
    assert "inet 10.99.1.17/24" in world.ip("address")


def test_a_killed_node_starts_again_without_leftovers_and_remembers(world):
    world.begin(address="10.99.1.17/24")
    clean = world.ip("-4", "address") + world.ip("route") + world.ip("rule")
    world.order(
        f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {USE_AGENT}, Remember([['pc', 'down0', '', ''], ['tv', 'gone0', '', '']])]"
    )
    world.kill()
    left = world.ip("route")

    world.begin(address="10.99.1.17/24")

    assert "proto 144" in left
    assert world.ip("-4", "address") + world.ip("route") + world.ip("rule") == clean
    assert world.ip("neighbour", "show", "nud", "permanent") == ""
    assert world.ask(b"status\n")["made_with"]["remembered"] == [["pc", "down0", "", ""]]
    world.order(f"[{ATTACH_NODE}, {ATTACH_DEVICE}, {USE_AGENT}]")
    assert world.ip("route") == left
    assert "WARNING" not in world.log.read_text()
