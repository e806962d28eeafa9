"""A board that is not there is switched on: `micropython power_on_board.py CONFIG.json`. MACHINE: what it calls itself.

The node's own files; around them the faces in board/, for what an ESP32 has and this machine has not.
"""

import asyncio
import asyncio.core
import asyncio.event
import asyncio.funcs
import asyncio.stream  # noqa: F401
import os
import sys

_FACES = __file__.rpartition("/")[0] + "/board"
# asyncio keeps the true time: its queue is in C, and knows the unix port's ticks only
for _name in ("time", "socket"):
    sys.modules.pop(_name, None)
sys.path.insert(0, _FACES)

import main

from port_esp32 import chip, port, programs, start

_chip = chip.chip_of(os.getenv("MACHINE") or "Generic ESP32 module with ESP32")
port.chip_of = start.chip_of = lambda machine: _chip
programs.FOLDER = sys.argv[1].rpartition("/")[0] + "/applications"
sys.path.append(sys.argv[1].rpartition("/")[0])
start.WINDOW_MS = 100
main._platform = lambda: port
start.start(main.main, sys.argv[1])
