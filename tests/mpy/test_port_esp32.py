"""The board's port in the real MicroPython, with faces for what an ESP32 has, and with their traps (board/)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mpy.flight_files import kept
from tools.board import payload
from tools.trial.drive import rmc

HERE = Path(__file__).parent
FIRMWARE = HERE.parent.parent / "firmware"
LIBRARIES = payload.LIBRARIES["microdot.py"].parent  # there it is one file, as on a board
CONFIG = {
    "nai": "kleung@example.net", "home_agent": "192.0.2.1", "spi": 256, "key": "text:open sesame",
    "uplinks": [{"ssid": "office", "password": "long enough"}],
}  # fmt: skip
_WRAP = 1 << 30
# Until a test gives up. A board that is switched on compiles sixty files: beside six busy loops on two cores, for 10 s
_PATIENCE_S = 40
# Of its own, with the interfaces that the faces know
_NAMESPACE = ("unshare", "--map-root-user", "--net", "sh", "-c", """
ip link set lo up
for name in up0 down0; do ip link add $name type veth peer name far-$name; ip link set $name up; done
exec "$@"
""", "sh")  # fmt: skip
_BEGIN = """
import asyncio, asyncio.core, asyncio.event, asyncio.funcs, sys
for name in ("time", "socket"):
    sys.modules.pop(name, None)
sys.path.insert(0, %r)
"""
_CLOCKLESS = """
class Over(BaseException):
    pass
class World:
    now = 0
    def until(self, end):
        # asyncio's time passes as fast as it is waited for
        async def sleep_ms(ms):
            self.now += ms
            if self.now > end:
                raise Over
        asyncio.sleep_ms = sleep_ms
    def run(self, coroutine):
        try:
            asyncio.run(coroutine)
        except Over:
            pass
world = World()
class Runtime:
    told = []
    def now(self):
        return world.now
    def tell(self, *what):
        self.told.append(what)
class Log:
    said = []
    def info(self, text):
        self.said.append(text)
    warning = info
"""


class Bench:
    """One board's surroundings in a folder, over several lives of its interpreter."""

    def __init__(self, micropython: Path, folder: Path) -> None:
        self._micropython = micropython
        self.folder = folder
        self.air: dict[str, Any] = {"networks": []}

    def environment(self, **more: str) -> dict[str, str]:
        self.surround()
        found = {
            key: str(self.folder / name) for key, name in (("AIR", "air.json"), ("NOTES", "notes"), ("FLASH", "nvs"))
        }
        return {**os.environ, "MACHINE": "ESP32", "MICROPYPATH": f"{FIRMWARE}:{LIBRARIES}:.frozen", **found, **more}

    def surround(self, **more: object) -> None:
        """Also of a board that runs, and reads the file at any moment."""
        self.air.update(more)
        fresh = self.folder / "air.new"
        fresh.write_text(json.dumps(self.air))
        fresh.rename(self.folder / "air.json")

    def run(self, code: str, **environment: str) -> Any:
        """What the code prints last, a Python value."""
        path = self.folder / "code.py"
        path.write_text(_BEGIN % str(HERE / "board") + code)
        command = [*_NAMESPACE, self._micropython, path]
        done = subprocess.run(
            command, env=self.environment(**environment), capture_output=True, text=True, timeout=_PATIENCE_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return eval(done.stdout.splitlines()[-1])

    def start(self, config: object, **environment: str) -> subprocess.Popen[str]:
        """Switched on with this config.json."""
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        return subprocess.Popen(
            [*_NAMESPACE, self._micropython, HERE / "power_on_board.py", path],
            env=self.environment(**environment), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def notes(self, key: str) -> list[Any]:
        path = self.folder / "notes"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line[key] for line in lines if key in line]


@pytest.fixture
def bench(micropython: Path, tmp_path: Path) -> Bench:
    return Bench(micropython, tmp_path)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=_PATIENCE_S)
    return process.returncode, said


