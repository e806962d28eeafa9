"""The `entourage` command for these tests."""

import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def entourage() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "host_agents.cli.main", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    return run
