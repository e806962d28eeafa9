"""The routers against a real kernel: what they add, what they leave alone, what they take back."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing

import pytest

from host_agents.datapath.device import open_device
from host_agents.effects import InstallDelivery, RemoveDelivery
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.facts import Fact
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.interfaces import connected_prefixes, link_address, prefixes_of
from host_agents.runtime.sysctl import complaints
from host_agents.runtime.upkeep import Upkeep
from host_agents.runtime.visited_router import VisitedRouter, tables_of
from mip4.address import parse
from tests.runtime.namespaces import Network

H1, H2 = parse("10.10.0.10"), parse("10.10.0.11")
MAC1, MAC2 = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
HOME = (parse("10.10.0.0"), 24)
VISITORS, REVERSE = tables_of("mip0")


@pytest.fixture
def router(network):
    """A namespace with a tunnel device and two visited links."""
    network.node("r", forwards=True)
    network.node("x")
    network.link("r", "vis0", "10.99.1.1/24", "x", "x0", "10.99.1.2/24")
    network.link("r", "vis1", "10.99.2.1/24", "x", "x1", "10.99.2.2/24")
    with network.inside("r"):
        device("mip0")
        yield network


def device(name: str) -> None:
    os.close(open_device(name))


def visitors(network: Network) -> dict[str, str]:
    """Everything the kernel holds for the foreign agent, as iproute2 shows it."""
    return {
        "rules": network.ip("r", "rule", "show"),
        "visitors": network.ip("r", "route", "show", "table", str(VISITORS)),
        "reverse": network.ip("r", "route", "show", "table", str(REVERSE)),
        "neighbours": network.ip("r", "neigh", "show", "nud", "permanent"),
    }


def opened(*interfaces: str) -> VisitedRouter:
    made = VisitedRouter("mip0", interfaces or ("vis0", "vis1"))
    made.open()
    return made


def test_home_prefixes_are_routed_to_the_tunnel_and_an_earlier_runs_are_removed(router):
    with closing(HomeRouter("mip0", [(parse("10.20.0.0"), 16), HOME])) as earlier:
        earlier.open()

    with closing(HomeRouter("mip0", [HOME])) as home:
        home.open()
        home.open()

    shown = router.ip("r", "route", "show", "dev", "mip0")
    assert [line.split() for line in shown.splitlines()] == [
        ["10.10.0.0/24", "proto", "143", "scope", "link", "linkdown"]
    ]


def test_a_route_of_somebody_else_is_not_overwritten(router):
    router.ip("r", "route", "add", "10.10.0.0/24", "via", "10.99.1.2")

    with closing(HomeRouter("mip0", [HOME])) as home, pytest.raises(KernelRefused, match=r"10\.10\.0\.0/24.*EEXIST"):
        home.open()


def test_a_home_router_withdraws_its_routes_and_its_device_only(router):
    device("mip1")
    with closing(HomeRouter("mip0", [HOME])) as home, closing(HomeRouter("mip1", [(parse("10.30.0.0"), 16)])) as other:
        home.open()
        other.open()
        home.withdraw()
        home.withdraw()

    assert "10.10.0.0/24" not in router.ip("r", "route", "show")
    assert "10.30.0.0/16 dev mip1" in router.ip("r", "route", "show")
    assert "mip0" not in router.ip("r", "link", "show")


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("route", ["10.10.0.0/24", "10.20.0.9"])
def test_what_somebody_takes_away_from_a_home_network_is_put_back(router, route, replaced):
    """The prefix of a virtual one, the host route of who is away from one that is a real link.

    Of a route that takes the place of another the kernel says nothing, and when it goes, it is not ours.
    """

    async def story() -> None:
        gone: asyncio.Queue[bool] = asyncio.Queue()
        home = HomeRouter("mip0", [HOME], [(parse("10.20.0.0"), 16)])
        with closing(home), closing(heard(home, gone)):
            home.open()
            home.lead(parse("10.20.0.9"))
            before = router.ip("r", "route", "show")
            if replaced:
                router.ip("r", "route", "replace", route, "via", "10.99.1.2")

            router.ip("r", "route", "delete", route)

            assert await asyncio.wait_for(gone.get(), 5)
            assert router.ip("r", "route", "show") == before
            home.release(parse("10.20.0.9"))
            assert not await asyncio.wait_for(gone.get(), 5)

    asyncio.run(story())


def test_another_route_to_a_home_network_that_goes_is_nobodys_concern(router):
    async def story() -> None:
        gone: asyncio.Queue[bool] = asyncio.Queue()
        with closing(HomeRouter("mip0", [HOME])) as home, closing(heard(home, gone)):
            home.open()
            before = router.ip("r", "route", "show")
            for metric in ("7", "0"):  # beside ours; behind ours, with the same metric
                router.ip("r", "route", "append", "10.10.0.0/24", "via", "10.99.1.2", "metric", metric)
                router.ip("r", "route", "delete", "10.10.0.0/24", "via", "10.99.1.2")

                assert not await asyncio.wait_for(gone.get(), 5)
                assert router.ip("r", "route", "show") == before

    asyncio.run(story())


def test_fa_53_a_visitor_has_a_host_route_a_neighbour_entry_and_a_rule_for_its_reverse_tunnel(router):
    with closing(opened()) as visited:
        visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
        visited.install(InstallDelivery(H2, "vis1", MAC2, reverse=False))

    kernel = visitors(router)
    assert "10.10.0.10 dev vis0 proto 143 scope link" in kernel["visitors"]
    assert "10.10.0.11 dev vis1 proto 143 scope link" in kernel["visitors"]
    assert "10.10.0.10 dev vis0 lladdr 02:00:00:00:00:01" in kernel["neighbours"]
    assert f"from 10.10.0.10 iif vis0 lookup {REVERSE}" in kernel["rules"]
    assert "from 10.10.0.11" not in kernel["rules"]
    assert "default dev mip0" in kernel["reverse"]
    assert "10.10.0" not in router.ip("r", "route", "show", "table", "main")


def test_installing_again_moves_the_visitor_and_leaves_nothing_behind(router):
    with closing(opened()) as visited:
        visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
        visited.install(InstallDelivery(H1, "vis0", MAC2, reverse=True))
        moved = visitors(router)
        visited.install(InstallDelivery(H1, "vis1", MAC2, reverse=False))
        visited.remove(RemoveDelivery(H1, "vis0"))  # late news of the former place
    kernel = visitors(router)

    assert "10.10.0.10 dev vis0 lladdr 02:00:00:00:00:02" in moved["neighbours"]
    assert kernel["visitors"].split() == ["10.10.0.10", "dev", "vis1", "proto", "143", "scope", "link"]
    assert "10.10.0.10 dev vis1 lladdr 02:00:00:00:00:02" in kernel["neighbours"]
    assert "vis0" not in kernel["neighbours"]
    assert "10.10.0.10" not in kernel["rules"]


def test_a_removed_visitor_leaves_nothing_and_removing_twice_is_no_error(router):
    with closing(opened()) as visited:
        visited.install(InstallDelivery(H2, "vis1", MAC2, reverse=True))
        before = visitors(router)
        visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
        visited.remove(RemoveDelivery(H1, "vis0"))
        visited.remove(RemoveDelivery(H1, "vis0"))
        visited.remove(RemoveDelivery(H1, "nowhere"))

    assert visitors(router) == before


def test_after_a_restart_what_is_kept_is_untouched_and_the_rest_goes(router):
    keep = InstallDelivery(H1, "vis0", MAC1, reverse=True)
    with closing(opened()) as visited:
        visited.install(keep)
        expected = visitors(router)
        visited.install(InstallDelivery(H2, "vis1", MAC2, reverse=True))
    changes = asyncio.run(changes_during(router, lambda: restart(keep)))

    assert visitors(router) == expected
    assert "10.10.0.11" in changes
    assert "10.10.0.10" not in changes


def restart(*keep: InstallDelivery) -> None:
    with closing(opened()) as visited:
        visited.sweep(keep)


async def changes_during(network: Network, action) -> str:
    """What `ip monitor` says while `action` runs."""
    monitor = await network.start("r", "ip", "monitor", "route", "rule", "neigh")
    seen = b""
    for attempt in range(200):  # until the monitor listens, nothing is heard of this
        network.ip("r", "route", "replace", "blackhole", "192.0.2.77", "metric", str(1 + attempt))
        try:
            seen = await asyncio.wait_for(monitor.stdout.readline(), 0.1)
            break
        except TimeoutError:
            continue
    action()
    network.ip("r", "route", "add", "blackhole", "192.0.2.99")
    while b"192.0.2.99" not in seen:
        seen += await monitor.stdout.readline()
    monitor.kill()
    await monitor.wait()
    return seen.decode()


def test_what_an_interface_lost_while_it_was_down_is_restored(router):
    with closing(opened()) as visited:
        visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
        before = visitors(router)
        router.ip("r", "link", "set", "vis0", "down")
        lost = visitors(router)
        router.ip("r", "link", "set", "vis0", "up")
        visited.restore()

    assert "10.10.0.10" not in lost["visitors"] + lost["neighbours"]
    assert visitors(router) == before


TAKERS = [
    f"rule delete from 10.10.0.10 lookup {REVERSE}",
    f"rule delete iif mip0 lookup {VISITORS}",
    f"route flush table {VISITORS}",
    f"route delete blackhole default table {REVERSE}",
    f"route replace 10.10.0.10 via 10.99.2.2 table {VISITORS}; route delete 10.10.0.10 table {VISITORS}",
    "neigh delete 10.10.0.10 dev vis0",
]


@pytest.mark.parametrize("words", TAKERS)
def test_what_somebody_takes_away_from_a_visitor_is_put_back(router, words):
    async def story() -> None:
        gone: asyncio.Queue[bool] = asyncio.Queue()
        with closing(opened()) as visited, closing(heard(visited, gone)):
            visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
            before = visitors(router)

            for command in words.split(";"):
                router.ip("r", *command.split())

            assert visitors(router) != before
            assert await asyncio.wait_for(gone.get(), 5)
            assert visitors(router) == before

    asyncio.run(story())


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        (["address flush dev vis0"], ("visitors", "10.10.0.10")),
        (["link set mip0 down", "link set mip0 up"], ("reverse", "default dev mip0")),
    ],
)
def test_what_the_kernel_drops_with_a_links_last_address_or_when_it_is_shut_is_put_back(router, words, lost):
    async def story() -> None:
        restored = asyncio.Event()

        def restore() -> None:
            visited.restore()
            restored.set()

        with (
            closing(opened()) as visited,
            closing(Upkeep(asyncio.get_running_loop(), visited.mend, restore, print)) as upkeep,
        ):
            upkeep.open()
            visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
            before = visitors(router)
            table, line = lost
            assert line in before[table]

            for one in words:
                router.ip("r", *one.split())

            assert line not in visitors(router)[table]
            await asyncio.wait_for(restored.wait(), 5)
            assert visitors(router) == before

    asyncio.run(story())


def test_what_we_take_away_ourselves_stays_away(router):
    async def story() -> None:
        gone: asyncio.Queue[bool] = asyncio.Queue()
        with closing(opened()) as visited, closing(heard(visited, gone)):
            visited.install(InstallDelivery(H2, "vis1", MAC2, reverse=True))
            before = visitors(router)
            visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))

            visited.remove(RemoveDelivery(H1, "vis0"))

            assert [await asyncio.wait_for(gone.get(), 5) for _ in ("rule", "route", "neighbour")] == [False] * 3
            assert visitors(router) == before

    asyncio.run(story())


def test_a_visitor_that_moves_to_another_of_our_links_was_taken_away_by_nobody(router):
    async def story() -> None:
        gone: asyncio.Queue[bool] = asyncio.Queue()
        with closing(opened()) as visited, closing(heard(visited, gone)):
            visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))

            visited.remove(RemoveDelivery(H1, "vis0"))
            visited.install(InstallDelivery(H1, "vis1", MAC1, reverse=True))

            assert [await asyncio.wait_for(gone.get(), 5) for _ in ("rule", "route", "neighbour")] == [False] * 3

    asyncio.run(story())


def test_what_goes_with_its_link_was_taken_by_nobody_and_comes_again_with_it(router):
    async def story() -> None:
        gone: asyncio.Queue[bool] = asyncio.Queue()
        with closing(opened()) as visited, closing(heard(visited, gone)):
            visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
            before = visitors(router)

            router.ip("r", "link", "set", "vis0", "down")

            assert not await asyncio.wait_for(gone.get(), 5)
            router.ip("r", "link", "set", "vis0", "up")
            visited.restore()
            assert visitors(router) == before

    asyncio.run(story())


def heard(mends: VisitedRouter | HomeRouter, gone: asyncio.Queue[bool]) -> Upkeep:
    """What is taken away is mended; `gone` is told whether it was."""

    def mend(lost: Fact) -> bool:
        mended = mends.mend(lost)
        gone.put_nowait(mended)
        return mended

    upkeep = Upkeep(asyncio.get_running_loop(), mend, mends.open, print)
    upkeep.open()
    return upkeep


def test_two_foreign_agents_share_a_router_and_one_withdraws(router):
    device("mip7")
    with closing(VisitedRouter("mip7", ["vis1"])) as other, closing(opened("vis0")) as visited:
        visited.open()
        visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))
        expected = visitors(router)
        other.open()
        other.install(InstallDelivery(H2, "vis1", MAC2, reverse=True))
        other.withdraw()

        assert visitors(router) == expected
        visited.withdraw()
    assert router.ip("r", "rule", "show").count("\n") == 3
    assert visitors(router)["neighbours"] == ""


def test_a_foreign_agent_withdraws_also_from_links_that_it_has_no_longer(router):
    with closing(opened("vis0", "vis1")) as visited:
        visited.install(InstallDelivery(H1, "vis1", MAC1, reverse=True))

    with closing(VisitedRouter("mip0", [])) as later:
        later.withdraw()

    assert router.ip("r", "rule", "show").count("\n") == 3
    assert visitors(router)["neighbours"] == visitors(router)["visitors"] == ""


def test_a_refusal_names_the_address_and_the_errno(router):
    with closing(opened()) as visited:
        with pytest.raises(KernelRefused, match=r"interface nowhere: .*ENODEV"):
            visited.install(InstallDelivery(H1, "nowhere", MAC1, reverse=False))
        with pytest.raises(KernelRefused, match=r"neighbour 10\.10\.0\.10: .*\(E"):
            visited.install(InstallDelivery(H1, "vis0", b"\2", reverse=False))


def test_calls_work_inside_a_running_event_loop(router):
    async def told() -> None:
        with closing(opened()) as visited:
            visited.install(InstallDelivery(H1, "vis0", MAC1, reverse=True))

    asyncio.run(told())
    assert "10.10.0.10" in visitors(router)["visitors"]


def test_interfaces_tell_their_addresses(router):
    assert [(one.address, one.length) for one in prefixes_of("vis0")] == [(parse("10.99.1.1"), 24)]
    assert link_address("vis0").hex(":") in router.ip("r", "link", "show", "vis0")
    found = {(one.network, one.length) for one in connected_prefixes()}
    assert found >= {(parse("10.99.1.0"), 24), (parse("10.99.2.0"), 24)}
    with pytest.raises(KernelRefused, match="nowhere"):
        prefixes_of("nowhere")


def test_start_up_says_which_settings_lose_packets(router):
    settings = ("all.rp_filter", "vis0.rp_filter", "mip0.rp_filter", "all.send_redirects", "vis0.send_redirects")
    router.sysctl("r", "net.ipv4.ip_forward", 0)
    for setting in settings:
        router.sysctl("r", f"net.ipv4.conf.{setting}", 1)

    before = complaints("mip0", ["vis0"])
    with closing(opened()):
        loosened = complaints("mip0", ["vis0"])
    router.sysctl("r", "net.ipv4.ip_forward", 1)
    for setting in settings:
        router.sysctl("r", f"net.ipv4.conf.{setting}", 0)

    assert [line.rpartition(" ")[2] for line in before] == [
        "net.ipv4.ip_forward=1",
        "net.ipv4.conf.mip0.rp_filter=2",
        "net.ipv4.conf.vis0.rp_filter=2",
        "net.ipv4.conf.all.send_redirects=0",
        "net.ipv4.conf.vis0.send_redirects=0",
    ]
    assert [line for line in before if line not in loosened] == [before[1]]  # our own device we set ourselves
    assert complaints("mip0", ["vis0"]) == []