def await_so(so: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


# ---- the clock


def test_the_clock_goes_on_where_ticks_wrap(bench: Bench) -> None:
    """Each look at the clock stands between two at the ticks, as this process can be made to wait between any two."""
    code = f"""
import time
from runtime.clock import Clock
time.show({_WRAP - 50})
def look():
    return time.ticks_ms(), clock.now(), time.ticks_ms()
clock = Clock()
first = look()
while time.ticks_ms() > 1000:
    clock.now()
print((first, look()))
"""
    (before, began, soon), (late, ended, after) = bench.run(code)

    assert after < soon  # they have wrapped
    assert (late - soon) % _WRAP <= ended - began <= (after - before) % _WRAP


def test_a_board_counts_from_2000_and_its_time_is_right_all_the_same(bench: Bench) -> None:
    ntp_ms = bench.run("from runtime.clock import Clock\nimport time\nprint((time.gmtime(0)[0], Clock().ntp_ms()))")

    assert ntp_ms[0] == 2000
    assert abs(ntp_ms[1] - (time.time() + 2208988800) * 1000) < 5000


def test_a_clock_that_nobody_has_set_says_so(bench: Bench) -> None:
    assert bench.run("from runtime.clock import Clock\nprint(Clock().ntp_ms())", UNSET="1") == 0


# ---- sockets


_OUTBOX = """
from port_esp32 import sockets
import socket, errno
class Socket:
    def __init__(self, *answers):
        self.sent, self.answers = [], list(answers)
    def sendto(self, octets, to):
        error = self.answers.pop(0) if self.answers else 0
        if error:
            raise OSError(error)
        self.sent.append(octets)
async def drive(outbox, turns):
    task = asyncio.create_task(outbox.serve(None))
    for _ in range(turns):
        await asyncio.sleep_ms(5)
    task.cancel()
"""


@pytest.mark.parametrize("passing", ["ENOMEM", "ETIMEDOUT", "EHOSTUNREACH"])
def test_a_message_that_finds_no_room_leaves_a_little_later_and_none_overtakes_it(bench: Bench, passing: str) -> None:
    code = f"""
sock, outbox = Socket(errno.{passing}, errno.{passing}), sockets.Outbox()
for text in (b"first", b"second"):
    outbox.send(sock, text, ("192.0.2.1", 434))
at_once = len(sock.sent)
asyncio.run(drive(outbox, 20))
print((at_once, sock.sent))
"""
    assert bench.run(_OUTBOX + code) == (0, [b"first", b"second"])


def test_what_does_not_pass_by_itself_is_said_and_so_is_too_much(bench: Bench) -> None:
    code = """
said = []
def attempt(sock, times):
    outbox = sockets.Outbox()
    try:
        for _ in range(times):
            outbox.send(sock, b"message", ("192.0.2.1", 434))
    except OSError as error:
        said.append(error.errno)
attempt(Socket(errno.EINVAL), 1)
attempt(Socket(*[errno.ENOMEM] * 99), 99)
print((said, [errno.EINVAL, errno.ENOMEM]))
"""
    said, expected = bench.run(_OUTBOX + code)

    assert said == expected


def test_nothing_is_never_sent_since_a_board_would_not_come_back_from_it(bench: Bench) -> None:
    code = """
try:
    sockets.send(sockets.udp(4000, "lo"), b"", ("127.0.0.1", 9))
except ValueError as error:
    print(repr(error.args[0]))
"""
    assert bench.run(_OUTBOX + code) == "an empty datagram"


# ---- keys


def test_keys_move_into_nvs_and_the_file_names_them_there(bench: Bench, tmp_path: Path) -> None:
    agent = {"care_of_address": "203.0.113.2", "spi": 300, "key": "hex:0011"}
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "foreign_agents": [agent]}))
    code = f"""
import json
from port_esp32 import keys, keystore
path, store = {str(tmp_path / "config.json")!r}, keystore.Keystore()
moved = [keys.hide(path, store), keys.hide(path, store)]
document = json.load(open(path))
keys.reveal(document, store)
print((moved, document["key"], document["foreign_agents"][0]["key"]))
"""
    assert bench.run(code) == ([True, False], "text:open sesame", "hex:0011")
    assert "sesame" not in (tmp_path / "config.json").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["key"] == "nvs:key"


def test_a_key_that_is_on_another_board_is_asked_for_in_one_line(bench: Bench) -> None:
    code, said = ended(bench.start({**CONFIG, "key": "nvs:key"}))

    assert code == 0  # the prompt is free
    assert "config.json: key: nvs:key is not in the NVS of this board: deploy the configuration again" in said
    assert "Traceback" not in said


def test_nvs_is_written_only_for_what_is_new(bench: Bench) -> None:
    code = """
from port_esp32.keystore import Keystore
store = Keystore()
for channel in (6, 6, 11):
    store.put_access_point("office", b"\\2\\0\\0\\0\\0\\1", channel)
print((store.access_point(), Keystore().channel()))
"""
    assert bench.run(code) == (("office", b"\2\0\0\0\0\1"), 11)
    assert len(bench.notes("commit")) == 2


