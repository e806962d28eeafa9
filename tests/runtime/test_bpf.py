"""The datapath in the kernel: what it carries alone, what it believes, and that it goes on while nobody is there."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from host_agents.datapath.bpf import programs
from host_agents.datapath.choose import open_datapath
from host_agents.datapath.protocol import HOME, VISITED, Datapath
from host_agents.effects import InstallDelivery, InstallTunnel, RemoveDelivery
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.interfaces import link_address
from host_agents.runtime.visited_router import tables_of
from mip4.address import parse, show_link
from mip4.const import PROTO_IPIP
from tests.runtime.chain import (
    CN,
    FA,
    HA,
    HOME_PREFIX,
    Chain,
    H,
    datagram,
    end,
    envelope,
    fill_in_checksums,
    run,
    until,
)

OTHER = "10.10.0.11"


def taken_over(world: Chain, agent: str) -> Datapath:
    """What a new process would have on that router."""
    loop = asyncio.get_running_loop()
    with world.network.inside(agent):
        local, side, prefixes = (HA, HOME, [HOME_PREFIX]) if agent == "ha" else (FA, VISITED, [])
        again, _ = open_datapath("bpf", "mip0", parse(local), side, loop, prefixes)
    return again


def tunnel(here: str, there: str, home_address: str = H, expires: int | None = None) -> InstallTunnel:
    """expires: ms from now."""
    return InstallTunnel(parse(home_address), parse(here), (end(there),), expires=expires)


def frame(network, source: str, destination: str, from_: bytes | None = None) -> None:
    """From the mobile node onto the visited link, as if its link address were another."""
    with network.inside("fa"):
        to = link_address("vis0")
    with network.inside("mn"), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        own = link_address("up0")
        sock.bind(("up0", 0))
        sock.send(to + (from_ or own) + b"\x08\x00" + datagram(source, destination))


def forged(packets: list[bytes], destination: str = CN) -> list[bytes]:
    return [one for one in packets if one.endswith(b"forged") and one[16:20] == socket.inet_aton(destination)]


async def hung(network, node: str, interface: str, program: str) -> None:
    """Until the program is on that interface."""
    async with asyncio.timeout(5):
        while program not in await network.run(node, "tc", "filter", "show", "dev", interface, "ingress"):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("encapsulation", ["ipip", "udp"])
def test_while_nobody_is_there_what_is_registered_is_carried_on_and_is_taken_over(in_kernel, encapsulation):
    async def story(world: Chain) -> None:
        await world.ping("cn", H, 84)
        world.home.close()
        world.visited.close()
        meanwhile = await world.ping("cn", H, 84)
        home, visited = taken_over(world, "ha"), taken_over(world, "fa")
        home.restore([InstallTunnel(parse(H), parse(HA), (end(FA, encapsulation),))])
        visited.restore([InstallTunnel(parse(H), parse(FA), (end(HA, encapsulation),))])
        after = await world.ping("cn", H, 84)

        assert "3 received" in meanwhile
        assert "3 received" in after
        for one in (home, visited):
            assert (one.counters(parse(H)).packets_in, one.counters(parse(H)).packets_out) == (9, 9)
            one.close()

    run(in_kernel, story, encapsulation=encapsulation)


def test_a_start_that_may_not_have_the_former_maps_lets_the_former_programs_carry_until_it_knows(
    in_kernel, monkeypatch
):
    """Without CAP_SYS_ADMIN, or when the pool has grown much. The counts begin anew."""

    async def story(world: Chain) -> None:
        world.home.close()
        monkeypatch.setattr(programs, "maps_in_use", lambda program: {})
        again = taken_over(world, "ha")
        before = await world.ping("cn", H, 84)
        again.restore([tunnel(HA, FA)])
        after = await world.ping("cn", H, 84)

        assert "3 received" in before
        assert "3 received" in after
        assert again.counters(parse(H)).packets_in == 3
        again.close()

    run(in_kernel, story)


def test_what_ended_while_nobody_was_there_is_not_carried_any_more(in_kernel):
    async def story(world: Chain) -> None:
        world.home.close()
        again = taken_over(world, "ha")
        again.restore([tunnel(HA, FA, OTHER)])

        assert "Destination Host Unreachable" in await world.ping("cn", H, 84)
        assert again.counters(parse(H)).packets_in == 0
        again.close()

    run(in_kernel, story)


def test_no_session_outlives_its_lifetime_while_nobody_is_there(in_kernel):
    async def story(world: Chain) -> None:
        world.home.install(tunnel(HA, FA, expires=60_000))
        world.home.extend({parse(H): 1000})
        assert "3 received" in await world.ping("cn", H, 84, "-i", "0.01")
        world.home.close()
        while "1 received" in await world.ping("cn", H, 84, "-c", "1", "-W", "0.1"):
            pass

        carried = world.visited.counters(parse(H)).packets_in
        with world.captured() as out, world.captured("cn", "net0") as back:
            world.forge("fa", H, CN, HA)
            await world.ping("cn", H, 84, "-c", "1", "-W", "0.1")
        assert [one for one in out if one[12:16] == socket.inet_aton(HA)] == []
        assert forged(back) == []
        assert world.visited.counters(parse(H)).packets_in == carried

    run(in_kernel, story)


def test_what_is_over_is_dropped_and_counted_in_every_direction(in_kernel):
    async def story(world: Chain) -> None:
        world.home.install(tunnel(HA, FA, expires=-1))
        world.visited.install(tunnel(FA, HA, expires=-1))

        with world.captured("cn", "net0") as at_cn, world.captured("mn", "up0") as at_mn:
            world.forge("fa", H, CN, HA)
            world.forge("ha", CN, H, FA)
            frame(in_kernel, H, CN)
            await world.ping("cn", H, 84, "-c", "1", "-W", "0.1")
            await until(lambda: world.home.dropped["expired"] == world.visited.dropped["expired"] == 2)

        assert forged(at_cn) == forged(at_mn, H) == []

    run(in_kernel, story)


def test_on_a_visited_link_only_the_visitor_has_the_visitors_address(in_kernel):
    async def story(world: Chain) -> None:
        with world.captured("cn", "net0") as arrived:
            frame(in_kernel, H, CN)
            frame(in_kernel, H, CN, from_=b"\x02\0\0\0\0\x66")
            frame(in_kernel, "10.99.1.2", HA, from_=b"\x02\0\0\0\0\x66")  # of others it is not our business
            await until(lambda: world.visited.dropped["link address"] == 1)
            world.visited.unguard(RemoveDelivery(parse(H), "vis0"))
            frame(in_kernel, H, CN, from_=b"\x02\0\0\0\0\x66")
            await until(lambda: world.home.counters(parse(H)).packets_out == 2)

        assert [one[12:16] for one in forged(arrived)] == [socket.inet_aton(H)] * 2
        assert world.visited.counters(parse(H)).packets_out == 2
        assert world.dropped(world.visited) == {"link address": 1}

    run(in_kernel, story)


def test_a_visitor_is_on_one_link_and_that_one_may_be_made_anew(in_kernel):
    async def story(world: Chain) -> None:
        in_kernel.link("fa", "vis1", "10.99.2.1/24", "mn", "up1", "10.99.2.2/24")
        with in_kernel.inside("mn"):
            mobile_node = link_address("up0")
        world.visited.guard(InstallDelivery(parse(H), "vis1", mobile_node, True))
        frame(in_kernel, H, CN)
        await until(lambda: world.visited.dropped["link"] == 1)

        world.visited.guard(InstallDelivery(parse(H), "vis0", mobile_node, True))
        in_kernel.ip("fa", "link", "delete", "vis0")
        in_kernel.link("fa", "vis0", "10.99.1.1/24", "mn", "up0", "10.99.1.2/24")
        await hung(in_kernel, "fa", "vis0", "visited_admit")
        frame(in_kernel, H, CN, from_=b"\x02\0\0\0\0\x66")
        await until(lambda: world.visited.dropped["link address"] == 1)

    run(in_kernel, story)


def test_an_uplink_that_comes_later_is_listened_to(in_kernel):
    async def story(world: Chain) -> None:
        in_kernel.ip("ha", "link", "delete", "up0")
        in_kernel.link("ha", "up0", f"{HA}/24", "hop", "ha0", "192.0.2.254/24")
        in_kernel.ip("ha", "route", "add", "default", "via", "192.0.2.254")
        for there in ("198.51.100.0/24", "10.10.0.0/24"):
            in_kernel.ip("hop", "route", "add", there, "via", HA)
        with in_kernel.inside("ha"):
            fill_in_checksums("up0")
        await hung(in_kernel, "ha", "up0", "home_leave")
        world.forge("fa", H, CN, HA)
        await until(lambda: world.home.counters(parse(H)).packets_out == 1)

        assert "3 received" in await world.ping("cn", H, 84)

    run(in_kernel, story)


@pytest.mark.parametrize("capable", [True, False])
def test_a_transfer_crosses_the_tunnel_in_large_pieces_whatever_the_link_can_do(in_kernel, capable):
    """The network card of the visited link cuts segments, or the kernel does before it, behind the tunnel's end."""
    serve = (
        "import socket\n"
        f"s = socket.create_server(('{H}', 5000)); print('ready', flush=True); c, _ = s.accept(); octets = b''\n"
        "while more := c.recv(65536): octets += more\n"
        "print(len(octets), octets == bytes(range(256)) * 16384)\n"
    )
    send = f"import socket\ns = socket.create_connection(('{H}', 5000), 10)\ns.sendall(bytes(range(256)) * 16384)\n"

    async def story(world: Chain) -> None:
        if not capable:
            offload = ("-K", "vis0", "tso", "off", "gso", "off")
            await in_kernel.run("fa", "ethtool", *offload)
            assert "tcp-segmentation-offload: off" in await in_kernel.run("fa", "ethtool", "-k", "vis0")
        server = await in_kernel.python("mn", serve)
        assert await server.stdout.readline() == b"ready\n"
        client = await in_kernel.python("cn", send)
        await client.communicate()
        printed, _ = await server.communicate()

        assert printed == b"4194304 True\n"
        sent, arrived = world.home.counters(parse(H)), world.visited.counters(parse(H))
        assert replace(sent, heard=None) == replace(arrived, heard=None)  # segment for segment
        assert sent.packets_in > 4194304 // 1428
        assert sent.bytes_in > 4194304 + 40 * sent.packets_in

    run(in_kernel, story)


