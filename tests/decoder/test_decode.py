"""`entourage decode` as people and programs call it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_agents.cli.main import main
from host_agents.decoder.keyring import Keyring
from host_agents.decoder.packet import Reader
from host_agents.decoder.show import document, lines
from host_agents.runtime.errors import ConfigurationError
from mip4 import extensions as ext
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.discovery import AgentAdvertisement, AgentSolicitation, MobilityAgent
from mip4.errors import Malformed
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import SubNai
from tests.decoder.test_capture import classic
from tests.vectors import checks

FOLDER = Path(checks.__file__).parent
VECTORS = {
    path.stem: vector for path in sorted(FOLDER.glob("v*.json")) if "message" in (vector := checks.load(str(path)))
}
KEYS = [
    "--key=256=hex:00112233445566778899aabbccddeeff",
    "--key=512=hex:0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "--key=768=hmac-md5:hex:a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
    "--key=1024=text:aaa-shared-key-1",
    "--key=2=text:aaa-shared-key-1",
]
NAI = ext.Nai(b"gw01@example.net")
NODE, HOME_AGENT, CARE_OF = parse("10.10.0.7"), parse("192.0.2.1"), parse("203.0.113.2")


def request(*extensions: Any) -> bytes:
    return RegistrationRequest(0x82, 600, 0, HOME_AGENT, CARE_OF, 0xED00378A1A2B3C4D, [NAI, *extensions]).encode()


def in_ip(message: bytes) -> bytes:
    return Datagram(CARE_OF, 434, HOME_AGENT, 434, message).packet(64).encode()


def decoded(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main(["decode", "--json", *map(str, words)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def one(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    (message,) = decoded(capsys, *words)["messages"]
    return message


def named(message: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [extension for extension in message["extensions"] if extension["name"] == name]


@pytest.mark.parametrize("name", VECTORS)
def test_each_vector_is_told_without_fault_and_every_authenticator_verifies(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    vector = VECTORS[name]

    message = one(capsys, vector["datagram"], "--sub-nai-vendor", 32473, *KEYS)

    assert message["message"].replace(" ", "").removeprefix("Registration") == vector["message"].removeprefix(
        "Registration"
    )
    assert message["faults"] == []
    assert message["source"] == vector["ip"]["source"]
    for field in ("home_address", "home_agent", "care_of_address", "lifetime", "code"):
        if field in vector["fields"]:
            assert message[field] == vector["fields"][field]
    spoken = [part for part in message["extensions"] if part["name"] != "Padding"]
    assert len(spoken) == len(vector["extensions"])
    verdicts = {part["verdict"] for part in spoken if "verdict" in part}
    assert verdicts <= {"verifies"}


def test_the_words_of_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", VECTORS["v03"]["datagram"], KEYS[0], "--key=768=hex:00"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "0.0.0.0:49152 -> 192.0.2.1:434 TTL 255 Registration Request",
        "  Flags            0x02 T reverse tunneling",
        "  Lifetime         1800 s",
        "  Home Address     0.0.0.0 (asks for one)",
        "  Home Agent       198.51.100.1",
        "  Care-of Address  192.0.2.1",
        "  Identification   2026-01-01 00:00:10.102222 UTC (ed00378a 1a2b3c4d)",
        "  Mobile Node NAI (131): gw01@example.net",
        "  Sub-NAI (255): cam-1; Carrier A; Sub-type 1",
        "  Mobile-Home Authentication (32): SPI 256; Authenticator 84f0d13edddbc6f34264d301232a6349; verifies",
        "  Mobile-Foreign Challenge (132): c0ffee0102030405",
        "  Mobile-Foreign Authentication (33): SPI 768; "
        "Authenticator 8a587a37f8689289e3f52981b9a0af28; does not verify",
    ]


def test_the_words_of_a_challenge_and_its_answers(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("v15", "v16"):
        assert main(["decode", VECTORS[name]["datagram"], "--key=2=text:aaa-shared-key-1", "--key=1024=hex:00"]) == 0

    spoken = capsys.readouterr().out.splitlines()
    assert [line for line in spoken if "Challenge" in line] == [
        "  Mobile-Foreign Challenge (132): c0ffee0102030405"
    ] * 2
    assert [line for line in spoken if "MN-AAA" in line] == [
        "  MN-AAA Authentication (36): SPI 1024; Authenticator 42cb0da68770cc3ec0dce5caedfdfb40; does not verify",
        "  MN-AAA Authentication (36): SPI 2 CHAP; Authenticator 7695f7ecaee6813fb360a1b8f155b0e1; verifies",
    ]


def test_the_chap_answer_to_another_challenge_does_not_verify(capsys: pytest.CaptureFixture[str]) -> None:
    altered = VECTORS["v16"]["datagram"].replace("8408c0ffee", "8408c1ffee")

    message = one(capsys, altered, "--key=2=text:aaa-shared-key-1")

    assert named(message, "MN-AAA Authentication")[0]["verdict"] == "does not verify"


@pytest.mark.parametrize("vendor", [0, 32473])
@pytest.mark.parametrize("nai", [None, NAI.nai])
def test_a_sub_nai_in_either_carrier_and_sub_type(
    vendor: int, nai: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    message = request(SubNai("thermo-é".encode(), vendor, nai).extension())

    (found,) = named(one(capsys, message.hex(), "--sub-nai-vendor", 32473), "Sub-NAI")

    assert (found["sub_nai"], found["carrier"]) == ("thermo-é", "B" if vendor else "A")
    assert (found["sub_type"], found.get("nai")) == ((2, "gw01@example.net") if nai else (1, None))


def test_without_the_enterprise_number_carrier_b_is_a_vendor_extension(capsys: pytest.CaptureFixture[str]) -> None:
    message = one(capsys, request(SubNai(b"cam-1", 32473, None).extension()).hex())

    (found,) = named(message, "Normal Vendor Extension")
    assert (found["vendor"], found["vendor_type"], found["value"]) == (32473, 1, b"cam-1".hex())


def test_extensions_by_name_with_their_values(capsys: pytest.CaptureFixture[str]) -> None:
    reply = RegistrationReply(
        130,
        600,
        NODE,
        HOME_AGENT,
        1 << 63,
        [
            ext.MessageString(1, "voll für heute".encode()),
            ext.host_configuration(1, b"\x18"),
            ext.host_configuration(2, bytes([198, 51, 100, 53, 198, 51, 100, 54])),
            ext.host_configuration(5, bytes([10, 10, 0, 1])),
            ext.host_configuration(6, b"example.net"),
            ext.CriticalVendor(32473, 7, b"\xaa"),
            ext.ForeignAgentError(66),
            ext.UdpTunnelReply(64, True, 0),
            ext.UdpTunnelRequest(True, True, 47),
            ext.RevocationSupport(True, 3976214410),
        ],
    ).encode()

    behind = b"\xfe\x02\xca\xfe" + b"\x30\x00\x00\x04\x00\x00\x00\x07" + b"\x2f\x01\x00\x01\x02" + b"\0"
    assert main(["decode", (reply + behind).hex()]) == 0

    assert [line.strip() for line in capsys.readouterr().out.splitlines()][6:] == [
        "Message String (145): voll für heute; Origin from the home agent",
        "Host Configuration (134): Home Network Prefix Length 24",
        "Host Configuration (134): DNS Server 198.51.100.53, 198.51.100.54",
        "Host Configuration (134): Default Gateway 10.10.0.1",
        "Host Configuration (134): DNS Suffix example.net",
        "Critical Vendor Extension (38): Vendor 32473; Vendor Type 7; Value aa",
        "FA Error (45): 66 insufficient resources (FA)",
        "UDP Tunnel Reply (44): Code 64 declined; Forced yes; Keepalive the node's own",
        "UDP Tunnel Request (144): Forced yes; Routed yes; Encapsulation 47 GRE",
        "Revocation Support (137): Inform yes; Timestamp 3976214410 (2026-01-01 00:00:10.000000 UTC)",
        "unknown extension (254): cafe",
        "GRE Key (48): Key 7",
        "PMIPv4 Non-skippable (47): 0102",
        "Padding",
    ]


def test_what_would_steer_a_terminal_is_shown_in_hexadecimal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = b"\x1b]0;owned\x07"
    message = RegistrationRequest(0, 60, 0, 1, 2, 3, [ext.Nai(evil), ext.MessageString(2, "\u202eolleh".encode())])

    assert main(["decode", message.encode().hex()]) == 0

    shown = capsys.readouterr().out
    assert f"hex {evil.hex()}" in shown
    assert "\x1b" not in shown and "\u202e" not in shown


@pytest.mark.parametrize(
    "octets, fault",
    [
        (request()[:10], (10, "ends after 10 octets of at least 24")),
        (request() + b"\x20", (42, "Mobile-Home Authentication (32) runs 1 octets past the message")),
        (request() + b"\x20\x14" + bytes(3), (42, "Mobile-Home Authentication (32) runs 17 octets past the message")),
        (request() + b"\x20\x02\0\0", (42, "Mobile-Home Authentication (32): authentication extension 32 of 2 octets")),
        (request() + b"\x7e\x00", (42, "unknown extension 126 below 128: an agent drops the whole message")),
        (request() + b"\xff\x01\x01", (42, "Experimental, skippable (255): sub-NAI of 0 octets")),
        (request() + b"\xff\x02\x01a\xff\x02\x01b", (46, "two sub-NAIs")),
        (
            request() + b"\xff\x05\x02\x03bob",
            (42, "Experimental, skippable (255): sub-NAI of sub-type 2 names another NAI"),
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_offset(
    octets: bytes, fault: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert one(capsys, octets.hex())["faults"] == [{"offset": fault[0], "reason": fault[1]}]


def test_a_message_of_another_type_is_its_type_and_octets(capsys: pytest.CaptureFixture[str]) -> None:
    known, unknown = one(capsys, "1600" + "00" * 22), one(capsys, "63")

    assert (known["message"], known["type"], known["octets"]) == ("Generic Notification", 22, "1600" + "00" * 22)
    assert (unknown["message"], unknown["type"], unknown["octets"]) == ("unknown message", 0x63, "63")


@pytest.mark.parametrize("form", ["ip", "icmp", "udp"])
def test_an_option_says_what_the_octets_are(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    advertisement = AgentAdvertisement(0, 30, [(HOME_AGENT, 0)], [MobilityAgent(1, 60, 0x1100, [CARE_OF])]).encode()
    octets = {"ip": in_ip(request()), "icmp": advertisement, "udp": request()}[form]

    told, found_out = one(capsys, octets.hex(":"), "--as", form), one(capsys, octets.hex(" "))

    assert told == found_out
    assert told["message"] == ("Agent Advertisement" if form == "icmp" else "Registration Request")


def test_an_advertisement_with_its_faults(capsys: pytest.CaptureFixture[str]) -> None:
    good = AgentAdvertisement(0, 30, [(HOME_AGENT, 0x80000000)], [MobilityAgent(1, 60, 0xB100, [CARE_OF])]).encode()

    whole = one(capsys, good.hex())
    damaged = one(capsys, "--as=icmp", (good[:-3] + b"\x09\x09\x09").hex())
    short = one(capsys, "--as=icmp", good[:-3].hex())

    (agent,) = whole["extensions"]
    assert agent["flags"]["set"] == {
        "R": "registration required",
        "H": "home agent",
        "F": "foreign agent",
        "T": "reverse tunneling",
    }
    assert (agent["sequence_number"], agent["care_of_addresses"]) == (1, ["203.0.113.2"])
    assert whole["router_addresses"] == [{"address": "192.0.2.1", "preference": -2147483648}]
    assert whole["faults"] == []
    assert "checksum" in damaged["faults"][0]["reason"]
    assert short["faults"][-1]["reason"] == "ends after 7 octets, 10 more expected"


def test_a_capture_shows_its_mobile_ip_and_counts_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solicitation = Packet(0, parse("224.0.0.2"), 1, 1, AgentSolicitation().encode()).encode()
    inner = Packet(NODE, parse("198.51.100.2"), 6, 63, bytes(20)).encode()
    tunnelled = Packet(CARE_OF, HOME_AGENT, 4, 64, inner).encode()
    keepalive = Datagram(CARE_OF, 434, HOME_AGENT, 434, b"\x04\x04\0\0" + inner).packet(64).encode()
    other = Datagram(CARE_OF, 53, HOME_AGENT, 53, b"?").packet(64).encode()
    path = tmp_path / "some.pcap"
    path.write_bytes(classic(packets=[other, solicitation, tunnelled, keepalive, in_ip(request())]))

    plain, with_tunnel = decoded(capsys, path), decoded(capsys, path, "--tunnel")

    assert plain["packets"] == 5 and plain["fault"] is None
    assert [(one["number"], one["message"]) for one in plain["messages"]] == [
        (2, "Agent Solicitation"),
        (5, "Registration Request"),
    ]
    assert plain["messages"][1]["time"] == "2026-01-01 00:00:00.123456 UTC"
    assert [one["message"] for one in with_tunnel["messages"]][1:3] == ["Tunnel, IP in IP", "UDP tunnel, IP in IP"]
    for one in with_tunnel["messages"][1:3]:
        assert (one["inner"]["source"], one["inner"]["destination"]) == ("10.10.0.7", "198.51.100.2")


def test_a_checksum_left_to_the_card_is_no_fault_and_a_wrong_one_is() -> None:
    good = in_ip(request())
    pseudo = parse("203.0.113.2").to_bytes(4, "big") + parse("192.0.2.1").to_bytes(4, "big") + b"\0\x11" + good[24:26]
    total = sum(int.from_bytes(pseudo[at : at + 2], "big") for at in range(0, len(pseudo), 2))
    total = (total & 0xFFFF) + (total >> 16)
    reader = Reader(Keyring())

    offloaded = reader.packet(good[:26] + total.to_bytes(2, "big") + good[28:])
    wrong = reader.packet(good[:26] + b"\xde\xad" + good[28:])

    assert offloaded and offloaded.udp and offloaded.udp.offloaded and offloaded.message.faults == []
    assert wrong and [fault.reason for fault in wrong.message.faults] == ["UDP checksum dead is wrong"]


def test_a_capture_that_ends_early_is_shown_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(classic(packets=[in_ip(request())] * 2)[:-7])

    as_text = main(["decode", str(path)])
    text = capsys.readouterr()
    as_json = main(["decode", str(path), "--json"])
    document = json.loads(capsys.readouterr().out)

    assert as_text == as_json == 1
    assert text.out.count("Registration Request") == 1
    assert (
        f"entourage: decode: {path}: truncated: the file ends 63 octets into packet 2 of 70, at offset 126" in text.err
    )
    assert len(document["messages"]) == 1 and document["fault"].startswith("truncated")


@pytest.mark.parametrize(
    "words, code, told",
    [
        (["no/such.pcap"], 2, "'no/such.pcap' is neither a file nor hexadecimal"),
        ([""], 2, "'' is neither a file nor hexadecimal"),
        (["00", "--key", "256"], 2, "--key number 1: neither SPI=hex:… nor SPI=ALGORITHM:hex:…"),
        (["00", "--key", "256=5ec2e7"], 2, "--key number 1: no algorithm of"),
        (["00", "--key", "256=5ec2e7:hex:00"], 2, "--key number 1: no algorithm of"),
        (["00", "--key", "256=hex:5ec2e7x"], 2, "--key number 1: key: not pairs of hexadecimal digits"),
        (["00", "--keys", "no/such.toml"], 2, "no/such.toml: No such file or directory"),
        (["4500", "--as", "ip"], 1, "no IP packet: an IP header of 2 octets"),
        ([Packet(1, 2, 6, 9, b"").encode().hex()], 1, "no Mobile IP in these octets"),
        ([__file__], 1, "neither pcap nor pcapng"),
        ([str(FOLDER)], 1, "Is a directory"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", *words]) == code

    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert told in shown.err
    assert "5ec2e7" not in shown.err  # a key


def test_keys_come_from_the_files_of_agents_and_nodes(tmp_path: Path) -> None:
    (tmp_path / "fa1.key").write_text("hex:02\n")
    (tmp_path / "ha.toml").write_text(
        '[[subscriber]]\nnai = "gw01@example.net"\nspi = 256\nkey = "text:secret"\nalgorithm = "hmac-sha256"\n'
        '[[foreign_agent]]\naddress = "203.0.113.66"\nspi = 512\nkey = "hex:01"\n'
        '[[foreign_agent]]\naddress = "203.0.113.2"\nspi = 512\nkey = "file:fa1.key"\n'
    )
    (tmp_path / "node.json").write_text('{"nai": "gw01@example.net", "spi": 256, "key": "text:secret"}')
    from_agent, from_node = Keyring(), Keyring()
    from_agent.load(tmp_path / "ha.toml")
    from_node.load(tmp_path / "node.json")
    signed = SecurityAssociation(256, b"secret", "hmac-sha256").sign(request(), ext.MobileHomeAuthentication)
    signed = SecurityAssociation(512, b"\x02").sign(signed, ext.ForeignHomeAuthentication)

    def verdicts(keys: Keyring) -> list[str]:
        parts = Reader(keys).datagram(signed).parts
        return [item.text for part in parts for item in part.items if item.name == "Verdict"]

    of_node, of_agent = "gw01@example.net", "203.0.113.2"
    assert verdicts(from_agent) == [f"verifies with the key of {of_node}", f"verifies with the key of {of_agent}"]
    assert verdicts(from_node) == ["does not verify", "no key"]


@pytest.mark.parametrize(
    "content", ['spi = "hex:5ec2e7', '[a]\nspi = 1\nkey = "hex:5ec2e7"', 'spi = 300\nkey = "5ec2e7"']
)
def test_a_bad_file_of_keys_is_told_without_its_keys(content: str, tmp_path: Path) -> None:
    (tmp_path / "ha.toml").write_text(content)

    with pytest.raises(ConfigurationError) as raised:
        Keyring().load(tmp_path / "ha.toml")

    assert "ha.toml" in str(raised.value) and "5ec2e7" not in str(raised.value)


ORIGINALS = [bytes.fromhex(vector["datagram"]) for vector in VECTORS.values()]


@given(
    st.sampled_from(ORIGINALS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 40),
)
def test_no_damage_raises_anything_but_malformed(original: bytes, damage: list[tuple[int, int]], cut: int) -> None:
    octets = bytearray(original)
    for at, octet in damage:
        octets[at % len(octets)] = octet
    reader = Reader(Keyring(), 32473, tunnel=True)

    for attempt in (reader.packet, reader.guess):
        try:
            seen = attempt(bytes(octets[: len(octets) - cut]))
        except Malformed:
            continue
        if seen is not None:
            assert list(lines(seen)) and json.dumps(document(seen))


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x01", b"\x03", b"\x04\x04\0\0", b"\x07", b"\x0f", request()]))
def test_any_datagram_is_told(octets: bytes, start: bytes) -> None:
    message = Reader(Keyring(), 9).datagram(start + octets)

    assert message.name


def test_a_reader_that_has_seen_enough_is_no_fault_of_the_capture(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(classic(packets=[in_ip(request())] * 500))  # more than a pipe holds
    argv = [sys.executable, "-m", "host_agents.cli.main", "decode", str(path)]

    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as decoding:
        assert decoding.stdout is not None and decoding.stderr is not None
        first = decoding.stdout.readline()
        decoding.stdout.close()
        said = decoding.stderr.read()

    assert first.startswith("#1 ")
    assert (decoding.returncode, said) == (1, "")
