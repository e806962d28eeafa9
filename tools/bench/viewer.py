"""A page that somebody has open, without the browser: hears what is pushed, and asks for the table at every tick.

`python -m tools.bench.viewer HOST PORT` says "ready" when the first tick has come, and at SIGTERM how many came and how
many octets it was sent; a browser with the page open asks for the same (host_agents/web/templates/page.html).
"""

from __future__ import annotations

import http.client
import json
import signal
import sys


def look(host: str, port: int) -> dict[str, int]:
    """Until SIGTERM. Raises OSError, http.client.HTTPException."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    ticks = octets = 0
    pushing = http.client.HTTPConnection(host, port, timeout=10)
    asking = http.client.HTTPConnection(host, port, timeout=10)
    pushing.request("GET", "/live")
    pushed = pushing.getresponse()
    while not stopped:
        line = pushed.readline()
        octets += len(line)
        if not line:
            raise ConnectionResetError("the daemon has hung up")
        if line == b"event: tick\n":
            asking.request("GET", "/rows?search=&offset=0")
            octets += len(asking.getresponse().read())
            ticks += 1
            if ticks == 1:
                print("ready", flush=True)
    return {"ticks": ticks, "octets": octets}


if __name__ == "__main__":
    try:
        print(json.dumps(look(sys.argv[1], int(sys.argv[2]))))
    except (OSError, http.client.HTTPException) as error:
        sys.exit(str(error))
