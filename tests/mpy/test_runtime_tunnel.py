"""What a node with a care-of address of its own believes of the packets that its tunnel brings (MN-32)."""

import struct

import pytest

from mip4.address import parse
from mip4.ip import Datagram, Packet
from tests.mpy.runtime_world import AGENT_LINK, DEVICE_LINK, NODE_LINK, a_world

OWN, DEVICE = parse("10.99.1.17"), parse("10.10.0.11")
HOME_AGENT, STRANGER = parse("192.0.2.1"), parse("198.51.100.66")
ATTACH = f'Attach({DEVICE}, "down0", {DEVICE_LINK!r}, parse("10.10.0.1"))'


@pytest.fixture
def world(micropython, tmp_path):
    with a_world(micropython, tmp_path) as world:
        yield world


def _inner(payload: bytes) -> bytes:
    return Datagram(parse("198.51.100.2"), 5000, DEVICE, 5001, payload).packet(64).encode()


def _in_udp(packet: bytes, source: int = HOME_AGENT, port: int = 434, next_header: int = 4) -> bytes:
    return Datagram(source, port, OWN, 434, bytes((4, next_header, 0, 0)) + packet).packet(64).encode()


def _in_ip(packet: bytes, source: int = HOME_AGENT) -> bytes:
    return Packet(source, OWN, 4, 64, packet).encode()


FORGED = _inner(b"forged")
SILENCES = {
    "udp": {
        "another source": _in_udp(FORGED, source=STRANGER),
        "another port": _in_udp(FORGED, port=435),
        "GRE": _in_udp(FORGED, next_header=47),
        "minimal encapsulation": _in_udp(FORGED, next_header=55),
        "nothing inside": _in_udp(b""),
        "for nobody here": _in_udp(_inner(b"forged").replace(DEVICE.to_bytes(4, "big"), STRANGER.to_bytes(4, "big"))),
        "not what was agreed": _in_ip(FORGED),
    },
    "ipip": {
        "another source": _in_ip(FORGED, source=STRANGER),
        "nothing inside": _in_ip(b""),
        "not what was agreed": _in_udp(FORGED),
    },
}


# From the home agent itself: counted. What others send is kept from the tunnel's socket by its filter.
COUNTED = {"udp": {"tunnel header": 3, "destination": 1}, "ipip": {"not IPv4": 1}}


@pytest.mark.parametrize("kind", SILENCES)
def test_mn_32_silence_for_all_but_packets_of_the_home_agent_in_the_tunnel_that_was_agreed(world, kind):
    world.begin(uplinks=[{"interface": "up0", "address": "10.99.1.17/24", "gateway": "10.99.1.1"}])
    world.order(f'[{ATTACH}, UseTunnel({OWN}, {HOME_AGENT}, "{kind}", 0, 0)]')
    device = world.frames_of_the_device()

    for packet in [*SILENCES[kind].values(), {"udp": _in_udp, "ipip": _in_ip}[kind](_inner(b"genuine"))]:
        world.agent.send(NODE_LINK + AGENT_LINK + b"\x08\x00" + packet)

    frame = device.recv(2048)
    while frame[:6] != DEVICE_LINK or struct.unpack_from("!H", frame, 36) != (5001,):
        frame = device.recv(2048)
    assert frame[42:] == b"genuine"
    assert world.ask(b"status\n")["runtime"]["forwarder"]["dropped"] == COUNTED[kind]
