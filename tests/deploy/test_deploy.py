"""docs/deploy.md, followed by somebody who knows nothing else, on two machines that an internet connects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.machine import Machine, machine, why_not
from tests.deploy.page import Step, steps
from tests.runtime.namespaces import Network
from tests.runtime.namespaces import why_not as why_no_namespaces

pytestmark = pytest.mark.skipif(bool(why_not() or why_no_namespaces()), reason=str(why_not() or why_no_namespaces()))

ROOT = Path(__file__).parents[2]
KEY = Path("/etc/entourage/kleung.key")
# Of the machine, not of the example: wlan0 is there on a router with a radio.
LACKING = (
    "203.0.113.2 is no address of this machine",
    "there is no interface wlan0",
    "wlan0 sends ICMP redirects: set net.ipv4.conf.all.send_redirects=0",
)
PLACES = {"On the router": "router", "On the node": "node", "Back on the router": "router"}


class Internet:
    """A router with `wan0` and `lan0`, a node's machine with `eth0`, and what is between them."""

    def __init__(self, network: Network, router: Machine, node: Machine) -> None:
        self.machines = {"router": router, "node": node}
        network.node("inet", forwards=True)
        self._plug(network, "router", "wan0", "192.0.2.1/24", "192.0.2.254")
        self._plug(network, "node", "eth0", "", "203.0.113.1")
        router.run("ip link add lan0 type bridge && ip address add 192.168.1.1/24 dev lan0 && ip link set lan0 up")

    def _plug(self, network: Network, name: str, interface: str, address: str, gateway: str) -> None:
        one = self.machines[name]
        far = f"to-{name}"
        network.ip("inet", "link", "add", far, "type", "veth", "peer", "name", interface, "netns", str(one.pid))
        network.ip("inet", "address", "add", f"{gateway}/24", "dev", far)
        network.ip("inet", "link", "set", far, "up")
        script = f"ip link set {interface} up"
        if address:
            script += f"; ip address add {address} dev {interface}; ip route add default via {gateway}"
        done = one.run(script)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with ExitStack() as undo:
        network = Network()
        undo.callback(network.close)
        router, node = undo.enter_context(machine("router")), undo.enter_context(machine("node"))
        yield Internet(network, router, node)


@pytest.fixture(scope="module")
def followed(internet: Internet) -> list[tuple[Step, str]]:
    """Each script of the page with what it printed. A step that fails is the tests' failure."""
    printed = []
    for step in steps((ROOT / "docs/deploy.md").read_text()):
        one = internet.machines[PLACES[step.heading]]
        if step.path is not None:
            one.write(step.path if step.path.is_absolute() else ROOT / step.path, step.text)
            continue
        if "--unit=entourage-node" in step.text:  # "with the router's kleung.key beside that file, mode 0600"
            one.write(ROOT / "kleung.key", internet.machines["router"].read(KEY))
            one.run("chmod 600 kleung.key", ROOT)
        done = one.run(step.text, ROOT, timeout=300)
        if done.returncode:
            units = one.run("journalctl --no-pager -n 40 -u 'entourage*'").stdout
            pytest.fail(f"{step.text}\n{done.stdout}{done.stderr}\n{units}")
        printed.append((step, done.stdout))
    return printed


def said(followed: list[tuple[Step, str]], command: str) -> str:
    """What the last script with `command` in it printed."""
    return next(text for step, text in reversed(followed) if command in step.text)


def test_who_follows_the_page_has_a_node_registered_and_a_ping_answered(followed):
    assert "3 received" in said(followed, "ping -c 3 -i 0.2 10.10.0.7")
    assert "3 received" in said(followed, "ping -c 3 -i 0.2 -I 10.10.0.7")
    assert "10.10.0.7" in said(followed, "show bindings")


def test_the_agent_is_no_root_and_has_four_capabilities(internet, followed):
    router = internet.machines["router"]

    status = router.run("cat /proc/$(systemctl show -P MainPID entourage-ha)/status").stdout

    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split()
    assert int(fields["CapEff"], 16) == 1 << 10 | 1 << 12 | 1 << 13 | 1 << 39
    assert int(fields["CapAmb"], 16) == 0
    assert fields["Seccomp"] == "2"


