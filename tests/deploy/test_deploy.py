"""docs/deploy.md and deploy-foreign-agent.md, followed by somebody who knows nothing else, on three machines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.internet import Connection, Internet
from tests.deploy.machine import Machine, machine, why_not
from tests.deploy.page import Step, steps
from tests.runtime.namespaces import Network
from tests.runtime.namespaces import why_not as why_no_namespaces
from tools.lab.crew import wait_until

pytestmark = pytest.mark.skipif(bool(why_not() or why_no_namespaces()), reason=str(why_not() or why_no_namespaces()))

ROOT = Path(__file__).parents[2]
# Of the machine, not of the example: wlan0 is there on a router with a radio.
LACKING = (
    "203.0.113.2 is no address of this machine",
    "there is no interface wlan0",
    "wlan0 sends ICMP redirects: set net.ipv4.conf.all.send_redirects=0",
)
HOME, NODE, VISITED = "router", "node", "hotspot"  # machines
PLACES = {
    "On the router": HOME,
    "On the node": NODE,
    "Back on the router": HOME,
    "On the visited router": VISITED,
    "Back on the visited router": VISITED,
    "A key shared with the home agent": HOME,
    "The same key on the visited router": VISITED,
    "Maintenance": VISITED,
    "When it goes for good": VISITED,
}
LATER = ("Maintenance", "When it goes for good")
CARRIED = {  # what somebody brings along before a script with these words: whose, which, into which folder
    "--unit=entourage-node": (HOME, Path("/etc/entourage/kleung.key"), ROOT),
    "dpkg --install entourage_": (HOME, ROOT / "build/entourage_*.deb", ROOT),
    "[[home_agent]]": (HOME, Path("/etc/entourage/hotspot.key"), Path("/etc/entourage")),
}
Printed = list[tuple[Step, str]]


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture(scope="module")
def internet(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with ExitStack() as undo:
        machines = {name: undo.enter_context(machine(name)) for name in (HOME, NODE, VISITED)}
        yield Internet(network, tmp_path_factory.mktemp("internet"), undo, machines)


def follow(internet: Internet, page: Iterable[Step], after: Callable[[], None] = lambda: None) -> Printed:
    """Each script with what it printed. A step that fails is the tests' failure. after: called after each."""
    printed = []
    for step in page:
        one = internet.machines[PLACES[step.heading]]
        if step.path is not None:
            one.file(ROOT / step.path).write_text(step.text)
            continue
        for whose, which, folder in (brought for words, brought in CARRIED.items() if words in step.text):
            source = internet.machines[whose].file(which)
            for file in source.parent.glob(source.name):
                shutil.copy(file, one.file(folder))
        done = one.run(step.text, ROOT, timeout=300)
        if done.returncode:
            units = one.run("journalctl --no-pager -n 40 -u 'entourage*'").stdout
            pytest.fail(f"{step.text}\n{done.stdout}{done.stderr}\n{units}")
        printed.append((step, done.stdout))
        after()
    return printed


def page_of(name: str) -> list[Step]:
    return steps((ROOT / "docs" / name).read_text())


@pytest.fixture(scope="module")
def followed(internet: Internet) -> Printed:
    return follow(internet, page_of("deploy.md"))


@pytest.fixture(scope="module")
def connection(network: Network, internet: Internet, followed: Printed) -> Iterator[Connection]:
    """Begun while the node is far from both routers."""
    connection = Connection(internet, network)
    connection.goes_on()
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def visited(internet: Internet, connection: Connection) -> Printed:
    """The other page, up to where it speaks of later days; connected is who was."""
    page = [step for step in page_of("deploy-foreign-agent.md") if step.heading not in LATER]
    before = [step for step in page if step.heading == page[0].heading]
    printed = follow(internet, before, connection.goes_on)
    internet.carry_the_node_to_the_hotspot()
    return printed + follow(internet, page[len(before) :], connection.goes_on)


def said(followed: Printed, command: str) -> str:
    """What the last script with `command` in it printed."""
    return next(text for step, text in reversed(followed) if command in step.text)


