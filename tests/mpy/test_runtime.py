"""The node's runtime: what the links bring reaches the engine, what the engine says goes out, faults end nothing."""

import hashlib
import signal
import socket
import statistics
import struct
import subprocess
import time

import pytest

from mip4.address import parse, show
from mip4.discovery import AgentAdvertisement, AgentSolicitation, MobilityAgent
from mip4.ip import Datagram, Packet
from tests.mpy.runtime_world import AGENT, AGENT_LINK, NODE_LINK, a_world, inside, wait_until


@pytest.fixture
def world(micropython, tmp_path):
    with a_world(micropython, tmp_path) as world:
        yield world


def an_advertisement(sequence: int) -> bytes:
    agent = MobilityAgent(sequence, 600, 0x9100, [parse("203.0.113.2")])
    return Packet(AGENT, 0xE0000001, 1, 1, AgentAdvertisement(0, 3, [(AGENT, 0)], [agent]).encode()).encode()


def is_udp(frame: bytes, port: int) -> bool:
    return frame[23] == 17 and frame[36:38] == struct.pack("!H", port)


def test_a_carrier_that_comes_or_goes_is_told_within_milliseconds(world):
    """Beside each, a datagram is sent, which wakes the node at once: what that takes is the machine's doing.

    The node looks at its link each 25 ms, and the kernel would keep the news for up to a second (port_unix/links.py).
    """
    world.begin()
    late, plain = [], []

    for _ in range(7):
        for up, kind in ((False, "link_down"), (True, "link_up")):
            before = len(world.told(kind))
            at = world.carrier(up)
            late.append(world.next_told(kind, before)[0] - at)
        for _ in range(2):
            before, at = len(world.told("receive")), time.time_ns() / 1e6
            world.say(b"[]")
            plain.append(world.next_told("receive", before)[0] - at)

    # The mean of these: on a busy machine some are served at once, and others wait for their turn
    event, datagram = statistics.median(late), statistics.mean(plain)
    print(f"link events: median {event:.2f} ms, worst {max(late):.2f} ms; datagrams: {datagram:.2f} ms")
    assert event < 25 + 3 * datagram  # it sleeps, asks the kernel, and is told


def test_a_flap_that_is_over_at_once_is_still_two_events(world):
    world.begin()

    for _ in range(3):
        world.carrier(up=False)
        world.carrier(up=True)

    wait_until(lambda: len(world.told("link_down")) >= 1)
    assert [one[1] for one in world.told("link_up", "link_down")][:3] == ["link_up", "link_down", "link_up"]


def test_a_link_that_has_a_carrier_but_lets_nobody_in_yet_is_not_up(world):
    world.begin()
    world.ip("link", "set", "up0", "mode", "dormant")  # as wpa_supplicant does
    world.carrier(up=False)
    world.next_told("link_down", 0)
    before, wakings = len(world.told("link_up")), world.wakings()

    world.carrier(up=True)
    wait_until(lambda: "state DORMANT" in world.ip("link", "show", "up0") and world.wakings() > wakings + 5)
    at = time.time_ns() / 1e6
    world.ip("link", "set", "up0", "state", "up")

    assert world.next_told("link_up", before)[0] >= at


def test_a_solicitation_goes_to_all_routers_with_ttl_1(world):
    world.begin(address="10.99.1.17/24")
    world.order("[Solicit()]")

    frame = world.hears(lambda frame: frame[23] == 1 and frame[26:30] == bytes([10, 99, 1, 17]))

    packet = Packet.decode(frame[14:])
    assert frame[:6] == bytes.fromhex("01005e000002")
    assert (show(packet.source), show(packet.destination), packet.ttl) == ("10.99.1.17", "224.0.0.2", 1)
    AgentSolicitation.decode(packet.payload)


@pytest.mark.parametrize("address, source", [("none", "0.0.0.0"), ("10.99.1.17/24", "10.99.1.17")])
def test_mn_02_a_registration_message_goes_with_ttl_255_straight_to_the_agents_link_address(world, address, source):
    world.begin(address=address)

    world.order(f"[Send(b'request', {AGENT}, {AGENT_LINK!r}, 0)]")

    frame = world.hears(lambda frame: is_udp(frame, 434))
    packet = Packet.decode(frame[14:])
    assert frame[:6] == AGENT_LINK
    assert packet.ttl == 255
    assert Datagram.decode(packet) == Datagram(parse(source), 434, AGENT, 434, b"request")