def test_files_are_the_agents_alone(internet, followed):
    router = internet.machines["router"]

    modes = router.run("stat -c '%n %U %a' /etc/entourage/* /var/lib/entourage /var/lib/entourage/*").stdout

    found = {line.split()[0]: line.split()[1:] for line in modes.splitlines()}
    assert found["/var/lib/entourage/ha.sqlite"] == ["entourage", "600"]
    assert found["/var/lib/entourage"] == ["entourage", "700"]
    assert found["/etc/entourage/ha.toml"] == ["entourage", "600"]
    assert found["/etc/entourage/ha.toml.example"] == ["root", "600"]
    assert all(mode in ("600", "700") for _, mode in found.values())


def test_the_units_are_in_order_and_manual_pages_and_completions_are_there(internet, followed):
    router = internet.machines["router"]

    verified = router.run("systemd-analyze verify --man=no entourage-ha.service entourage-fa.service")
    installed = router.run("dpkg --listfiles entourage").stdout.splitlines()

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert {
        "/usr/share/man/man8/entourage-ha.8",
        "/usr/share/bash-completion/completions/entourage",
        "/usr/share/zsh/vendor-completions/_entourage",
    } <= set(installed)


def test_what_the_page_says_of_the_fence_is_so(internet, followed):
    router = internet.machines["router"]

    exposure = router.run("systemd-analyze security entourage-ha --no-pager").stdout.splitlines()[-1]

    assert "2.1 OK" in exposure
    assert "gives 2.1" in (ROOT / "docs/deploy.md").read_text()


def test_an_agent_that_does_not_turn_any_more_is_started_anew_while_the_kernel_carries(internet, followed):
    router = internet.machines["router"]
    router.run(
        "mkdir /run/systemd/system/entourage-ha.service.d; cd /run/systemd/system/entourage-ha.service.d;"
        "printf '[Service]\\nWatchdogSec=2\\nRestartSec=0\\n' >soon.conf; systemctl daemon-reload;"
        "systemctl restart entourage-ha"
    )
    former = router.run("systemctl show -P MainPID entourage-ha").stdout.strip()

    done = router.run(
        "ping -c 25 -i 0.2 -q 10.10.0.7 >/tmp/carried &"
        f"kill -STOP {former}; until [ $(systemctl show -P NRestarts entourage-ha) = 1 ]; do sleep 0.1; done;"
        "until systemctl is-active --quiet entourage-ha; do sleep 0.1; done; wait; cat /tmp/carried"
    )

    assert done.returncode == 0, done.stderr
    assert "25 received" in done.stdout
    assert json.loads(router.run("entourage ha show status --json").stdout)["status"]["datapath"] == "bpf"
    shown = json.loads(router.run("entourage ha show bindings --json").stdout)
    assert [one["home_address"] for one in shown["bindings"]] == ["10.10.0.7"]


def test_the_packages_examples_are_good_as_they_are_and_an_upgrade_does_not_overwrite_them(internet, followed):
    router = internet.machines["router"]

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


def test_what_root_restores_is_the_agents(internet, followed):
    router = internet.machines["router"]

    done = router.run(
        "systemctl stop entourage-ha; entourage ha restore /root/ha.backup; systemctl start entourage-ha;"
        "stat -c '%U %a' /var/lib/entourage/ha.sqlite; entourage ha show bindings --json"
    )

    assert done.returncode == 0, done.stderr
    first, owner, shown = done.stdout.split("\n", 2)
    assert first.startswith("/var/lib/entourage/ha.sqlite is /root/ha.backup now")
    assert owner == "entourage 600"
    assert [one["home_address"] for one in json.loads(shown)["bindings"]] == ["10.10.0.7"]


def test_purged_it_leaves_nothing_behind(internet, followed):
    router = internet.machines["router"]

    done = router.run("dpkg --purge entourage")

    assert done.returncode == 0, done.stderr
    left = "ls -d /usr/lib/entourage /etc/entourage /var/lib/entourage /usr/lib/systemd/system/entourage-*"
    assert router.run(left).stdout == ""
    assert router.run("systemctl is-active entourage-ha").stdout != "active\n"
