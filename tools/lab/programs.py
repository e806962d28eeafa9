"""What runs in the places of the lab: the agents, the firmware in MicroPython, DHCP clients, a capture."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_agents.cli import node as node_command
from tools.lab import configuration
from tools.lab import plan as places
from tools.lab.anchor import PROJECT, environment
from tools.lab.errors import LabFailed
from tools.lab.plan import WorldPlan


@dataclass(slots=True, frozen=True)
class Program:
    """config, control: paths, None where there is none. notifies: it tells sd_notify(3) when it is ready."""

    argv: tuple[str, ...]
    config: Path | None = None
    control: Path | None = None
    notifies: bool = False


def program_of(name: str, plan: WorldPlan, directory: Path) -> Program:
    """What runs in the place `name`. Raises LabFailed if nothing does."""
    agent = (sys.executable, "-m", "host_agents.cli.main")
    folder = directory / name
    if name == "ha":
        config = folder / "ha.toml"
        return Program((*agent, "ha", "run", "--config", str(config)), config, folder / "ha.sock", notifies=True)
    if name in places.FOREIGN_AGENTS:
        config = folder / "fa.toml"
        return Program((*agent, "fa", "run", "--config", str(config)), config, folder / "fa.sock", notifies=True)
    if name == "wire":
        return Program((sys.executable, "-m", "tools.lab.wire", f"{plan.delay:g}", "to-ha", "to-inet"), notifies=True)
    if plan.node(name) is not None:
        config = folder / "node.json"
        argv = (micropython(), str(PROJECT / "firmware" / "main.py"), str(config))
        return Program(argv, config, folder / "node.sock")
    if plan.is_serial(name):
        return Program((*agent, "attach", str(folder / "line"), "--interface", "net0"))
    if plan.node_of(name) is not None:
        return Program(_dhcp_client(name))
    raise LabFailed(f"nothing runs in {name}")


def _dhcp_client(device: str) -> tuple[str, ...]:
    if places.device_number(device) % 2:
        return (found("busybox"), "udhcpc", "-f", "-i", "net0", "-t", "5", "-T", "1", "-A", "1")
    return (found("dhclient"), "-d", "net0")


def serial_cable(node: str, device: str, directory: Path) -> tuple[str, ...]:
    """Between the two; its ends are where both have their links."""
    ends = (str(directory / node / f"line-{device}"), str(directory / device / "line"))
    return (sys.executable, "-m", "tools.lab.serial_cable", *ends)


def dhcp_server() -> tuple[str, ...]:
    """Of a visited link; its configuration is in the folder where it starts."""
    # -a: milliseconds it asks around by ARP, and serves nobody, before it offers an address for the first time
    return (found("busybox"), "udhcpd", "-f", "-a", "20", configuration.DHCP_SERVER)


def found(name: str) -> str:
    """Raises LabFailed."""
    path = shutil.which(name, path=environment()["PATH"])
    if path is None:
        raise LabFailed(f"{name} is not installed")
    return path


def micropython() -> str:
    """MICROPYTHON, else the interpreter beside ours, else the one in PATH. Raises LabFailed."""
    named = os.environ.get("MICROPYTHON")
    beside = Path(sys.executable).with_name("micropython")
    if named is None and beside.exists():
        return str(beside)
    try:
        return str(Path(found(named or "micropython")).absolute())
    except LabFailed as error:  # there is a wheel of it for x86-64 only
        raise LabFailed(f"{error}: MICROPYTHON=PATH names a build of its unix port") from None


@contextlib.contextmanager
def notify_socket(path: Path) -> Iterator[socket.socket]:
    """Where a daemon says READY=1 (sd_notify(3))."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waiting:
        waiting.bind(str(path))
        try:
            yield waiting
        finally:
            path.unlink(missing_ok=True)


def told_ready(waiting: socket.socket, seconds: float) -> bool:
    """Whether READY=1 came within `seconds`."""
    waiting.settimeout(seconds)
    try:
        return b"READY=1" in waiting.recv(4096).split(b"\n")
    except TimeoutError:
        return False


def ask_node(control: Path) -> dict[str, Any]:
    """A node's status. Raises LabFailed if it does not answer."""
    try:
        return node_command.ask_node(control, "status", {})
    except (OSError, ValueError) as error:
        raise LabFailed(f"{control}: {error}")
