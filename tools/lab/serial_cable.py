"""A serial cable: two pseudo-terminals, and what is written to one comes out of the other.

    python -m tools.lab.serial_cable LINK LINK

Each LINK becomes a symbolic link to one end. Both ends stay there whoever opens and closes them, as a USB adapter does
that nobody pulls; what comes out where nobody reads is lost when the terminal is full.
"""

from __future__ import annotations

import os
import pty
import select
import sys
import tty
from pathlib import Path

_AT_ONCE = 4096


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m tools.lab.serial_cable LINK LINK", file=sys.stderr)
        return 2
    ends = [pty.openpty() for _ in arguments]
    for (end, terminal), name in zip(ends, arguments, strict=True):
        tty.setraw(terminal)  # kept open: with nobody there, reading our end would fail
        os.set_blocking(end, False)
        link = Path(name)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(terminal))
    (one, _), (other, _) = ends
    _copy({one: other, other: one})
    return 0


def _copy(across: dict[int, int]) -> None:
    """For ever. An end that takes nothing holds up only what comes from the other."""
    waiting = {end: b"" for end in across.values()}
    while True:
        readers = [end for end, to in across.items() if not waiting[to]]
        writers = [end for end, octets in waiting.items() if octets]
        readable, writable, _ = select.select(readers, writers, [])
        for end in readable:
            waiting[across[end]] = os.read(end, _AT_ONCE)
        for end in {*writable, *(across[end] for end in readable)}:
            try:
                waiting[end] = waiting[end][os.write(end, waiting[end]) :]
            except BlockingIOError:
                continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
