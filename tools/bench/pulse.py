"""For how long a daemon's event loop did not come round: who asks it for a trifle, again and again, can tell.

`python -m tools.bench.pulse SOCKET` asks through its control socket. It says "ready", and at SIGTERM how many ms the
slowest answer took; so long, nobody else was served either.
"""

from __future__ import annotations

import signal
import socket
import sys
import time

_PAUSE = 0.005  # seconds between two questions
_QUESTION = b'{"show": "counters"}\n'


def feel(control: str) -> float:
    """The longest time until an answer came, ms, until SIGTERM. Raises OSError."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    longest = 0.0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(control)
        answers = asking.makefile("rb")
        print("ready", flush=True)
        while not stopped:
            asked = time.monotonic()
            asking.sendall(_QUESTION)
            if not answers.readline():
                raise ConnectionResetError("the daemon has hung up")
            longest = max(longest, time.monotonic() - asked)
            time.sleep(_PAUSE)
    return longest * 1000


if __name__ == "__main__":
    try:
        print(feel(sys.argv[1]))
    except OSError as error:
        sys.exit(str(error))
