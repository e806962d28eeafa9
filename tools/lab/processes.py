"""Processes the lab started, known by pid and start time, so that a recycled pid is never mistaken for one of ours."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# A process writes its own record before it becomes what it is for: between fork and record nobody can be forgotten,
# even if the lab is killed there. $0 is the record; exec keeps pid and start time.
_RECORD = 'read -r stat </proc/$$/stat && printf "%s\\n" "$stat" >"$0" && exec "$@"'


def recorded(record: Path, argv: Sequence[str]) -> list[str]:
    """The command line that writes `record` and then becomes `argv`."""
    return ["sh", "-c", _RECORD, str(record), *argv]


@dataclass(slots=True, frozen=True)
class Process:
    """pid and start: clock ticks since boot, field 22 of /proc/PID/stat (proc(5))."""

    pid: int
    start: int

    @classmethod
    def parse(cls, stat: str) -> Process:
        """From the text of /proc/PID/stat. Raises ValueError."""
        name_ends = stat.rindex(")")  # the name may contain anything, blanks and parentheses too
        return cls(int(stat[: stat.index(" ")]), int(stat[name_ends + 2 :].split()[19]))

    @classmethod
    def read(cls, record: Path) -> Process | None:
        """From a record; None if there is none or it was never finished."""
        try:
            return cls.parse(record.read_text())
        except (OSError, ValueError):
            return None

    @classmethod
    def current(cls) -> Process:
        return cls.parse(Path("/proc/self/stat").read_text())

    def alive(self) -> bool:
        """A zombie is not alive."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return Process.parse(stat) == self and stat[stat.rindex(")") + 2] not in "ZX"

    def signal(self, number: signal.Signals) -> bool:
        """Send it; False if the process is gone. Raises PermissionError."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():  # asked after the handle was taken: what it holds is what we send to
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)

    def wait(self, timeout: float) -> bool:
        """Until it has ended, at most `timeout` seconds; True if it has. It need not be our child."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return bool(poll.poll(max(0, round(timeout * 1000))))
        finally:
            os.close(handle)


def net_namespace(pid: int) -> tuple[int, int] | None:
    """The identity of a process's network namespace; None if it is gone or not ours to see."""
    try:
        found = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def inhabitants(namespaces: Iterable[tuple[int, int]]) -> list[Process]:
    """Every process that lives in one of these network namespaces: what the lab started, and what that started."""
    wanted = set(namespaces)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid() or net_namespace(int(entry.name)) not in wanted:
            continue
        process = Process.read(entry / "stat")
        if process is not None and process.alive():
            found.append(process)
    return found


def end(processes: Iterable[Process], number: signal.Signals, patience: float) -> list[Process]:
    """Signal all, wait together at most `patience` seconds; return those still alive."""
    told = [process for process in processes if process.signal(number)]
    deadline = time.monotonic() + patience
    return [process for process in told if not process.wait(deadline - time.monotonic())]
