"""`entourage lab` as it is typed: where a node can go, what is shown of it, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host_agents.cli.main import main
from tools.lab import directory, programs
from tools.lab.anchor import PROJECT, environment
from tools.lab.errors import LabFailed
from tools.lab.world import World

Lab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def lab(_capable: None) -> Iterator[Lab]:
    """lab("roam", "nat") types `entourage lab roam --dir DIRECTORY nat`, in a directory of its own."""
    path = Path(tempfile.mkdtemp(prefix="t-", dir=directory.make_base()))

    def lab(command: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "host_agents.cli.main", "lab", command, "--dir", str(path), *words]
        return subprocess.run(argv, cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=60)

    yield lab
    World(path).down()
    for entry in sorted(path.rglob("*"), reverse=True):
        entry.rmdir() if entry.is_dir() else entry.unlink()
    path.rmdir()


def shown(lab: Lab) -> dict[str, dict[str, object]]:
    """What `lab status --json` says of each place."""
    return {one["name"]: one for one in json.loads(lab("status", "--json").stdout)["nodes"]}


def test_the_whole_world_with_a_home_link_and_everywhere_a_node_can_go(lab: Lab) -> None:
    assert lab("up", "--bare", "--home-link").returncode == 0

    places = shown(lab)
    assert list(places)[:8] == ["cn", "inet", "ha", "fa1", "fa2", "nat", "home1", "mn"]
    assert places["nat"]["addresses"] == ["203.0.113.130", "192.168.7.1"]
    assert places["home1"]["interfaces"] == {"net0": ["10.10.0.200/24"]}
    for to in ("nat", "home", "fa2"):
        assert lab("roam", to).returncode == 0
        assert shown(lab)["mn"]["at"] == to
        assert f" at {to}\n" in lab("status").stdout
    assert lab("exec", "home1", "--", "ping", "-c1", "-W1", "203.0.113.130").returncode == 0
    assert lab("down").returncode == 0
    assert "no lab is up" in lab("status").stderr


def test_what_a_lab_looks_like_is_told_without_what_it_is_built_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many places it took three seconds: pyroute2 is long in coming, and starts a process to look into each."""
    assert lab("up", "--bare").returncode == 0
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")

    told = lab("status")

    assert told.returncode == 0 and "fa1" in told.stdout
    assert "tools.lab.world" in told.stderr and "pyroute2" not in told.stderr
    monkeypatch.undo()
    assert lab("down").returncode == 0


def test_a_lab_of_which_nodes_ask_for_their_addresses_and_go_behind_the_nat(lab: Lab) -> None:
    up = lab("up", "--dhcp")
    assert "pc1 has 10.10.0." in up.stdout, up.stderr

    assert lab("roam", "nat").returncode == 0
    refused = lab("roam", "home")

    assert refused.returncode == 1
    assert "make it with `lab up --home-link`" in refused.stderr
    wait = ["sh", "-c", "until ip -br address show up0 | grep 192.168.7.; do sleep 0.05; done"]
    assert "192.168.7." in lab("exec", "mn", "--", "timeout", "10", *wait).stdout
    assert lab("down").returncode == 0


def test_a_place_nobody_knows_is_a_mistake_in_the_command(lab: Lab) -> None:
    assert lab("roam", "mars").returncode == 2


def test_an_option_behind_the_place_is_not_taken_for_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "exec", "mn", "--dir", "/somewhere", "--", "true"]) == 2
    assert capsys.readouterr().err == "entourage lab exec: --dir comes before the name of the place\n"


def test_nothing_arrives_before_it_is_sent(lab: Lab) -> None:
    assert lab("up", "--delay", "-3").returncode == 2


def test_an_interpreter_that_is_not_there_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROPYTHON", "/nowhere/micropython")

    with pytest.raises(LabFailed, match="/nowhere/micropython is not installed: MICROPYTHON=PATH names a build"):
        programs.micropython()
