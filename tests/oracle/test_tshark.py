"""Our octets as tshark dissects them: every field is what we meant, nothing is malformed, every checksum is good."""

import json
import shutil
import struct
import subprocess

import pytest

from mip4 import extensions as ext
from mip4.address import parse
from mip4.authentication import SecurityAssociation
from mip4.const import CODE_NAMES, PROTO_ICMP
from mip4.discovery import AdvertisedChallenge, AgentAdvertisement, AgentSolicitation, MobilityAgent, PrefixLengths
from mip4.identification import from_ms
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from mip4.sub_nai import SubNai

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

HOME_AGENT, FOREIGN_AGENT, NODE = parse("192.0.2.1"), parse("203.0.113.2"), parse("10.10.0.7")
NAI = ext.Nai(b"gw01@example.net")
T0_MS = 3976214400000  # 2026-01-01 in NTP milliseconds
RAW = 101  # the link type of packets that begin with their IP header


def dissect(packets: list[bytes], folder) -> list[list[tuple[str, str]]]:
    """Each packet's (field, value) pairs in the order in which tshark shows them."""
    capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW)
    for packet in packets:
        capture += struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
    path = folder / "ours.pcap"
    path.write_bytes(capture)
    checked = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    shown = subprocess.run(["tshark", "-r", path, "-T", "json", *checked], capture_output=True, text=True, check=True)
    # A field may come twice in one layer: keep pairs, not a dictionary.
    return [list(_fields(packet)) for packet in json.loads(shown.stdout, object_pairs_hook=list)]


def _fields(shown: list):
    for name, value in shown:
        if isinstance(value, list) and value and isinstance(value[0], list | tuple):
            yield name, ""
            yield from _fields(value)
        elif isinstance(value, list):
            yield from ((name, one) for one in value)
        else:
            yield name, value


def in_udp(message: bytes, destination: int = HOME_AGENT) -> bytes:
    return Datagram(FOREIGN_AGENT, 434, destination, 434, message).packet(255).encode()


def in_icmp(message: bytes, destination: str = "224.0.0.1") -> bytes:
    return Packet(FOREIGN_AGENT, parse(destination), PROTO_ICMP, 1, message).encode()


def shows(fields: list, expected: list) -> None:
    """Expect these (field, value) pairs in this order, others between them; all clean."""
    names = [name for name, _ in fields]
    assert not [name for name in names if name.startswith(("_ws.malformed", "_ws.expert", "_ws.lua"))], fields
    assert {value for name, value in fields if name.endswith("checksum.status")} == {"1"}
    rest = iter(fields)
    for pair in expected:
        assert pair in rest, f"{pair} is not there, or not in its place: {fields}"


