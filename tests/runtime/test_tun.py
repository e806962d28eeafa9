"""Two TunDatapaths and both routers in a chain of namespaces: cn - ha - hop - fa - mn."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from host_agents.datapath.tun import HOME, VISITED, TunDatapath
from host_agents.effects import InstallDelivery, InstallTunnel, RemoveTunnel
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.interfaces import link_address
from host_agents.runtime.netlink import HomeRouter, VisitedRouter
from mip4.address import parse
from mip4.const import PROTO_IPIP
from mip4.ip import Datagram
from tests.runtime.namespaces import Network

H, HA, FA, CN = "10.10.0.10", "192.0.2.1", "203.0.113.2", "198.51.100.2"
HOME_PREFIX = (parse("10.10.0.0"), 24)


@dataclass
class Chain:
    network: Network
    home: TunDatapath
    visited: TunDatapath

    def mtu_learned(self, node: str, destination: str) -> int:
        """What `node` knows of the path; 1500 if it has heard nothing."""
        found = re.search(r"\bmtu (\d+)", self.network.ip(node, "route", "get", destination))
        return int(found[1]) if found else 1500

    async def ping(self, node: str, destination: str, size: int, *options: str) -> str:
        """size: of the whole packet."""
        arguments = ("-n", "-c", "3", "-i", "0.2", "-W", "1", "-s", str(size - 28))
        return await self.network.run(node, "ping", *arguments, *options, destination)

    def forge(self, node: str, inner_source: str, inner_destination: str, outer_destination: str) -> None:
        """From `node`'s own address, a packet that claims to have been tunnelled."""
        inner = Datagram(parse(inner_source), 7, parse(inner_destination), 7, b"forged").packet(ttl=64).encode()
        with self.network.inside(node), socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTO_IPIP) as sock:
            sock.sendto(inner, (outer_destination, 0))


@contextlib.asynccontextmanager
async def chain(network: Network, narrow: int = 1500, reverse: bool = True) -> AsyncIterator[Chain]:
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
    network.ip("hop", "route", "add", "198.51.100.0/24", "via", HA)
    network.ip("mn", "address", "add", f"{H}/32", "dev", "lo")
    network.ip("mn", "route", "add", "default", "via", "10.99.1.1", "src", H)
    loop = asyncio.get_running_loop()
    with network.inside("mn"):
        mobile_node = link_address("up0")
    with network.inside("ha"):
        home = TunDatapath("mip0", parse(HA), HOME, loop, [HOME_PREFIX])
        home.open()
        home_router = HomeRouter("mip0", [HOME_PREFIX])
        home_router.open()
    home.install(InstallTunnel(parse(H), parse(HA), parse(FA)))
    with network.inside("fa"):
        visited = TunDatapath("mip0", parse(FA), VISITED, loop)
        visited.open()
        visited_router = VisitedRouter("mip0", ["vis0"])
        visited_router.open()
        visited_router.install(InstallDelivery(parse(H), "vis0", mobile_node, reverse))
    visited.install(InstallTunnel(parse(H), parse(FA), parse(HA)))
    yield Chain(network, home, visited)
    for one in (home, visited, home_router, visited_router):
        one.close()


def run(network: Network, story, **options) -> None:
    async def told() -> None:
        async with chain(network, **options) as world:
            await asyncio.wait_for(story(world), 60)

    asyncio.run(told())


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def test_pings_pass_both_ways_inside_the_tunnel_and_are_counted(network):
    async def story(world: Chain) -> None:
        out = await world.ping("cn", H, 84)

        assert "3 packets transmitted, 3 received" in out
        for side in (world.home, world.visited):
            counters = side.counters(parse(H))
            assert (counters.packets_in, counters.packets_out) == (3, 3)
            assert (counters.bytes_in, counters.bytes_out) == (252, 252)

    run(network, story)


def test_without_the_reverse_tunnel_answers_are_routed_like_anything_else(network):
    async def story(world: Chain) -> None:
        out = await world.ping("cn", H, 84)

        assert "3 packets transmitted, 3 received" in out
        assert world.visited.counters(parse(H)).packets_out == 0

    run(network, story, reverse=False)


@pytest.mark.parametrize("narrow", [1500, 1400])
def test_a_tcp_transfer_is_identical_both_ways(network, narrow):
    serve = (
        "import socket, hashlib, os\n"
        f"s = socket.create_server(('{H}', 5000)); print('ready', flush=True)\n"
        "c, _ = s.accept(); octets = b''\n"
        "while len(octets) < 1 << 20: octets += c.recv(65536)\n"
        "c.sendall(octets[::-1]); c.close()\n"
    )
    ask = (
        "import socket, os\n"
        f"s = socket.create_connection(('{H}', 5000), 10); sent = os.urandom(1 << 20); s.sendall(sent); got = b''\n"
        "while len(got) < 1 << 20: got += s.recv(65536)\n"
        "print('identical' if got[::-1] == sent else 'different')\n"
    )

    async def story(world: Chain) -> None:
        server = await world.network.python("mn", serve)
        assert await server.stdout.readline() == b"ready\n"
        client = await world.network.python("cn", ask)
        printed, _ = await client.communicate()
        await server.communicate()

        assert printed == b"identical\n"

    run(network, story, narrow=narrow)


