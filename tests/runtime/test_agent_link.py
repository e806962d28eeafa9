"""AgentLink on a veth: what it hears, what it does not, what the kernel no longer answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from host_agents.effects import SendFrame
from host_agents.runtime.agent_link import AgentLink, Arrived
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.interfaces import link_address, prefixes_of
from mip4.address import parse
from mip4.discovery import AgentSolicitation
from mip4.ip import Datagram, Packet
from tests.runtime.namespaces import Network

AGENT, NODE = parse("10.99.1.1"), parse("10.99.1.2")
BROADCAST_FRAME = b"\xff" * 6
ETH_P_IP = 0x0800


class Listening:
    """An AgentLink on `vis0`, and the other end of it, `up0` in the namespace mn."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        self.came_up = asyncio.Event()
        self.agent = link_address("vis0")
        with network.inside("mn"):
            self.node = link_address("up0")
            self.frames = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
            self.frames.bind(("up0", ETH_P_IP))
            self.frames.setblocking(False)
        loop = asyncio.get_running_loop()
        own = [one.address for one in prefixes_of("vis0")]
        self.link = AgentLink("vis0", own, self.arrived.put_nowait, self.came_up.set, loop)
        self.link.open()

    def frame(self, packet: bytes, to: bytes | None = None) -> None:
        self.frames.sendto(packet, ("up0", ETH_P_IP, 0, 0, self.agent if to is None else to))

    async def next(self) -> Arrived:
        return await asyncio.wait_for(self.arrived.get(), 5)

    async def heard_by_node(self) -> tuple[bytes, tuple]:
        """The next frame that is not the node's own."""
        while True:
            octets, source = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(self.frames, 2048), 5)
            if source[2] != socket.PACKET_OUTGOING:
                return octets, source


def request(source: int = 0, destination: int = AGENT, port: int = 434, payload: bytes = b"\1request") -> bytes:
    return Datagram(source, 1234, destination, port, payload).packet(ttl=255).encode()


def solicitation(destination: str) -> bytes:
    return Packet(0, parse(destination), 1, 1, AgentSolicitation().encode()).encode()


@contextlib.asynccontextmanager
async def listening(network: Network) -> AsyncIterator[Listening]:
    network.node("fa")
    network.node("mn")
    network.link("fa", "vis0", "10.99.1.1/24", "mn", "up0", "10.99.1.2/24")
    with network.inside("fa"):
        made = Listening(network)
        try:
            yield made
        finally:
            made.link.close()
            made.frames.close()


def run(network: Network, story) -> None:
    async def told() -> None:
        async with listening(network) as world:
            await story(world)

    asyncio.run(told())


def test_a_request_from_nobody_arrives_with_the_link_address_of_its_frame(network):
    async def story(world: Listening) -> None:
        world.frame(request())

        assert await world.next() == Arrived("vis0", world.node, request(), True)

    run(network, story)


def test_solicitations_to_both_groups_and_the_broadcast_address_arrive(network):
    async def story(world: Listening) -> None:
        frames = (
            ("224.0.0.2", bytes.fromhex("01005e000002")),
            ("224.0.0.11", bytes.fromhex("01005e00000b")),
            ("255.255.255.255", BROADCAST_FRAME),
        )
        for destination, to in frames:
            world.frame(solicitation(destination), to)

            assert (await world.next()).packet == solicitation(destination)

    run(network, story)


def test_everything_else_is_left_to_the_kernel(network):
    async def story(world: Listening) -> None:
        fragment = bytearray(request())
        fragment[6:8] = b"\x20\x00"
        world.frame(request(port=435))
        world.frame(Packet(NODE, AGENT, 1, 1, bytes((8, 0)) + bytes(6)).encode())
        world.frame(Packet(NODE, AGENT, 6, 1, bytes(20)).encode())
        world.frame(bytes(fragment))
        world.frame(request(payload=b"\1for another station"), to=b"\2\0\0\0\0\x77")
        world.frame(request(payload=b"\1last"))

        assert (await world.next()).packet == request(payload=b"\1last")
        assert world.arrived.empty()

    run(network, story)


