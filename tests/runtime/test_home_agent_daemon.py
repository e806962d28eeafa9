"""The home agent's daemon as an operator meets it: killed, restarted, misconfigured, asked."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_agents.datapath.device import open_device
from host_agents.runtime.control_client import ask
from mip4.address import parse, show
from mip4.authentication import SecurityAssociation
from mip4.extensions import MobileHomeAuthentication, Nai
from mip4.identification import NTP_UNIX, Noise, Timestamps
from mip4.ip import Datagram
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import SubNai, find_sub_nai
from tests.runtime.namespaces import Network, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

HOME_AGENT, CARE_OF = "192.0.2.1", "203.0.113.2"
NAI = b"kleung@example.net"
KEY = "00112233445566778899aabbccddeeff"
SEED = 5944
ROUNDS, SESSIONS = 8, 150
PATIENCE = 10.0
DAY = 86_400  # seconds

CONFIG = f"""
[home_agent]
address = "{HOME_AGENT}"
datapath = "none"

[[network]]
prefix = "10.10.0.0/16"
pool = ["10.10.0.10-10.10.255.250"]
gateway = "10.10.0.1"

[[subscriber]]
nai = "{NAI.decode()}"
spi = 256
key = "hex:{KEY}"
sessions = 5000
"""


class Home:
    """A namespace with a home agent in it, and a socket of the foreign agent that all registrations come through."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self.config = folder / "ha.toml"
        self.config.write_text(CONFIG)
        self.config.chmod(0o600)
        self.control = folder / "ha.sock"
        self.log = folder / "log"
        network.node("ha")
        for address in (HOME_AGENT, CARE_OF):
            network.ip("ha", "address", "add", f"{address}/32", "dev", "lo")
        with network.inside("ha"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((CARE_OF, 0))
        self.socket.settimeout(PATIENCE)
        self._identifications = Timestamps(NTP_UNIX * 1000, Noise(b"seed"))
        self._association = SecurityAssociation(256, bytes.fromhex(KEY))
        self.environment: dict[str, str] = {}  # of the daemon, besides ours
        self.process: subprocess.Popen[bytes] | None = None

    def inside(self, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self._network.full("ha"), *command]

    def entourage(self, *words: str) -> list[str]:
        return self.inside([sys.executable, "-m", "host_agents.cli.main", *words, "--config", str(self.config)])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.entourage(*words), capture_output=True, text=True, timeout=30)

    def start(self) -> None:
        """Returns when the daemon says that it is ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            path = self.config.parent / "notify"
            path.unlink(missing_ok=True)
            ready.bind(str(path))
            ready.settimeout(PATIENCE)
            environment = {**os.environ, **self.environment, "NOTIFY_SOCKET": str(path)}
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.entourage("ha", "run"), stderr=log, env=environment)
            assert ready.recv(100) == b"READY=1"

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def hold(self, device: str) -> int:
        """A TUN device's descriptor, as an agent has it that runs."""
        with self._network.inside("ha"):
            return open_device(device)

    def request(self, sub_nai: str, identification: int | None = None) -> bytes:
        """sub_nai "": of the node's own session."""
        extensions = [Nai(NAI), *([SubNai(sub_nai.encode(), 0, None).extension()] if sub_nai else [])]
        fresh = self._identifications.next(time.time_ns() // 1_000_000) if identification is None else identification
        message = RegistrationRequest(0, 600, 0, parse(HOME_AGENT), parse(CARE_OF), fresh, extensions)
        return self._association.sign(message.encode(), MobileHomeAuthentication)

    def ask(self, sub_nai: str) -> None:
        self.socket.sendto(self.request(sub_nai), (HOME_AGENT, 434))

    def packet(self, sub_nai: str, checked: bool = True) -> bytes:
        """The IP packet of a request, with or without a UDP checksum."""
        port = self.socket.getsockname()[1]
        octets = Datagram(parse(CARE_OF), port, parse(HOME_AGENT), 434, self.request(sub_nai)).packet(ttl=64).encode()
        return octets if checked else octets[:26] + b"\0\0" + octets[28:]

    def send_raw(self, packet: bytes) -> None:
        with self._network.inside("ha"), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            sock.sendto(packet, (HOME_AGENT, 0))

    def answer(self) -> tuple[str, int, str]:
        """(sub-NAI, code, home address) of the next reply."""
        reply = self.last = RegistrationReply.decode(self.socket.recv(2048))
        found = find_sub_nai(reply.extensions, 0, NAI)
        assert found is not None
        return found.sub_nai.decode(), reply.code, show(reply.home_address)

    def resynchronise(self) -> None:
        """Take the clock of the last 133, as a node does."""
        self._identifications.resynchronise(self.last.identification, time.time_ns() // 1_000_000)

    def shown(self) -> list[dict[str, Any]]:
        """As `show bindings --json` has them."""
        shown = self.run("ha", "show", "bindings", "--json")
        assert shown.returncode == 0, shown.stderr
        found: list[dict[str, Any]] = json.loads(shown.stdout)["bindings"]
        return found

    def bindings(self) -> dict[str, str]:
        return {one["sub_nai"]: one["home_address"] for one in self.shown()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    network = Network()
    home = Home(network, tmp_path)
    try:
        yield home
    finally:
        if home.process is not None:
            home.end(signal.SIGKILL)
        home.socket.close()
        network.close()


def test_a_kill_at_any_moment_loses_no_acknowledged_binding(home: Home) -> None:
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    acknowledged: dict[str, str] = {}

    for round_ in range(ROUNDS):
        home.start()
        for number in range(SESSIONS):
            home.ask(f"device-{round_}-{number}")
        for _ in range(dice.randrange(SESSIONS)):
            sub_nai, code, address = home.answer()
            assert code == 0
            acknowledged[sub_nai] = address
        home.end(signal.SIGKILL)
        home.socket.setblocking(False)
        while True:  # what left before the kill was acknowledged too
            try:
                sub_nai, _, address = home.answer()
                acknowledged[sub_nai] = address
            except BlockingIOError:
                break
        home.socket.settimeout(PATIENCE)

    home.start()
    kept = home.bindings()
    assert len(acknowledged) > SESSIONS
    assert {sub_nai: kept.get(sub_nai) for sub_nai in acknowledged} == acknowledged
    assert len(set(kept.values())) == len(kept)


def test_of_what_came_together_each_gets_its_own_answer(home: Home) -> None:
    home.start()
    for _ in ("new", "renewed"):
        damaged = bytearray(home.request("laptop"))
        damaged[-1] ^= 1
        home.signal(signal.SIGSTOP)  # so that all of it waits when the daemon looks
        for request in (home.request("laptop"), damaged, b"", b"\1", home.request("camera"), home.request("laptop")):
            home.socket.sendto(request, (HOME_AGENT, 434))
        home.signal(signal.SIGCONT)

        answers = [home.answer() for _ in range(4)]

        assert sorted(answer[:2] for answer in answers) == [
            ("camera", 0),
            ("laptop", 0),
            ("laptop", 0),
            ("laptop", 131),
        ]
        assert {sub_nai: address for sub_nai, code, address in answers if code == 0} == home.bindings()


def test_what_the_state_file_refuses_takes_nothing_with_it_that_came_together_with_it(home: Home) -> None:
    home.start()
    home.ask("laptop")
    _, _, held = home.answer()
    with contextlib.closing(sqlite3.connect(home.config.parent / "ha.sqlite")) as state, state:
        state.execute(  # somebody has the address that is the next to be given, and the daemon does not know
            "INSERT INTO binding VALUES ('a@example.net', '', ?, 9, 1, 1, 0, x'00', 0, NULL, 0, 0, 0, '')",
            (parse(held) + 1,),
        )
    home.signal(signal.SIGSTOP)
    for sub_nai in ("laptop", "camera", "printer"):
        home.ask(sub_nai)
    home.signal(signal.SIGCONT)

    answers = sorted(home.answer() for _ in range(3))

    assert [answer[:2] for answer in answers] == [("camera", 130), ("laptop", 0), ("printer", 0)]
    assert sorted(home.bindings()) == ["laptop", "printer"]


def test_what_was_accepted_before_a_kill_is_refused_after_it(home: Home) -> None:
    home.start()
    request = home.request("camera")
    home.socket.sendto(request, (HOME_AGENT, 434))
    assert home.answer()[1] == 0

    home.end(signal.SIGKILL)
    home.start()
    home.socket.sendto(request, (HOME_AGENT, 434))

    assert home.answer()[1] == 133


def test_a_nonce_that_was_given_before_a_kill_is_good_after_it_and_the_last_request_is_known_again(home: Home) -> None:
    home.config.write_text(CONFIG + 'replay = "nonces"\n')
    home.start()
    assert (home.ask("camera"), home.answer()[1]) == (None, 133)
    request = home.request("camera", home.last.identification + 1)
    home.socket.sendto(request, (HOME_AGENT, 434))
    granted = home.answer()
    nonce = home.last.identification

    home.end(signal.SIGKILL)
    home.start()
    home.socket.sendto(request, (HOME_AGENT, 434))
    again = home.answer()
    home.socket.sendto(home.request("camera", nonce + 1), (HOME_AGENT, 434))
    renewed = home.answer()
    home.socket.sendto(request, (HOME_AGENT, 434))

    assert (granted[1], again, renewed) == (0, granted, granted)
    assert home.answer()[1] == 133
    assert home.bindings() == {"camera": granted[2]}


def test_a_clock_that_was_put_back_a_day_locks_nobody_out(home: Home) -> None:
    """What it accepted yesterday, by the clock it has now, was accepted tomorrow."""
    home.start()
    home.ask("camera")
    address = home.answer()[2]
    home.end(signal.SIGTERM)
    _put_ahead(home.config.with_name("ha.sqlite"), DAY)

    home.start()
    home.ask("camera")
    sub_nai, code, _ = home.answer()
    assert (sub_nai, code) == ("camera", 133)
    home.resynchronise()
    home.ask("camera")

    assert home.answer() == ("camera", 0, address)


def test_ha_01_silence_for_a_datagram_that_was_damaged_on_its_way(home: Home) -> None:
    """The kernel sees to that; a checksum that was never made (RFC 768) is no damage."""
    home.start()
    good = home.packet("camera")
    damage = {
        "a flipped bit": good[:-1] + bytes((good[-1] ^ 1,)),
        "another checksum": good[:26] + b"\x12\x34" + good[28:],
        "a UDP length past the end": good[:24] + (len(good) - 19).to_bytes(2, "big") + b"\0\0" + good[28:],
        "a UDP length within the header": good[:24] + b"\0\7" + b"\0\0" + good[28:],
    }
    for octets in damage.values():
        home.send_raw(octets)

    home.send_raw(home.packet("sensor", checked=False))
    home.ask("printer")

    assert [home.answer()[:2] for _ in range(2)] == [("sensor", 0), ("printer", 0)]
    assert set(home.bindings()) == {"sensor", "printer"}


def test_sigterm_ends_it_with_0_and_keeps_everything(home: Home) -> None:
    home.start()
    home.ask("camera")
    address = home.answer()[2]

    assert home.end(signal.SIGTERM) == 0

    home.start()
    assert home.bindings() == {"camera": address}


def test_files_are_private_and_no_key_is_logged(home: Home) -> None:
    home.start()
    home.ask("camera")
    home.answer()

    for path in home.config.parent.iterdir():
        if path.name.startswith("ha."):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
    assert KEY not in home.log.read_text()


def test_it_keeps_only_the_capabilities_it_needs(home: Home) -> None:
    home.start()
    assert home.process is not None

    status = Path(f"/proc/{home.process.pid}/status").read_text()

    held = {line.split()[0]: int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")}
    allowed = 1 << 10 | 1 << 12 | 1 << 13  # NET_BIND_SERVICE, NET_ADMIN, NET_RAW
    assert held["CapEff:"] & ~allowed == 0
    assert held["CapPrm:"] & ~allowed == 0
    assert held["CapBnd:"] & ~allowed == 0


def test_a_second_daemon_is_refused_in_one_line(home: Home) -> None:
    home.start()

    second = home.run("ha", "run")

    assert second.returncode == 1
    assert len(second.stderr.strip().splitlines()) == 1
    assert "ha.sqlite" in second.stderr


def test_what_another_agent_has_is_not_withdrawn(home: Home) -> None:
    device = home.hold("mip0")
    try:
        refused = home.run("ha", "withdraw")
    finally:
        os.close(device)
    looked = home.inside(["ip", "link", "show", "mip0"])

    assert (refused.returncode, refused.stderr) == (1, "entourage: withdraw mip0: another agent has it\n")
    assert subprocess.run(looked, capture_output=True).returncode == 0
    assert home.run("ha", "withdraw").returncode == 0
    assert subprocess.run(looked, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("former", "latter", "device", "complaint"),
    [
        ("spi = 256", 'spi = "many"', "mip0", ""),  # which does not matter here
        ("[home_agent]", "[home_agent]\ndevice = 7", "mip0", "home_agent.device: Expected `str`, got `int`"),
        ("[home_agent]", "[home_agent]\ndevise = 'mip7'", "mip0", "home_agent.devise: there is no such key: is device"),
        ("[[network]]", "device = 'mip7'\nport = \n[[network]]", "mip7", "not TOML: "),
        (f'address = "{HOME_AGENT}"', "", "mip0", "home_agent.address: is missing"),
        (f'address = "{HOME_AGENT}"', "\0", "mip0", "not TOML: "),
    ],
)
def test_what_an_agent_left_is_withdrawn_whatever_its_file_looks_like(
    home: Home, former: str, latter: str, device: str, complaint: str
) -> None:
    os.close(home.hold(device))
    home.config.write_text(CONFIG.replace(former, latter))

    done = home.run("ha", "withdraw")

    looked = subprocess.run(home.inside(["ip", "link", "show", device]), capture_output=True)
    assert looked.returncode == 1, "it is still there"
    said = f"entourage: {home.config}: {complaint}", f"; {device} is withdrawn all the same\n"
    assert done.returncode == (2 if complaint else 0)
    assert (done.stderr.startswith(said[0]) and done.stderr.endswith(said[1])) if complaint else done.stderr == ""
    assert done.stderr.count("\n") <= 1


def test_where_the_file_is_gone_the_name_of_the_device_does(home: Home) -> None:
    os.close(home.hold("mip0"))
    home.config.unlink()
    without = [word for word in home.entourage("ha", "withdraw", "--device", "mip0") if "toml" not in word][:-1]

    unknown = home.run("ha", "withdraw")
    known = subprocess.run(without, capture_output=True, text=True, timeout=30)

    assert unknown.returncode == 2
    assert unknown.stderr == f"entourage: {home.config}: No such file or directory (--device NAME needs no file)\n"
    assert (known.returncode, known.stderr) == (0, "")
    assert subprocess.run(home.inside(["ip", "link", "show", "mip0"]), capture_output=True).returncode == 1


def test_who_takes_it_for_a_node_is_told_so_at_once(home: Home) -> None:
    home.start()
    ask = [sys.executable, "-m", "host_agents.cli.main", "node", "status", "--control", str(home.control)]

    done = subprocess.run(ask, capture_output=True, text=True, timeout=8)  # a node would have ten seconds

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"entourage: {home.control}: no answer from the node: bad request")


def test_nobody_there_is_exit_1_with_nothing_on_stdout(home: Home) -> None:
    shown = home.run("ha", "show", "bindings", "--json")

    assert (shown.returncode, shown.stdout) == (1, "")
    assert "no answer from the daemon" in shown.stderr


@pytest.mark.parametrize(
    ("former", "latter", "complaint"),
    [
        ("192.0.2.1", "192.0.2.256", "home_agent.address: not an IPv4 address: 192.0.2.256"),
        ("spi = 256", "spi = 12", "subscriber[0]: SPI 12 is outside"),
        (f"hex:{KEY}", "hex:xyz", "subscriber[0].key: "),
        ("sessions = 5000", 'sessions = "many"', "subscriber[0].sessions: Expected `int`, got `str`"),
        ("sessions = 5000", "session = 5000", "subscriber[0].session: there is no such key: is sessions meant?"),
        ("10.10.0.10-", "10.11.0.10-", "network[0].pool: "),
        ("[home_agent]", "[home_agent", "not TOML"),
    ],
)
def test_a_wrong_configuration_is_exit_2_and_one_line_with_file_and_key(
    home: Home, former: str, latter: str, complaint: str
) -> None:
    home.config.write_text(CONFIG.replace(former, latter))

    done = home.run("ha", "run")

    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"{home.config}: {complaint}" in done.stderr
    assert KEY not in done.stderr


def test_a_broken_file_keeps_the_former_one_in_force_and_says_so(home: Home) -> None:
    home.start()
    home.ask("camera")
    address = home.answer()[2]
    home.config.write_text(CONFIG.replace("spi = 256", "spi = 1").replace("sessions = 5000", "sessions = 0"))
    assert home.process is not None

    home.process.send_signal(signal.SIGHUP)
    refused = ask(home.control, {"reload": True})["error"].splitlines()
    home.ask("printer")

    assert home.answer()[:2] == ("printer", 0)
    assert refused == [
        "reload refused, the former subscribers and keys stay in force:",
        f"{home.config}: subscriber[0].sessions: outside 1..65536",
        f"{home.config}: subscriber[0]: SPI 1 is outside 256..4294967295",
    ]
    assert home.log.read_text().count(f"reload refused: {home.config}: subscriber[0].sessions: outside") == 2
    home.config.write_text(CONFIG)
    assert home.bindings()["camera"] == address


def test_who_is_to_be_looked_at_and_is_no_subscriber_is_looked_at_and_said_to_be_none(home: Home) -> None:
    home.start()
    mistyped, sure = NAI.decode().replace("eu", "ue"), NAI.decode()

    known = home.run("ha", "debug", sure)
    unknown = home.run("ha", "debug", mistyped)
    impossible = home.run("ha", "debug", "kleung@")
    off = [home.run("ha", "debug", name, "--off") for name in (mistyped, mistyped, sure)]

    assert (known.returncode, known.stdout, known.stderr) == (0, f"looked at: {sure}\n", "")
    assert (unknown.returncode, unknown.stdout) == (0, f"looked at: {sure}, {mistyped}\n")
    assert unknown.stderr == f"entourage: no subscriber has the NAI {mistyped}; is {sure} meant?\n"
    assert (impossible.returncode, impossible.stdout) == (1, "")
    assert impossible.stderr == "entourage: debug: NAI realm of one label: kleung@\n"
    assert [one.stdout for one in off] == [f"looked at: {sure}\n"] * 2 + ["looked at: nobody\n"]
    assert [one.stderr for one in off] == ["", f"entourage: {mistyped} was not looked at\n", ""]


def test_a_removed_subscribers_bindings_are_gone_and_an_added_one_is_known_at_once(home: Home) -> None:
    home.start()
    home.ask("camera")
    home.answer()
    home.config.write_text(CONFIG.replace(NAI.decode(), "other@example.net"))

    reloaded = ask(home.control, {"reload": True})

    assert {key: reloaded[key] for key in ("added", "removed", "revoked", "restart_needed")} == {
        "added": 1, "removed": 1, "revoked": 1, "restart_needed": False,
    }  # fmt: skip
    assert ask(home.control, {"show": "bindings"}) == {"bindings": []}
    home.config.write_text(CONFIG.replace("[home_agent]", "[home_agent]\nlifetime = 60"))
    assert ask(home.control, {"reload": True})["restart_needed"]
    home.ask("camera")
    assert home.answer()[1] == 0


def _put_ahead(state: Path, seconds: int) -> None:
    """Let every time in the state file be so much later."""
    with contextlib.closing(sqlite3.connect(state)) as connection, connection:
        connection.create_function("later", 1, lambda octets: _later(octets, seconds))
        for table in ("binding", "identification"):
            connection.execute(f"UPDATE {table} SET identification = later(identification)")
        connection.execute("UPDATE binding SET expires = expires + ?", (seconds * 1000,))


def _later(identification: bytes, seconds: int) -> bytes:
    return (int.from_bytes(identification, "big") + (seconds << 32)).to_bytes(8, "big")


def test_all_sessions_are_released_in_shares_and_the_command_says_how_many(home: Home) -> None:
    home.start()
    for first in range(0, 300, 50):  # more than one share; no more replies at a time than our socket has room for
        for number in range(first, first + 50):
            home.ask(f"device-{number}")
        for _ in range(50):
            assert home.answer()[1] == 0

    done = home.run("ha", "release", "--all", "--quietly")

    assert (done.returncode, done.stdout) == (0, "300 released\n")
    assert home.bindings() == {}
