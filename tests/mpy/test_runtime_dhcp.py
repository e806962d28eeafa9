"""DHCP on both sides of the node with real programs: its uplink's address by udhcpc, a device's answers to udhcpc."""

import signal
import subprocess
from pathlib import Path

import pytest

from mip4.address import parse
from mip4.ip import Packet
from tests.mpy.runtime_world import AGENT, AGENT_LINK, World, a_world, wait_until

GATEWAY = parse("10.10.0.1")
HOME = parse("10.10.0.11")


@pytest.fixture
def world(micropython, tmp_path):
    with a_world(micropython, tmp_path) as world:
        yield world


def serve_leases(world: World, first: str) -> subprocess.Popen:
    """busybox udhcpd on the visited link, with the one address `first`."""
    path = world.folder / f"udhcpd-{first}.conf"
    files = f"lease_file {path}.leases\npidfile {path}.pid\n"
    path.write_text(f"interface vis0\nstart {first}\nend {first}\noption subnet 255.255.255.0\n{files}")
    Path(f"{path}.leases").touch()
    command = ["ip", "netns", "exec", world.visited, "busybox", "udhcpd", "-f", path]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def uplink_address(world: World) -> str:
    return world.ask(b"status\n")["runtime"]["uplink"]["address"]


def an_answer(kind: int, question: bytes) -> bytes:
    """DHCPOFFER (2) or DHCPACK (5) that gives HOME to whoever sent `question`, as /32 behind GATEWAY."""
    addresses = bytes(8) + HOME.to_bytes(4, "big") + bytes(8)
    head = b"\x02\x01\x06\x00" + question[4:8] + addresses + question[28:44] + bytes(192) + b"\x63\x82\x53\x63"
    server = b"\x36\x04" + GATEWAY.to_bytes(4, "big")
    return head + bytes([53, 1, kind]) + server + b"\x33\x04\x00\x00\x02\x58\x01\x04\xff\xff\xff\xff\xff"


def test_registration_does_not_wait_for_an_address_and_uses_it_when_it_is_there(world):
    world.begin(address="dhcp")
    order = f"[Send(b'request', {AGENT}, {AGENT_LINK!r}, 0)]"
    world.order(order)
    early = Packet.decode(world.hears(lambda frame: frame[23] == 17 and frame[36:38] == b"\x01\xb2")[14:])

    server = serve_leases(world, "10.99.1.77")
    wait_until(lambda: uplink_address(world) == "10.99.1.77/24", 10)
    world.order(order)
    late = Packet.decode(world.hears(lambda frame: frame[23] == 17 and frame[36:38] == b"\x01\xb2")[14:])

    server.kill()
    assert (early.source, late.source) == (0, parse("10.99.1.77"))
    assert "inet 10.99.1.77/24 scope global noprefixroute up0" in world.ip("address")
    assert world.ip("route") == ""


def test_an_address_of_one_link_is_not_carried_to_the_next(world):
    server = serve_leases(world, "10.99.1.77")
    world.begin(address="dhcp")
    wait_until(lambda: uplink_address(world) == "10.99.1.77/24", 10)
    world.carrier(up=False)
    wait_until(lambda: uplink_address(world) is None)
    server.kill()
    server.wait()

    server = serve_leases(world, "10.99.1.88")
    world.carrier(up=True)

    wait_until(lambda: uplink_address(world) == "10.99.1.88/24", 10)
    server.kill()
    assert "10.99.1.77" not in world.ip("address")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_dhcp_client_ends_with_the_node_however_that_ends(world, number):
    world.begin(address="dhcp")
    running = ["ip", "netns", "pids", world.node]
    wait_until(lambda: len(subprocess.check_output(running).split()) == 3)  # the node, a shell, udhcpc

    world.kill(number)

    wait_until(lambda: subprocess.check_output(running).split() == [])


def test_a_device_with_udhcpc_gets_its_home_address(world):
    world.begin()
    script = world.folder / "script"
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && echo "$ip/$mask from $serverid"\n')
    script.chmod(0o755)
    command = ["ip", "netns", "exec", world.device, "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", script]

    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for number, kind in enumerate((2, 5)):
        _, _, downlink, question = world.next_told("dhcp", number)
        answer = an_answer(kind, bytes.fromhex(question))
        destination = HOME if kind == 5 else 0xFFFFFFFF  # both ways that RFC 2131 §4.1 knows
        world.order(f"[AnswerDhcp({downlink!r}, bytes.fromhex('{answer.hex()}'), {GATEWAY}, {destination})]")

    assert client.communicate(timeout=10)[0] == "10.10.0.11/32 from 10.10.0.1\n"
    assert downlink == "down0"
