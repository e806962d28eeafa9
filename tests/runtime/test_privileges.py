"""drop_privileges in child processes, since nobody gets them back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORY = """
import socket, sys
from host_agents.runtime.privileges import drop_privileges
{first}
print(*sorted(drop_privileges()))
drop_privileges()
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(*(status[one] for one in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb", "NoNewPrivs")))
"""
NEEDED = f"{1 << 10 | 1 << 12 | 1 << 13:016x}"
NONE = "0" * 16


def run(*before: str, first: str = "", then: str = "") -> list[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'firmware'}"}
    command = [*before, sys.executable, "-c", STORY.replace("{first}", first) + then]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)
    if before and "unshare" in before[0] and "failed" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping root's capabilities needs root")
def test_root_keeps_three_capabilities_and_cannot_win_others_by_an_exec():
    then = "import subprocess; print(subprocess.check_output(['grep', 'CapPrm', '/proc/self/status'], text=True))"

    held, sets, child, *_ = run(then=then)

    assert held == "10 12 13"
    assert sets.split() == [NEEDED, NEEDED, NONE, NEEDED, NONE, "1"]
    assert int(child.split()[1], 16) & ~int(NEEDED, 16) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping root's capabilities needs root")
def test_what_an_agent_does_still_works():
    then = """
from host_agents.runtime.privileges import NEEDED
socket.socket(socket.AF_INET, socket.SOCK_RAW, 4); socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
try:
    open("/proc/1/environ")
except PermissionError:
    print("fenced in")
"""
    assert run(then=then)[-1] == "fenced in"


def test_it_works_in_a_user_namespace():
    held, sets = run("unshare", "--user", "--map-root-user", "--net")

    assert held == "10 12 13"
    assert sets.split()[:2] == [NEEDED, NEEDED]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming an unprivileged user needs root")
def test_without_privileges_it_is_harmless():
    # Once all is imported: the tree may be where only its owner looks.
    held, sets = run(first="import os; os.setgroups([]); os.setresuid(65534, 65534, 65534)")

    assert held == ""
    assert sets.split()[:3] == [NONE, NONE, NONE]
    assert sets.split()[-1] == "1"
