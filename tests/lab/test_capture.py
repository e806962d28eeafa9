"""What the agents and a node really send: dissected by tshark, told by `entourage decode`, field by field as meant."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from host_agents.cli.main import main
from tools.lab import plan
from tools.lab.capture import HEADER_SIZE
from tools.lab.crew import wait_until
from tools.lab.plan import WorldPlan
from tools.lab.programs import ask_node
from tools.lab.world import World

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

SCRIPT = Path(__file__).parents[2] / "tools/wireshark/entourage.lua"
NAI = "kleung@example.net"
LIFETIME = 300
NODE_SPI, AGENT_SPI = "0x00000100", "0x00000200"
REQUEST, REPLY = "1", "3"
FIELDS = (
    "frame.number", "ip.src", "ip.dst", "ip.ttl", "udp.srcport", "udp.dstport", "ip.checksum.status",
    "udp.checksum.status", "icmp.checksum.status", "_ws.malformed", "_ws.expert.message", "mip.type", "mip.flags",
    "mip.code", "mip.life", "mip.homeaddr", "mip.haaddr", "mip.coa", "mip.ident", "mip.nai", "mip.auth.spi",
    "mip.ext.msgstr.text", "entourage.sub_nai", "entourage.carrier", "icmp.type", "icmp.mip.coa", "icmp.mip.life",
    "icmp.mip.f", "icmp.mip.rt", "icmp.router_address",
)  # fmt: skip

# Else the kernel leaves UDP checksums to the other end of a veth, which never looks, and a capture shows halves of
# them. What goes out through AF_PACKET has to be whole anyway.
_NO_OFFLOAD = """
import array, fcntl, socket, struct, sys
value = array.array("B", struct.pack("II", 0x17, 0))  # ETHTOOL_STXCSUM
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    request = struct.pack("16sP16x", sys.argv[1].encode(), value.buffer_info()[0])
    fcntl.ioctl(any_socket, 0x8946, request)  # SIOCETHTOOL
"""

# dumpcap drops what it has not read when it is told to end: this is the packet after which nothing matters.
_END = b"end of the capture"
_SEND_END = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
    sender.sendto(sys.argv[2].encode(), ("255.255.255.255", 9))
"""

Row = dict[str, str]


@dataclass(slots=True, frozen=True)
class Captures:
    """Files that outlive the world they come from. addresses: sub-NAI -> home address of every accepted session."""

    home_agent: Path
    visited_link: Path
    keys: Path
    addresses: dict[str, str]


@pytest.fixture(scope="module")
def captures(_capable: None, tmp_path_factory: pytest.TempPathFactory) -> Captures:
    """From the first solicitation on: three sessions of which two are allowed, one given back, and a move."""
    folder = tmp_path_factory.mktemp("captures")
    two = {NAI: {"sessions": 2}}
    world = World(plan=WorldPlan(lifetime=LIFETIME, subscribers=two))
    try:
        world.up(programs=False)
        for place, interface in (("ha", "net0"), ("fa1", "net0"), ("fa2", "net0"), ("mn", "up0")):
            world.run(place, [sys.executable, "-c", _NO_OFFLOAD, interface], check=True)
        home_agent, visited_link = folder / "ha.pcapng", folder / "vis0.pcapng"
        with capture(world, "ha", "net0", home_agent), capture(world, "fa1", "vis0", visited_link):
            addresses = story(world)
        shutil.copy(world.directory / "ha/ha.toml", folder)
    finally:
        world.down()
    return Captures(home_agent, visited_link, folder / "ha.toml", addresses)


