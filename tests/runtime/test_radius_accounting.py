"""What a real FreeRADIUS is told of sessions, and what its radclient can have ended."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from hashlib import md5
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from host_agents.datapath.protocol import Counters
from host_agents.effects import MobilityBinding, RemoveBinding, StoreBinding
from host_agents.runtime.account import START, Account, Report
from host_agents.runtime.accounting import Accounting, Hearing
from host_agents.runtime.control_client import ask
from host_agents.runtime.radius import RadiusClient
from host_agents.runtime.reports import MOST, Reports
from host_agents.store.accounts import AccountStore
from mip4.address import parse
from mip4.identification import NTP_UNIX
from tests.runtime.test_home_agent_daemon import CARE_OF, CONFIG, HOME_AGENT, NAI, PATIENCE, Home
from tests.runtime.test_home_agent_daemon import home as home  # a fixture
from tests.runtime.test_home_agent_daemon import pytestmark as pytestmark
from tests.runtime.test_radius import SECRET, Server, need_freeradius
from tools.lab.crew import wait_until

RADIUSD = f"""
raddbdir = FOLDER
libdir = /usr/lib/freeradius
run_dir = FOLDER
client home_agent {{
    ipaddr = 127.0.0.1
    secret = {SECRET}
}}
modules {{
    detail {{
        filename = FOLDER/detail
    }}
}}
server default {{
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = 1813
    }}
    accounting {{
        detail
    }}
}}
"""
Told = dict[str, str]


class Ledger(Server):
    """FreeRADIUS, which writes down what it is told."""

    def __init__(self, home: Home, folder: Path) -> None:
        super().__init__(home, folder, RADIUSD)

    def told(self, status: str) -> list[Told]:
        """Of this Acct-Status-Type, in the order in which it came."""
        detail = self.folder / "detail"
        entries = detail.read_text().split("\n\n") if detail.exists() else []
        pairs = [[line.split(" = ", 1) for line in entry.splitlines() if " = " in line] for entry in entries]
        found = [{name.strip(): value.strip('"') for name, value in entry} for entry in pairs if entry]
        return [one for one in found if one.get("Acct-Status-Type") == status]

    def until(self, status: str, count: int = 1) -> list[Told]:
        wait_until(lambda: len(self.told(status)) >= count, PATIENCE, f"{count} × {status}")
        return self.told(status)


@pytest.fixture
def ledger(home: Home, tmp_path: Path) -> Iterator[Ledger]:
    need_freeradius()
    subprocess.run(home.inside(["ip", "link", "set", "lo", "up"]), check=True)
    home.config.write_text(
        f'{CONFIG}\n[radius]\nsecret = "text:{SECRET}"\ntimeout = 0.2\ntries = 2\n'
        'accounting = "127.0.0.1:1813"\ndisconnect = "127.0.0.1:3799"\n'
    )
    ledger = Ledger(home, tmp_path / "radius")
    try:
        yield ledger
    finally:
        ledger.kill()


def register(home: Home, *sub_nais: str) -> dict[str, str]:
    """sub-NAI -> home address."""
    for sub_nai in sub_nais:
        home.ask(sub_nai)
    answers = [home.answer() for _ in sub_nais]
    assert [code for _, code, _ in answers] == [0] * len(sub_nais)
    return {sub_nai: address for sub_nai, _, address in answers}


def shown(home: Home, what: str) -> Any:
    return ask(home.control, {"show": what})[what]


def bound(home: Home) -> dict[str, str]:
    return {one["sub_nai"]: one["home_address"] for one in shown(home, "bindings")}


def release(home: Home, sub_nai: str) -> None:
    assert "error" not in ask(home.control, {"release": {"nai": NAI.decode(), "sub_nai": sub_nai}})


def disconnect(home: Home, *attributes: str) -> str:
    """What radclient says of the answer."""
    command = ["radclient", "-x", "-r", "1", "-t", "5", "127.0.0.1:3799", "disconnect", SECRET]
    said = subprocess.run(home.inside(command), input=",".join(attributes), capture_output=True, text=True, timeout=30)
    assert "Sent Disconnect-Request" in said.stdout, said.stdout + said.stderr
    return said.stdout.partition("Received ")[2]


def send(home: Home, address: str, count: int) -> None:
    """Packets of 84 octets towards a device, which answers none."""
    subprocess.run(
        home.inside(["ping", "-q", "-c", str(count), "-i", "0.01", "-W", "0.1", address]), stdout=subprocess.DEVNULL
    )


def test_a_session_is_one_account_from_its_start_to_its_end_across_restarts(home: Home, ledger: Ledger) -> None:
    home.config.write_text(home.config.read_text().replace('datapath = "none"', 'datapath = "tun"'))
    subprocess.run(home.inside(["sysctl", "-q", "net.ipv4.ip_forward=1"]), check=True)
    ledger.start()
    home.start()
    address = register(home, "camera")["camera"]
    start = ledger.until("Start")[0]

    home.end(signal.SIGKILL)
    home.start()
    send(home, address, 3)
    home.end(signal.SIGTERM)
    home.start()
    send(home, address, 2)
    register(home, "camera")
    release(home, "camera")
    stop = ledger.until("Stop")[0]
    register(home, "camera", "printer")

    assert start["User-Name"] == NAI.decode()
    assert start["Calling-Station-Id"] == "camera"
    assert start["Framed-IP-Address"] == address
    assert start["NAS-IP-Address"] == start["3GPP2-Home-Agent-IP-Address"] == HOME_AGENT
    assert start["Tunnel-Client-Endpoint:0"] == start["3GPP2-Foreign-Agent-Address"] == CARE_OF
    assert stop["Acct-Session-Id"] == start["Acct-Session-Id"]
    assert stop["Acct-Terminate-Cause"] == "Admin-Reset"
    assert 0 <= int(stop["Acct-Session-Time"]) < 60
    assert (stop["Acct-Output-Packets"], stop["Acct-Output-Octets"]) == ("5", str(5 * 84))
    accounts = [one["Acct-Session-Id"] for one in ledger.until("Start", 3)]
    assert len(accounts) == len(set(accounts)) == 3, "a restart begins no session, and each has an id of its own"


def test_a_dead_server_stops_no_registration_and_is_told_when_it_is_back(home: Home, ledger: Ledger) -> None:
    home.start()
    names = [f"device-{number}" for number in range(40)]

    register(home, *names)
    wait_until(lambda: "accounting server does not answer" in home.log.read_text(), PATIENCE, "a warning")
    register(home, *names)
    status = shown(home, "status")
    assert [status[f"accounting_{key}"] for key in ("waiting", "lost", "silent")] == [40, 0, True]

    ledger.start()
    assert {one["Calling-Station-Id"] for one in ledger.until("Start", 40)} == set(names)
    assert home.log.read_text().count("accounting server does not answer") == 1

    ledger.kill()
    release(home, "device-7")
    wait_until(lambda: shown(home, "status")["accounting_waiting"] == 1, PATIENCE, "the end of device-7")
    home.end(signal.SIGTERM)
    ledger.start()
    home.start()
    stop = ledger.until("Stop")[0]
    assert (stop["Calling-Station-Id"], stop["Acct-Terminate-Cause"]) == ("device-7", "Admin-Reset")


def a_binding(care_of: str = CARE_OF) -> MobilityBinding:
    return MobilityBinding("a@example.net", "pc", parse("10.10.0.9"), parse(care_of), 600, None, 0, 1, direct=True)


def accounted(
    home: Home, folder: Path, counters: Counters, until: Callable[[Accounting], bool], interim: float = 0.05
) -> None:
    """One session by a clock that stands at ten o'clock and two hours, whose tunnel counts so, until that holds."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        clock = [(int(NTP_UNIX) + 36_000) * 1000]
        said: list[str] = []
        hearing = Hearing(lambda: clock[0], lambda _: counters, said.append, lambda error: said.append(str(error)))
        client = RadiusClient(("127.0.0.1", 1813), SECRET.encode(), 0.3, 3)
        accounting = Accounting(client, AccountStore(str(folder / "a"), loop), parse(HOME_AGENT), interim, hearing)
        accounting.restore([])
        await accounting.open()
        accounting.stored(StoreBinding(a_binding()))
        clock[0] += 7_200_000
        async with asyncio.timeout(PATIENCE):
            while not until(accounting):
                await asyncio.sleep(0.01)
            accounting.stored(StoreBinding(a_binding("203.0.113.66")))
            accounting.removed(RemoveBinding(a_binding("203.0.113.66"), 0, "lifetime over"))
            while accounting.document()["waiting"]:
                await asyncio.sleep(0.01)
        await accounting.close()
        accounting.keep()
        assert said == []

    with home._network.inside("ha"):
        asyncio.run(story())


