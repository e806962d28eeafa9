"""The run directory: what a lab wrote down about itself, and how everything of it is removed, also after a crash."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from host_agents.store.whole_file import whole_file
from tools.lab import privilege, processes
from tools.lab.errors import LabFailed
from tools.lab.plan import WorldPlan
from tools.lab.processes import Process

NAMED = Path("/run/netns")
_PATIENCE = 3.0  # seconds from SIGTERM to SIGKILL
_LONGEST_PATH = 80  # a Unix socket's path has 107 octets, and ours are a little longer than the directory's


def base() -> Path:
    """Where labs live that were not told otherwise: /run for the machine's root, the user's own folder for others."""
    if privilege.in_initial_user_namespace() and os.geteuid() == 0 and not privilege.missing_capabilities():
        return Path("/run/entourage-lab")
    own = os.environ.get("XDG_RUNTIME_DIR")
    if own and os.access(own, os.W_OK):
        return Path(own) / "entourage-lab"
    return Path(f"/tmp/entourage-lab-{privilege.outer_uid()}")


def make_base() -> Path:
    """base(), there and ours: /tmp belongs to everybody. Raises LabFailed."""
    path = base()
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        if path.lstat().st_uid != os.geteuid():
            raise LabFailed(f"{path} belongs to somebody else")
    except OSError as error:
        raise LabFailed(f"{path}: {error.strerror}")
    return path


@dataclass(slots=True, frozen=True)
class State:
    """lab.json. owner: the process whose end is the lab's end, None: it stays until `down`. named: in `ip netns`.

    temporary: the directory is the lab's own and goes with it.
    """

    plan: WorldPlan
    owner: Process | None
    named: tuple[str, ...]
    temporary: bool


class RunDirectory:
    """One lab's files. pids/ has a record per process: NAME.anchor for its namespaces, NAME.program for what runs."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        if len(os.fsencode(self.path)) > _LONGEST_PATH:
            raise LabFailed(f"{self.path} is too long for the sockets in it: at most {_LONGEST_PATH} octets")

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def create(self) -> None:
        """Raises LabFailed if it cannot be made, is somebody else's or has other files."""
        make_base()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_uid != os.geteuid():
                raise LabFailed(f"{self.path} belongs to somebody else")
            if not (self / "lock").exists() and any(self.path.iterdir()):
                raise LabFailed(f"{self.path} is not empty, and no lab was there before")
            (self / "lock").touch(mode=0o600)
        except OSError as error:
            raise LabFailed(f"{self.path}: {error.strerror}")

    def make_folders(self, places: Iterable[str]) -> None:
        """One for each place, where its programs keep what they write; fresh ones."""
        for name in ("pids", "mnt", "log", *places):
            shutil.rmtree(self / name, ignore_errors=True)
            (self / name).mkdir(mode=0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one `up` or `down` at a time; the kernel lets go of it for a process that is killed."""
        with open(self / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self) -> State | None:
        """None if no lab is or was here."""
        try:
            return msgspec.json.decode((self / "lab.json").read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise LabFailed(f"{self / 'lab.json'}: {error}")

    def save(self, state: State) -> None:
        self.write("lab.json", msgspec.json.encode(state))

    def write(self, name: str, content: bytes) -> Path:
        """A file only its owner reads, whole or not at all. name: a path below the directory."""
        with whole_file(self / name, 0o600) as beside:
            beside.write_bytes(content)
        return self / name

    def record(self, name: str, kind: str) -> Path:
        """kind: "anchor", "program" or "capture"."""
        return self / "pids" / f"{name}.{kind}"

    def process(self, name: str, kind: str) -> Process | None:
        """The process if it is alive."""
        found = Process.read(self.record(name, kind))
        return found if found is not None and found.alive() else None

    def anchors(self, plan: WorldPlan) -> dict[str, int]:
        """place -> pid of its anchor, of those alive."""
        found = {name: self.process(name, "anchor") for name in plan.names()}
        return {name: anchor.pid for name, anchor in found.items() if anchor is not None}

    def claim(self, state: State) -> None:
        """Say what is about to be made before any of it is, so that a crash in between leaves nothing unknown."""
        (make_base() / "labs").mkdir(mode=0o700, exist_ok=True)
        _registration(self.path).write_text(str(self.path))
        self.save(state)

    def remove(self, state: State) -> None:
        """End every process, forget the names of the namespaces, delete what places wrote; log/ and *.pcap stay.

        Raises LabFailed if something cannot be ended.
        """
        self._end_processes()
        for name in state.named:
            if (NAMED / name).exists():
                from pyroute2 import netns

                netns.remove(name)
        for name in ("pids", "mnt", *state.plan.names()):
            shutil.rmtree(self / name, ignore_errors=True)
        (self / "lab.json").unlink(missing_ok=True)
        _registration(self.path).unlink(missing_ok=True)
        if state.temporary:
            shutil.rmtree(self.path, ignore_errors=True)

    def _end_processes(self) -> None:
        records = sorted((self / "pids").glob("*")) if (self / "pids").is_dir() else []
        known = {path: process for path in records if (process := Process.read(path)) and process.alive()}
        namespaces = {found for process in known.values() if (found := processes.net_namespace(process.pid))}
        namespaces.discard(processes.net_namespace(os.getpid()) or (0, 0))
        programs = [process for path, process in known.items() if path.suffix != ".anchor"]
        processes.end(programs, signal.SIGTERM, _PATIENCE)
        for _ in range(10):  # what is killed may just have started something
            left = {*processes.inhabitants(namespaces), *(process for process in known.values() if process.alive())}
            if not left:
                return
            stuck = processes.end(left, signal.SIGKILL, _PATIENCE)
        raise LabFailed(f"these processes do not end: {', '.join(str(process.pid) for process in stuck)}")


def _registration(path: Path) -> Path:
    return base() / "labs" / hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def remove_crashed() -> list[Path]:
    """Remove every lab whose owner is dead; return their directories."""
    removed = []
    for entry in sorted((base() / "labs").glob("*")):
        directory = RunDirectory(Path(entry.read_text()))
        if not directory.path.is_dir():
            entry.unlink(missing_ok=True)
        elif _crashed(directory):
            with directory.locked():
                if state := _crashed(directory):  # nobody was faster
                    directory.remove(state)
                    removed.append(directory.path)
    return removed


def _crashed(directory: RunDirectory) -> State | None:
    state = directory.load()
    return state if state is not None and state.owner is not None and not state.owner.alive() else None
