"""Writes an image to a board's flash. esptool talks to the chip's ROM, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys

from tools.board.errors import BoardFailed
from tools.board.image import Image

_CHIP = re.compile(r"^Connected to (ESP32\S*)", re.MULTILINE)
_SIZE = re.compile(r"^Detected flash size: (\d+)([KM])B", re.MULTILINE)
_FATAL = re.compile(r"A fatal error occurred: (.*)")
_VERIFIED = "Hash of data verified"
_UNITS = {"K": 1 << 10, "M": 1 << 20}


def chip_on(port: str) -> tuple[str, int]:
    """The chip, as esptool calls it, and the octets of its flash. Raises BoardFailed."""
    said = _esptool(port, ["flash-id"], tell=False)
    chip, size = _CHIP.search(said), _SIZE.search(said)
    if chip is None or size is None:
        raise BoardFailed(f"{port}: esptool does not say what chip and flash there are")
    return chip[1].lower().replace("-", ""), int(size[1]) * _UNITS[size[2]]


def write(image: Image, port: str, baud: int, erase: bool) -> None:
    """What esptool says of its progress goes to stderr. erase: everything first, configuration included.

    Raises BoardFailed: before anything is written if the image is for another chip or more flash than there is.
    """
    chip, size = chip_on(port)
    if chip != image.chip:
        raise BoardFailed(f"{image.path}: for {image.chip}, and on {port} there is {chip}")
    if image.end > size:
        raise BoardFailed(f"{image.path}: needs {image.end >> 10} KiB of flash, on {port} there are {size >> 10} KiB")
    words = ["--baud", str(baud), "--chip", chip, "write-flash", *["--erase-all"] * erase]
    said = _esptool(port, [*words, hex(image.offset), str(image.path)], tell=True)
    if _VERIFIED not in said:
        raise BoardFailed(f"{port}: esptool wrote and did not verify")


def _esptool(port: str, words: list[str], tell: bool) -> str:
    """What it said. Raises BoardFailed with its reason."""
    argv = [sys.executable, "-m", "esptool", "--port", port, *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if tell:
                print(line, end="", file=sys.stderr, flush=True)
    if process.returncode:
        reason = _FATAL.search(said)
        last = said.strip().splitlines()[-1:] or ["it says nothing"]
        raise BoardFailed(f"{port}: esptool: {reason[1] if reason else last[0]}")
    return said