# ---- starting and ending


def test_a_button_that_is_held_leaves_the_prompt_free(bench: Bench) -> None:
    bench.air["buttons"] = [0]

    code, said = ended(bench.start(CONFIG))

    assert code == 0
    assert "safe mode: the button is held" in said


def test_three_crashes_in_a_row_leave_the_prompt_free_and_the_next_reset_is_another_chance(bench: Bench) -> None:
    bench.air["broken"] = True

    lives = [ended(bench.start(CONFIG, RESET_CAUSE="2")) for _ in range(3)]
    code, said = ended(bench.start(CONFIG, RESET_CAUSE="2"))

    assert [one for one, _ in lives] == [77, 77, 77]
    assert code == 0
    assert "safe mode: the node has failed 3 times in a row" in said
    assert json.loads((bench.folder / "nvs").read_text())["istarts"] == 0


def test_power_that_goes_and_comes_is_no_crash(bench: Bench) -> None:
    (bench.folder / "nvs").write_text(json.dumps({"istarts": 7}))
    process = bench.start(CONFIG, RESET_CAUSE="1")
    await_so(lambda: bench.notes("scan"))
    process.kill()
    process.communicate()


def test_a_flight_recorder_writes_what_the_board_knows_of_its_link(bench: Bench) -> None:
    process = bench.start({**CONFIG, "recorder": {"write": 1, "sample": 1}})
    await_so(lambda: kept(bench.folder))
    process.send_signal(signal.SIGINT)

    code, said = ended(process)
    assert code == 0
    assert "Traceback" not in said


@pytest.fixture
def drive(bench: Bench) -> Iterator[int]:
    """A board that records a drive, with all that can be had for one; the other end of its receiver's line."""
    speaking, listening = os.openpty()
    tty.setraw(listening)
    bench.air.update(uart=os.ttyname(listening), battery_uv=1_875_000, buttons=[])
    wired = {"gps": "uart1", "gps_pins": [4, 5], "marker": 27, "battery": 35}
    process = bench.start({**CONFIG, "recorder": {"write": 1, "sample": 1, **wired}})
    await_so(lambda: bench.notes("uart") and bench.notes("steady"))
    yield speaking
    process.kill()
    said, _ = process.communicate()
    os.close(speaking)
    os.close(listening)
    print(said)
    assert "Traceback" not in said


def test_a_sample_has_the_place_that_a_receiver_on_a_uart_says_and_the_battery(bench: Bench, drive: int) -> None:
    os.write(drive, b"$GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.00")
    os.write(drive, b"4,77.52,091202,,,A*57\r\n$GPRMC,083559.00,A,0000.00000,N,00833.9")  # the next is cut short
    await_so(lambda: [one for one in kept(bench.folder) if "lat" in one])
    os.write(drive, b"\r\n" + rmc(1795884000.25, 47.3769, -8.5417))
    await_so(lambda: len({one["lon"] for one in kept(bench.folder) if "lon" in one}) > 1)

    samples = [one for one in kept(bench.folder) if "lat" in one]
    assert [(one["lat"], one["lon"]) for one in samples] == [(472852395, 85652537), (473769000, -85417000)]
    assert {one["battery"] for one in samples} == {50}
    assert bench.notes("uart") == [[1, 9600, 4, 5]]


def test_each_press_of_the_marker_is_one_mark_however_it_bounces_and_however_long_it_is_held(
    bench: Bench, drive: int
) -> None:
    for buttons in ([27], [], [27], []):
        before = len(bench.notes("steady"))
        bench.surround(buttons=buttons)
        await_so(lambda before=before: len(bench.notes("steady")) > before)
    over = bench.notes("at")[-1]
    await_so(lambda: kept(bench.folder)[-1]["t"] > over)

    assert [one["e"] for one in kept(bench.folder)].count("mark") == 2


