"""`make demo`: tells what one roaming node means for two laptops, as it happens, and checks every word it says."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from host_agents.cli.show import print_table
from host_agents.runtime.errors import KernelRefused
from tools.lab import capture, directory, plan, programs
from tools.lab.crew import wait_until
from tools.lab.errors import LabFailed
from tools.lab.traffic import Download, PingTrain, ping_train
from tools.lab.world import World

_CN = plan.NETWORKS["cn"][0]
_STAY = 3.0  # seconds at each visited link
_SETTLED = 10.0  # seconds within which everything must have followed a move
_FIG_10 = {
    "nai": "NAI",
    "sub_nai": "sub-NAI",
    "home_address": "IP address",
    "care_of_address": "care-of address",
    "tunnel": "tunnel",
    "lifetime": "lifetime",
}
_FIG_11 = {
    "nai": "NAI",
    "sub_nai": "sub-NAI",
    "home_address": "IP address",
    "home_agent": "home agent",
    "interface": "interface",
}
_PARTS = {
    one: one for one in ("handoff", "link", "discovery", "registration", "sessions", "pings silent", "download silent")
}


class Demo:
    """One run. `failed` has the claims that did not hold."""

    def __init__(self, world: World, console: Console) -> None:
        self._world = world
        self._console = console
        self._addresses: dict[str, str] = {}
        self._handoffs: list[dict[str, Any]] = []
        self._checked = 0
        self.failed: list[str] = []

    def tell(self) -> None:
        """The whole story. Raises LabFailed where it cannot go on."""
        self._arrive()
        self._tables("fa1")
        download = Download(self._world, "cn", "pc1", _CN)
        try:
            with ping_train(self._world, "cn", self._addresses["pc2"]) as train:
                self._say(f"pc1 downloads from cn over TCP; cn pings pc2 every {train.seconds * 1000:.0f} ms")
                time.sleep(_STAY)
                for to in ("fa2", "fa1"):
                    self._roam(to, download)
            self._measure(train, download.finish())
        finally:
            download.abandon()
        self._tables("fa1")
        self._leave()
        self._summary()

    # Chapters

    def _arrive(self) -> None:
        self._chapter("The world comes up")
        self._world.up()
        for name in ("ha", "fa1", "fa2"):
            process = self._world.crew.process(name)
            what = "home agent" if name == "ha" else "foreign agent"
            address = plan.NETWORKS[name][0]
            self._claim(f"{what} {name} serves {address} (pid {process.pid if process else '-'})", process is not None)
        interpreter = str(self._node()["runtime"]["interpreter"])
        self._claim(f"the node runs the firmware in {interpreter}", "MicroPython" in interpreter)
        for device, client in (("pc1", "udhcpc"), ("pc2", "dhclient")):
            self._addresses[device] = address = self._world.await_address(device)
            self._claim(f"{device} got {address} by {client}, and knows nothing of Mobile IP", _is_home(address))
        for device, address in self._addresses.items():
            done = self._world.run("cn", ["ping", "-c", "1", "-W", "2", address])
            self._claim(f"cn reaches {device} at {address}", done.returncode == 0)

    def _tables(self, at: str) -> None:
        self._chapter(f"What the agents know while the node is at {at}")
        bindings, visitors = self._bindings(), self._visitors(at)
        print_table(_FIG_10, bindings, "home agent: bindings (FIG. 10)", self._console)
        print_table(_FIG_11, visitors, f"{at}: visitors (FIG. 11)", self._console)
        self._check_tables(at)

    def _roam(self, to: str, download: Download) -> None:
        self._chapter(f"The node roams to {to}")
        began = time.time()
        flap = self._world.roam("mn", to)
        agent = plan.VISITED_LINKS[to][0].split("/")[0]

        def settled() -> bool:
            handoff = self._node()["handoffs"][-1]
            return bool(handoff["agent"] == agent and handoff["registered"] == handoff["sessions"])

        wait_until(settled, _SETTLED, f"every session registered through {to}")
        handoff = self._node()["handoffs"][-1]
        time.sleep(_STAY)
        self._handoffs.append({**handoff, "to": to, "began": began, "ended": time.time()})
        self._claim(f"all {handoff['sessions']} sessions registered again through {to}", settled())
        self._say(f"its uplink had no carrier for {flap.seconds * 1000:.0f} ms")
        for device, address in self._addresses.items():
            self._claim(f"{device} still has {address}", self._world.await_address(device) == address)
        self._check_tables(to)
        self._claim("the download goes on", download.running())

    def _measure(self, train: PingTrain, transfer: Mapping[str, Any]) -> None:
        self._chapter("What the laptops noticed")
        rows = []
        offset = time.time() - time.monotonic()
        for handoff in self._handoffs:
            began, ended = handoff["began"] - 0.5, handoff["ended"]
            silent = train.gap(began, ended)
            pauses = [length for when, length in transfer["pauses"] if began <= when + offset <= ended]
            cells = (
                f"to {handoff['to']}",
                _ms(handoff["link_up"] - handoff["link_down"]),
                _ms(handoff["requested"] - handoff["link_up"]),
                _ms(handoff["last_reply"] - handoff["requested"]),
                handoff["sessions"],
                _ms(silent * 1000),
                _ms(max(pauses) * 1000) if pauses else "< 50 ms",
            )
            rows.append(dict(zip(_PARTS, cells, strict=True)))
            self._claim(f"pc2 answered again {_ms(silent * 1000)} after it last did, at {handoff['to']}", silent < 2)
        print_table(_PARTS, rows, console=self._console)
        self._say(f"{len(train.replies())} pings answered, {train.lost()} lost")
        size, sent = transfer["received"], transfer["sent"]
        self._claim(f"{size:,} octets arrived, all that were sent", size == sent and size > 0)
        self._claim("and every one is right", transfer["wrong"] is None)
        same = transfer["connections"] == 1 and transfer["peer"] == transfer["local"]
        self._claim(f"over one TCP connection, {transfer['local']} to {_CN}", same)

    def _leave(self) -> None:
        self._chapter("pc2 leaves")
        address = self._addresses.pop("pc2")
        self._world.release("pc2")

        def gone() -> bool:
            held = [*self._bindings(), *self._visitors("fa1")]
            return all(entry["home_address"] != address for entry in held)

        wait_until(gone, _SETTLED, f"{address} out of both tables")
        self._claim(f"{address} is free again: neither table has it", gone())
        done = self._world.run("cn", ["ping", "-c", "1", "-W", "1", address])
        self._claim("and nobody answers there", done.returncode != 0)
        kept = [entry for entry in self._bindings() if entry["home_address"] == self._addresses["pc1"]]
        self._claim(f"pc1 keeps {self._addresses['pc1']}", len(kept) == 1)

    def _summary(self) -> None:
        self._chapter("In short")
        self._world.stop_capture()
        packets = capture.count_tunnelled(self._world.pcap)
        self._claim(f"the capture of the home agent's uplink has {packets:,} tunnelled packets", packets > 0)
        self._say("a board with a stock MicroPython image could carry neither laptop, since its lwIP does not forward;")
        self._say("an image built with forwarding could. A USB (SLIP) device or an application needs no such image.")
        self._say(f"capture: {self._world.pcap}")

    # What is checked and how it is told

    def _check_tables(self, at: str) -> None:
        care_of_address = plan.NETWORKS[at][0]
        held = {entry["sub_nai"]: entry for entry in self._bindings()}
        visiting = {entry["sub_nai"]: entry for entry in self._visitors(at)}
        for device, address in self._addresses.items():
            name = plan.device_name(device)
            binding, visitor = held.get(name, {}), visiting.get(name, {})
            bound = binding.get("home_address") == address and binding.get("care_of_address") == care_of_address
            self._claim(f"the home agent tunnels {name}'s {address} to {care_of_address}", bound)
            there = visitor.get("home_address") == address and visitor.get("state") == "registered"
            self._claim(f"{at} delivers {name}'s {address} to the node", there)

    def _node(self) -> dict[str, Any]:
        control = self._world.crew.program("mn").control
        assert control is not None
        return programs.ask_node(control)

    def _bindings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._world.entourage("ha", "show", "bindings")["bindings"]
        return found

    def _visitors(self, at: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._world.entourage(at, "show", "visitors")["visitors"]
        return found

    def _chapter(self, title: str) -> None:
        self._console.rule(f"[bold]{escape(title)}", align="left")

    def _say(self, text: str) -> None:
        self._console.print(f"  {escape(text)}", highlight=False)

    def _claim(self, text: str, holds: bool) -> None:
        self._checked += 1
        if not holds:
            self.failed.append(text)
        mark = "[green]✓[/]" if holds else "[bold red]✗ not so:[/]"
        self._console.print(f"{mark} {escape(text)}", highlight=False)

    @property
    def checked(self) -> int:
        return self._checked


def _is_home(address: str) -> bool:
    return address.startswith(plan.HOME_PREFIX.removesuffix("0/24"))


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms"


def run(path: Path | None) -> int:
    """path: of the run directory. Exit code 0 only if every claim was checked and held."""
    console = Console(width=110) if not sys.stdout.isatty() else Console()
    began = time.monotonic()
    world = World(path or directory.base() / "demo")
    demo = Demo(world, console)
    try:
        try:
            demo.tell()
        finally:
            world.down()
    except (LabFailed, KernelRefused) as error:
        console.print(f"[bold red]the story ends here:[/] {escape(str(error))}", highlight=False)
        if (world.directory / "log").is_dir():  # else nothing has begun
            console.print(f"logs: {world.directory / 'log'}", highlight=False)
        return 1
    seconds = time.monotonic() - began
    if demo.failed:
        console.print(f"[bold red]{len(demo.failed)} of {demo.checked} claims did not hold:[/]", highlight=False)
        for text in demo.failed:
            console.print(f"  {escape(text)}", highlight=False)
        console.print(f"logs: {world.directory / 'log'}", highlight=False)
        return 1
    console.print(f"[bold green]all {demo.checked} claims held[/], {seconds:.0f} s", highlight=False)
    return 0