@pytest.mark.parametrize(("sender", "destination"), [("cn", H), ("mn", CN)])
def test_a_sender_learns_from_icmp_that_the_tunnel_takes_1480(network, sender, destination):
    async def story(world: Chain) -> None:
        too_long = await world.ping(sender, destination, 1500, "-M", "do")
        fits = await world.ping(sender, destination, 1480, "-M", "do")

        assert "mtu = 1480" in too_long or "mtu=1480" in too_long
        assert world.mtu_learned(sender, destination) == 1480
        assert "3 received" in fits

    run(network, story)


@pytest.mark.parametrize(("sender", "destination"), [("cn", H), ("mn", CN)])
def test_a_sender_learns_the_mtu_of_a_narrower_hop_inside_the_tunnel(network, sender, destination):
    async def story(world: Chain) -> None:
        too_long = await world.ping(sender, destination, 1480, "-M", "do")
        fits = await world.ping(sender, destination, 1380, "-M", "do")
        cut = await world.ping(sender, destination, 3000, "-M", "dont")

        assert "+3 errors" in too_long  # not one was lost in silence: the first came back from the hop, through us
        assert world.mtu_learned(sender, destination) == 1380
        assert "3 received" in fits
        assert "3 received" in cut

    run(network, story, narrow=1400)


def test_packets_with_df_unset_are_fragmented_and_reassembled(network):
    async def story(world: Chain) -> None:
        assert "3 received" in await world.ping("cn", H, 8000, "-M", "dont")
        assert "3 received" in await world.ping("mn", CN, 8000, "-M", "dont")

    run(network, story, narrow=1300)


def test_forged_outer_and_inner_addresses_are_dropped_and_counted(network):
    async def story(world: Chain) -> None:
        world.forge("hop", H, CN, HA)
        world.forge("fa", "10.10.0.99", CN, HA)
        world.forge("hop", CN, H, FA)
        world.forge("ha", CN, "10.99.1.2", FA)

        await until(lambda: world.home.dropped["inner source"] and world.visited.dropped["inner destination"])
        assert world.home.dropped["outer source"] == world.home.dropped["inner source"] == 1
        assert world.visited.dropped["outer source"] == world.visited.dropped["inner destination"] == 1
        assert world.home.counters(parse(H)).packets_out == world.visited.counters(parse(H)).packets_in == 0

    run(network, story)


def test_an_address_without_binding_is_unreachable_and_the_broadcast_address_is_silent(network):
    async def story(world: Chain) -> None:
        nobody = await world.ping("cn", "10.10.0.11", 84)
        everybody = await world.ping("cn", "10.10.0.255", 84)

        assert "Destination Host Unreachable" in nobody
        assert "Unreachable" not in everybody
        assert world.home.dropped["no tunnel"] == 6

    run(network, story)


def test_after_its_removal_a_tunnel_carries_nothing(network):
    async def story(world: Chain) -> None:
        world.home.remove(RemoveTunnel(parse(H)))

        assert "Destination Host Unreachable" in await world.ping("cn", H, 84)
        world.home.remove(RemoveTunnel(parse(H)))  # twice is no error

    run(network, story)


def test_a_tunnel_end_that_does_not_decapsulate_is_reported_to_the_sender(network):
    async def story(world: Chain) -> None:
        world.visited.close()

        assert "Destination Host Unreachable" in await world.ping("cn", H, 84)

    run(network, story)


def test_a_tunnel_that_ends_behind_itself_does_not_loop(network):
    async def story(world: Chain) -> None:
        world.home.install(InstallTunnel(parse(H), parse(HA), parse("10.10.0.99")))
        world.home.install(InstallTunnel(parse("10.10.0.99"), parse(HA), parse(FA)))

        await world.ping("cn", H, 84)

        assert world.home.dropped["loop"] == 3

    run(network, story)


def test_icmp_of_the_agents_themselves_reaches_a_mobile_node(network):
    async def story(world: Chain) -> None:
        from_home_agent = await world.ping("ha", H, 84)
        carried = world.visited.counters(parse(H)).packets_in
        from_foreign_agent = await world.ping("fa", H, 84)

        assert "3 received" in from_home_agent
        assert "3 received" in from_foreign_agent
        assert carried == world.visited.counters(parse(H)).packets_in == 3  # the second went straight over the link

    run(network, story)


def test_what_begins_elsewhere_or_ends_here_is_refused(network):
    async def story(world: Chain) -> None:
        with pytest.raises(KernelRefused, match=r"begins at 192\.0\.2\.9"):
            world.home.install(InstallTunnel(parse(H), parse("192.0.2.9"), parse(FA)))
        with pytest.raises(KernelRefused, match="ends where it begins"):
            world.home.install(InstallTunnel(parse(H), parse(HA), parse(HA)))
        with network.inside("ha"), pytest.raises(KernelRefused, match="mip0"):
            TunDatapath("mip0", parse(HA), HOME, asyncio.get_running_loop()).open()

    run(network, story)


def test_a_device_deleted_under_the_datapath_ends_it_without_spinning(network):
    async def story(world: Chain) -> None:
        network.ip("ha", "link", "delete", "mip0")

        await until(lambda: world.home.dropped["device is gone"] == 1)
        with pytest.raises(KernelRefused, match="mip0 is not there"):
            world.home.install(InstallTunnel(parse(H), parse(HA), parse(FA)))

    run(network, story)
