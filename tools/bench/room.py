"""A network namespace in which a server and its load meet over loopback, each on a core of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from tools.bench.bench import BenchFailed
from tools.lab import anchor, privilege
from tools.lab.links import Links

AGENT, CARE_OF = "192.0.2.1", "203.0.113.2"
MEASURED, LOAD = 0, -1  # which of our cores
_FIRST_PORT = 5001  # of a plain server

# What is pinned to a BPF file system (bpf(2)) is not seen outside, nor does what is pinned outside meet us here.
_HOLD = """
[ ! -d /sys/fs/bpf ] || mount -t bpf bpf /sys/fs/bpf 2>/dev/null
while [ $# != 0 ]; do echo "${1#*=}" >"${1%%=*}"; shift; done
echo ready
exec cat
"""
_LOOPBACK = "lo"

Process = subprocess.Popen[str]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk that the project is on, which is a real one, as /tmp often is not."""
    build = anchor.PROJECT / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as folder:
        yield Path(folder)


class Room:
    """As a context manager it is there inside the block. folder: of scratch(), for programs and their last words.

    Who opens it moves to the core of the load meanwhile. Raises LabFailed, BenchFailed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._undone = contextlib.ExitStack()
        self._pid = 0
        self._ports = itertools.count(_FIRST_PORT)
        self._cores = sorted(os.sched_getaffinity(0))

    def __enter__(self) -> Room:
        privilege.acquire()
        with self._undone:
            self._undone.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
            os.sched_setaffinity(0, {self._cores[LOAD]})
            self._hold()
            self._undone = self._undone.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undone.close()

    def begin(
        self,
        name: str,
        argv: Sequence[str | Path],
        core: int | None = LOAD,
        output: int = subprocess.PIPE,
        **environment: str,
    ) -> Process:
        """Start a program in here, its errors for last_words(name). It ends when the room does, if it has not before.

        core: MEASURED, LOAD, or None for anywhere and in the queue with everybody: on its core a program goes before
        what else this machine does, where we may ask for that. output: as of subprocess.Popen.
        """
        allowed = self._cores if core is None else [self._cores[core]]
        enter = ["nsenter", "--target", str(self._pid), "--net", "--mount"]
        die_with_us, pinned = ["setpriv", "--pdeathsig", "KILL"], ["taskset", "--cpu-list", ",".join(map(str, allowed))]
        with self._errors(name).open("w") as errors:
            process = subprocess.Popen(
                [*enter, *die_with_us, *pinned, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                env=anchor.environment(environment),
                cwd=anchor.PROJECT,
                start_new_session=True,
            )
        if core is not None:
            _put_first(process.pid)
        self._undone.callback(_end, process)
        return process

    def begin_echo(self, kind: str) -> int:
        """Start an echo, one of echo_server.KINDS; its port. Raises BenchFailed."""
        return self._begin_server(f"{kind} echo", "tools.bench.echo_server", kind)

    def begin_signing(self, kind: str) -> int:
        """Start a server, one of signing_server.KINDS; its port. Raises BenchFailed."""
        return self._begin_server(f"{kind} server", "tools.bench.signing_server", kind, self.folder / "kept")

    def _begin_server(self, name: str, module: str, kind: str, *further: str | Path) -> int:
        port = next(self._ports)
        server = self.begin(name, python(module, kind, AGENT, str(port), *further), MEASURED)
        if server.stdout is None or server.stdout.readline() != "ready\n":
            raise BenchFailed(f"{name}: {self.last_words(name)}")
        return port

    def last_words(self, name: str) -> str:
        """The last line of the errors of what was started under this name."""
        return (self._errors(name).read_text().strip().splitlines() or ["it ended without a word"])[-1]

    def _errors(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _hold(self) -> None:
        settings = [f"{path}={value}" for path, value in anchor.sysctls("ha").items() if os.path.exists(path)]
        argv = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _HOLD, "sh", *settings]
        pipe = subprocess.PIPE
        holder = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=anchor.environment())
        self._undone.callback(holder.communicate)  # its input ends, then it does
        if holder.stdout is None or holder.stdout.readline() != "ready\n":
            _, errors = holder.communicate()
            raise BenchFailed(f"no network namespace: {errors.strip()}")
        self._pid = holder.pid
        with contextlib.closing(Links({_LOOPBACK: holder.pid})) as links:
            links.set(_LOOPBACK, "lo", state="up")
            for address in (AGENT, CARE_OF):
                links.address(_LOOPBACK, "lo", f"{address}/32")


def python(module: str, *arguments: str | Path) -> list[str | Path]:
    """The command line of one of our modules."""
    return [sys.executable, "-m", module, *arguments]


def _put_first(pid: int) -> None:
    """Nice to nobody: else an echo, which sleeps and wakes, loses more to a busy machine than who only computes."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, -20)
        Path(f"/proc/{pid}/autogroup").write_text("-20")  # of its session, beside all others (sched(7))


def _end(process: Process) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
