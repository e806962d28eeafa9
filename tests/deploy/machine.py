"""Machines with a Debian and a systemd of their own, for what can't be shown in a namespace alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.lab.crew import wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("machine.sh")
_SYSTEMD = Path("/lib/systemd/systemd")


def why_not() -> str | None:
    """Why there can be no such machine here, if so."""
    if os.geteuid() != 0:
        return "a machine with systemd needs root"
    kinds = Path("/proc/filesystems").read_text().split()
    if not {"overlay", "cgroup2"} <= set(kinds):
        return "this kernel has no overlayfs or no cgroup2"
    if not _SYSTEMD.exists() or not Path("/var/lib/dpkg/status").exists():
        return "this is no Debian with systemd"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    query = ["dpkg-query", "--show", "--showformat=${Version}", "python3"]
    theirs = subprocess.run(query, capture_output=True, text=True).stdout
    if not theirs.startswith(f"{python}."):
        return f"the package would be for Python {python}, and this Debian's is {theirs or 'none'}"
    return None


class Machine:
    """pid: of its systemd, whose namespaces are the machine."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, script: str, folder: Path = Path("/root"), timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """`script` by a root's shell that stops at the first error."""
        command = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--cgroup", "--uts", "--ipc", "--"]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return subprocess.run(
            [*command, "sh", "-ec", f"cd {folder}\n{script}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, env=environment,
        )  # fmt: skip

    def file(self, path: Path) -> Path:
        """Where it is to be found from outside."""
        return Path(f"/proc/{self.pid}/root") / path.relative_to("/")


@contextmanager
def machine(name: str) -> Iterator[Machine]:
    """One that is up, until the block ends."""
    with tempfile.TemporaryDirectory(prefix=f"entourage-{name}-") as folder:
        outer = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "bash", SCRIPT, name, folder, ROOT],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            made = Machine(0)

            def up() -> bool:
                assert outer.poll() is None, f"the machine {name} did not start"
                made.pid = _init(outer.pid)
                return made.pid > 0 and made.run("systemctl is-active machine.target").stdout == "active\n"

            wait_until(up, 30, f"the machine {name} up")
            yield made
        finally:
            if made.pid:
                os.kill(made.pid, signal.SIGKILL)  # and with it all of its pid namespace
            else:
                outer.kill()
            outer.wait(10)


def _init(ancestor: int) -> int:
    """The systemd among the descendants of `ancestor`, 0 while there is none; one that looks may find one that ends."""
    try:
        children = Path(f"/proc/{ancestor}/task/{ancestor}/children").read_text().split()
        if Path(f"/proc/{ancestor}/comm").read_text() == "systemd\n":
            return ancestor
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((found for child in children if (found := _init(int(child)))), 0)
