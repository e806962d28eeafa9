"""A running lab: make it, look into it, move its nodes, end and restart its programs, take it down again."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from host_agents.runtime.control_client import ask
from tools.lab import anchor, configuration, directory, privilege, topology
from tools.lab.crew import Crew, wait_until
from tools.lab.directory import RunDirectory, State
from tools.lab.errors import LabFailed
from tools.lab.links import Links
from tools.lab.masquerade import Masquerade
from tools.lab.plan import FOREIGN_AGENTS, VISITED_LINKS, WorldPlan
from tools.lab.processes import Process
from tools.lab.topology import Flap

_PATIENCE, _EACH = 15.0, 0.25  # seconds for a device to have its address; more for each that asks beside it
_TOOLS = ("busybox", "ip", "mount", "nft", "nsenter", "unshare", "dumpcap")


class World:
    """The lab of one run directory. As a context manager it is up inside the block and gone behind it.

    `name` is always a place: cn, inet, ha, fa1, fa2, nat, home1, wire, mn, pc1, ...
    Every method raises LabFailed and KernelRefused.
    Rootless, up() and attach() move this process into the lab's user namespace, which it can't while it has threads.
    """

    def __init__(self, path: Path | None = None, plan: WorldPlan | None = None, *, stays: bool = False) -> None:
        """path: the run directory; None makes one that goes with the lab, unless the `with` block raised.

        stays: outlives this process, until down(). Otherwise the next lab on this machine sweeps what we leave.
        """
        self.plan = plan or WorldPlan()
        self._temporary = path is None
        if path is None:
            path = Path(tempfile.mkdtemp(prefix="world-", dir=directory.make_base()))
        self.directory = RunDirectory(path)
        self._stays = stays
        self._holders: dict[str, subprocess.Popen[str]] = {}
        self._anchors: dict[str, int] = {}
        self.links = Links(self._anchors)
        self.crew = Crew(self.directory, self.plan, self._anchors, self.links)

    @classmethod
    def attach(cls, path: Path) -> World:
        """The lab that is up in `path`."""
        state = RunDirectory(path).load()
        if state is None:
            raise LabFailed(f"no lab is up in {path}")
        world = cls(path, state.plan)
        privilege.open_files(len(state.plan.names()))
        world._enter()
        return world

    @staticmethod
    def default_path() -> Path:
        """Of the one lab that `entourage lab` is about unless told otherwise."""
        return directory.base() / "lab"

    @property
    def pcap(self) -> Path:
        """What the home agent's uplink has carried since the lab is up; complete after stop_capture()."""
        return self.directory / "ha.pcap"

    def stop_capture(self) -> None:
        self.crew.stop_capture("ha", self.pcap)

    def __enter__(self) -> World:
        self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.down(keep_files=error is not None and _is_curious(error))

    # Making and removing

    def up(self, programs: bool = True, say: Callable[[str], None] = lambda _: None) -> None:
        """Everything there, every daemon ready, and the devices have begun to ask for addresses.

        programs: False leaves the places empty: only namespaces, links, routes and the capture. What crashed labs
        left, here or elsewhere, is removed first. say: told what is next.
        """
        for tool in _TOOLS:
            if shutil.which(tool, path=anchor.environment()["PATH"]) is None:
                raise LabFailed(f"{tool} is not installed")
        directory.remove_crashed()
        privilege.open_files(len(self.plan.names()))
        self.directory.create()
        with self.directory.locked():
            self._remove_former()
            rootless = bool(privilege.missing_capabilities())
            privilege.acquire()
            state = State(self.plan, Process.current(), self._names(rootless), self._temporary)
            self.directory.claim(state)
            try:
                say(f"{len(self.plan.names())} places")
                self._build(state)
                if programs:
                    self._start_all(say)
            except BaseException as error:
                self._forget(replace(state, temporary=state.temporary and not _is_curious(error)))
                raise
            if self._stays:
                self.directory.save(replace(state, owner=None))

    def _start_all(self, say: Callable[[str], None]) -> None:
        say("agents")
        self.crew.start_dhcp_servers(VISITED_LINKS)
        self.start("ha", *FOREIGN_AGENTS)
        self.crew.start_cables()
        say(f"{len(self.plan.nodes)} nodes")
        self.start(*(node.name for node in self.plan.nodes))
        say(f"{len(self.plan.devices())} devices")
        self.start(*self.plan.devices())

    def down(self, keep_files: bool = False) -> None:
        """End it and remove every trace but log/ and *.pcap; those too if the directory is our own and not kept."""
        if not (self.directory / "lock").exists():
            return  # and none is made in a folder of somebody's, which would then pass for a lab's
        with self.directory.locked():
            state = self.directory.load()
            if state is not None:
                self._forget(replace(state, temporary=state.temporary and not keep_files))

    def _forget(self, state: State) -> None:
        self.links.close()
        self.directory.remove(state)
        for holder in self._holders.values():
            holder.wait()
        self.crew.reap()

    def _remove_former(self) -> None:
        former = self.directory.load()
        if former is None:
            return
        whole = len(self.directory.anchors(former.plan)) == len(former.plan.names())
        if whole and (former.owner is None or former.owner.alive()):
            raise LabFailed(f"a lab is up in {self.directory.path} already: `entourage lab down` ends it")
        self.directory.remove(replace(former, temporary=False))

    def _names(self, rootless: bool) -> tuple[str, ...]:
        """In `ip netns`. Only the machine's one usual lab has names there; others are found through their anchors."""
        usual = self.directory.path == self.default_path()
        if rootless or not usual or not privilege.in_initial_user_namespace():
            return ()
        names = tuple(f"entourage-{name}" for name in self.plan.names())
        for name in names:
            if (directory.NAMED / name).exists():
                raise LabFailed(f"a network namespace named {name} is there already, and not ours")
        return names

    def _build(self, state: State) -> None:
        from pyroute2 import netns  # not before it is needed, as in links.py

        places = self.plan.names()
        self.directory.make_folders(places)
        self._holders = {name: anchor.start(name, self.directory) for name in places}
        anchor.await_ready(self._holders)
        self._enter()
        for place, name in zip(places, state.named, strict=False):
            netns.attach(name, self._anchors[place])
        topology.build(self.links, self.plan)
        if self.plan.delay:
            self.start("wire")
        self._masquerade().begin()
        for file, content in configuration.write(self.plan).items():
            self.directory.write(file, content.encode())
        self.pcap.unlink(missing_ok=True)
        self.crew.start_capture("ha", self.pcap)

    def _enter(self) -> None:
        self._anchors.update(self.directory.anchors(self.plan))
        gone = [name for name in self.plan.names() if name not in self._anchors]
        if gone:
            raise LabFailed(f"the lab in {self.directory.path} has lost {', '.join(gone)}: `entourage lab up` again")
        privilege.join(self._anchors["inet"])

    # Programs

    def start(self, *names: str) -> None:
        """Their programs: agent, node or DHCP client. Returns when all are ready."""
        self.crew.start(names)

    def stop(self, name: str) -> int | None:
        """SIGTERM. Returns the exit code if we started it."""
        return self.crew.stop(name)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.crew.kill(name)

    def release(self, device: str) -> None:
        """The device gives its address back (DHCPRELEASE) and its client ends; start() lets it come again."""
        self.crew.release(device)

    def run(self, name: str, argv: Sequence[str], timeout: float = 30, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run to the end in a place, output captured as text. more: for subprocess.run()."""
        options: dict[str, Any] = {"capture_output": True, "stdin": subprocess.DEVNULL, "env": anchor.environment()}
        return subprocess.run(self.argv(name, argv), timeout=timeout, text=True, **(options | more))

    def spawn(self, name: str, argv: Sequence[str], **more: Any) -> subprocess.Popen[str]:
        """Start in a place and return; what is left of it ends with the lab. more: for subprocess.Popen()."""
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "env": anchor.environment()}
        return subprocess.Popen(self.argv(name, argv), text=True, **(options | more))

    def argv(self, name: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in a place."""
        if name not in self._anchors:
            raise LabFailed(f"no place is named {name}: there are {', '.join(self._anchors)}")
        return anchor.inside(self._anchors[name], argv)

    def entourage(self, name: str, *words: str) -> Any:
        """What `entourage ha show bindings --json` prints, for ("ha", "show", "bindings").

        The agent is asked here: who waits for something asks often, and each command would be another Python's start.
        """
        control, asked = self.crew.program(name).control, " ".join(words)
        if control is None or words[:-1] != ("show",):
            raise LabFailed(f"entourage {name} {asked}: nobody can be asked that here")
        try:
            reply = ask(control, {"show": words[-1]})
        except (OSError, ValueError) as error:
            raise LabFailed(f"entourage {name} {asked}: {error}") from error
        if "error" in reply:
            raise LabFailed(f"entourage {name} {asked}: {reply['error']}")
        return reply

    # Places

    def roam(self, node: str, to: str) -> Flap:
        """Move a node's uplink to the link of `to`: fa1, fa2, nat, home."""
        self._check_node(node)
        if to == "home" and not self.plan.home_link:
            raise LabFailed("there is no home link to roam to in this lab: make it with `lab up --home-link`")
        if to not in self.plan.attachments():
            raise LabFailed(f"a node cannot roam to {to}: only to {', '.join(self.plan.attachments())}")
        return topology.roam(self.links, node, to)

    def rebind(self) -> None:
        """The translator, nat, forgets all mappings; the next packet of each flow leaves from another port."""
        self._masquerade().rebind()

    def _masquerade(self) -> Masquerade:
        return Masquerade(self.directory, "nat", self._anchors["nat"], self.plan.nat_timeout)

    def leave(self, node: str) -> None:
        """Out of everyone's range, until the next roam()."""
        self._check_node(node)
        topology.leave(self.links, node)

    def plug(self, device: str, plugged: bool = True) -> None:
        """The device's cable into its node, or out of it."""
        node = self.plan.node_of(device)
        if node is None:
            raise LabFailed(f"no device is named {device}")
        topology.plug(self.links, node.name, device, plugged)

    def _check_node(self, node: str) -> None:
        if self.plan.node(node) is None:
            raise LabFailed(f"no node is named {node}")

    def await_address(self, device: str, seconds: float | None = None) -> str:
        """The address its DHCP client has got, without prefix length. seconds: None: as long as so many may take.

        The client sets it before the route by which the device can answer, so that one is waited for too.
        """

        def settled() -> bool:
            return bool(self.links.addresses(device)) and self.links.has_default_route(device)

        if seconds is None:
            seconds = _PATIENCE + _EACH * len(self.plan.devices())
        wait_until(settled, seconds, f"an address for {device}")
        return self.links.addresses(device)["net0"][0].split("/")[0]

    def status(self) -> dict[str, Any]:
        """nodes: of each place its name, pid (of its program, else of what holds its namespaces), addresses, paths."""
        whereabouts = topology.whereabouts(self.links, self.plan)
        nodes = [self._status(name, whereabouts) for name in self.plan.names()]
        return {"directory": str(self.directory.path), "nodes": nodes}

    def _status(self, name: str, whereabouts: dict[str, str]) -> dict[str, Any]:
        process = self.crew.process(name)
        found: dict[str, Any] = {
            "name": name,
            "pid": process.pid if process else self._anchors[name],
            "running": process is not None,
            "namespace_pid": self._anchors[name],
        }
        interfaces = self.links.addresses(name)
        found["addresses"] = [address.split("/")[0] for values in interfaces.values() for address in values]
        found["interfaces"] = interfaces
        program = None
        with contextlib.suppress(LabFailed):  # nothing of ours runs in cn, inet, nat and home1
            program = self.crew.program(name)
        found["config"] = str(program.config) if program and program.config else None
        found["control"] = str(program.control) if program and program.control else None
        found["pcap"] = str(self.pcap) if name == "ha" else None
        if self.plan.node(name):
            found["at"] = whereabouts.get(name)
        return found


def _is_curious(error: BaseException) -> bool:
    """Whether somebody may want to read logs now: not who interrupted us himself."""
    return isinstance(error, Exception)
