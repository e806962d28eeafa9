"""A datapath as senders at both ends of it see it, whatever carries the packets, and in which encapsulation."""

from __future__ import annotations

import asyncio

import pytest

from host_agents.datapath.protocol import HOME
from host_agents.datapath.tun import TunDatapath
from host_agents.effects import InstallTunnel, RemoveTunnel
from host_agents.runtime.errors import KernelRefused
from mip4.address import parse
from tests.runtime.chain import CN, FA, HA, OVERHEADS, Chain, H, end, run, until

DEVICE_MTU = 1480


def test_pings_pass_both_ways_inside_the_tunnel_and_are_counted(network, encapsulation):
    async def story(world: Chain) -> None:
        out = await world.ping("cn", H, 84)

        assert "3 packets transmitted, 3 received" in out
        for side in (world.home, world.visited):
            counters = side.counters(parse(H))
            assert (counters.packets_in, counters.packets_out) == (3, 3)
            assert (counters.bytes_in, counters.bytes_out) == (252, 252)

    run(network, story, encapsulation=encapsulation)


def test_without_the_reverse_tunnel_answers_are_routed_like_anything_else(network):
    async def story(world: Chain) -> None:
        out = await world.ping("cn", H, 84)

        assert "3 packets transmitted, 3 received" in out
        assert world.visited.counters(parse(H)).packets_out == 0

    run(network, story, reverse=False)


@pytest.mark.parametrize("narrow", [1500, 1400])
def test_a_tcp_transfer_is_identical_both_ways(network, narrow, encapsulation):
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

    run(network, story, narrow=narrow, encapsulation=encapsulation)


@pytest.mark.parametrize(("sender", "destination"), [("cn", H), ("mn", CN)])
def test_a_sender_learns_from_icmp_what_the_tunnel_takes(network, sender, destination, encapsulation):
    takes = min(DEVICE_MTU, 1500 - OVERHEADS[encapsulation])

    async def story(world: Chain) -> None:
        too_long = await world.ping(sender, destination, 1500, "-M", "do")
        if takes < DEVICE_MTU:  # the kernel told of the device's, we have to tell of the tunnel's
            await world.ping(sender, destination, DEVICE_MTU, "-M", "do")
        fits = await world.ping(sender, destination, takes, "-M", "do")

        assert "mtu = 1480" in too_long or "mtu=1480" in too_long
        assert world.mtu_learned(sender, destination) == takes
        assert "3 received" in fits

    run(network, story, encapsulation=encapsulation)


@pytest.mark.parametrize(("sender", "destination"), [("cn", H), ("mn", CN)])
def test_a_sender_learns_the_mtu_of_a_narrower_hop_inside_the_tunnel(network, sender, destination, encapsulation):
    takes = 1400 - OVERHEADS[encapsulation]

    async def story(world: Chain) -> None:
        too_long = await world.ping(sender, destination, 1440, "-M", "do")
        fits = await world.ping(sender, destination, takes, "-M", "do")
        cut = await world.ping(sender, destination, 3000, "-M", "dont")

        assert "+3 errors" in too_long  # not one was lost in silence: the first came back from the hop, through us
        assert world.mtu_learned(sender, destination) == takes
        assert "3 received" in fits
        assert "3 received" in cut

    run(network, story, narrow=1400, encapsulation=encapsulation)


def test_packets_with_df_unset_are_fragmented_and_reassembled(network, encapsulation):
    async def story(world: Chain) -> None:
        assert "3 received" in await world.ping("cn", H, 8000, "-M", "dont")
        assert "3 received" in await world.ping("mn", CN, 8000, "-M", "dont")

    run(network, story, narrow=1300, encapsulation=encapsulation)


def test_an_address_without_binding_is_unreachable_and_the_broadcast_address_is_silent(network):
    async def story(world: Chain) -> None:
        nobody = await world.ping("cn", "10.10.0.11", 84)
        everybody = await world.ping("cn", "10.10.0.255", 84)

        assert "Destination Host Unreachable" in nobody
        assert "Unreachable" not in everybody
        assert world.dropped(world.home) == {"no tunnel": 3, "broadcast": 3}

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


def test_a_tunnel_that_ends_behind_itself_does_not_loop(network, encapsulation):
    async def story(world: Chain) -> None:
        world.home.install(InstallTunnel(parse(H), parse(HA), (end("10.10.0.99", encapsulation),)))
        world.home.install(InstallTunnel(parse("10.10.0.99"), parse(HA), (end(FA, encapsulation),)))

        await world.ping("cn", H, 84)

        assert world.home.dropped["loop"] == 3

    run(network, story, encapsulation=encapsulation)


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
            world.home.install(InstallTunnel(parse(H), parse("192.0.2.9"), (end(FA),)))
        with pytest.raises(KernelRefused, match="ends where it begins"):
            world.home.install(InstallTunnel(parse(H), parse(HA), (end(HA),)))
        with pytest.raises(KernelRefused, match="called carrier-pigeon"):
            world.home.install(InstallTunnel(parse(H), parse(HA), (end(FA, "carrier-pigeon"),)))
        with network.inside("ha"), pytest.raises(KernelRefused, match="mip0"):
            TunDatapath("mip0", parse(HA), HOME, asyncio.get_running_loop()).open()

    run(network, story)


@pytest.mark.usefixtures("datapath")
def test_a_device_that_was_deleted_is_missed_at_once_and_its_tunnels_go_on_when_there_is_another(network):
    async def story(world: Chain) -> None:
        missed: list[str] = []
        world.home.watch(lambda: missed.append("mip0"))
        network.ip("ha", "link", "delete", "mip0")
        await until(lambda: missed)
        with pytest.raises(KernelRefused, match="mip0 is not there"):
            world.home.install(InstallTunnel(parse(H), parse(HA), (end(FA),)))

        with network.inside("ha"):
            world.home.open()
            world.home_router.open()

        assert missed == ["mip0"]
        assert "3 received" in await world.ping("cn", H, 84)
        assert world.home.counters(parse(H)).packets_in == 3

    run(network, story)
