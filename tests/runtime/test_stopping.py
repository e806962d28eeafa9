"""A daemon that is stopped under load: whoever was promised something, even if only on the disk, has his answer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mip4.address import parse
from mip4.messages import RegistrationReply
from tests.helpers.messages import a_reply, a_request
from tests.runtime.namespaces import Network
from tests.runtime.test_home_agent_daemon import PATIENCE, Home
from tests.runtime.test_home_agent_daemon import home as home  # a fixture
from tests.runtime.test_home_agent_daemon import pytestmark as pytestmark

TOGETHER = 300  # more than are read at a time, and no more than a socket has room for, if it may
ROOM = 1 << 20
HOME_AGENT, CARE_OF, AGENT, NODE = "192.0.2.1", "203.0.113.2", "10.99.1.1", "10.99.1.2"
SESSIONS_OF_A_NODE = 50

FOREIGN_AGENT_CONFIG = f"""
[foreign_agent]
care_of_address = "{CARE_OF}"
interfaces = ["vis0"]
datapath = "none"
"""


def stop_while_it_reads(process: subprocess.Popen[bytes], sent: Iterator[None]) -> int:
    """It finds all that is sent, and the signal, when it wakes up; its exit code."""
    process.send_signal(signal.SIGSTOP)
    for _ in sent:
        pass
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    return process.wait(PATIENCE)


def replies(sock: socket.socket) -> Iterator[RegistrationReply]:
    """Those that are there."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            yield RegistrationReply.decode(sock.recv(2048))


def test_a_home_agent_that_is_stopped_has_answered_every_request_that_it_made_durable(home: Home) -> None:
    home.start()
    home.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    process, home.process = home.process, None
    assert process is not None

    code = stop_while_it_reads(process, (home.ask(f"device-{number}") for number in range(TOGETHER)))

    answered = {one.identification for one in replies(home.socket) if one.code == 0}
    with contextlib.closing(sqlite3.connect(home.config.with_name("ha.sqlite"))) as state:
        durable = {int.from_bytes(row[0], "big") for row in state.execute("SELECT identification FROM binding")}
    assert code == 0
    assert 0 < len(durable) < TOGETHER, "it was stopped in the middle"
    assert answered == durable


def test_an_operator_who_released_all_has_his_answer_though_the_home_agent_is_stopped(home: Home) -> None:
    home.start()
    for number in range(TOGETHER):
        home.ask(f"device-{number}")
        assert home.answer()[1] == 0
    process, home.process = home.process, None
    assert process is not None
    with socket.socket(socket.AF_UNIX) as operator:
        operator.connect(str(home.control))
        operator.sendall(b'{"show": "status"}\n')
        answer = operator.makefile()
        assert json.loads(answer.readline())["status"]["bindings"] == TOGETHER
        release = b'{"release": {"all": true, "inform": false}}\n'

        code = stop_while_it_reads(process, (operator.sendall(one) for one in [release]))

        assert code == 0
        assert len(json.loads(answer.readline())["released"]) == TOGETHER


class Visited:
    """A foreign agent with a link to a node, and the home agent's socket, which answers when the test says so."""

    def __init__(self, network: Network, folder: Path) -> None:
        network.node("fa")
        network.node("mn")
        network.link("fa", "vis0", f"{AGENT}/24", "mn", "up0", f"{NODE}/24")
        for address in (CARE_OF, HOME_AGENT):
            network.ip("fa", "address", "add", f"{address}/32", "dev", "lo")
        self.state = folder / "fa.sqlite"
        (folder / "fa.toml").write_text(FOREIGN_AGENT_CONFIG)
        (folder / "fa.toml").chmod(0o600)
        self.node = _listening(network, "mn", NODE)
        self.home_agent = _listening(network, "fa", HOME_AGENT)
        command = ["ip", "netns", "exec", network.full("fa"), sys.executable, "-m", "host_agents.cli.main", "fa", "run"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(folder / "notify"))
            ready.settimeout(PATIENCE)
            environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
            self.process = subprocess.Popen([*command, "--config", str(folder / "fa.toml")], env=environment)
            assert ready.recv(100) == b"READY=1"

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.node.close()
        self.home_agent.close()


@pytest.fixture
def visited(tmp_path: Path) -> Iterator[Visited]:
    network = Network()
    try:
        with contextlib.closing(Visited(network, tmp_path)) as visited:
            yield visited
    finally:
        network.close()


def _listening(network: Network, place: str, address: str) -> socket.socket:
    with network.inside(place):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    sock.bind((address, 434))
    sock.settimeout(PATIENCE)
    return sock


def test_a_foreign_agent_that_is_stopped_has_handed_on_every_reply_that_it_made_durable(visited: Visited) -> None:
    answers = []
    for number in range(TOGETHER):
        nai = f"node-{number // SESSIONS_OF_A_NODE}@example.net"
        visited.node.sendto(a_request(f"device-{number}", nai=nai, care_of_address=parse(CARE_OF)), (AGENT, 434))
        relayed, agent = visited.home_agent.recvfrom(2048)
        answers.append(a_reply(relayed, home_address=parse("10.10.0.0") + number + 1))

    code = stop_while_it_reads(visited.process, (visited.home_agent.sendto(one, agent) for one in answers))

    handed_on = {one.home_address for one in replies(visited.node)}
    with contextlib.closing(sqlite3.connect(visited.state)) as state:
        durable = {row[0] for row in state.execute("SELECT home_address FROM visitor")}
    assert code == 0
    assert 0 < len(durable) < TOGETHER, "it was stopped in the middle"
    assert handed_on == durable