def test_a_request_behind_ip_options_is_found(network):
    async def story(world: Listening) -> None:
        plain = request()
        options = b"\x46" + plain[1:3] + bytes((plain[3] + 4,)) + plain[4:20] + b"\1\1\1\0" + plain[20:]
        world.frame(options)

        assert (await world.next()).packet == options

    run(network, story)


def test_a_checksum_that_a_veth_left_unfinished_is_said_to_be_so(network):
    async def story(world: Listening) -> None:
        with network.inside("mn"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"\1request", ("10.99.1.1", 434))

        arrived = await world.next()
        assert not arrived.checksum_ready
        assert Datagram.decode(Packet.decode(arrived.packet), checked=arrived.checksum_ready).payload == b"\1request"

    run(network, story)


def test_the_kernel_answers_a_request_with_no_port_unreachable(network):
    async def story(world: Listening) -> None:
        with network.inside("mn"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            for port in (434, 435):
                sock.connect(("10.99.1.1", port))
                sock.send(b"\1request")
                if port == 434:
                    await world.next()

        heard, _ = await world.heard_by_node()
        while heard[9] != 1:
            heard, _ = await world.heard_by_node()
        assert int.from_bytes(heard[20 + 8 + 20 + 2 :][:2], "big") == 435  # the first error is about the other port

    run(network, story)


def test_frames_are_sent_to_one_station_and_to_all_and_our_own_do_not_come_back(network):
    async def story(world: Listening) -> None:
        everybody = bytes.fromhex("01005e000001")
        advertisement = Packet(AGENT, parse("224.0.0.1"), 1, 1, AgentSolicitation().encode()).encode()
        for link in (world.node, everybody):
            world.link.send(SendFrame("vis0", link, advertisement))

            octets, (_, _, kind, _, source) = await world.heard_by_node()
            assert (octets, source) == (advertisement, world.agent)
            assert kind == (socket.PACKET_MULTICAST if link == everybody else socket.PACKET_HOST)
        assert world.arrived.empty()

    run(network, story)


def test_the_link_goes_down_and_comes_up(network):
    async def story(world: Listening) -> None:
        network.ip("fa", "link", "set", "vis0", "down")
        await asyncio.sleep(0)
        world.link.send(SendFrame("vis0", world.node, request()))
        network.ip("fa", "link", "set", "vis0", "up")
        await asyncio.wait_for(world.came_up.wait(), 5)
        world.frame(request())

        assert (await world.next()).packet == request()
        assert world.link.dropped == {"send: ENETDOWN": 1}

    run(network, story)


def test_the_link_disappears_and_comes_back(network):
    async def story(world: Listening) -> None:
        network.ip("fa", "link", "delete", "vis0")
        world.frames.close()
        await asyncio.sleep(0.5)  # long enough for it to look in vain
        world.link.send(SendFrame("vis0", world.node, request()))
        network.link("fa", "vis0", "10.99.1.1/24", "mn", "up0", "10.99.1.2/24")
        await asyncio.wait_for(world.came_up.wait(), 5)
        with network.inside("mn"), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as frames:
            frames.sendto(solicitation("224.0.0.2"), ("up0", ETH_P_IP, 0, 0, bytes.fromhex("01005e000002")))

        assert (await world.next()).packet == solicitation("224.0.0.2")
        assert world.link.dropped.total() == 1

    run(network, story)


def test_a_daemon_that_listens_on_the_same_address_is_not_disturbed(network):
    async def story(world: Listening) -> None:
        world.link.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
            daemon.bind(("10.99.1.1", 434))
            world.link.open()
            world.frame(request())

            assert (await world.next()).packet == request()

    run(network, story)


def test_an_interface_that_is_not_there_is_refused(network):
    network.node("fa")

    async def told() -> None:
        link = AgentLink("vis9", [], lambda arrived: None, lambda: None, asyncio.get_running_loop())
        with pytest.raises(KernelRefused, match="link vis9"):
            link.open()

    with network.inside("fa"):
        asyncio.run(told())
