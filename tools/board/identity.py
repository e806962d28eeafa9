"""What a connected board says it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tools.board.connection import Connection
from tools.board.errors import BoardFailed

MPY_VERSION = 6  # of the .mpy files that our mpy-cross makes (sys.implementation._mpy, low octet)
# sys.implementation._mpy from bit 10 up, as mpy-cross names it. Without native code in a file it is not looked at.
_ARCHITECTURES = {2: "x64", 9: "xtensa", 10: "xtensawin", 11: "rv32imc"}

_ASK = """
import gc, os, sys
gc.collect()
said = {"platform": sys.platform, "version": ".".join([str(one) for one in sys.implementation[1][:3]]),
    "machine": sys.implementation._machine, "mpy": sys.implementation._mpy,
    "heap_free": gc.mem_free(), "heap_used": gc.mem_alloc(), "files": sorted(os.listdir())}
for name in ("network", "esp32"):
    try:
        said[name] = bool(__import__(name))
    except ImportError:
        said[name] = False
import machine
said["unique_id"] = machine.unique_id().hex() if hasattr(machine, "unique_id") else ""
said["usb_device"] = hasattr(machine, "USBDevice")
print(repr(said))
"""


@dataclass(slots=True, frozen=True)
class Identity:
    """platform: sys.platform. version: of MicroPython. machine: its name for the board. arch: as mpy-cross has it.

    heap_free, heap_used: octets, after a collection. network: whether it has a radio or another interface of its own.
    usb_device: whether it can be more than a serial port on USB. files: in its root.
    """

    platform: str
    version: str
    machine: str
    arch: str
    heap_free: int
    heap_used: int
    network: bool
    esp32: bool
    usb_device: bool
    unique_id: str
    files: list[str]

    def row(self) -> dict[str, Any]:
        return asdict(self)


def identify(board: Connection) -> Identity:
    """Raises BoardFailed, also for an interpreter that does not read the files we would give it."""
    board.run(_ASK.rpartition("print")[0])
    said = board.value("said")
    mpy = said.pop("mpy")
    if mpy & 0xFF != MPY_VERSION:
        raise BoardFailed(
            f"{board.port}: MicroPython {said['version']} reads .mpy version {mpy & 0xFF}, ours are {MPY_VERSION}"
        )
    arch = _ARCHITECTURES.get(mpy >> 10)
    if arch is None:
        raise BoardFailed(f"{board.port}: architecture {mpy >> 10} of {said['machine']} is not one we compile for")
    return Identity(arch=arch, **said)