def test_updates_tell_how_much_was_carried_also_beyond_32_bits(home: Home, ledger: Ledger, tmp_path: Path) -> None:
    ledger.start()
    carried = Counters(packets_in=5, packets_out=7, bytes_in=(3 << 32) + 40, bytes_out=(1 << 32) + 9)

    accounted(home, tmp_path, carried, lambda _: len(ledger.told("Interim-Update")) >= 2)

    update, moved, stop = ledger.told("Interim-Update")[0], ledger.told("Interim-Update")[-1], ledger.until("Stop")[0]
    for one in (update, stop):
        assert (one["Acct-Input-Packets"], one["Acct-Output-Packets"]) == ("7", "5"), "input is from the device"
        assert (one["Acct-Input-Octets"], one["Acct-Input-Gigawords"]) == ("9", "1")
        assert (one["Acct-Output-Octets"], one["Acct-Output-Gigawords"]) == ("40", "3")
        assert one["Acct-Session-Time"] == "7200"
    assert "3GPP2-Foreign-Agent-Address" not in update, "it is co-located"
    assert moved["Tunnel-Client-Endpoint:0"] == stop["Tunnel-Client-Endpoint:0"] == "203.0.113.66"
    assert stop["Acct-Terminate-Cause"] == "Session-Timeout"
    assert AccountStore(str(tmp_path / "a"), asyncio.new_event_loop()).load() == [], "what is settled is forgotten"


