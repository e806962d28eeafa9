"""Starts, stops, kills and restarts the programs of a running lab, each in its place."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.lab import anchor, capture, configuration, programs
from tools.lab.directory import RunDirectory
from tools.lab.errors import LabFailed
from tools.lab.links import Links
from tools.lab.plan import WorldPlan, device_number
from tools.lab.processes import Process, recorded
from tools.lab.programs import Program

# dumpcap drops what it has not read when it is told to end: this is the packet after which nothing matters.
_LAST = b"the last packet of a capture"
_SEND_LAST = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"net0")
    sender.sendto(sys.argv[1].encode(), ("255.255.255.255", 9))
"""
_PATIENCE = 10.0  # seconds a program has to become ready, to end, or to give its address back
_EACH = 0.25  # seconds more to become ready for each that starts beside it


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask again and again. Raises LabFailed, naming `what`, when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise LabFailed(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


class Crew:
    """At most one program in each place. Others than the process that started them may end them: records tell who."""

    def __init__(self, directory: RunDirectory, plan: WorldPlan, anchors: dict[str, int], links: Links) -> None:
        self._directory = directory
        self._plan = plan
        self._anchors = anchors
        self._links = links
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def program(self, name: str) -> Program:
        return programs.program_of(name, self._plan, self._directory.path)

    def process(self, name: str) -> Process | None:
        """The program of this place if it runs."""
        return self._directory.process(name, "program")

    def log(self, name: str) -> Path:
        return self._directory / f"log/{name}.log"

    def start(self, names: Iterable[str]) -> None:
        """Together, then wait for each to be ready. Raises LabFailed with what one that ended said last."""
        with contextlib.ExitStack() as sockets:
            ready = {name: self._start(name, sockets) for name in names}
            for name, is_ready in ready.items():
                self._await(name, is_ready, _PATIENCE + _EACH * len(ready))

    def _start(self, name: str, sockets: contextlib.ExitStack) -> Callable[[], bool]:
        """Returns what says whether the program is ready."""
        if self.process(name) is not None:
            raise LabFailed(f"the program of {name} runs already")
        program = self.program(name)
        environment = {"HOME": str(self._directory / name)}
        if not program.notifies:
            self._spawn(name, "program", program.argv, environment)
            return lambda: self._tells_status(program)
        path = self._directory / f"{name}/notify"
        waiting = sockets.enter_context(programs.notify_socket(path))
        self._spawn(name, "program", program.argv, environment | {"NOTIFY_SOCKET": str(path)})
        return lambda: programs.told_ready(waiting, 0.05)

    def _tells_status(self, program: Program) -> bool:
        """A node is ready when it tells its status; a DHCP client has nothing to wait for."""
        try:
            return program.control is None or bool(programs.ask_node(program.control))
        except LabFailed:
            return False

    def _await(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        def done() -> bool:
            if ready():
                return True
            if self.process(name) is None and self._children[name].poll() is not None:
                raise LabFailed(f"{name} ended with {self._children[name].returncode}: {self._last_words(name)}")
            return False

        wait_until(done, seconds, f"{name} ready")

    def _last_words(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"see {self.log(name)}")

    def _spawn(self, name: str, kind: str, argv: Iterable[str], environment: dict[str, str] | None = None) -> None:
        argv = anchor.inside(self._anchors[name], ["env", f"--chdir={self._directory / name}", *argv])
        with open(self.log(name if kind == "program" else f"{name}-{kind}"), "ab") as log:
            self._children[name if kind == "program" else f"{name}-{kind}"] = subprocess.Popen(
                recorded(self._directory.record(name, kind), argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=anchor.environment(environment),
                cwd="/",
            )

    def start_dhcp_servers(self, names: Iterable[str]) -> None:
        """Of visited links; returns when all are there. They end with the lab."""
        names = list(names)
        for name in names:
            self._spawn(name, "dhcp", programs.dhcp_server())
        begun = [self._directory / name / configuration.DHCP_PID for name in names]
        wait_until(lambda: all(pid.exists() for pid in begun), _PATIENCE, f"DHCP servers in {', '.join(names)}")

    def start_cables(self) -> None:
        """Of every device on a serial line; returns when both ends are there. They end with the lab."""
        ends: list[Path] = []
        for node in self._plan.nodes:
            for device in node.serial:
                argv = programs.serial_cable(node.name, device, self._directory.path)
                self._spawn(device, "cable", argv)
                ends += [Path(argv[-2]), Path(argv[-1])]
        wait_until(lambda: all(end.exists() for end in ends), _PATIENCE, "the serial cables")

    def pull_cable(self, device: str) -> None:
        """Both ends of its serial line hang up. start_cables() plugs it in again."""
        process, node = self._directory.process(device, "cable"), self._plan.node_of(device)
        if process is None or node is None:
            raise LabFailed(f"{device} has no serial cable")
        for end in programs.serial_cable(node.name, device, self._directory.path)[-2:]:
            Path(end).unlink()  # before its terminal's number is somebody else's, whom the node would open then
        process.signal(signal.SIGKILL)
        process.wait(_PATIENCE)

    def start_capture(self, name: str, pcap: Path) -> None:
        """Of everything on net0; returns when it is listening."""
        self._spawn(name, "capture", capture.command(programs.found("dumpcap"), pcap))
        # the file's header is written once the socket is open
        size = capture.HEADER_SIZE
        wait_until(lambda: pcap.exists() and pcap.stat().st_size >= size, _PATIENCE, f"a capture in {name}")

    def stop_capture(self, name: str, pcap: Path) -> None:
        """Complete the file, unless that is done already."""
        process = self._directory.process(name, "capture")
        if process is not None:
            before = pcap.stat().st_size
            argv = [sys.executable, "-S", "-c", _SEND_LAST, _LAST.decode()]
            subprocess.run(anchor.inside(self._anchors[name], argv), timeout=_PATIENCE, check=True)
            wait_until(lambda: _LAST in capture.octets(pcap, before), _PATIENCE, f"the end of the capture in {name}")
            process.signal(signal.SIGTERM)
            if not process.wait(_PATIENCE):
                raise LabFailed(f"the capture in {name} (pid {process.pid}) does not end")

    def stop(self, name: str) -> int | None:
        """SIGTERM, and wait. Returns the exit code if it was our child. Raises LabFailed if it does not end."""
        return self._end(name, signal.SIGTERM)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait: as when the power goes."""
        self._end(name, signal.SIGKILL)

    def _end(self, name: str, number: signal.Signals) -> int | None:
        process = self.process(name)
        if process is None:
            raise LabFailed(f"no program runs in {name}")
        process.signal(number)
        if not process.wait(_PATIENCE):
            raise LabFailed(f"{name} (pid {process.pid}) does not end after {number.name}")
        child = self._children.pop(name, None)
        return child.wait() if child is not None and child.pid == process.pid else None

    def release(self, device: str) -> None:
        """The device's DHCP client gives the address back (DHCPRELEASE) and ends; the device keeps its cable."""
        process = self.process(device)
        if process is None:
            raise LabFailed(f"no program runs in {device}")
        if device_number(device) % 2:
            process.signal(signal.SIGUSR2)
        else:
            argv = anchor.inside(self._anchors[device], ["dhclient", "-r", "net0"])
            subprocess.run(argv, env=anchor.environment(), capture_output=True, timeout=_PATIENCE, check=True)
        wait_until(lambda: not self._links.addresses(device), _PATIENCE, f"{device} without an address")
        if self.process(device) is not None:
            self.stop(device)

    def reap(self) -> None:
        """Take note of the children that have ended."""
        for child in self._children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0)