def test_a_request_with_every_extension_of_a_node_and_its_foreign_agent(tmp_path):
    message = RegistrationRequest(
        flags=0xFA,
        lifetime=65534,
        home_address=NODE,
        home_agent=HOME_AGENT,
        care_of_address=FOREIGN_AGENT,
        identification=from_ms(T0_MS + 500),
        extensions=[
            NAI,
            SubNai(b"cam-1", 0, None).extension(),
            ext.UdpTunnelRequest(True, True, 47),
            ext.NormalVendor(9, 14, b"\0\0"),
            ext.CriticalVendor(32473, 7, b"\xaa\xbb"),
        ],
    ).encode()
    message = SecurityAssociation(256, b"secret").sign(message, ext.MobileHomeAuthentication)
    message += ext.MobileForeignChallenge(b"\x01\x02\x03\x04").encode()
    message += ext.MnAaaAuthentication(1024, bytes(16)).encode()
    message += ext.EncapsulatingDelivery().encode()
    message += ext.RevocationSupport(True, 3976214410).encode()
    message = SecurityAssociation(0xFFFFFFFF, b"secret", "hmac-sha256").sign(message, ext.ForeignHomeAuthentication)
    message = SecurityAssociation(768, b"secret", "hmac-sha1").sign(message, ext.MobileForeignAuthentication)

    (fields,) = dissect([in_udp(message)], tmp_path)

    shows(
        fields,
        [
            ("ip.flags.df", "1"),
            ("ip.ttl", "255"),
            ("ip.src", "203.0.113.2"),
            ("ip.dst", "192.0.2.1"),
            ("udp.srcport", "434"),
            ("udp.dstport", "434"),
            ("mip.type", "1"),
            ("mip.flags", "0xfa"),
            ("mip.s", "1"),
            ("mip.b", "1"),
            ("mip.d", "1"),
            ("mip.m", "1"),
            ("mip.g", "1"),
            ("mip.t", "1"),
            ("mip.life", "65534"),
            ("mip.homeaddr", "10.10.0.7"),
            ("mip.haaddr", "192.0.2.1"),
            ("mip.coa", "203.0.113.2"),
            ("mip.ident", "Jan  1, 2026 00:00:00.500000000 UTC"),
            ("mip.nai", "gw01@example.net"),
            ("mip.ext.type", "255"),
            ("mip.extension", "01:63:61:6d:2d:31"),
            ("mip.ext.utrq.f", "1"),
            ("mip.ext.utrq.r", "1"),
            ("mip.ext.utrq.encaptype", "47"),
            ("mip.ext.utrq.reserved3", "0x0000"),
            ("mip.ext.len", "10"),
            ("mip.ext.nvse.vendor_id", "9"),
            ("mip.ext.nvse.vendor_type", "14"),
            ("mip.ext.nvse.vendor_value", "00:00"),
            ("mip.ext.len", "8"),
            ("mip.ext.cvse.vendor_id", "32473"),
            ("mip.ext.cvse.vendor_type", "0x0007"),
            ("mip.ext.cvse.vendor_value", "aa:bb"),
            ("mip.ext.type", "32"),
            ("mip.ext.len", "20"),
            ("mip.auth.spi", "0x00000100"),
            ("mip.ext.type", "132"),
            ("mip.extension", "01:02:03:04"),
            ("mip.ext.type", "36"),
            ("mip.ext.auth.subtype", "1"),
            ("mip.ext.len", "20"),
            ("mip.auth.spi", "0x00000400"),
            ("mip.ext.rev.i", "1"),
            ("mip.ext.rev.tstamp", "3976214410"),
            ("mip.ext.type", "34"),
            ("mip.ext.len", "36"),
            ("mip.auth.spi", "0xffffffff"),
            ("mip.ext.type", "33"),
            ("mip.ext.len", "24"),
            ("mip.auth.spi", "0x00000300"),
        ],
    )


def test_a_reply_with_every_extension_of_both_agents(tmp_path):
    message = RegistrationReply(
        code=130,
        lifetime=1800,
        home_address=NODE,
        home_agent=HOME_AGENT,
        identification=from_ms(T0_MS + 999),
        extensions=[
            NAI,
            SubNai("thermo-é".encode(), 32473, b"gw01@example.net").extension(),
            ext.MessageString(1, b"no address left"),
            ext.UdpTunnelReply(64, True, 110),
        ],
    ).encode()
    message = SecurityAssociation(256, b"secret").sign(message, ext.MobileHomeAuthentication)
    message += ext.ForeignAgentError(71).encode() + ext.MessageString(2, b"A").encode()

    (fields,) = dissect([in_udp(message, NODE)], tmp_path)

    shows(
        fields,
        [
            ("ip.dst", "10.10.0.7"),
            ("mip.type", "3"),
            ("mip.code", "130"),
            ("mip.life", "1800"),
            ("mip.homeaddr", "10.10.0.7"),
            ("mip.haaddr", "192.0.2.1"),
            ("mip.ident", "Jan  1, 2026 00:00:00.998999999 UTC"),
            ("mip.nai", "gw01@example.net"),
            ("mip.ext.nvse.vendor_id", "32473"),
            ("mip.ext.nvse.vendor_type", "2"),
            ("mip.ext.nvse.vendor_value", (b"\x10gw01@example.net" + "thermo-é".encode()).hex(":")),
            ("mip.ext.msgstr.subtype", "1"),
            ("mip.ext.msgstr.text", "no address left"),
            ("mip.ext.utrp.code", "64"),
            ("mip.ext.utrp.f", "1"),
            ("mip.ext.utrp.keepalive", "110"),
            ("mip.auth.spi", "0x00000100"),
            ("mip.ext.type", "45"),
            ("mip.extension", "00:47"),
            ("mip.ext.msgstr.subtype", "2"),
            ("mip.ext.msgstr.text", "A"),
        ],
    )


def test_every_reply_code(tmp_path):
    codes = [code for code, _ in CODE_NAMES]
    packets = [in_udp(RegistrationReply(code, 60, NODE, HOME_AGENT, 1 << 63, [NAI]).encode()) for code in codes]

    for code, fields in zip(codes, dissect(packets, tmp_path), strict=True):
        shows(fields, [("mip.code", str(code)), ("mip.nai", "gw01@example.net")])