def test_what_was_carried_adds_up_over_a_restart_of_the_datapath() -> None:
    account = Account("1", "a@example.net", "", 1, 2, False, 0)

    account.count(Counters(10, 20, 1000, 2000))
    account = Account.of_record(account.record())
    account.count(Counters(1, 2, 100, 200))
    account.count(Counters(1, 3, 100, 300))

    assert account.carried == (11, 23, 1100, 2300)


def test_what_waits_for_a_dead_server_is_bounded_and_the_rest_counted() -> None:
    async def never(_: Report) -> bool:
        return False

    forgotten: list[Report] = []
    reports = Reports(never, forgotten.append, lambda _: None)
    account = Account("1", "a@example.net", "", 1, 2, False, 0)

    for at in range(MOST + 10):
        reports.put(Report(account, START, at, 2, (0, 0, 0, 0)))

    assert (len(reports), reports.lost) == (MOST, 10)
    assert [one.at for one in forgotten] == list(range(10)), "the oldest"


def test_a_report_that_alone_is_not_taken_holds_up_no_other() -> None:
    taken: list[int] = []

    async def takes_others(report: Report) -> bool:
        taken.append(report.at)
        return report.at != 0

    async def story() -> None:
        reports = Reports(takes_others, lambda _: None, lambda _: None)
        running = asyncio.ensure_future(reports.run())
        account = Account("1", "a@example.net", "", 1, 2, False, 0)
        async with asyncio.timeout(PATIENCE):
            for at in range(64):
                reports.put(Report(account, START, at, 2, (0, 0, 0, 0)))
            for at in count(64):
                reports.put(Report(account, START, at, 2, (0, 0, 0, 0)))
                await asyncio.sleep(0)
                if reports.lost:
                    break
        running.cancel()

    asyncio.run(story())

    assert taken.count(0) == 5


