"""`entourage bench datapath`: real namespaces, real agents' data paths, the load in C."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import pytest

from host_agents.cli.main import main
from tests.runtime.namespaces import why_not
from tools.bench import datapath
from tools.bench.bench import BenchFailed
from tools.bench.chain import CN, ONE_WAY, PLAIN, Chain
from tools.bench.native import compiled

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(scope="module")
def load():
    with tempfile.TemporaryDirectory() as folder:
        yield compiled(Path(datapath.__file__).with_name("load.c"), Path(folder))


def test_a_quick_run_has_the_keys_of_every_adapter_that_works_here(tmp_path, capsys):
    code = main(["bench", "datapath", "--quick", "--json", str(tmp_path / "bench.json")])

    assert code == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "bench.json").read_text())["datapath"]
    measured = [adapter for adapter in datapath.ADAPTERS if f"{adapter}_over_plain_tcp" in found]
    notes = " ".join(found["notes"])
    missing = [adapter for adapter in datapath.ADAPTERS if f"not measured: {adapter} " in notes]
    assert "tun" in measured
    assert sorted([*measured, *missing]) == sorted(datapath.ADAPTERS)
    for adapter in measured:
        for load in datapath.LOADS:
            assert found[f"{adapter}_over_plain_{load.suffix}"] > 0


def test_packets_that_go_past_the_tunnel_are_no_measurement():
    with Chain("tun") as chain, pytest.raises(BenchFailed, match="past the tunnel"):
        chain.check()


def test_an_adapter_that_is_not_there_says_so_and_nothing_is_left_behind():
    before = _processes()

    with pytest.raises(BenchFailed, match="carrier-pigeons at ha"), Chain("carrier-pigeons"):
        pass

    assert _processes() == before


def test_where_nothing_arrives_there_is_no_figure(load):
    with Chain(PLAIN) as chain:
        subprocess.run(["nsenter", "--target", chain.flow(ONE_WAY, CN)[0], "--net", "ip", "link", "set", "up0", "down"])

        with pytest.raises(BenchFailed, match="nothing arrived"):
            datapath.measure(load, datapath.LOADS[3], chain, 50)


def _processes():
    """The children of this process."""
    return Path("/proc/thread-self/children").read_text().split()
