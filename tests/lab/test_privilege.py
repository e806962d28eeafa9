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
