"""The node's log: one line per event on stderr, with the milliseconds since start and a level."""

import sys

from mip4.address import show

_QUIET_MS = 10000  # dropped datagrams of one kind are worth one line in this time
_SUBJECTS = 64


class Log:
    """Writes lines. now: function without arguments that gives the milliseconds since start."""

    def __init__(self, now, stream=None):
        self._now = now
        self._stream = sys.stderr if stream is None else stream
        self._said = {}  # subject -> [ms of its last line, how many went unsaid since]

    def info(self, text: str) -> None:
        self._line("INFO", text)

    def warning(self, text: str) -> None:
        self._line("WARNING", text)

    def dropped(self, error, source: int) -> None:
        """A datagram changed nothing. error: MipError. One line per kind in 10 s, with the number left out before."""
        self._seldom("INFO", "dropped " + error.kind, "dropped %s from %s: %s" % (error.kind, show(source), error))

    def seldom(self, subject: str, text: str) -> None:
        """A warning that may come in floods: one line per subject in 10 s."""
        self._seldom("WARNING", subject, text)

    def exception(self, text: str, error: BaseException) -> None:
        """A fault of our own: the line, then where it happened."""
        self._line("WARNING", "%s: %r" % (text, error))
        sys.print_exception(error, self._stream)

    def _seldom(self, level: str, subject: str, text: str) -> None:
        now = self._now()
        before = self._said.get(subject)
        if before is not None and now - before[0] < _QUIET_MS:
            before[1] += 1
            return
        if before is not None and before[1]:
            text += " (and %d like it since the last line)" % before[1]
        if len(self._said) >= _SUBJECTS:
            self._said.clear()
        self._said[subject] = [now, 0]
        self._line(level, text)

    def _line(self, level: str, text: str) -> None:
        # A peer's text may be in it: a line stays one line
        self._stream.write("%9d %-7s %s\n" % (self._now(), level, text.replace("\n", " ").replace("\r", " ")))