def shown(one: Machine, role: str, what: str) -> Any:
    """What its agent says with `show`."""
    done = one.run(f"entourage {role} show {what} --json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[what]


def said_of(one: Machine, unit: str) -> str:
    return one.run(f"journalctl --no-pager -o cat -u {unit}").stdout


def restart_soon(one: Machine, role: str, more: str = "") -> None:
    """When it has failed, not five seconds later."""
    one.run(
        f"mkdir /run/systemd/system/entourage-{role}.service.d; cd /run/systemd/system/entourage-{role}.service.d;"
        f"printf '[Service]\\nRestartSec=0\\n{more}\\n' >soon.conf; systemctl daemon-reload;"
        f"systemctl restart entourage-{role}"
    )


# ---- the home agent


def test_who_follows_the_page_has_a_node_registered_and_a_ping_answered(followed):
    assert "3 received" in said(followed, "ping -c 3 -i 0.2 10.10.0.7")
    assert "3 received" in said(followed, "ping -c 3 -i 0.2 -I 10.10.0.7")
    assert "10.10.0.7" in said(followed, "show bindings")


def test_the_units_are_in_order_and_manual_pages_and_completions_are_there(internet, followed):
    router = internet.machines[HOME]

    verified = router.run("systemd-analyze verify --man=no entourage-ha.service entourage-fa.service")
    installed = router.run("dpkg --listfiles entourage").stdout.splitlines()

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert {
        "/usr/share/man/man8/entourage-ha.8",
        "/usr/share/doc/entourage/deploy-foreign-agent.md",
        "/usr/share/bash-completion/completions/entourage",
        "/usr/share/zsh/vendor-completions/_entourage",
    } <= set(installed)


def test_an_agent_that_does_not_turn_any_more_is_started_anew_while_the_kernel_carries(internet, followed):
    router = internet.machines[HOME]
    restart_soon(router, "ha", "WatchdogSec=2")
    former = router.run("systemctl show -P MainPID entourage-ha").stdout.strip()

    done = router.run(
        "ping -c 25 -i 0.2 -q 10.10.0.7 >/tmp/carried &"
        f"kill -STOP {former}; until [ $(systemctl show -P NRestarts entourage-ha) = 1 ]; do sleep 0.1; done;"
        "until systemctl is-active --quiet entourage-ha; do sleep 0.1; done; wait; cat /tmp/carried"
    )

    assert done.returncode == 0, done.stderr
    assert "25 received" in done.stdout
    assert shown(router, "ha", "status")["datapath"] == "bpf"
    assert [one["home_address"] for one in shown(router, "ha", "bindings")] == ["10.10.0.7"]


def test_the_packages_examples_are_good_as_they_are_and_an_upgrade_does_not_overwrite_them(internet, followed):
    router = internet.machines[HOME]

    checked = {
        role: router.run(
            f"cd /etc/entourage; cp -p {role}.toml.example {role}-example.toml; entourage {role} check"
            f" --config {role}-example.toml || echo exit $?; rm {role}-example.toml"
        )
        for role in ("ha", "fa")
    }
    conffiles = router.run("dpkg-query --show --showformat='${Conffiles}' entourage").stdout.split()

    assert (checked["ha"].stdout, checked["ha"].stderr) == ("", "")
    assert checked["fa"].stdout == "exit 1\n"
    assert checked["fa"].stderr.splitlines() == [f"entourage: {line}" for line in LACKING]
    assert {"/etc/entourage/ha.toml.example", "/etc/entourage/fa.toml.example"} <= set(conffiles)


def test_what_root_restores_on_a_router_that_never_ran_an_agent_is_the_agents(internet, followed):
    router = internet.machines[HOME]

    done = router.run(
        "systemctl stop entourage-ha; rm /var/lib/entourage/*; entourage ha restore /root/ha.backup;"
        "systemctl start entourage-ha; stat -c '%U %a' /var/lib/entourage/ha.sqlite"
    )

    assert done.returncode == 0, done.stderr
    first, owner = done.stdout.splitlines()
    assert first == "/var/lib/entourage/ha.sqlite is /root/ha.backup now"
    assert owner == "entourage 600"
    assert [one["home_address"] for one in shown(router, "ha", "bindings")] == ["10.10.0.7"]


# ---- the foreign agent


def test_a_node_that_comes_to_the_visited_router_registers_through_its_agent_and_stays_connected(internet, visited):
    (visitor,) = shown(internet.machines[VISITED], "fa", "visitors")

    assert (visitor["home_address"], visitor["interface"], visitor["state"]) == ("10.10.0.7", "guest0", "registered")
    assert "10.10.0.7" in said(visited, "show visitors")
    assert "3 received" in said(visited, "ping -c 3 -i 0.2 -I 10.10.0.7")
    assert [one["care_of_address"] for one in shown(internet.machines[HOME], "ha", "bindings")] == ["203.0.113.2"]


def test_started_anew_or_killed_it_loses_no_visitor_and_no_packet(internet, visited, connection):
    router, hotspot = internet.machines[HOME], internet.machines[VISITED]
    restart_soon(hotspot, "fa")
    assert shown(hotspot, "fa", "status")["datapath"] == "bpf"
    (before,) = shown(hotspot, "fa", "visitors")

    with ThreadPoolExecutor() as beside:
        pinging = beside.submit(router.run, "ping -c 150 -i 0.02 -q 10.10.0.7")
        for end in ("systemctl restart entourage-fa", "kill -9 $(systemctl show -P MainPID entourage-fa)"):
            former = hotspot.run("systemctl show -P MainPID entourage-fa").stdout
            hotspot.run(
                f"{end}; until [ $(systemctl show -P MainPID entourage-fa) != {former.strip()} ] &&"
                "systemctl is-active --quiet entourage-fa; do sleep 0.05; done"
            )
            (after,) = shown(hotspot, "fa", "visitors")
            assert (after["home_address"], after["link_address"]) == (before["home_address"], before["link_address"])
            connection.goes_on()

    assert "150 packets transmitted, 150 received" in pinging.result().stdout


def test_what_the_pages_say_of_later_days_is_so(internet, visited, connection):
    hotspot = internet.machines[VISITED]

    maintained = [step for step in page_of("deploy-foreign-agent.md") if step.heading == "Maintenance"]
    printed = follow(internet, maintained, connection.goes_on)

    assert said(printed, "fa drain") == "1 drained\n"
    assert [one["home_address"] for one in shown(hotspot, "fa", "visitors")] == ["10.10.0.7"]


def test_with_a_shared_key_a_release_at_home_ends_the_visit_at_once_and_its_node_comes_again(
    internet, visited, connection
):
    """The key counts from a visitor's next registration on; there was one since."""
    hotspot = internet.machines[VISITED]
    assert shown(hotspot, "fa", "peers") == [{"address": "192.0.2.1", "key": True, "visitors": 1}]

    hotspot.run("systemd-run --unit=watching entourage fa watch")
    wait_until(lambda: shown(hotspot, "fa", "status")["watchers"] == 1, 30, "somebody who watches")

    internet.machines[HOME].run("entourage ha release kleung@example.net camera")

    wait_until(lambda: "info visiting nai=" in said_of(hotspot, "watching"), 30, "the node, again")
    left, came = (line for line in said_of(hotspot, "watching").splitlines() if "nai=kleung@example.net" in line)
    assert left.endswith(": revoked by its home agent")
    assert " visiting nai=kleung@example.net sub_nai='camera' home=10.10.0.7" in came
    connection.goes_on()


def test_what_networkd_takes_away_the_agent_puts_back(internet, visited, connection):
    """It removes what is not of its making whenever it configures a link anew: our rules, and neighbours there."""
    hotspot = internet.machines[VISITED]
    hotspot.file(Path("/etc/systemd/network/guest0.network")).write_text(
        "[Match]\nName=guest0\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )

    rules = hotspot.run("ip rule").stdout
    hotspot.run("systemd-run --quiet --unit=witness ip monitor rule")

    done = hotspot.run(
        "rm /etc/systemd/system/systemd-networkd.service; systemctl daemon-reload;"
        "systemctl start dbus systemd-networkd; networkctl reconfigure guest0"
    )

    assert done.returncode == 0, done.stderr
    wait_until(lambda: "Deleted" in said_of(hotspot, "witness"), 30, "what networkd does")
    wait_until(lambda: hotspot.run("ip rule").stdout == rules, 30, "what the agent does")
    hotspot.run("systemctl stop systemd-networkd witness; ip address add 192.168.7.1/24 dev guest0")  # that, too
    connection.goes_on()


def test_after_a_boot_it_is_started_until_its_link_has_an_address_and_its_visitors_are_there(
    internet, visited, connection
):
    """What a boot leaves of it is its state file alone."""
    hotspot = internet.machines[VISITED]
    said = "visited link guest0: has no IPv4 address"

    hotspot.run(
        "systemctl stop entourage-fa; entourage fa withdraw; ip address flush dev guest0;"
        "systemctl start --no-block entourage-fa"
    )
    wait_until(lambda: said in said_of(hotspot, "entourage-fa"), 30, said)
    checked = hotspot.run("entourage fa check")
    hotspot.run("ip address add 192.168.7.1/24 dev guest0")

    assert (checked.returncode, checked.stderr) == (1, "entourage: guest0 has no IPv4 address\n")
    wait_until(lambda: hotspot.run("systemctl is-active entourage-fa").returncode == 0, 30, "the agent")
    assert said_of(hotspot, "entourage-fa").splitlines()[-2].endswith(": 1 visitors restored")
    connection.goes_on()


def test_where_python_carries_the_packets_the_firewall_lets_tunnels_through(internet, visited, connection):
    """With the eBPF data path it does not see them."""
    hotspot = internet.machines[VISITED]

    hotspot.run("sed -i '/^state/i datapath = \"tun\"' /etc/entourage/fa.toml; systemctl restart entourage-fa")

    assert shown(hotspot, "fa", "status")["datapath"] == "tun"
    connection.goes_on()
    hotspot.run("sed -i '/^datapath/d' /etc/entourage/fa.toml; systemctl restart entourage-fa")
    assert shown(hotspot, "fa", "status")["datapath"] == "bpf"


# ---- both


@pytest.mark.parametrize(("where", "role"), [(HOME, "ha"), (VISITED, "fa")])
def test_an_agent_is_no_root_and_has_four_capabilities(internet, visited, where, role):
    one = internet.machines[where]

    status = one.run(f"cat /proc/$(systemctl show -P MainPID entourage-{role})/status").stdout

    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split()
    assert int(fields["CapEff"], 16) == 1 << 10 | 1 << 12 | 1 << 13 | 1 << 39
    assert int(fields["CapAmb"], 16) == 0
    assert fields["Seccomp"] == "2"


@pytest.mark.parametrize(("where", "role", "key"), [(HOME, "ha", "kleung.key"), (VISITED, "fa", "hotspot.key")])
def test_files_are_the_agents_alone(internet, visited, where, role, key):
    one = internet.machines[where]

    modes = one.run("stat -c '%n %U %a' /etc/entourage/* /var/lib/entourage /var/lib/entourage/*").stdout

    found = {line.split()[0]: line.split()[1:] for line in modes.splitlines()}
    assert found[f"/var/lib/entourage/{role}.sqlite"] == ["entourage", "600"]
    assert found["/var/lib/entourage"] == ["entourage", "700"]
    assert found[f"/etc/entourage/{role}.toml"] == found[f"/etc/entourage/{key}"] == ["entourage", "600"]
    assert found[f"/etc/entourage/{role}.toml.example"] == ["root", "600"]
    assert all(mode in ("600", "700") for _, mode in found.values())


@pytest.mark.parametrize(("where", "role", "page"), [(HOME, "ha", "deploy"), (VISITED, "fa", "deploy-foreign-agent")])
def test_what_the_pages_say_of_the_fence_is_so(internet, visited, where, role, page):
    exposure = internet.machines[where].run(f"systemd-analyze security entourage-{role} --no-pager")

    assert "2.1 OK" in exposure.stdout.splitlines()[-1]
    assert f"`systemd-analyze security entourage-{role}` gives 2.1" in " ".join(
        (ROOT / f"docs/{page}.md").read_text().split()
    )


def test_an_agent_that_runs_is_not_withdrawn(internet, visited):
    done = internet.machines[VISITED].run("entourage fa withdraw")

    assert done.returncode == 1
    assert done.stderr == "entourage: /var/lib/entourage/fa.sqlite: another daemon has it open\n"


# ---- the end


def test_a_foreign_agent_that_goes_for_good_leaves_its_nodes_connected_and_nothing_behind(
    internet, visited, connection
):
    end = [step for step in page_of("deploy-foreign-agent.md") if step.heading == "When it goes for good"]

    follow(internet, end, connection.goes_on)

    assert ": revoked by its foreign agent" in said_of(internet.machines[HOME], "entourage-ha")
    assert left_behind(internet.machines[VISITED]) == ""


def test_a_home_agent_that_is_purged_leaves_nothing_behind_though_its_device_is_gone_and_its_file_wrong(
    internet, visited
):
    router = internet.machines[HOME]

    done = router.run(
        "systemctl stop entourage-ha; ip link delete mip0; echo mistake = >>/etc/entourage/ha.toml;"
        "dpkg --purge entourage"
    )

    assert done.returncode == 0, done.stderr
    assert left_behind(router) == ""


def left_behind(one: Machine) -> str:
    """In the file system and in the kernel, where everything of ours has protocol 143 and its programs a priority."""
    return one.run(
        "ls -d /usr/lib/entourage /etc/entourage /var/lib/entourage /usr/lib/systemd/system/entourage-* 2>/dev/null;"
        "systemctl is-active --quiet entourage-ha entourage-fa && echo an agent;"
        "ip link | grep mip0; ip rule | grep 143; ip route show table all | grep 143; ip neigh | grep PERMANENT;"
        "for link in $(ls /sys/class/net); do tc filter show dev $link ingress; done; true"
    ).stdout
