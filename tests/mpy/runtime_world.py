"""A node under the real MicroPython between a visited link and a device, in namespaces of its own.

The node's engine is obedient_node.py, so that a test decides what the node does next: `world.order(effects)`. Visited
link: `agent` on vis0 10.99.1.1/24 against the node's up0. Device: on eth0 against the node's down0.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mip4.address import parse
from mip4.ip import Datagram

ROOT = Path(__file__).parent.parent.parent
AGENT_LINK = bytes.fromhex("02000000aa01")
NODE_LINK = bytes.fromhex("02000000bb01")
DEVICE_LINK = bytes.fromhex("020000000011")
AGENT = parse("10.99.1.1")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """What is opened here belongs to `namespace` and stays there."""
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as other:
        if _libc.setns(other.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        try:
            yield
        finally:
            _libc.setns(home.fileno(), _CLONE_NEWNET)


def run(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


def wait_until(true: Callable[[], object], seconds: float = 5) -> object:
    """What `true` gives, as soon as it is something; the test fails when it stays nothing."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"nothing came of it in {seconds} s"
        time.sleep(0.005)
    return found


def sweep_namespaces() -> None:
    """Remove what a crashed run left: namespaces whose maker is gone, with the processes in them."""
    for path in Path("/run/netns").glob("ent-node-*"):
        maker = path.name.split("-")[2]
        if maker.isdigit() and not Path(f"/proc/{maker}").exists():
            _remove(path.name)


def _remove(namespace: str) -> None:
    for pid in run("ip", "netns", "pids", namespace).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "del", namespace)