def test_what_comes_out_of_one_tunnel_may_go_into_another(in_kernel):
    """From one session to another: both are with the same foreign agent here."""

    async def story(world: Chain) -> None:
        world.home.install(tunnel(HA, FA, OTHER))
        world.visited.install(tunnel(FA, HA, OTHER))
        with in_kernel.inside("mn"):
            neighbour = ("lladdr", show_link(link_address("up0")), "dev", "vis0")
        in_kernel.ip("fa", "neighbour", "add", OTHER, *neighbour)
        in_kernel.ip("fa", "route", "add", OTHER, "dev", "vis0", "table", str(tables_of("mip0")[0]))

        with world.captured("mn", "up0") as arrived:
            frame(in_kernel, H, OTHER)
            await until(lambda: world.visited.counters(parse(OTHER)).packets_in == 1)

        assert world.home.counters(parse(H)).packets_out == world.home.counters(parse(OTHER)).packets_in == 1
        assert len(forged(arrived, OTHER)) == 2  # as it left, as it came

    run(in_kernel, story)


def test_pieces_of_an_outer_packet_are_put_together_before_they_are_judged(in_kernel):
    async def story(world: Chain) -> None:
        inner = datagram(H, CN, bytes(1456) + b"forged")  # too long by ten octets
        with world.captured("cn", "net0") as arrived:
            for sender in ("hop", "fa"):
                world.send(sender, HA, (PROTO_IPIP, inner))
            await until(lambda: world.home.counters(parse(H)).packets_out == 1)
            await world.ping("cn", HA, 84, "-c", "1")  # behind it on the same way

        assert world.dropped(world.home) == {"outer source": 1}
        assert len(forged(arrived)) == 1

    run(in_kernel, story)


