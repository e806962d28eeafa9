"""The demo's claims, as `make demo` makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.lab import directory
from tools.lab.anchor import PROJECT, environment


@pytest.mark.usefixtures("_capable")
def test_the_demo_tells_its_story_and_every_claim_in_it_holds() -> None:
    demo = [sys.executable, "-m", "host_agents.cli.main", "lab", "demo"]

    told = subprocess.run(demo, cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=90)

    assert told.returncode == 0, told.stdout + told.stderr
    assert "over one TCP connection" in told.stdout
    assert Path(directory.base() / "demo/ha.pcap").stat().st_size > 1_000_000