def test_sub_nais_of_every_length_in_every_form(tmp_path):
    forms = [
        SubNai(b"x" * size, vendor, nai) for size in range(1, 65) for vendor in (0, 32473) for nai in (None, NAI.nai)
    ]
    signer = SecurityAssociation(256, b"secret")
    requests = [RegistrationRequest(0, 60, 0, 1, 2, 3, [NAI, form.extension()]).encode() for form in forms]
    packets = [in_udp(signer.sign(request, ext.MobileHomeAuthentication)) for request in requests]

    for form, fields in zip(forms, dissect(packets, tmp_path), strict=True):
        carrier = ("mip.ext.nvse.vendor_id", "32473") if form.vendor else ("mip.ext.type", "255")
        size = (8 if form.vendor else 1) + len(form.sub_nai) + (17 if form.nai else 0)
        shows(fields, [("mip.nai", "gw01@example.net"), ("mip.ext.len", str(size)), ("mip.auth.spi", "0x00000100")])
        assert carrier in fields


def test_an_advertisement_of_two_routers_and_three_care_of_addresses(tmp_path):
    agent = MobilityAgent(65535, 1800, 0xFDC0, [FOREIGN_AGENT, HOME_AGENT, NODE])
    routers = [(FOREIGN_AGENT, 0), (HOME_AGENT, 0x80000000)]
    others = [PrefixLengths([26, 24]), AdvertisedChallenge(b"\xc0\xff\xee\x01")]

    (fields,) = dissect([in_icmp(AgentAdvertisement(16, 9000, routers, [agent, *others]).encode())], tmp_path)

    shows(
        fields,
        [
            ("ip.ttl", "1"),
            ("icmp.type", "9"),
            ("icmp.code", "16"),
            ("icmp.num_addrs", "2"),
            ("icmp.lifetime", "9000"),
            ("icmp.router_address", "203.0.113.2"),
            ("icmp.router_address", "192.0.2.1"),
            ("icmp.pref_level", "-2147483648"),
            ("icmp.mip.length", "18"),
            ("icmp.mip.seq", "65535"),
            ("icmp.mip.life", "1800"),
            *[("icmp.mip." + flag, "1") for flag in ("r", "b", "h", "f", "m", "g", "rt", "u", "x")],
            ("icmp.mip.coa", "203.0.113.2"),
            ("icmp.mip.coa", "192.0.2.1"),
            ("icmp.mip.coa", "10.10.0.7"),
            ("icmp.mip.prefixlength", "26"),
            ("icmp.mip.prefixlength", "24"),
            ("icmp.mip.challenge", "c0:ff:ee:01"),
        ],
    )


def test_an_advertisement_that_says_no_more_than_it_must_and_one_with_padding(tmp_path):
    home = AgentAdvertisement(0, 3, [], [MobilityAgent(0, 0xFFFF, 0x2000, [])])
    odd = AgentAdvertisement(0, 3, [], [MobilityAgent(0, 0xFFFF, 0x2000, []), PrefixLengths([24])])

    smallest, padded = dissect([in_icmp(home.encode()), in_icmp(odd.encode())], tmp_path)

    shows(smallest, [("icmp.num_addrs", "0"), ("icmp.mip.seq", "0"), ("icmp.mip.h", "1"), ("icmp.mip.f", "0")])
    assert "icmp.mip.coa" not in dict(smallest)
    shows(padded, [("icmp.mip.type", "19"), ("icmp.mip.type", "0")])


def test_a_solicitation(tmp_path):
    (fields,) = dissect([in_icmp(AgentSolicitation().encode(), "224.0.0.2")], tmp_path)

    shows(fields, [("ip.ttl", "1"), ("ip.dst", "224.0.0.2"), ("icmp.type", "10"), ("icmp.code", "0")])


def test_the_oracle_notices_a_broken_message(tmp_path):
    good = RegistrationRequest(0, 60, 0, 1, 2, 3, [NAI]).encode()
    (overlong,) = dissect([in_udp(good[:-1])], tmp_path)
    (damaged,) = dissect([in_udp(good)[:-1] + b"!"], tmp_path)

    for fields in (overlong, damaged):
        with pytest.raises(AssertionError):
            shows(fields, [])
