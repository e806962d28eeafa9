"""A conversation with a board's REPL, through mpremote's transport."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from tools.board.errors import BoardFailed
from tools.board.ports import resolve

_START_S = 4  # that any board has started in
_REBOOT = b"soft reboot\r\n"
_PIECE = 2048  # octets of a file in one command, which the board compiles
_PATIENCE_S = 5  # for one answer on a pseudo-terminal, where mpremote cannot ask what waits


class Connection:
    """What runs on the board is interrupted and its heap is fresh; leave() starts it again. port: as of resolve()."""

    def __init__(self, port: str) -> None:
        """Raises BoardFailed."""
        self.port = resolve(port)
        with self._reporting("cannot be opened"):
            self._transport = SerialTransport(self.port, timeout=_PATIENCE_S)
        try:
            self.enter()
        except BoardFailed:
            self._transport.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enter(self) -> None:
        """Interrupt what runs, and begin with nothing imported. Raises BoardFailed."""
        with self._reporting("no answer from a MicroPython REPL"):
            # A board that is just starting has not heard the first words
            with contextlib.suppress(TransportError):
                self._transport.enter_raw_repl(soft_reset=True, timeout_overall=_START_S)
                return
            self._transport.enter_raw_repl(soft_reset=True)

    def leave(self) -> None:
        """Soft reset: boot.py and main.py run, and the board is what it is for. Raises BoardFailed."""
        with self._reporting("reset"):
            self._transport.exit_raw_repl()
            self._transport.serial.write(b"\x04")
            # Whoever speaks to it before it has said so is not heard
            if not self._transport.read_until(1, _REBOOT).endswith(_REBOOT):
                raise TransportError("it does not restart")

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a board that is gone cannot be closed either
            if self._transport.in_raw_repl:
                self._transport.exit_raw_repl()
            self._transport.close()

    def run(self, code: str) -> str:
        """What the code printed. Raises BoardFailed with the last line of its error."""
        self.start(code)
        return self.finish()

    def start(self, code: str) -> None:
        """Have it run, and go on here. Raises BoardFailed."""
        with self._reporting("lost"):
            self._transport.exec_raw_no_follow(code)

    def say(self, octets: bytes) -> None:
        """To the code that was started, on its stdin. Raises BoardFailed."""
        with self._reporting("lost"):
            self._transport.serial.write(octets)

    def hear(self, count: int) -> bytes:
        """What it writes next, fewer octets where it falls silent. Raises BoardFailed."""
        with self._reporting("lost"):
            return bytes(self._transport.serial.read(count))

    def finish(self, silence: float = 10.0) -> str:
        """What the code that was started has printed, once it has ended. silence: seconds that it may say nothing.

        Raises BoardFailed with the last line of its error.
        """
        with self._reporting("lost"):
            said, wrong = self._transport.follow(silence)
            if wrong:
                raise TransportExecError(said, wrong.decode())
        return str(said.decode(errors="replace")).replace("\r\n", "\n")

    def value(self, expression: str) -> Any:
        """Of an expression whose repr is a Python literal. Raises BoardFailed."""
        with self._reporting("lost"):
            return self._transport.eval(expression)

    def write(self, path: str, octets: bytes) -> None:
        """One command for each piece: mpremote's own way takes two more for each file. Raises BoardFailed."""
        for at in range(0, max(1, len(octets)), _PIECE):
            mode, piece = "ab" if at else "wb", octets[at : at + _PIECE]
            self.run(f"with open({path!r}, {mode!r}) as file:\n file.write({piece!r})")

    def read(self, path: str) -> bytes | None:
        """None if there is no such file. Raises BoardFailed."""
        with self._reporting(path):
            try:
                return bytes(self._transport.fs_readfile(path, chunk_size=_PIECE))
            except FileNotFoundError:
                return None

    @contextlib.contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        """mpremote tells its troubles in several ways, and prints some of them."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as error:
            raise BoardFailed(f"{self.port}: {_last_line(error.error_output)}") from error
        except (TransportError, OSError, ValueError, SyntaxError, IndexError) as error:
            reason = str(error).splitlines()
            raise BoardFailed(f"{self.port}: {what}" + (f": {reason[0]}" if reason else "")) from error


def _last_line(traceback: str) -> str:
    lines = [line for line in traceback.splitlines() if line.strip()]
    return lines[-1] if lines else "an error without a word"
