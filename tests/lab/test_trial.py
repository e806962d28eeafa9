"""A field trial in the lab: the report is held against captures; a session is captured; the slow hop is found."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_agents.decoder.capture import read_packets
from mip4.address import parse
from tests.lab.test_uplink_dhcp import status as node_status
from tools.lab import plan
from tools.lab.anchor import PROJECT
from tools.lab.crew import wait_until
from tools.lab.plan import NodePlan
from tools.lab.world import World
from tools.trial import check, lab_trial

_CLI = [sys.executable, "-m", "host_agents.cli.main"]


def test_the_report_of_a_drive_says_what_the_lab_knows(_capable: None, tmp_path: Path) -> None:
    driven = lab_trial.record(roams=4, stay=1.3, quiet=True)

    figures = driven.figures
    assert check.faults(figures, driven.truth) == []
    assert [one.network for one in figures.handoffs] == ["fa2", "nat", "fa1", "fa2"]
    lab_trial.write_report(figures, tmp_path / "report.html")
    assert "registration lost: asked 2 times" in (tmp_path / "report.html").read_text()


@pytest.fixture(scope="module")
def recorded(_capable: None) -> Iterator[World]:
    """A world with a recorder that is off, and 20 ms before the home agent."""
    node = NodePlan("mn", "kleung@example.net", ("pc1", "pc2"), settings={"recorder": {"on": False}})
    with World(plan=plan.WorldPlan((node,), delay=10)) as world:
        for device in ("pc1", "pc2"):
            world.await_address(device)
        yield world


def entourage(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_CLI, *map(str, words)], capture_output=True, text=True, timeout=30, cwd=PROJECT)


def test_recording_begins_when_it_is_asked_for_and_what_it_kept_is_fetched(recorded: World, tmp_path: Path) -> None:
    config = recorded.crew.program("mn").config
    status = json.loads(entourage("trial", "status", "--config", config).stdout)
    assert (status["on"], status["records"]) == (False, 0)

    entourage("trial", "start", "--config", config)
    recorded.roam("mn", "fa2")
    arrived = (plan.NETWORKS["fa2"][0], 3)

    def last_handoff() -> tuple[str, int]:
        handoff = node_status(recorded, "mn")["handoffs"][-1]
        return handoff["care_of_address"], handoff["registered"]

    wait_until(lambda: last_handoff() == arrived, 30, "every session at fa2")
    entourage("trial", "mark", "--config", config)
    entourage("trial", "stop", "--config", config)
    done = entourage("trial", "fetch", "--config", config, tmp_path / "node.trial")

    assert done.returncode == 0, done.stderr
    kinds = [json.loads(line)["event"] for line in (tmp_path / "node.trial").read_text().splitlines()[1:]]
    assert kinds[0] == "start" and kinds[-2:] == ["mark", "stop"]
    assert kinds.count("request") == kinds.count("reply") == 3
    assert [one for one in kinds if one in ("link_down", "link_up", "agent")] == ["link_down", "link_up", "agent"]


@contextlib.contextmanager
def captured(world: World, path: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`ha capture` while the block runs, which it ends as a person does."""
    config = str(world.crew.program("ha").config)
    command = [*_CLI, "ha", "capture", *words, "--config", config]
    with open(path, "wb") as file:
        process = world.spawn("ha", command, stdout=file, stderr=subprocess.PIPE, cwd=PROJECT)
    wait_until(lambda: path.stat().st_size > 0, 30, "a capture that has begun")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_one_sessions_packets_are_captured_inside_and_outside_the_tunnel(recorded: World, tmp_path: Path) -> None:
    """Three echoes and their answers, plain where they come and go, and in the tunnel; nobody else's."""
    pc1, pc2 = (recorded.await_address(one) for one in ("pc1", "pc2"))

    with captured(recorded, tmp_path / "pc1.pcapng", "kleung@example.net", "KleungPC1") as process:
        for address in (pc2, pc1):
            assert recorded.run("cn", ["ping", "-c", "3", "-i", "0.1", address]).returncode == 0
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=15)[1]

    assert process.returncode == 0 and said.endswith(" packets, 0 lost by the kernel\n")
    shown = subprocess.run(
        ["tshark", "-r", tmp_path / "pc1.pcapng", "-T", "fields", "-E", "occurrence=l",
         "-e", "frame.interface_name", "-e", "ip.src", "-e", "ip.dst", "-e", "icmp.type"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert len(lines) == int(said.split()[1])
    assert all(pc1 in line[1:3] and pc2 not in line for line in lines)
    assert {line[0] for line in lines} == {"net0", "mip0"}
    with open(tmp_path / "pc1.pcapng", "rb") as file:
        packets = [one.octets for one in read_packets(file)]
    outer, plain = ([octets for octets in packets if octets[9] == protocol] for protocol in (4, 1))
    agents = {parse("192.0.2.1").to_bytes(4, "big"), parse(plan.NETWORKS["fa2"][0]).to_bytes(4, "big")}
    assert len(plain) >= 9  # one way or the other of them passes mip0 unseen, where BPF takes it from there
    assert len(outer) == 6 and all({octets[12:16], octets[16:20]} == agents for octets in outer)


def test_the_slow_hop_is_found_from_a_device(recorded: World) -> None:
    done = recorded.run("pc1", [*_CLI, "trial", "speed", plan.HOME_AGENT, "--json"], cwd=PROJECT)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(one["name"], one["address"]) for one in found["hops"]] == [
        ("device to node", "10.10.0.1"),
        ("node to foreign agent", "10.99.2.1"),
        ("foreign agent to home agent", plan.HOME_AGENT),
    ]
    assert found["hops"][2]["round_trip"] > 20 > found["hops"][1]["round_trip"]
    assert found["round_trip"].startswith("round trip: foreign agent to home agent takes ")
    assert all(one["rate"] > 1 for one in found["hops"])


def test_a_node_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = entourage("trial", "start", "--config", tmp_path / "none.json")

    assert done.returncode == 2
    assert done.stderr == f"entourage: {tmp_path / 'none.json'}: No such file or directory\n"
