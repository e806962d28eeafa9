"""A board that is not there: the real MicroPython interpreter behind a pseudo-terminal, for want of hardware.

`python -m tools.board.stand_in FOLDER` prints its port and lasts until it is interrupted. FOLDER is its flash, made if
it is not there: the interpreter sees that folder as /. A soft reset, and a power cut, start a new interpreter, which
runs boot.py and main.py as a board does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import tty
from pathlib import Path

from tools.lab.programs import micropython

# What a plain ESP32 has free once it is connected, 148 kB; objects are twice as large on a 64-bit machine.
HEAP = 296 * 1024

_SOFT_REBOOT = b"MPY: soft reboot\r\n"
_FRIENDLY, _RAW = b"for more information.\r\n", b"raw REPL; CTRL-B to exit\r\n"
_ENTER_RAW = b"\x01"
_ENOUGH = 65536  # octets that may wait for one side before the other is no longer read
_ABSENT_S = 0.02  # how soon it is seen that somebody has opened the port
_BOOT = """
def boot(root, programs):
    import os, sys, vfs
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix(root), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    try:
        print("stand-in for a board")
        for name in programs:
            if name in os.listdir():
                exec(open(name).read(), {"__name__": "__main__"})
    except SystemExit:
        pass
    except BaseException as error:
        sys.print_exception(error)
boot(%r, %r)
del boot
"""


class StandIn:
    """port: the path of the pseudo-terminal, which takes the place of a board's. root: the folder it sees as /."""

    def __init__(self, root: Path, heap: int = HEAP) -> None:
        """heap: octets of MicroPython's heap. Raises LabFailed if there is no interpreter."""
        self.root = root
        self._heap = heap
        self._host, self.port = _pseudo_terminal()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._closing = False
        self._reborn = threading.Condition()
        self._life = _Life(root, heap, raw=False)
        self._thread = threading.Thread(target=self._relay, name="stand-in", daemon=True)
        self._thread.start()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closing = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._life.process.kill()
        self._life.end()
        os.close(self._host)
        os.close(self._wake)

    def cut_power(self) -> None:
        """And give it back at once: whatever it was doing is not finished."""
        life = self._life
        life.process.kill()
        with self._reborn:
            self._reborn.wait_for(lambda: self._life is not life)

    def _relay(self) -> None:
        to_board = to_host = b""
        while not self._closing:
            life = self._life
            poll = select.poll()
            poll.register(self._wake, select.POLLIN)
            wants = to_board and life.listens
            poll.register(life.terminal, select.POLLIN * (len(to_host) < _ENOUGH) | select.POLLOUT * bool(wants))
            absent = _hung_up(self._host)
            if absent:
                to_host = b""  # a serial line does not wait for somebody to listen
            else:
                poll.register(self._host, select.POLLIN * (len(to_board) < _ENOUGH) | select.POLLOUT * bool(to_host))
            events = dict(poll.poll(_ABSENT_S * 1000 if absent else None))
            if events.get(self._host, 0) & select.POLLIN:
                to_board += _read(self._host) or b""
            if events.get(self._host, 0) & select.POLLOUT:
                to_host = to_host[_write(self._host, to_host) :]
            if events.get(life.terminal, 0) & select.POLLOUT:
                to_board = to_board[life.hear(to_board) :]
            if events.get(life.terminal, 0) & (select.POLLIN | select.POLLHUP):
                said = life.say()
                to_host += said or b""
                if said is None:
                    words, again = life.end()
                    to_host, to_board = to_host + words, again + (b"" if life.up else to_board)
                    with self._reborn:
                        self._life = _Life(self.root, self._heap, raw=life.raw)
                        self._reborn.notify_all()


class _Life:
    """One of an interpreter, from power-on to its end. up: it has come to its prompt; raw: the raw one."""

    def __init__(self, root: Path, heap: int, raw: bool) -> None:
        """raw: begin there, where boot.py is run only."""
        self.raw = raw
        self.up = self.listens = False
        self._said = self._heard = b""
        self.terminal, device = pty.openpty()
        # Not quite raw: a 3 is a character while the REPL reads, and interrupts a program that runs, as on a board.
        tty.setraw(device)
        attributes = termios.tcgetattr(device)
        attributes[3] |= termios.ISIG
        termios.tcsetattr(device, termios.TCSANOW, attributes)
        # It ends with whoever started it, even if that is killed: without its terminal it would spin.
        argv = ["setpriv", "--pdeathsig", "KILL", "setsid", "--ctty", micropython(), "-X", f"heapsize={heap}"]
        code = _BOOT % (str(root.absolute()), ("boot.py",) if raw else ("boot.py", "main.py"))
        self.process = subprocess.Popen([*argv, "-i", "-c", code], stdin=device, stdout=device, stderr=device, cwd="/")
        os.close(device)
        os.set_blocking(self.terminal, False)

    def hear(self, octets: bytes) -> int:
        """How many of them it takes. It listens once it has said something: a 3 before that would end it."""
        count = _write(self.terminal, octets)
        if not self.up:
            self._heard += octets[:count]
        return count

    def say(self) -> bytes | None:
        """None when it has ended."""
        said = _read(self.terminal)
        if said:
            self.listens = True
            self._said = (self._said + said)[-256:]
            friendly, raw = self._said.rfind(_FRIENDLY), self._said.rfind(_RAW)
            if friendly >= 0 and not self.up:
                self.up = True
                if self.raw:
                    self.hear(_ENTER_RAW)
            elif friendly != raw:
                self.raw = raw > friendly
        return said

    def end(self) -> tuple[bytes, bytes]:
        """It has ended: what a board says then, and what it was told and the next life has to hear."""
        cut = self.process.wait() == -signal.SIGKILL
        os.close(self.terminal)
        if cut:
            self.raw = False
            return b"", b""
        if not self.up:
            # An interrupt between a program's end and the prompt ends the process, as it never does a board
            return b"", self._heard
        return _SOFT_REBOOT, b""


def _pseudo_terminal() -> tuple[int, str]:
    """Our end, non-blocking, and the path of the other; it is raw, and nobody has it open."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    path = os.ttyname(theirs)
    os.close(theirs)
    os.set_blocking(ours, False)
    return ours, path


def _hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _read(descriptor: int) -> bytes | None:
    """What there is; None if the other end is closed."""
    try:
        return os.read(descriptor, 4096) or None
    except BlockingIOError:
        return b""
    except OSError:  # EIO: nobody has the other end of a pseudo-terminal open
        return None


def _write(descriptor: int, octets: bytes) -> int:
    try:
        return os.write(descriptor, octets)
    except OSError:
        return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.board.stand_in", description="A board for want of one.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="its flash, made if it is not there")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with StandIn(folder) as board:
        print(board.port, flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
