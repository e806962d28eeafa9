"""What `make` asks for before it begins: what will be used, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534
COMPILERS = ("clang", "cc", "gcc")


@pytest.fixture
def tree() -> Iterator[Path]:
    """What the scripts read of a tree, where anybody may go, and in bin/ a machine's programs but for compilers."""
    made = Path(tempfile.mkdtemp())
    try:
        made.chmod(0o755)
        shutil.copytree(ROOT / "tools/setup", made / "tools/setup")
        shutil.copytree(
            ROOT / "host_agents/datapath/bpf",
            made / "host_agents/datapath/bpf",
            ignore=shutil.ignore_patterns("*.o", "__pycache__"),
        )
        (made / "bin").mkdir()
        for name in os.listdir("/usr/bin"):
            if not name.startswith(COMPILERS):
                (made / "bin" / name).symlink_to(f"/usr/bin/{name}")
        yield made
    finally:
        shutil.rmtree(made)


def setup(tree: Path, script: str, *words: str) -> tuple[int, list[str]]:
    """Run by somebody who is not root and has only those programs: exit code, and lines on stderr."""
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    argv = [*become, "/bin/sh", str(tree / "tools/setup" / script), *words]
    done = subprocess.run(argv, env={"PATH": str(tree / "bin")}, capture_output=True, text=True, timeout=30)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_who_is_not_root_is_asked_for_no_compiler_to_see_the_demo(tree: Path) -> None:
    assert setup(tree, "packages.sh") == (0, [])


def test_what_is_missing_for_it_is_named_in_one_line(tree: Path) -> None:
    (tree / "bin/busybox").unlink()

    code, (line,) = setup(tree, "packages.sh")

    assert code == 1
    assert line.startswith("entourage needs these Debian packages: busybox (as root: apt-get install -y ")


@pytest.mark.parametrize("what", ["tests", "bench"])
def test_tests_and_benches_want_one_that_makes_their_load(tree: Path, what: str) -> None:
    code, (line,) = setup(tree, "packages.sh", what)

    assert code == 1
    assert " gcc" in line and "clang" not in line and "libbpf" not in line


def test_without_clang_it_is_said_what_is_slower_and_all_goes_on(tree: Path) -> None:
    assert setup(tree, "bpf.sh") == (
        0,
        [
            "entourage: no clang, so no mip_tunnel.bpf.o: Python carries packets as root, too (tun),"
            " a fifteenth of what bpf does"
        ],
    )