def test_the_inner_ttl_counts_routers_but_not_those_in_the_tunnel(in_kernel):
    async def story(world: Chain) -> None:
        with world.captured("mn", "up0") as arrived:
            await world.ping("cn", H, 84, "-c", "1", "-t", "9")
        dead = bytearray(datagram(H, CN))
        dead[8:12] = b"\0" + dead[9:10] + (int.from_bytes(dead[10:12], "big") + 0x4000).to_bytes(2, "big")
        world.send("fa", HA, envelope("ipip", bytes(dead)))
        await until(lambda: world.home.dropped["inner TTL"] == 1)

        assert [one[8] for one in arrived if one[16:20] == socket.inet_aton(H)] == [7]
        assert world.home.counters(parse(H)).packets_out == 1  # the answer

    run(in_kernel, story)


def test_home_and_foreign_agent_of_one_router_do_not_meet(in_kernel):
    """hop is a foreign agent for others there; its programs hang beside those of a home agent of its own."""

    async def story(world: Chain) -> None:
        loop = asyncio.get_running_loop()
        in_kernel.ip("ha", "address", "add", "192.0.2.7/24", "dev", "up0")
        with in_kernel.inside("ha"):
            other, _ = open_datapath("bpf", "mip1", parse("192.0.2.7"), VISITED, loop)
        other.install(tunnel("192.0.2.7", "192.0.2.254", OTHER))
        world.forge("hop", CN, OTHER, "192.0.2.7")
        await until(lambda: other.counters(parse(OTHER)).packets_in == 1)

        assert "3 received" in await world.ping("cn", H, 84)
        assert world.home.counters(parse(H)).packets_in == 3
        other.close()

    run(in_kernel, story)