def test_a_disconnect_ends_no_more_than_it_names(home: Home, ledger: Ledger) -> None:
    ledger.start()
    home.start()
    addresses = register(home, "camera", "printer", "sensor", "lamp")
    accounts = {one["Calling-Station-Id"]: one["Acct-Session-Id"] for one in ledger.until("Start", 4)}
    of_nai = f"User-Name = {NAI.decode()}"

    for named in (
        (of_nai, f"Framed-IP-Address = {addresses['camera']}", f"Event-Timestamp = {int(time.time())}"),
        (f"Acct-Session-Id = {accounts['printer']}", f"NAS-IP-Address = {HOME_AGENT}"),
        (of_nai, 'Calling-Station-Id = "sensor"'),
    ):
        assert disconnect(home, *named).startswith("Disconnect-ACK"), named

    assert bound(home) == {"lamp": addresses["lamp"]}

    register(home, "camera")
    assert disconnect(home, of_nai, "Message-Authenticator = 0x00").startswith("Disconnect-ACK")
    assert bound(home) == {}
    assert {one["Acct-Terminate-Cause"] for one in ledger.until("Stop", 5)} == {"Admin-Reset"}


@pytest.fixture
def served(home: Home, ledger: Ledger) -> Home:
    """A home agent with one session; nobody listens to its accounting."""
    home.start()
    register(home, "camera")
    return home


def test_a_disconnect_that_cannot_be_done_is_refused_with_the_cause(served: Home) -> None:
    of_nai = f"User-Name = {NAI.decode()}"
    for named, cause in {
        ("User-Name = nobody@example.net",): "Session-Context-Not-Found",
        (of_nai, "Acct-Session-Id = 0123"): "Session-Context-Not-Found",
        ("User-Name = nobody@example.net", "Framed-IP-Address = 10.10.0.10"): "Session-Context-Not-Found",
        ("NAS-Identifier = entourage",): "Missing-Attribute",
        (of_nai, "NAS-IP-Address = 192.0.2.7"): "NAS-Identification-Mismatch",
        (of_nai, "Filter-Id = all"): "Unsupported-Attribute",
        (of_nai, "Service-Type = Authorize-Only"): "Unsupported-Service",
    }.items():
        said = disconnect(served, *named)
        assert said.startswith("Disconnect-NAK") and f"Error-Cause = {cause}" in said, (named, said)

    assert set(bound(served)) == {"camera"}


def test_a_disconnect_that_may_be_anybodys_is_not_answered_and_no_other_twice(served: Home) -> None:
    with served._network.inside("ha"):
        elsewhere, server, repeated = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
    with elsewhere, server, repeated:
        elsewhere.bind((HOME_AGENT, 0))
        for one in (server, repeated):
            one.bind(("127.0.0.1", 0))
            one.settimeout(PATIENCE)
        good = signed_disconnect(bytes((55, 6)) + int(time.time()).to_bytes(4, "big"))

        elsewhere.sendto(good, ("127.0.0.1", 3799))
        for doubtful in (
            signed_disconnect(secret="another-secret-456"),
            signed_disconnect(bytes((55, 6)) + (int(time.time()) - 3600).to_bytes(4, "big")),
            signed_disconnect(bytes((80, 18)) + bytes(16)),
            good[:-1],
            good[:19],
        ):
            server.sendto(doubtful, ("127.0.0.1", 3799))
        wait_until(
            lambda: shown(served, "counters").get("dropped-disconnect-not-believed") == 6, PATIENCE, "six of them"
        )
        assert set(bound(served)) == {"camera"}

        server.sendto(good, ("127.0.0.1", 3799))
        answer = server.recv(4096)
        register(served, "camera")
        server.sendto(good, ("127.0.0.1", 3799))
        assert server.recv(4096) == answer
        repeated.sendto(good, ("127.0.0.1", 3799))

        assert repeated.recv(4096) == answer
        assert answer[0] == 41, "Disconnect-ACK"
        assert set(bound(served)) == {"camera"}
    assert f"dropped-disconnect-not-believed from={HOME_AGENT}" in served.log.read_text()


def signed_disconnect(more: bytes = b"", secret: str = SECRET) -> bytes:
    """Made by hand, so that it is the same twice: RFC 5176 §2.3."""
    attributes = bytes((1, 2 + len(NAI))) + NAI + more
    head = bytes((40, 7)) + (20 + len(attributes)).to_bytes(2, "big")
    return head + md5(head + bytes(16) + attributes + secret.encode()).digest() + attributes
