"""Networks of namespaces that a test makes itself: real kernel, real programs, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import subprocess
import sys
from collections.abc import Iterator

from host_agents.datapath.bpf.programs import why_not as bpf_lacks

PREFIX = "ent-host"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str | None:
    """Why namespaces cannot be made here, if they cannot."""
    if os.geteuid() != 0:
        return "network namespaces with veth and /dev/net/tun need root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is not writable"
    return None


@functools.cache
def why_no_bpf() -> str:
    """Why the kernel does not take our programs; "": it does."""
    return bpf_lacks()


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


class Network:
    """Namespaces named ent-host-PID-NAME. Those of a PID that is gone are a crashed run's and are removed first.

    datapath: what a chain of them is to carry packets with.
    """

    def __init__(self) -> None:
        self.datapath = "tun"
        self._names: list[str] = []
        for line in ip("netns", "list").splitlines():
            name = line.split()[0]
            pid = name.removeprefix(f"{PREFIX}-").partition("-")[0]
            if name.startswith(f"{PREFIX}-") and not os.path.exists(f"/proc/{pid}"):
                ip("netns", "delete", name)

    def node(self, name: str, forwards: bool = False) -> None:
        ip("netns", "add", self.full(name))
        self._names.append(name)
        self.ip(name, "link", "set", "lo", "up")
        if forwards:
            self.sysctl(name, "net.ipv4.ip_forward", 1)

    def full(self, name: str) -> str:
        return f"{PREFIX}-{os.getpid()}-{name}"

    def link(self, one: str, interface: str, address: str, other: str, peer: str, peer_address: str) -> None:
        """A veth pair, both ends up, with addresses such as "192.0.2.1/24"."""
        ends = ("type", "veth", "peer", "name", peer, "netns", self.full(other))
        self.ip(one, "link", "add", interface, *ends)
        for node, end, value in ((one, interface, address), (other, peer, peer_address)):
            self.ip(node, "address", "add", value, "dev", end)
            self.ip(node, "link", "set", end, "up")

    def ip(self, node: str, *arguments: str) -> str:
        return ip("-n", self.full(node), *arguments)

    def sysctl(self, node: str, setting: str, value: int) -> None:
        with self.inside(node), open("/proc/sys/" + setting.replace(".", "/"), "w") as file:
            file.write(f"{value}\n")

    @contextlib.contextmanager
    def inside(self, node: str) -> Iterator[None]:
        """Sockets and devices opened by this thread belong to `node` meanwhile, and stay with it."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.full(node)}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def close(self) -> None:
        for name in self._names:
            ip("netns", "delete", self.full(name))

    async def start(self, node: str, *command: str) -> asyncio.subprocess.Process:
        program = ("ip", "netns", "exec", self.full(node), *command)
        both = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*program, stdout=both, stderr=asyncio.subprocess.STDOUT)

    async def run(self, node: str, *command: str) -> str:
        """What it printed, whether it succeeded or not."""
        process = await self.start(node, *command)
        printed, _ = await process.communicate()
        return printed.decode()

    async def python(self, node: str, code: str) -> asyncio.subprocess.Process:
        return await self.start(node, sys.executable, "-c", code)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
