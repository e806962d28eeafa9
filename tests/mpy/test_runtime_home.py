"""A node that is on its home link, under the real MicroPython: ARP (RFC 5944 §4.6), and packets that go plainly."""

import contextlib
import socket

import pytest

from mip4.address import parse
from mip4.arp import ARP_REPLY, ETHERTYPE_ARP, Arp, gratuitous, question
from mip4.ip import Datagram, Packet
from tests.mpy.runtime_world import AGENT_LINK, DEVICE_LINK, NODE_LINK, a_world, inside, run

HOME, DEVICE, GATEWAY, NEIGHBOUR = (parse(f"10.10.0.{last}") for last in (10, 11, 1, 200))
ATTACH_NODE = f'Attach({HOME}, "", b"", 0)'
ATTACH_DEVICE = f'Attach({DEVICE}, "down0", {DEVICE_LINK!r}, {GATEWAY})'
AT_HOME = f"UseHomeLink({AGENT_LINK!r}, {HOME})"
AWAY = f"LeaveHomeLink(), UseAgent(parse('10.99.1.1'), {AGENT_LINK!r}, {HOME})"
EVERYBODY = b"\xff" * 6


@pytest.fixture
def world(micropython, tmp_path):
    with a_world(micropython, tmp_path) as world:
        with inside(world.visited):
            world.arp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP))
            world.arp.bind(("vis0", ETHERTYPE_ARP))
            world.arp.settimeout(5)
        try:
            yield world
        finally:
            world.arp.close()


def say(world, packet, to=EVERYBODY):
    world.arp.send(to + AGENT_LINK + b"\x08\x06" + packet.encode())


def hear(world):
    """The node's next ARP packet, and to whom it went."""
    while True:
        frame, (_, _, kind, *_) = world.arp.recvfrom(2048)
        if kind != socket.PACKET_OUTGOING and frame[6:12] == NODE_LINK:
            return Arp.decode(frame[14:]), frame[:6]


def asked(world, address, to=EVERYBODY):
    """The node's answer to a neighbour that asks for `address`, None if it answers the next question only."""
    say(world, question(address, AGENT_LINK, NEIGHBOUR), to)
    say(world, question(DEVICE, AGENT_LINK, NEIGHBOUR))
    found = None
    while True:
        answer, to = hear(world)
        if answer.operation == ARP_REPLY:
            assert to == AGENT_LINK
            if answer.sender == DEVICE:
                return found
            found = answer


def begin(world, *effects):
    world.begin(own_session="", applications=[])
    world.order(f"[{', '.join((ATTACH_NODE, ATTACH_DEVICE, *effects))}]")


def test_every_home_address_is_announced_three_times_and_answered_for(world):
    begin(world, AT_HOME)

    heard = [hear(world) for _ in range(6)]

    assert [one for one in heard if one != (gratuitous(HOME, NODE_LINK), EVERYBODY)] == [
        (gratuitous(DEVICE, NODE_LINK), EVERYBODY)
    ] * 3
    assert asked(world, HOME) == Arp(ARP_REPLY, NODE_LINK, HOME, AGENT_LINK, NEIGHBOUR)
    assert asked(world, HOME, to=NODE_LINK) is not None


def test_nothing_else_is_answered_for_and_least_of_all_the_gateway(world):
    begin(world, AT_HOME)

    for address in (GATEWAY, NEIGHBOUR, parse("10.10.0.12")):
        assert asked(world, address) is None
    say(world, gratuitous(HOME, AGENT_LINK))
    assert asked(world, GATEWAY) is None


def test_who_attaches_at_home_is_announced_and_who_detaches_is_not_answered_for(world):
    begin(world, AT_HOME)
    late = parse("10.10.0.12")

    world.order(f'[Attach({late}, "down0", {DEVICE_LINK!r}, {GATEWAY})]')
    while hear(world)[0] != gratuitous(late, NODE_LINK):
        pass
    assert asked(world, late) is not None
    world.order(f'[Detach({late}, "down0", {DEVICE_LINK!r}, {GATEWAY})]')

    assert asked(world, late) is None


@pytest.mark.parametrize("left", ["before it was there", "after it was there"])
def test_mn_01_away_from_home_no_arp_is_sent_or_answered(world, left):
    begin(world, *([AT_HOME, AWAY] if left == "after it was there" else [AWAY]))
    world.arp.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while hear(world)[0].is_gratuitous():
            pass

    for address in (HOME, DEVICE, GATEWAY):
        say(world, question(address, AGENT_LINK, NEIGHBOUR))

    with pytest.raises(TimeoutError):
        hear(world)


def test_packets_go_by_the_home_agent_and_come_from_everybody_there_the_gateway_too(world):
    begin(world, AT_HOME)
    device = world.frames_of_the_device()
    for source in (NEIGHBOUR, GATEWAY):
        packet = Datagram(source, 5000, DEVICE, 5001, b"hello").packet(64).encode()
        world.agent.send(NODE_LINK + AGENT_LINK + b"\x08\x00" + packet)
        assert Packet.decode(device.recv(2048)[14:]).source == source

    with inside(world.device):
        frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with frames:
        frames.bind(("eth0", 0))
        packet = Datagram(DEVICE, 5001, NEIGHBOUR, 5000, b"hello").packet(64).encode()
        frames.send(bytes.fromhex("02000000bb02") + DEVICE_LINK + b"\x08\x00" + packet)

    sent = world.hears(lambda frame: frame[23] == 17 and frame[36:38] == (5000).to_bytes(2, "big"))
    assert sent[:6] == AGENT_LINK
    assert Packet.decode(sent[14:]).source == DEVICE


def test_a_registration_at_home_has_the_home_address_for_its_source(world):
    begin(world, AT_HOME)

    world.order(f"[Send(b'request', parse('192.0.2.1'), {AGENT_LINK!r}, {DEVICE})]")

    frame = world.hears(lambda frame: frame[23] == 17 and frame[42:] == b"request")
    datagram = Datagram.decode(Packet.decode(frame[14:]))
    assert (datagram.source, datagram.source_port, datagram.destination) == (DEVICE, 434, parse("192.0.2.1"))


def test_a_node_that_died_at_home_leaves_nothing_that_would_be_wrong_elsewhere(world):
    begin(world, AT_HOME)
    assert accepts_our_own_sources(world)
    assert "default via 192.0.0.10" in world.ip("route")

    world.kill()
    world.begin()

    assert world.ip("route") + world.ip("neighbour") == ""
    assert not accepts_our_own_sources(world)


def accepts_our_own_sources(world):
    setting = "/proc/sys/net/ipv4/conf/up0/accept_local"
    return run("ip", "netns", "exec", world.node, "cat", setting).strip() == "1"