def test_what_is_wired_to_pins_that_cannot_do_it_is_a_line_each_and_the_node_goes_on_without(bench: Bench) -> None:
    wired = {"gps": "uart1", "gps_pins": [4, 47], "marker": 48, "battery": 4}
    process = bench.start({**CONFIG, "recorder": {"write": 1, **wired}})
    await_so(lambda: kept(bench.folder))
    process.send_signal(signal.SIGINT)

    _, said = ended(process)
    for line in ("no GPS: UART1 on GPIO 4 and 47: ", "no marker: GPIO 48: ", "no battery: GPIO 4: "):
        assert said.count(line) == 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "recorder, reason",
    [
        ({"gps": "uart1"}, "recorder.gps_pins: missing: an ESP32 has none for uart1"),
        ({"gps": "/dev/ttyUSB0"}, 'recorder.gps: none of "", "uart1", "uart2"'),
        ({"gps": "uart2"}, "recorder.gps: uart2 is that of a downlink"),
        ({"battery": 35, "battery_mv": [2100, 1650]}, "recorder.battery_mv: not two voltages in mV: [EMPTY, FULL]"),
    ],
)
def test_a_recorder_that_could_not_be_wired_so_is_refused_in_one_line(
    bench: Bench, recorder: dict[str, object], reason: str
) -> None:
    line = {"kind": "slip", "port": "uart"}

    code, said = ended(bench.start({**CONFIG, "downlinks": [line], "recorder": recorder}))

    assert code == 0
    assert reason in said and "Traceback" not in said


def test_an_interrupt_ends_the_node_and_the_watchdog_is_fed_for_whoever_is_at_the_prompt(bench: Bench) -> None:
    process = bench.start(CONFIG)
    await_so(lambda: bench.notes("fed"))
    process.send_signal(signal.SIGINT)

    assert ended(process)[0] == 0
    assert bench.notes("timer")[-1] > 0
    assert json.loads((bench.folder / "nvs").read_text())["istarts"] == 0


def test_a_configuration_that_this_board_cannot_run_is_one_line(bench: Bench) -> None:
    code, said = ended(bench.start({**CONFIG, "mode": "foreign-agent"}))

    assert code == 0
    assert "mode: at a foreign agent's care-of address nothing could be carried: this image does not forward" in said
    assert "Traceback" not in said


# ---- health and LED


def test_after_a_minute_a_program_from_the_air_is_a_good_one_and_starts_count_from_nought(
    bench: Bench,
) -> None:
    code = """
from port_esp32.health import Health
from port_esp32.keystore import Keystore
store = Keystore()
store.put_starts(2)
health = Health(store, Log())
world.until(65000)
original = asyncio.sleep_ms
async def sleep_ms(ms):
    health.alive(world.now)
    await original(ms)
asyncio.sleep_ms = sleep_ms
world.run(health.watch(Runtime()))
print(store.starts())
"""
    assert bench.run(_CLOCKLESS + code) == 0
    assert bench.notes("valid") == [1]


def test_the_watchdog_starves_when_the_uplink_hangs(bench: Bench) -> None:
    code = """
from port_esp32.health import Health
from port_esp32.keystore import Keystore
world.until(300000)
world.run(Health(Keystore(), Log()).watch(Runtime()))
print(None)
"""
    bench.run(_CLOCKLESS + code)

    assert bench.notes("watchdog") == [60000]
    assert 25 < len(bench.notes("fed")) < 35  # and then, after thirty seconds without a look at the radio, no more


def test_the_led_blinks_what_it_is_told(bench: Bench) -> None:
    code = """
from port_esp32.led import Led
world.until(2000)
world.run(Led(2).show(lambda: "registering"))
world.run(Led(None).show(lambda: "serving"))
print(None)
"""
    bench.run(_CLOCKLESS + code)

    assert bench.notes("value")[:4] == [1, 0, 1, 0]


# ---- the access point


_POINT = """
from mip4.effects import Attach
from mip4.address import parse
from port_esp32.access_point import AccessPoint
config = {"name": "ap", "ssid": "Entourage", "password": "long enough", "stations": 8}
uplink_was_up = asyncio.Event()
point = AccessPoint(config, 6, uplink_was_up, None, Log())
def attach(home, gateway="10.10.0.1", link=b"\\2\\0\\0\\0\\0\\x11"):
    point.attach(Attach(parse(home), "ap", link, parse(gateway)))
"""


def test_the_access_point_begins_on_the_channel_of_the_network_that_is_joined_next(bench: Bench) -> None:
    bench.run(_CLOCKLESS + _POINT + "print(None)")

    assert {"channel": 6} in bench.notes("config")
    assert {"max_clients": 8} in bench.notes("config")