class World:
    """Three namespaces, two links, at most one node. folder: for its configuration, log and sockets."""

    def __init__(self, micropython: Path, folder: Path):
        self.node, self.visited, self.device = (f"ent-node-{os.getpid()}-{one}" for one in ("mn", "fa", "pc"))
        self.folder = folder
        self.log = folder / "node.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._micropython = micropython
        self._firmware = folder / "firmware"
        self._build_firmware()
        for namespace in (self.node, self.visited, self.device):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        self.join("up0", NODE_LINK, self.visited, "vis0", AGENT_LINK)
        self.join("down0", bytes.fromhex("02000000bb02"), self.device, "eth0", DEVICE_LINK)
        run("ip", "-n", self.visited, "address", "add", "10.99.1.1/24", "dev", "vis0")
        with inside(self.visited):
            self.agent = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            self.agent.bind(("vis0", 0x0800))
            self.agent.settimeout(5)
            self._ioctl = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with inside(self.device):
            self._device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)

    def _build_firmware(self) -> None:
        self._firmware.mkdir()
        for name in ("mip4", "runtime", "port_unix"):
            (self._firmware / name).symlink_to(ROOT / "firmware" / name)
        shutil.copy(ROOT / "firmware" / "main.py", self._firmware)
        (self._firmware / "mobile_node").mkdir()
        (self._firmware / "mobile_node" / "slip.py").symlink_to(ROOT / "firmware" / "mobile_node" / "slip.py")
        shutil.copy(Path(__file__).parent / "obedient_node.py", self._firmware / "mobile_node" / "mobile_node.py")

    def join(self, ours: str, ours_link: bytes, namespace: str, theirs: str, theirs_link: bytes) -> None:
        run("ip", "-n", self.node, "link", "add", ours, "address", ours_link.hex(":"), "type", "veth",
            "peer", "name", theirs, "address", theirs_link.hex(":"), "netns", namespace)  # fmt: skip
        run("ip", "-n", self.node, "link", "set", ours, "up")
        run("ip", "-n", namespace, "link", "set", theirs, "up")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for sock in (self.agent, self._device):
            sock.close()
        self._ioctl.close()
        for namespace in (self.node, self.visited, self.device):
            _remove(namespace)

    def begin(self, address: str = "none", **more: object) -> None:
        """Start the node and wait until its uplink and its downlink are up."""
        self.launch(address, **more)
        wait_until(lambda: len(self.told("link_up", "downlink_up")) == 2)

    def launch(self, address: str = "none", **more: object) -> None:
        """Start the node."""
        config = {
            "nai": "kleung@example.net", "home_agent": "192.0.2.1", "spi": 256, "key": "text:secret",
            "uplinks": [{"interface": "up0", "address": address}], "downlinks": [{"interface": "down0"}],
            "control": "node.sock", **more,
        }  # fmt: skip
        path = self.folder / "node.json"
        path.write_text(json.dumps(config))
        command = ["ip", "netns", "exec", self.node, str(self._micropython), str(self._firmware / "main.py"), str(path)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End the node; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(5)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(self.folder / "node.sock"))
        return client

    def ask(self, line: bytes) -> dict:
        """What the control socket answers, up to its end."""
        with self.connect() as client:
            client.sendall(line)
            return json.loads(b"".join(iter(lambda: client.recv(65536), b"")))

    def told(self, *kinds: str) -> list:
        """What the engine was told of these kinds: [[wall clock in ms, kind, ...]]."""
        try:
            return [one for one in self.ask(b"status\n")["told"] if one[1] in kinds]
        except (ConnectionError, FileNotFoundError):
            return []

    def order(self, effects: str) -> None:
        """Have the node do `effects`, the text of a list, and wait until it has."""
        before = len(self.told("receive"))
        self.say(effects.encode())
        wait_until(lambda: len(self.told("receive")) > before)

    def say(self, payload: bytes, destination: int = 0xFFFFFFFF, spoil: int = 0, link: bytes = NODE_LINK) -> None:
        """A registration message from the agent, in a frame to the node. spoil: XORed into the last octet."""
        packet = bytearray(Datagram(AGENT, 434, destination, 434, payload).packet(255).encode())
        packet[-1] ^= spoil
        self.agent.send(link + AGENT_LINK + b"\x08\x00" + packet)

    def hears(self, wanted: Callable[[bytes], bool]) -> bytes:
        """The next frame from the node on the visited link that is `wanted`."""
        while True:
            frame, (_, _, kind, *_) = self.agent.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING and frame[6:12] == NODE_LINK and wanted(frame):
                return frame

    def next_told(self, kind: str, before: int) -> list:
        """What the engine is told of this kind after the first `before` times."""
        wait_until(lambda: len(self.told(kind)) > before)
        return self.told(kind)[before]

    def frames_of_the_device(self) -> socket.socket:
        """What arrives at the device's interface from now on."""
        self._device.bind(("eth0", 0x0800))
        self._device.settimeout(5)
        return self._device

    def carrier(self, up: bool) -> float:
        """Give the uplink its carrier or take it; the wall clock in ms just before."""
        name = b"vis0".ljust(16, b"\0")
        with inside(self.visited):
            flags = struct.unpack_from("H", fcntl.ioctl(self._ioctl, 0x8913, name + bytes(24)), 16)[0]
            at = time.time_ns() / 1e6
            fcntl.ioctl(self._ioctl, 0x8914, name + struct.pack("H", flags & ~1 | up) + bytes(22))
        self.agent.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # ENETDOWN, else the next datagram's
        return at

    def ip(self, *words: str) -> str:
        return run("ip", "-n", self.node, *words)

    def wakings(self) -> int:
        """How often the node has slept and been woken."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    def cpu_ticks(self) -> int:
        """Hundredths of a second of CPU that the node has used."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@contextlib.contextmanager
def a_world(micropython: Path, folder: Path) -> Iterator[World]:
    """For a fixture: a world without a node yet, its log printed at the end, for the report of a failed test."""
    if os.getuid() != 0:
        pytest.skip("network namespaces need root")
    sweep_namespaces()
    world = World(micropython, folder)
    try:
        yield world
    finally:
        world.close()
        print(world.log.read_text() if world.log.exists() else "no log")
