"""`entourage bench registrations` and `scale`: real daemons, real disk, the load in C."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from host_agents.cli.main import main
from host_agents.store.sqlite import HomeAgentStore
from mip4.address import parse
from tests.runtime.namespaces import why_not
from tools.bench import registrations, scale
from tools.bench.bench import BenchFailed
from tools.bench.home_agent import HomeAgent
from tools.bench.registrants import FIRST_HOME, Load, Population
from tools.bench.room import Room, scratch
from tools.bench.state import fill
from tools.lab import anchor

needs_namespaces = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@needs_namespaces
def test_a_quick_run_of_registrations_has_its_keys_and_leaves_nothing(tmp_path, capsys):
    before = _left_over()

    code = main(["bench", "registrations", "--quick", "--json", str(tmp_path / "bench.json")])

    assert code == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "bench.json").read_text())["registrations"]
    assert 0 < found["renew_over_echo"] < 1
    assert 0 < found["new_over_echo"] < 1
    assert 0 < found["renew_signed_over_echo"] < 1
    assert found["renew_over_store"] > 0
    assert list(found["renew_per_second"]) == [str(size) for size in registrations.QUICK_SIZES]
    assert _left_over() == before


@needs_namespaces
def test_a_quick_run_of_scale_has_its_keys_and_leaves_nothing(tmp_path, capsys):
    before = _left_over()

    code = main(["bench", "scale", "--quick", "--json", str(tmp_path / "bench.json")])

    assert code == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "bench.json").read_text())["scale"]
    (by_datapath,) = found["by_bindings"].values()
    missing = [one for one in scale.DATAPATHS if any(f"not measured: {one}: " in note for note in found["notes"])]
    assert sorted([*by_datapath, *missing]) == sorted(scale.DATAPATHS)
    best = by_datapath[[one for one in scale.DATAPATHS if one in by_datapath][-1]]
    assert (found["restart_seconds"], found["renew_p99_ms"]) == (best["restart"], best["p99"])
    assert found["bytes_per_binding"] == best["memory"]
    assert min(best["show"], best["show_p99"], best["show_pause"], best["pause"], best["echo"]) > 0
    assert _left_over() == before


@needs_namespaces
def test_a_home_agent_that_does_not_start_says_why():
    with scratch() as folder, Room(folder) as room, pytest.raises(BenchFailed, match="carrier-pigeons is none of"):
        HomeAgent(room, folder / "ha", Population(1, 1), "carrier-pigeons").__enter__()


@needs_namespaces
def test_sessions_beyond_those_of_the_configuration_are_no_measurement():
    with scratch() as folder, Room(folder) as room, HomeAgent(room, folder / "ha", Population(1, 1)):
        (answers,) = Load(room, Population(1, 2), "new:0", sessions=2).answers()

        with pytest.raises(BenchFailed, match="code 130"):
            answers.check("new")


def test_a_state_that_was_written_holds_each_session_of_the_population_once(tmp_path):
    population = Population(3, 4)

    async def written() -> list[tuple[tuple[str, str], int]]:
        store = HomeAgentStore(str(tmp_path / "ha.sqlite"), asyncio.get_running_loop())
        await fill(store, population)
        store.close()
        store = HomeAgentStore(str(tmp_path / "ha.sqlite"), asyncio.get_running_loop())
        bindings = store.load().bindings
        store.close()
        return sorted(((one.nai, one.sub_nai), one.home_address) for one in bindings)

    expected = sorted((population.session(number), parse(FIRST_HOME) + number) for number in range(12))
    assert asyncio.run(written()) == expected


def test_a_pulse_tells_for_how_long_a_daemon_stood_still(tmp_path):
    pauses, nothing = (0.0, 0.2, 0.0), threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        pulse = subprocess.Popen(
            [sys.executable, "-m", "tools.bench.pulse", str(tmp_path / "sock")],
            stdout=subprocess.PIPE,
            text=True,
            env=anchor.environment(),
        )
        connection, _ = listening.accept()

        for at, pause in enumerate(pauses):
            assert connection.recv(4096)
            nothing.wait(pause)
            connection.sendall(b"{}\n")
            if at == 2:
                pulse.terminate()
        said, _ = pulse.communicate(timeout=10)

    ready, longest = said.split()
    assert ready == "ready"
    assert float(longest) >= 200


def _left_over() -> tuple[list[str], list[str], set[int], int]:
    """Children of this process, folders of benches, the cores we may use, our session's place in the queue."""
    folders = sorted(path.name for path in (anchor.PROJECT / "build").glob("bench-*"))
    children = Path("/proc/thread-self/children").read_text().split()
    return children, folders, os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
