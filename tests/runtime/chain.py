"""Two datapaths and both routers in a chain of namespaces: cn - ha - hop - fa - mn."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from host_agents.datapath.choose import open_datapath
from host_agents.datapath.protocol import HOME, VISITED, Datapath
from host_agents.effects import InstallDelivery, InstallTunnel, TunnelEnd
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.interfaces import link_address
from host_agents.runtime.sockets import AgentSocket
from host_agents.runtime.visited_router import VisitedRouter
from mip4.address import parse
from mip4.const import PORT, PROTO_GRE, PROTO_IPIP, PROTO_MINIMAL, PROTO_UDP
from mip4.ip import Datagram, checksum
from tests.runtime.namespaces import Network

H, HA, FA, CN = "10.10.0.10", "192.0.2.1", "203.0.113.2", "198.51.100.2"
HOME_PREFIX = (parse("10.10.0.0"), 24)
_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17
_ETH_P_ALL, _ETH_P_IP = 3, 0x0800
OVERHEADS = {"ipip": 20, "gre": 24, "minimal": 12, "udp": 32}  # octets


@dataclass
class Chain:
    network: Network
    home: Datapath
    visited: Datapath
    home_router: HomeRouter
    rebound: list[tuple[int, int, int]]
    messages: list[tuple[bytes, int, int]]  # what the home agent's engine would get

    def carry(self, *home_ends: TunnelEnd, encapsulation: str = "ipip") -> None:
        """Install both sides' tunnels; the home agent's to `home_ends` if there are any."""
        ends = home_ends or (end(FA, encapsulation),)
        self.home.install(InstallTunnel(parse(H), parse(HA), ends))
        self.visited.install(InstallTunnel(parse(H), parse(FA), (end(HA, encapsulation),)))

    def dropped(self, side: Datapath) -> dict[str, int]:
        """Why packets went nowhere, but for the kernel's own IPv6 on the device."""
        return {reason: count for reason, count in side.dropped.items() if reason != "not IPv4"}

    def mtu_learned(self, node: str, destination: str) -> int:
        """What `node` knows of the path; 1500 if it has heard nothing."""
        found = re.search(r"\bmtu (\d+)", self.network.ip(node, "route", "get", destination))
        return int(found[1]) if found else 1500

    async def ping(self, node: str, destination: str, size: int, *options: str) -> str:
        """size: of the whole packet."""
        arguments = ("-n", "-c", "3", "-i", "0.2", "-W", "1", "-s", str(size - 28))
        return await self.network.run(node, "ping", *arguments, *options, destination)

    def forge(
        self, node: str, inner_source: str, inner_destination: str, outer_destination: str, encapsulation: str = "ipip"
    ) -> None:
        """From `node`'s own address, a packet that claims to have been tunnelled."""
        self.send(node, outer_destination, envelope(encapsulation, datagram(inner_source, inner_destination)))

    def send(self, node: str, destination: str, outer: tuple[int, bytes], tos: int = 0) -> None:
        """An IP packet of `node`'s own. outer: protocol and what follows the header."""
        with self.network.inside(node), socket.socket(socket.AF_INET, socket.SOCK_RAW, outer[0]) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
            sock.sendto(outer[1], (destination, 0))

    @contextlib.contextmanager
    def captured(self, node: str = "hop", interface: str = "ha0") -> Iterator[list[bytes]]:
        """Packets as they pass there, by default the outer ones next to the home agent; filled in at the end."""
        packets: list[bytes] = []
        with self.network.inside(node):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        with sock:
            sock.bind((interface, _ETH_P_ALL))
            sock.setblocking(False)
            yield packets
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet, (_, kind, *_) = sock.recvfrom(65535)
                    if kind == _ETH_P_IP:
                        packets.append(packet)


def end(remote: str, encapsulation: str = "ipip", **more: object) -> TunnelEnd:
    """Where the far agent is."""
    return TunnelEnd(parse(remote), encapsulation, **{"port": PORT, **more})


def fill_in_checksums(interface: str) -> None:
    """Let the kernel compute UDP checksums that veth would otherwise leave to a network card, for captures to show."""
    request = array.array("I", [_ETHTOOL_STXCSUM, 0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), request.buffer_info()[0]))