@pytest.mark.parametrize("link", [bytes.fromhex("01005e000001"), b"\xff" * 6, NODE_LINK])
def test_an_advertisement_reaches_the_engine_as_it_came(world, link):
    world.begin()

    world.agent.send(link + AGENT_LINK + b"\x08\x00" + an_advertisement(7))

    wait_until(lambda: world.told("heard"))
    assert world.told("heard")[0][2:] == [an_advertisement(7).hex(), AGENT_LINK.hex()]


def test_mn_11_silence_for_a_wrong_udp_checksum_and_one_the_kernel_left_open_is_taken(world):
    world.begin(address="10.99.1.17/24")
    world.say(b"[]", spoil=1)
    wait_until(lambda: world.ask(b"status\n")["runtime"]["dropped"].get("malformed") == 1)

    with inside(world.visited):  # on a veth the kernel never fills the checksum of its own datagrams in
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server:
        server.bind(("10.99.1.1", 434))
        server.sendto(b"[]", ("10.99.1.17", 434))
        wait_until(lambda: world.told("receive"))

    assert [one[2] for one in world.told("receive")] == [AGENT]
    assert "dropped malformed from 10.99.1.1: UDP checksum" in world.log.read_text()


def test_sigint_ends_it_with_0_and_a_second_node_is_refused(world):
    world.begin()
    world.order("[UseAgent(parse('10.99.1.1'), bytes(6), 0)]")
    command = [*world.process.args]

    second = subprocess.run(command, capture_output=True, text=True, timeout=5)

    assert second.returncode == 1 and "another node is running on it" in second.stderr
    assert "default via 10.99.1.1" in world.ip("route")
    assert world.kill(signal.SIGINT) == 0


def test_a_fault_in_the_engine_is_logged_and_the_node_goes_on(world):
    world.begin()

    world.say(b"[1 // 0]")
    wait_until(lambda: "ZeroDivisionError" in world.log.read_text())

    world.order("[Said('info', 'still here')]")
    assert "still here" in world.log.read_text()


def test_an_effect_that_the_kernel_refuses_stops_none_of_the_others(world):
    world.begin()

    world.order("[UseAgent(parse('127.0.0.1'), bytes(6), 0), Said('info', 'and then')]")

    log = world.log.read_text()
    assert "WARNING default route via 127.0.0.1: Nexthop has invalid gateway EINVAL" in log
    assert "INFO    and then" in log


def test_a_flood_of_drops_is_one_line(world):
    world.begin()

    world.order("[Dropped(Malformed('no good'), parse('192.0.2.66'))] * 500")

    assert world.log.read_text().count("dropped malformed from 192.0.2.66: no good") == 1
    assert world.ask(b"status\n")["runtime"]["dropped"] == {"malformed": 500}


def test_the_engine_is_woken_at_its_deadline_and_not_before(world):
    """Nothing else would wake it for a minute."""
    world.begin()

    wait_until(lambda: world.told("wake"))

    late = world.told("wake")[0][2]
    print(f"woken {late} ms late")
    assert late >= 0


def test_stuck_and_wordy_control_clients_keep_nobody_waiting(world):
    world.begin()
    stuck = [world.connect() for _ in range(6)]
    wordy = world.connect()
    wordy.sendall(b"x" * 63)

    answer = world.ask(b"status\n")

    for client in stuck:  # none of them was got rid of first
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
    assert answer["runtime"]["uplink"]["interface"] == "up0"
    assert world.ask(b"rm -rf\n") == {"error": "unknown question"}
    for client in [*stuck, wordy]:
        client.close()


def test_a_torn_or_foreign_state_file_is_ignored_with_a_line(world):
    state = world.folder / "node.state.json"
    for content, reason in (
        ('{"format": "entourage', "it is torn or damaged, or no state file of this program"),
        ('{"format": "entourage mobile node 3"}', "it is of another version of this program"),
        ('{"format": "entourage mobile node 2", "nai": "a@b.c"}', "it belongs to another NAI"),
    ):
        torn = content.startswith('{"format": "entourage') and not content.endswith("}")
        digest = "" if torn else hashlib.sha256(content.encode()).hexdigest()
        state.write_text(f"{content}\n{digest}\n")
        world.begin()
        assert world.ask(b"status\n")["made_with"]["remembered"] == []
        assert f"WARNING state file {state} ignored: {reason}" in world.log.read_text()
        world.kill(signal.SIGINT)


def test_a_node_without_a_clock_says_so_to_its_engine(world):
    world.begin(clock="none")

    assert world.ask(b"status\n")["made_with"]["ntp_ms"] == 0