@contextmanager
def capture(world: World, place: str, interface: str, path: Path) -> Iterator[None]:
    """By dumpcap, in the format that it writes unless told otherwise."""
    dumpcap = world.spawn(place, ["dumpcap", "-q", "-i", interface, "-w", str(path)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: path.exists() and path.stat().st_size >= HEADER_SIZE, 30, f"a capture in {place}")
        yield
        world.run(place, [sys.executable, "-c", _SEND_END, interface, _END.decode()], check=True)
        wait_until(lambda: _END in path.read_bytes(), 30, f"the end of the capture in {place}")
    finally:
        dumpcap.terminate()
        dumpcap.wait(10)


def story(world: World) -> dict[str, str]:
    """Returns sub-NAI -> home address."""
    world.start("ha", *plan.FOREIGN_AGENTS)
    world.start("mn")
    world.start("pc1")
    world.await_address("pc1")
    world.start("pc2")
    control = world.crew.program("mn").control
    assert control is not None
    wait_until(lambda: any(one["code"] for one in ask_node(control)["sessions"]), 30, "a denial")
    addresses = bindings(world)
    world.release("pc1")
    wait_until(lambda: "KleungPC1" not in bindings(world), 30, "a deregistration")
    world.roam("mn", "fa2")  # and asks for pc2 again at once
    world.await_address("pc2")
    wait_until(lambda: visitors(world, "fa2") == bindings(world), 30, "both sessions at fa2")
    return addresses | bindings(world)


def bindings(world: World) -> dict[str, str]:
    return {one["sub_nai"]: one["home_address"] for one in world.entourage("ha", "show", "bindings")["bindings"]}


def visitors(world: World, agent: str) -> dict[str, str]:
    """Of those who are registered."""
    found = world.entourage(agent, "show", "visitors")["visitors"]
    return {one["sub_nai"]: one["home_address"] for one in found if one["state"] == "registered"}


def dissected(path: Path) -> list[Row]:
    """Of each Mobile IP packet its fields by tshark; several values of one with a bar between."""
    checked = [word for layer in ("ip", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
    chosen = [word for field in FIELDS for word in ("-e", field)]
    wanted = "(mip && !icmp) || icmp.type == 9 || icmp.type == 10"
    command = ["tshark", "-X", f"lua_script:{SCRIPT}", *checked, "-r", str(path), "-Y", wanted]
    done = subprocess.run(
        [*command, "-T", "fields", "-E", "aggregator=|", *chosen], capture_output=True, text=True, check=True
    )
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


def of_type(rows: list[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["mip.type"] == kind]


def addresses_of(row: Row) -> tuple[str, str, str]:
    return row["mip.homeaddr"], row["mip.haaddr"], row["mip.coa"]


def test_nothing_is_malformed_and_every_checksum_is_good(captures: Captures) -> None:
    rows = dissected(captures.home_agent) + dissected(captures.visited_link)

    for row in rows:
        assert (row["_ws.malformed"], row["_ws.expert.message"]) == ("", ""), row
        assert row["ip.checksum.status"] == "1", row
        assert row["udp.checksum.status" if row["mip.type"] else "icmp.checksum.status"] == "1", row


def test_a_foreign_agent_advertises_its_care_of_address_and_answers_a_solicitation(captures: Captures) -> None:
    rows = [row for row in dissected(captures.visited_link) if row["icmp.type"]]
    advertisements = [row for row in rows if row["icmp.type"] == "9"]
    solicitations = [row for row in rows if row["icmp.type"] == "10"]

    assert solicitations and len(advertisements) > len(solicitations)
    for row in advertisements:
        assert (row["ip.src"], row["ip.dst"], row["ip.ttl"]) == ("10.99.1.1", "224.0.0.1", "1")
        assert (row["icmp.router_address"], row["icmp.mip.coa"]) == ("10.99.1.1", plan.NETWORKS["fa1"][0])
        assert (row["icmp.mip.life"], row["icmp.mip.f"], row["icmp.mip.rt"]) == (str(LIFETIME), "1", "1")
    assert {(row["ip.src"], row["ip.dst"], row["ip.ttl"]) for row in solicitations} == {("0.0.0.0", "224.0.0.2", "1")}


def test_the_node_asks_for_each_session_with_its_sub_nai(captures: Captures) -> None:
    asked = of_type(dissected(captures.visited_link), REQUEST)

    assert {row["entourage.sub_nai"] for row in asked} == {"", "KleungPC1", "KleungPC2"}
    assert len({row["mip.ident"] for row in asked}) == len(asked)
    for row in asked:
        assert (row["ip.src"], row["ip.dst"], row["udp.dstport"]) == ("0.0.0.0", "10.99.1.1", "434")
        assert (row["mip.flags"], row["ip.ttl"]) == ("0x02", "255")  # RFC 3024 asks for that TTL
        assert (row["mip.nai"], row["mip.auth.spi"]) == (NAI, NODE_SPI)
        assert row["entourage.carrier"] == ("A" if row["entourage.sub_nai"] else "")
        home_address = "0.0.0.0" if row["mip.life"] != "0" else captures.addresses["KleungPC1"]
        assert addresses_of(row) == (home_address, plan.HOME_AGENT, plan.NETWORKS["fa1"][0])
    assert [row["entourage.sub_nai"] for row in asked if row["mip.life"] == "0"] == ["KleungPC1"]
    assert {row["mip.life"] for row in asked} == {"0", str(LIFETIME)}


def test_the_foreign_agents_relay_with_their_own_signature_but_not_deregistrations(captures: Captures) -> None:
    relayed = of_type(dissected(captures.home_agent), REQUEST)

    assert {row["mip.coa"] for row in relayed} == {plan.NETWORKS[name][0] for name in plan.FOREIGN_AGENTS}
    for row in relayed:
        assert (row["ip.src"], row["ip.dst"], row["udp.dstport"]) == (row["mip.coa"], plan.HOME_AGENT, "434")
        assert (row["mip.haaddr"], row["mip.nai"]) == (plan.HOME_AGENT, NAI)
        assert row["mip.auth.spi"] == (NODE_SPI if row["mip.life"] == "0" else f"{NODE_SPI}|{AGENT_SPI}")


def test_the_home_agent_answers_each_request_once_and_as_it_was_asked(captures: Captures) -> None:
    rows = dissected(captures.home_agent)
    asked = {row["mip.ident"]: row for row in of_type(rows, REQUEST)}
    answers = of_type(rows, REPLY)

    assert sorted(row["mip.ident"] for row in answers) == sorted(asked)
    for row in answers:
        request = asked[row["mip.ident"]]
        assert (row["ip.src"], row["udp.srcport"]) == (plan.HOME_AGENT, "434")
        assert (row["ip.dst"], row["udp.dstport"]) == (request["ip.src"], request["udp.srcport"])
        assert (row["mip.haaddr"], row["mip.nai"]) == (plan.HOME_AGENT, NAI)
        assert row["mip.auth.spi"] == request["mip.auth.spi"]
        assert row["entourage.sub_nai"] == request["entourage.sub_nai"]
        if row["mip.code"] == "0":
            assert row["mip.homeaddr"] == captures.addresses[row["entourage.sub_nai"]]
            assert int(row["mip.life"]) <= int(request["mip.life"])
            assert (row["mip.life"] == "0") == (request["mip.life"] == "0")


def test_a_session_too_many_is_denied_in_words(captures: Captures) -> None:
    denials = [row for row in of_type(dissected(captures.home_agent), REPLY) if row["mip.code"] != "0"]

    assert denials
    for row in denials:
        assert (row["mip.code"], row["entourage.sub_nai"], row["mip.homeaddr"]) == ("130", "KleungPC2", "0.0.0.0")
        assert row["mip.ext.msgstr.text"]


def test_the_foreign_agent_passes_replies_on_to_the_address_they_give(captures: Captures) -> None:
    passed = of_type(dissected(captures.visited_link), REPLY)
    from_home = {row["mip.ident"]: row for row in of_type(dissected(captures.home_agent), REPLY)}

    assert len(passed) >= 4
    for row in passed:
        assert row["mip.auth.spi"] == NODE_SPI  # the agents' own stays between them
        assert (row["ip.src"], row["udp.srcport"], row["udp.dstport"]) == ("10.99.1.1", "434", "434")
        assert row["ip.dst"] == (row["mip.homeaddr"] if row["mip.code"] == "0" else "255.255.255.255")
        for field in ("mip.code", "mip.life", "mip.homeaddr", "mip.nai", "entourage.sub_nai"):
            assert row[field] == from_home[row["mip.ident"]][field]


def test_decode_tells_the_same_messages_and_that_every_authenticator_verifies(
    captures: Captures, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = set()
    for path in (captures.home_agent, captures.visited_link):
        assert main(["decode", str(path), "--keys", str(captures.keys), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        rows = dissected(path)

        assert told["fault"] is None
        assert [str(one["number"]) for one in told["messages"]] == [row["frame.number"] for row in rows]
        for one, row in zip(told["messages"], rows, strict=True):
            assert (one["faults"], one["source"], one["destination"]) == ([], row["ip.src"], row["ip.dst"])
            if not row["mip.type"]:
                continue
            assert not one["checksum_offloaded"]
            for field, shown in (("lifetime", "life"), ("home_address", "homeaddr"), ("care_of_address", "coa")):
                assert str(one.get(field, "")) == row[f"mip.{shown}"]
            extensions = one["extensions"]
            signed = [extension for extension in extensions if "verdict" in extension]
            kinds |= {extension["name"] for extension in signed}
            assert [f"0x{extension['spi']:08x}" for extension in signed] == row["mip.auth.spi"].split("|")
            assert {extension["verdict"] for extension in signed} == {"verifies"}
            sub_nais = [extension["sub_nai"] for extension in extensions if extension["name"] == "Sub-NAI"]
            assert sub_nais == [row["entourage.sub_nai"]] * bool(row["entourage.sub_nai"])
    assert kinds == {"Mobile-Home Authentication", "Foreign-Home Authentication"}


def test_other_keys_verify_nothing(captures: Captures, capsys: pytest.CaptureFixture[str]) -> None:
    other = ["--key=256=hex:00", "--key=512=hex:00"]

    assert main(["decode", str(captures.home_agent), *other, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    verdicts = [extension.get("verdict") for one in told["messages"] for extension in one["extensions"]]
    assert set(verdicts) == {None, "does not verify"}