def test_many_sessions_are_restored_at_once_and_one_too_many_is_refused(in_kernel):
    async def story(world: Chain) -> None:
        loop = asyncio.get_running_loop()
        first = tunnel(HA, FA)
        many = [first.but(home_address=parse("10.128.0.0") + one) for one in range(1 << 12)]
        world.home.close()
        with in_kernel.inside("ha"):
            large, _ = open_datapath("bpf", "mip0", parse(HA), HOME, loop, [HOME_PREFIX], len(many))
        large.restore(many)

        assert large.ends(many[-1].home_address) == (end(FA, port=0),)
        with pytest.raises(KernelRefused, match=r"tunnel 10\.10\.0\.10"):
            large.install(first)
        large.close()

    run(in_kernel, story)


def test_auto_takes_what_works_and_says_why(in_kernel, monkeypatch, tmp_path):
    async def story(world: Chain) -> None:
        loop = asyncio.get_running_loop()
        world.home.close()
        with in_kernel.inside("ha"):
            fastest, why = open_datapath("auto", "mip0", parse(HA), HOME, loop, [HOME_PREFIX])
            fastest.close()
            monkeypatch.setattr(programs, "OBJECT", tmp_path / "mip_tunnel.bpf.o")
            other, why_not = open_datapath("auto", "mip0", parse(HA), HOME, loop, [HOME_PREFIX])
            with pytest.raises(KernelRefused, match="not built: make setup"):
                open_datapath("bpf", "mip1", parse(HA), HOME, loop)

        assert (fastest.name, why) == ("bpf", "datapath bpf on mip0: the fastest")
        assert why_not.startswith(f"datapath {other.name} on mip0: bpf: mip_tunnel.bpf.o is not built: make setup")
        other.install(tunnel(HA, FA))
        assert "3 received" in await world.ping("cn", H, 84)
        assert other.counters(parse(H)).packets_in == 3  # the programs are gone
        other.close()

    run(in_kernel, story)
