"""tools/wireshark/entourage.lua inside the real tshark, over captures made by our encoder."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mip4 import extensions as ext
from mip4.authentication import SecurityAssociation
from mip4.ip import Datagram
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.revocation import RegistrationRevocation, RevocationAcknowledgement
from mip4.sub_nai import SubNai
from tests.vectors import checks

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

SCRIPT = Path(__file__).parents[2] / "tools/wireshark/entourage.lua"
FIELDS = ("entourage.sub_nai", "entourage.nai", "entourage.carrier", "entourage.sub_type", "_ws.expert.message")
VENDOR = 32473
NAI = ext.Nai(b"gw01@example.net")
KEY = SecurityAssociation(256, b"secret")
MALFORMED = {
    "sub-NAI of 0 octets": ext.Experimental(1, b""),
    "sub-NAI of 65 octets": ext.NormalVendor(VENDOR, 1, b"x" * 65),
    "sub-NAI is not UTF-8": ext.Experimental(1, b"caf\xe9"),
    "sub-NAI with a control character": ext.Experimental(1, b"a\nb"),
    "sub-NAI of sub-type 2 ends within its NAI": ext.NormalVendor(VENDOR, 2, b"\x10gw01"),
    "sub-NAI of sub-type 2 names another NAI": ext.Experimental(2, b"\x03bobcam-1"),
}


def request(*extensions: Any) -> bytes:
    message = RegistrationRequest(2, 60, 0, 1, 2, 3, [NAI, *extensions]).encode()
    return bytes(KEY.sign(message, ext.MobileHomeAuthentication))


def in_ip(message: bytes) -> bytes:
    return bytes(Datagram(1 << 24 | 1, 434, 1 << 24 | 2, 434, message).packet(64).encode())


def write(path: Path, packets: list[bytes]) -> Path:
    written = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for packet in packets:
        written += struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
    path.write_bytes(written)
    return path


def tshark(capture: Path, *words: str, vendor: int = VENDOR) -> str:
    preference = f"entourage.sub_nai_vendor:{vendor}"
    done = subprocess.run(
        ["tshark", "-X", f"lua_script:{SCRIPT}", "-o", preference, "-r", capture, *words],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "lua" not in done.stderr.lower(), done.stderr
    return done.stdout


def dissect(folder: Path, messages: list[bytes], vendor: int = VENDOR) -> list[dict[str, str]]:
    """Of each message the fields it has; several values of one field with a bar between."""
    chosen = [word for field in FIELDS for word in ("-e", field)]
    capture = write(folder / "ours.pcap", [in_ip(message) for message in messages])
    shown = tshark(capture, "-T", "fields", "-E", "aggregator=|", *chosen, vendor=vendor)
    rows = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in shown.splitlines()]
    return [{field: value for field, value in row.items() if value} for row in rows]


def expected(sub_nai: str, carrier: str, sub_type: int) -> dict[str, str]:
    return dict(zip(FIELDS, (sub_nai, "gw01@example.net", carrier, str(sub_type)), strict=False))


@pytest.mark.parametrize("sub_nai", ["cam-1", "thermo-é", "x" * 64, "\U0001f4f7"])
def test_both_carriers_and_both_sub_types(sub_nai: str, tmp_path: Path) -> None:
    forms = [SubNai(sub_nai.encode(), vendor, nai) for vendor in (0, VENDOR) for nai in (None, NAI.nai)]

    found = dissect(tmp_path, [request(form.extension()) for form in forms])

    assert found == [expected(sub_nai, carrier, sub_type) for carrier in "AB" for sub_type in (1, 2)]


def test_a_sub_nai_in_every_message_that_can_carry_one(tmp_path: Path) -> None:
    extensions = [NAI, SubNai(b"cam-1", 0, None).extension()]
    reply = RegistrationReply(0, 60, 7, 1, 3, extensions).encode()
    revocation = RegistrationRevocation(True, True, 7, 1, 2, 3, extensions).encode()
    acknowledgement = RevocationAcknowledgement(True, 7, 3, extensions).encode()

    assert dissect(tmp_path, [reply, revocation, acknowledgement]) == [expected("cam-1", "A", 1)] * 3


def test_carrier_b_is_nothing_of_ours_under_another_number_or_none(tmp_path: Path) -> None:
    messages = [request(SubNai(b"cam-1", VENDOR, None).extension()), request(ext.host_configuration(1, b"\x18"))]

    assert dissect(tmp_path, messages, vendor=0) == [{}, {}]
    assert dissect(tmp_path, messages, vendor=9) == [{}, {}]


def test_a_malformed_sub_nai_is_told(tmp_path: Path) -> None:
    found = dissect(tmp_path, [request(bad) for bad in MALFORMED.values()])

    assert [row.get("_ws.expert.message") for row in found] == list(MALFORMED)


def test_two_sub_nais_are_one_too_many_unless_the_foreign_agent_put_the_second(tmp_path: Path) -> None:
    ours, theirs = SubNai(b"cam-1", 0, None).extension(), SubNai(b"02:00:00:00:00:11", 0, None).extension()

    two, supplied = dissect(tmp_path, [request(ours, theirs), request(ours) + theirs.encode()])

    assert two["_ws.expert.message"] == "two sub-NAIs"
    assert "_ws.expert.message" not in supplied
    assert two["entourage.sub_nai"] == supplied["entourage.sub_nai"] == "cam-1|02:00:00:00:00:11"


def test_a_message_cut_anywhere_never_fails_inside_the_script(tmp_path: Path) -> None:
    whole = request(SubNai(b"cam-1", VENDOR, NAI.nai).extension(), SubNai(b"cam-1", 0, NAI.nai).extension())
    capture = write(tmp_path / "cut.pcap", [in_ip(whole[:end]) for end in range(1, len(whole))])

    assert "Lua Error" not in tshark(capture, "-V")


def test_filters_find_messages_by_what_the_sub_nai_says(tmp_path: Path) -> None:
    forms = [SubNai(b"cam-1", 0, None), SubNai(b"cam-2", 0, NAI.nai), SubNai(b"cam-1", VENDOR, None)]
    messages = [request(), *[request(form.extension()) for form in forms], request(ext.Experimental(1, b""))]
    capture = write(tmp_path / "ours.pcap", [in_ip(message) for message in messages])

    def matching(wanted: str) -> list[int]:
        return [int(line) for line in tshark(capture, "-Y", wanted, "-T", "fields", "-e", "frame.number").split()]

    assert matching("entourage.sub_nai") == [2, 3, 4]
    assert matching('entourage.sub_nai == "cam-1"') == [2, 4]
    assert matching('entourage.carrier == "B"') == [4]
    assert matching("entourage.sub_type == 2") == [3]
    assert matching('entourage.nai == "gw01@example.net"') == [2, 3, 4, 5]
    assert matching("entourage.malformed") == [5]


def test_the_vectors_show_their_sub_nais_and_nothing_malformed(tmp_path: Path) -> None:
    vectors = [checks.load(str(path)) for path in sorted(Path(checks.__file__).parent.glob("v*.json"))]
    told = [vector for vector in vectors if "udp" in vector and "message" in vector]
    messages = [checks.message_in(bytes.fromhex(vector["datagram"])) for vector in told]

    found = dissect(tmp_path, messages)

    assert {row["entourage.sub_nai"] for row in found} == {"cam-1", "thermo-é"}
    assert not [row for row in found if "_ws.expert.message" in row]
