"""A board in a world of the lab: the node's own files in the real MicroPython, with faces for what an ESP32 has.

tests/mpy/board says how far they go. The board is in the place of a node; joining a network gives it an address there.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tools.lab import plan
from tools.lab.crew import wait_until
from tools.lab.programs import micropython
from tools.lab.world import World

ROOT = Path(__file__).parent.parent.parent
_POWER_ON = ROOT / "tests" / "mpy" / "power_on_board.py"
_SOON = 30.0
OURS, STOCK = "Entourage node with ESP32", "Generic ESP32 module with ESP32"
PASSWORD = "a long password"


class Board:
    """name: of a node in the plan whose own program does not run. folder: for its files. Switched on by power_on()."""

    def __init__(self, world: World, name: str, folder: Path, machine: str = OURS, **config: Any) -> None:
        self.notes = folder / "notes"
        self.log = folder / "log"
        self._world = world
        self._name = name
        self._folder = folder
        self._machine = machine
        self._process: subprocess.Popen[str] | None = None
        self._air: dict[str, Any] = {}
        document = json.loads((world.directory / name / "node.json").read_text())
        for key in ("control", "downlinks"):
            del document[key]
        uplinks = [{"ssid": ssid, "password": PASSWORD} for ssid in plan.VISITED_LINKS]
        self.config = folder / "config.json"
        self.config.write_text(json.dumps({**document, "uplinks": uplinks, **config}))
        (folder / "applications").mkdir()

    def program(self, application: str, text: str) -> None:
        (self._folder / "applications" / f"{application}.py").write_text(text)

    def reach(self, *places: str, **air: Any) -> None:
        """The networks of these visited links are what the radio reaches from now on, each with its router's DHCP."""
        networks = []
        for number, place in enumerate(places):
            router = plan.VISITED_LINKS[place][0].split("/")[0]
            networks.append({
                "ssid": place, "bssid": f"0200000000{number:02x}", "channel": 6, "rssi": -50, "password": PASSWORD,
                "address": router.rpartition(".")[0] + ".50", "mask": "255.255.255.0", "router": router,
            })  # fmt: skip
        self._air.update(networks=networks, **air)
        path = self._folder / "air.json"
        path.with_suffix(".new").write_text(json.dumps(self._air))
        path.with_suffix(".new").replace(path)

    def power_on(self, **environment: str) -> None:
        words = {
            "AIR": str(self._folder / "air.json"), "NOTES": str(self.notes), "FLASH": str(self._folder / "nvs"),
            "MACHINE": self._machine, "TTL": "255" if self._machine == OURS else "64",
            "MICROPYPATH": f"{ROOT / 'firmware'}:.frozen", **environment,
        }  # fmt: skip
        with self.log.open("ab") as log:
            argv = ["env", *(f"{key}={value}" for key, value in words.items()), micropython(), str(_POWER_ON)]
            self._process = self._world.spawn(self._name, [*argv, str(self.config)], stdout=log, stderr=log)

    def power_off(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)

    def said(self, key: str) -> list[Any]:
        """What the faces noted under `key`, in order."""
        lines = [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        return [line[key] for line in lines if key in line]

    def await_log(self, text: str) -> None:
        wait_until(lambda: text in self.log.read_text(), _SOON, f"the board says {text!r}")

    def move(self, place: str, **air: Any) -> None:
        """To where the network of this visited link is the only one; air: what else is there (mpy/board/air.py)."""
        self._world.roam(self._name, place)
        self.reach(place, **air)
