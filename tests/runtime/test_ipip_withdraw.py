"""What the ipip adapter leaves in the kernel when its agent is killed, and who withdraws it.

No kernel here has ipip or flower. A veth end stands for the device, and the filters, which go with it, are left out;
routes into tunnels, rules and the device aside are the adapter's own, in the real kernel.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from host_agents.datapath.device import open_device
from host_agents.datapath.ipip import kernel
from host_agents.datapath.ipip.kernel import InKernel, aside_of
from host_agents.runtime.rtnetlink import NEW_FILTER, Rtnetlink
from mip4.address import parse, show
from tests.runtime.namespaces import Network
from tests.runtime.test_home_agent_daemon import CONFIG as HOME_AGENT_CONFIG
from tests.runtime.test_stopping import FOREIGN_AGENT_CONFIG

H, HA, FA, OTHER = parse("10.10.0.11"), parse("192.0.2.1"), parse("203.0.113.2"), parse("192.0.2.9")


class WithoutFilters(Rtnetlink):
    def change(self, kind: int, *what: Any, **more: Any) -> None:
        if kind != NEW_FILTER:
            super().change(kind, *what, **more)


class OnAVeth(InKernel):
    """On a device that is there already."""

    def _own_device(self) -> int:
        return self._routing.index(self._device)


@pytest.fixture
def router(network: Network) -> Network:
    """With the device, the one aside, a visited link, and a rule and a route of somebody else's."""
    network.node("r", forwards=True)
    network.node("x")
    for interface in ("mip0", "vis0"):
        network.ip("r", "link", "add", interface, "type", "veth", "peer", "name", interface, "netns", network.full("x"))
        network.ip("x", "link", "set", interface, "up")
    network.ip("r", "link", "set", "vis0", "up")
    with network.inside("r"):
        os.close(open_device(aside_of("mip0")))
    network.ip("r", "rule", "add", "pref", "100", "from", "10.99.1.9", "lookup", str(OTHER))
    network.ip("r", "rule", "add", "pref", "20438", "lookup", str(OTHER), "protocol", "143")
    return network


def shown(router: Network) -> tuple[str, str, str]:
    links = router.ip("r", "-brief", "link", "show")
    return router.ip("r", "rule", "show"), router.ip("r", "route", "show", "table", "all"), links


def withdraw(router: Network, role: str, config: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / f"{role}.toml"
    path.write_text(config)
    path.chmod(0o600)
    command = [sys.executable, "-m", "host_agents.cli.main", role, "withdraw", "--config", str(path)]
    argv = ["ip", "netns", "exec", router.full("r"), *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("role", "config", "local", "remote", "rules"),
    [
        ("ha", HOME_AGENT_CONFIG, HA, FA, ["20438"]),
        ("fa", FOREIGN_AGENT_CONFIG, FA, HA, ["20431", "20432", "20433"]),
    ],
)
def test_what_a_killed_agent_left_is_withdrawn_and_nothing_else(
    router: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    config: str,
    local: int,
    remote: int,
    rules: list[str],
) -> None:
    monkeypatch.setattr(kernel, "Rtnetlink", WithoutFilters)
    rules_of_others, *_ = shown(router)
    with router.inside("r"):
        left = OnAVeth("mip0", aside_of("mip0"), local, role == "ha")
        left.open()
    left.put(H, remote, 1500)
    if role == "fa":
        left.reverse(H, "vis0", remote)
    left._held.close()  # as with kill -9: nothing is taken back
    rules_left, routes, links = shown(router)
    added = set(rules_left.splitlines()) - set(rules_of_others.splitlines())
    assert sorted(line.partition(":")[0] for line in added) == rules
    assert f"encap ip id 0 src {show(local)} dst {show(remote)}" in routes and "mip0-slow" in links

    done = withdraw(router, role, config, tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rules_now, routes, links = shown(router)
    assert rules_now == rules_of_others, "another home agent's, which has no bindings yet, among them"
    assert "encap" not in routes and "mip0" not in links
    assert withdraw(router, role, config, tmp_path).returncode == 0, "what is not there is no error"


def test_what_another_agent_has_beside_its_ipip_device_is_not_withdrawn(router: Network, tmp_path: Path) -> None:
    with router.inside("r"):
        held = open_device(aside_of("mip0"))
    try:
        done = withdraw(router, "ha", HOME_AGENT_CONFIG, tmp_path)
    finally:
        os.close(held)

    assert (done.returncode, done.stderr) == (1, "entourage: withdraw mip0: another agent has it\n")
    assert "mip0@" in shown(router)[2]
