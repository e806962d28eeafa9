"""A flood of bogus requests at a home agent that has fifty real sessions: all of them renew.

FLOOD_SECONDS=n is for how long; `make soak` has ten seconds, as many as the project promises.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runtime.namespaces import why_not
from tests.runtime.test_home_agent_daemon import CARE_OF, HOME_AGENT, Home, home

__all__ = ["home"]

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

SECONDS = float(os.environ.get("FLOOD_SECONDS", "2"))
RATE = 20_000  # bogus requests a second
SESSIONS = 50

# Paced by the clock: a burst of what is due, then a nap. Sends what FLOOD_FILE holds, in turn.
FLOODER = f"""
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("{CARE_OF}", 0))
sock.connect(("{HOME_AGENT}", 434))
forms = [bytes.fromhex(line) for line in open(sys.argv[1])]
seconds, rate = float(sys.argv[2]), int(sys.argv[3])
began, sent = time.monotonic(), 0
while (elapsed := time.monotonic() - began) < seconds:
    while sent < elapsed * rate:
        try:
            sock.send(forms[sent % len(forms)])
        except OSError:
            pass
        sent += 1
    time.sleep(0.001)
print(sent)
"""


def test_fifty_sessions_renew_under_a_flood(home: Home, tmp_path: Path) -> None:
    home.start()
    names = [f"device-{number}" for number in range(SESSIONS)]
    assert _ask_all(home, names) == set(names)
    bogus = home.request("device-0")
    forms = [bogus[:-1] + bytes((bogus[-1] ^ 1,)), bogus[:40], bogus, bytes(60), bogus[:24] + b"\x7e\x00" + bogus[24:]]
    (tmp_path / "forms").write_text("\n".join(form.hex() for form in forms))

    command = [sys.executable, "-c", FLOODER, str(tmp_path / "forms"), str(SECONDS), str(RATE)]
    flood = subprocess.Popen(home.inside(command), stdout=subprocess.PIPE, text=True)
    rounds = 0
    while flood.poll() is None:
        waiting = set(names)
        deadline = time.monotonic() + 10
        while waiting and time.monotonic() < deadline:  # a node asks again every second
            waiting -= _ask_all(home, sorted(waiting))
        assert waiting == set()
        rounds += 1

    sent = int(flood.communicate()[0])
    print(f"{sent} bogus requests in {SECONDS:g} s; {SESSIONS} sessions renewed {rounds} times each")
    assert sent >= 0.9 * SECONDS * RATE
    assert rounds >= 1
    assert set(home.bindings()) == set(names)


def _ask_all(home: Home, names: list[str]) -> set[str]:
    """One request for each; those that were accepted within a second."""
    for name in names:
        home.ask(name)
    home.socket.settimeout(1)
    accepted = set()
    try:
        while len(accepted) < len(names):
            sub_nai, code, _ = home.answer()
            if code == 0:
                accepted.add(sub_nai)
    except TimeoutError:
        pass
    return accepted
