"""A board's serial line as a person sees it: to type at, or to read only."""

from __future__ import annotations

import os
import sys
import time
from typing import BinaryIO

import serial

from tools.attach.line import reason_of
from tools.board.errors import BoardFailed
from tools.board.ports import resolve

_BAUD = 115200
_TURN_S = 0.1  # for an end by time or by Ctrl-C to be noticed


def console(port: str) -> None:
    """Become mpremote's terminal: Ctrl-C interrupts the node, Ctrl-D starts it again, Ctrl-] leaves. Never returns.

    Raises BoardFailed.
    """
    argv = [sys.executable, "-m", "mpremote", "connect", resolve(port), "resume", "repl"]
    if not sys.stdin.isatty():
        raise BoardFailed("stdin is no terminal; `board logs` needs none")
    os.execv(argv[0], argv)


def logs(port: str, out: BinaryIO, seconds: float | None) -> None:
    """What the board writes, until it is gone, `seconds` are over or Ctrl-C. The node is not disturbed.

    Raises BoardFailed.
    """
    device = resolve(port)
    end = None if seconds is None else time.monotonic() + seconds
    try:
        with serial.serial_for_url(device, _BAUD, timeout=_TURN_S) as line:
            while end is None or time.monotonic() < end:
                octets = line.read(max(1, line.in_waiting))
                if octets:
                    out.write(octets)
                    out.flush()
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        raise  # who reads us has gone, not the board
    except (OSError, ValueError) as error:
        raise BoardFailed(f"{device}: {reason_of(error)}") from error