def test_its_network_is_the_smallest_that_has_the_gateway_and_all_home_addresses_for_hosts(bench: Bench) -> None:
    code = """
for home in ("10.10.0.2", "10.10.0.3", "10.10.0.200"):
    attach(home)
print(Log.said)
"""
    said = bench.run(_CLOCKLESS + _POINT + code)

    networks = [line.removeprefix("access point address=") for line in said]
    assert networks == ["10.10.0.1/30", "10.10.0.1/29", "10.10.0.1/24"]  # .3 is the broadcast address of a /30
    assert [one[3] for one in bench.notes("access_point")] == ["0.0.0.0"] * 3  # each time without ESP-IDF's server


def test_until_there_is_an_uplink_the_servers_own_addresses_lead_to_the_portal_and_then_come_ours(bench: Bench) -> None:
    bench.air["stations"] = ["020000000012"]
    code = """
async def begin():
    task = asyncio.create_task(point.serve(Runtime()))
    await asyncio.sleep(0)
    before = network.WLAN.server is not None
    uplink_was_up.set()
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    print((before, network.WLAN.server is None, point._server is not None))
import network
asyncio.run(begin())
"""
    assert bench.run(_CLOCKLESS + _POINT + code) == (True, True, True)
    assert bench.notes("active") == [True, False, True]  # who had come before is to ask again


def test_a_home_agent_that_names_no_gateway_is_a_line_in_the_log_and_no_network_without_end(bench: Bench) -> None:
    said = bench.run(_CLOCKLESS + _POINT + 'attach("10.10.0.2", "192.0.0.8")\nprint(Log.said)')

    assert said == ["access point: no packets for 10.10.0.2 and gateway 192.0.0.8 are in no network together"]


def test_a_station_that_nobody_sees_for_a_minute_is_gone_once(bench: Bench) -> None:
    bench.air["stations"] = ["020000000012"]
    code = """
runtime = Runtime()
attach("10.10.0.2")
attach("10.10.0.3", link=b"\\2\\0\\0\\0\\0\\x12")
world.until(90000)
def gone(link):
    point.detach(parse("10.10.0.2"))
original = runtime.tell
def tell(*what):
    original(*what, world.now)
    if what[0] == "gone":
        gone(what[1])
runtime.tell = tell
world.run(point.watch(runtime))
print(runtime.told)
"""
    told = bench.run(_CLOCKLESS + _POINT + code)

    assert told == [("downlink_up", "ap", 0), ("gone", b"\2\0\0\0\0\x11", 60000)]


# ---- the portal

SERVED = {
    **CONFIG, "portal": "correct horse", "own_session": "",
    "downlinks": [{"kind": "wifi-ap", "ssid": "Entourage", "password": "battery staple"}],
}  # fmt: skip
_ASK = """
import base64, json, sys, urllib.error, urllib.parse, urllib.request
path, password, form, headers = json.loads(sys.argv[1])
data = None if form is None else urllib.parse.urlencode(form).encode()
request = urllib.request.Request("http://%s" % path, data, headers)
request.add_header("Authorization", "Basic " + base64.b64encode(b"me:" + password.encode()).decode())
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(json.dumps([answer.status, dict(answer.headers), answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, dict(error.headers), error.read().decode()]))
"""


