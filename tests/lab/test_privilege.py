"""A user who may not make the lab's namespaces is told what would help, in one line."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tools.lab.anchor import PROJECT, environment

_ACQUIRE = """
import pathlib, sys
from tools.lab import privilege
privilege.TUN = pathlib.Path(sys.argv[1])
try:
    privilege.acquire()
except privilege.LabFailed as refused:
    print(refused)
"""
_BARE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
_REMEDY = "give it these capabilities" if os.geteuid() == 0 else "run it as root"
_WITHOUT = "without CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN the lab needs"


# The root of a user namespace may less than the machine's; what a node needs for an address of its own it may
_BEHIND_A_NAT = """
from tools.lab.crew import wait_until
from tools.lab.plan import WorldPlan, usual_nodes
from tools.lab.world import World
with World(plan=WorldPlan(nodes=usual_nodes(1, "dhcp"))) as world:
    address = world.await_address("pc1")
    world.roam("mn", "nat")
    ping = ["ping", "-c", "1", "-W", "1", address]
    wait_until(lambda: world.run("cn", ping).returncode == 0, 15, "pc1 is reached behind the NAT")
    print("reached", "failed" in (world.directory / "log/mn.log").read_text())
"""


def refusal(tun: str, before: Sequence[str] = (), bare: Sequence[str] = _BARE) -> str:
    argv = [*before, *bare, sys.executable, "-c", _ACQUIRE, tun]
    return subprocess.run(argv, cwd=PROJECT, env=environment(), capture_output=True, text=True).stdout.strip()


def test_without_a_tun_device() -> None:
    assert refusal("/nowhere") == f"{_WITHOUT} a user namespace and /nowhere, which is missing; or {_REMEDY}"


def test_where_the_kernel_has_no_room_for_another_user_namespace() -> None:
    full = "echo 0 >/proc/sys/user/max_user_namespaces && exec " + shlex.join(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", _ACQUIRE, "/dev/null"]
    )
    if subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("no user namespace to be had")

    done = refusal("/dev/null", ["unshare", "--user", "--map-root-user", "sh", "-c", full, "--"], ())

    reason = "user.max_user_namespaces allows no more"
    assert done == f"{_WITHOUT} a user namespace, which the kernel refuses: {reason}; or give it these capabilities"


def test_without_root_a_device_is_reached_behind_a_nat_too() -> None:
    if not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("/dev/net/tun is not to be written to")
    # Root must keep setfcap to be uid 0 in a namespace of its own
    bare = ("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all") if os.geteuid() == 0 else ()
    argv = [*bare, sys.executable, "-c", _BEHIND_A_NAT]

    told = subprocess.run(argv, cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=60)

    assert told.stdout == "reached False\n", told.stderr