def envelope(encapsulation: str, packet: bytes, port: int = PORT) -> tuple[int, bytes]:
    """Protocol and payload of an outer packet around `packet`, written down by hand. port: where UDP comes from."""
    if encapsulation == "udp":
        payload = b"\x04\x04\x00\x00" + packet
        return PROTO_UDP, struct.pack("!HHHH", port, PORT, 8 + len(payload), 0) + payload
    if encapsulation == "gre":
        return PROTO_GRE, b"\x00\x00\x08\x00" + packet
    if encapsulation == "minimal":
        header = packet[9:10] + b"\x80\x00\x00" + packet[16:20] + packet[12:16]
        return PROTO_MINIMAL, header[:2] + struct.pack("!H", checksum(header)) + header[4:] + packet[20:]
    return PROTO_IPIP, packet


def datagram(source: str, destination: str, payload: bytes = b"forged") -> bytes:
    """An IPv4 packet."""
    return Datagram(parse(source), 7, parse(destination), 7, payload).packet(ttl=64).encode()


@contextlib.asynccontextmanager
async def chain(
    network: Network, narrow: int = 1500, reverse: bool = True, encapsulation: str = "ipip"
) -> AsyncIterator[Chain]:
    """narrow: MTU between hop and fa."""
    for node in ("cn", "ha", "hop", "fa", "mn"):
        network.node(node, forwards=node in ("ha", "hop", "fa"))
    network.link("cn", "net0", f"{CN}/24", "ha", "net0", "198.51.100.1/24")
    network.link("ha", "up0", f"{HA}/24", "hop", "ha0", "192.0.2.254/24")
    network.link("hop", "fa0", "203.0.113.62/26", "fa", "up0", f"{FA}/26")
    network.link("fa", "vis0", "10.99.1.1/24", "mn", "up0", "10.99.1.2/24")
    for node, interface in (("hop", "fa0"), ("fa", "up0")):
        network.ip(node, "link", "set", interface, "mtu", str(narrow))
    for node, via in (("cn", "198.51.100.1"), ("ha", "192.0.2.254"), ("fa", "203.0.113.62")):
        network.ip(node, "route", "add", "default", "via", via)
    for there in ("198.51.100.0/24", "10.10.0.0/24"):
        network.ip("hop", "route", "add", there, "via", HA)
    network.ip("mn", "address", "add", f"{H}/32", "dev", "lo")
    network.ip("mn", "route", "add", "default", "via", "10.99.1.1", "src", H)
    for node in ("ha", "fa"):
        with network.inside(node):
            fill_in_checksums("up0")
    loop = asyncio.get_running_loop()
    with network.inside("mn"):
        mobile_node = link_address("up0")
    rebound: list[tuple[int, int, int]] = []
    messages: list[tuple[bytes, int, int]] = []
    with network.inside("ha"):
        home, _ = open_datapath(network.datapath, "mip0", parse(HA), HOME, loop, [HOME_PREFIX])
        home_router = HomeRouter("mip0", [HOME_PREFIX])
        home_router.open()
        home_socket = AgentSocket(loop, messages.extend)
    with network.inside("fa"):
        visited, _ = open_datapath(network.datapath, "mip0", parse(FA), VISITED, loop)
        visited_router = VisitedRouter("mip0", ["vis0"])
        visited_router.open()
        delivery = InstallDelivery(parse(H), "vis0", mobile_node, reverse)
        visited_router.install(delivery)
        visited_socket = AgentSocket(loop, lambda *_: None)
    for side, sock, address in ((home, home_socket, HA), (visited, visited_socket, FA)):
        sock.open(parse(address), PORT)
        side.use(sock, lambda *seen: rebound.append(seen))
    world = Chain(network, home, visited, home_router, rebound, messages)
    world.carry(encapsulation=encapsulation)
    visited.guard(delivery)
    yield world
    for one in (home, visited, home_router, visited_router, home_socket, visited_socket):
        one.close()


def run(network: Network, story, **options) -> None:
    async def told() -> None:
        async with chain(network, **options) as world:
            await asyncio.wait_for(story(world), 60)

    asyncio.run(told())


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