class Browser:
    """A client in the board's own namespace, which is where both of its links end."""

    def __init__(self, process: subprocess.Popen[str], base: str = "192.168.4.1") -> None:
        self._process = process
        self._base = base

    def ask(
        self, path: str, form: dict[str, str] | None = None, password: str = "correct horse", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """(status, headers, body); a form makes it a POST."""
        inside = ["nsenter", "--target", str(self._process.pid), "--user", "--preserve-credentials", "--net"]
        question = json.dumps([self._base + path, password, form, headers])
        done = subprocess.run(
            [*inside, sys.executable, "-c", _ASK, question], capture_output=True, text=True, timeout=_PATIENCE_S
        )
        assert done.returncode == 0, done.stderr
        status, answered, body = json.loads(done.stdout)
        return status, answered, body


@pytest.fixture
def served(bench: Bench) -> Iterator[Browser]:
    """The portal of a board that has a network in reach."""
    bench.air["networks"] = [{
        "ssid": "office", "bssid": "020000000001", "channel": 6, "rssi": -55, "password": "long enough",
        "address": "10.99.1.50", "mask": "255.255.255.0", "router": "10.99.1.1",
    }]  # fmt: skip
    process = bench.start(SERVED)
    nvs = bench.folder / "nvs"
    await_so(lambda: nvs.exists() and '"bap"' in nvs.read_text())  # a network has been joined
    yield Browser(process)
    process.kill()
    print(process.communicate()[0])


def test_the_portal_shows_what_the_node_does_and_what_it_refuses_without_any_script(served: Browser) -> None:
    status, headers, body = served.ask("/")

    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"] and "<script" not in body
    assert "devices on ap are refused: this image does not forward" in body
    assert "10.99.1.50" in body and "-55 dBm" in body and "kleung@example.net" in body


def test_nobody_sees_it_without_the_password_or_from_another_link_or_by_somebody_elses_page(served: Browser) -> None:
    status, headers, body = served.ask("/", password="wrong")
    assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert "kleung" not in body

    other_page = served.ask("/restart", {"now": "yes"}, Origin="http://evil.example")
    from_uplink = Browser(served._process, "10.99.1.50").ask("/")

    assert (other_page[0], from_uplink[0]) == (403, 403)


def test_networks_are_added_changed_and_removed_and_passwords_never_shown(served: Browser, tmp_path: Path) -> None:
    added = served.ask("/uplinks", {"ssid": "<b>caf\u00e9", "password": "espresso!", "priority": "3"})[2]
    short = served.ask("/uplinks", {"ssid": "bar", "password": "short", "priority": "1"})[2]
    served.ask("/uplinks", {"remove": "office"})
    refused = served.ask("/uplinks", {"remove": "<b>caf\u00e9"})[2]

    assert "Saved." in added and "&lt;b&gt;caf\u00e9" in added and "espresso!" not in added and "<b>caf" not in added
    assert "Not saved: uplinks[2].password: a WPA password has 8 to 63 octets" in short
    assert "Not saved: uplinks: none" in refused
    uplinks = json.loads((tmp_path / "config.json").read_text())["uplinks"]
    assert uplinks == [{"ssid": "<b>caf\u00e9", "password": "espresso!", "priority": 3}]


def test_a_configuration_goes_out_without_secrets_and_comes_back_with_those_that_are_kept(
    served: Browser, tmp_path: Path
) -> None:
    before = json.loads((tmp_path / "config.json").read_text())
    shown = served.ask("/config.json")[2]
    assert "battery" not in shown and "long enough" not in shown and "sesame" not in shown and "horse" not in shown

    changed = {**json.loads(shown), "lifetime": 300}
    said = served.ask("/config", {"document": json.dumps(changed)})[2]
    nothing_kept = {**changed, "uplinks": [{"ssid": "new", "password": "(kept)"}]}
    refused = served.ask("/config", {"document": json.dumps(nothing_kept)})[2]
    broken = served.ask("/config", {"document": "{"})[2]

    assert "Saved." in said
    assert "Not saved: uplinks[0].password: there is none that could be kept" in refused
    assert "Not saved" in broken
    assert json.loads((tmp_path / "config.json").read_text()) == {**before, "lifetime": 300}


def test_another_password_holds_at_once(served: Browser) -> None:
    assert "Saved." in served.ask("/password", {"password": "staple battery"})[2]

    assert served.ask("/")[0] == 401
    assert served.ask("/", password="staple battery")[0] == 200


def test_the_node_starts_again_when_it_is_asked_to(served: Browser, bench: Bench) -> None:
    assert "starts again" in served.ask("/restart", {"now": "yes"})[2]

    assert served._process.wait(5) == 77
    assert bench.notes("reset") == [1]


# ---- what it costs


def test_the_port_leaves_room_for_the_node_and_the_portal_is_paid_for_only_where_it_is_wanted(
    bench: Bench, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for name, octets in payload.compiled("x64").items():
        path = tmp_path / "flash" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
    code = """
import air, esp32, gc, machine, main, network, socket, time
from mobile_node import mobile_node
from runtime import applications, config, forwarder, runtime, slip_line, state
def cost(*names):
    gc.collect()
    before = gc.mem_alloc()
    for name in names:
        __import__(name)
    gc.collect()
    return gc.mem_alloc() - before
port = cost("port_esp32.port", "port_esp32.start", "port_esp32.access_point", "port_esp32.serial_link")
print((port, cost("port_esp32.portal"), "microdot" in sys.modules))
"""
    port, portal, _ = bench.run(code, MICROPYPATH=f"{tmp_path / 'flash'}:.frozen")

    budgets = tomllib.loads((FIRMWARE.parent / "boards" / "budgets.toml").read_text())
    for name, octets in (("import_port", port), ("import_portal", portal)):
        spent, limit = round(octets / budgets["heap"]["code_factor"]), budgets["limits"][name]
        record_property("budget", [name, spent, limit])
        assert spent <= limit
