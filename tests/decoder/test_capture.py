"""Captures in every format that a network tool writes, whole, cut and damaged."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_agents.decoder.capture import read_packets
from host_agents.decoder.network import ipv4_in
from host_agents.decoder.source import Captured, CaptureFault
from mip4.address import parse
from mip4.ip import Datagram

PACKET = Datagram(parse("203.0.113.2"), 434, parse("192.0.2.1"), 434, b"\x01" + bytes(23)).packet(64).encode()
ETHERNET = bytes(12) + b"\x08\x00"
SECONDS, NANOSECONDS = 1767225600, 123456789


def classic(order: str = "<", ticks: int = 1000, link_type: int = 101, packets: list[bytes] | None = None) -> bytes:
    """ticks: nanoseconds of one."""
    magic = 0xA1B2C3D4 if ticks == 1000 else 0xA1B23C4D
    written = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for packet in [PACKET] if packets is None else packets:
        written += struct.pack(f"{order}IIII", SECONDS, NANOSECONDS // ticks, len(packet), len(packet)) + packet
    return written


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link_type: int = 101, resolution: int = 9, longest: int = 0) -> bytes:
    options = struct.pack(f"{order}HHBxxxHH", 9, 1, resolution, 0, 0)
    return block(order, 1, struct.pack(f"{order}HHI", link_type, 0, longest) + options)


def enhanced(order: str, packet: bytes = PACKET, which: int = 0) -> bytes:
    time = SECONDS * 1_000_000_000 + NANOSECONDS
    head = struct.pack(f"{order}IIIII", which, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet))
    return block(order, 6, head + packet)


def read(octets: bytes) -> list[Captured]:
    return list(read_packets(io.BytesIO(octets)))


def read_until_fault(octets: bytes) -> tuple[list[Captured], CaptureFault]:
    found: list[Captured] = []
    with pytest.raises(CaptureFault) as raised:
        for captured in read_packets(io.BytesIO(octets)):
            found.append(captured)
    return found, raised.value


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("ticks", [1, 1000])
def test_a_classic_capture_in_either_byte_order_and_resolution(order: str, ticks: int) -> None:
    time = SECONDS * 1_000_000_000 + NANOSECONDS // ticks * ticks

    assert read(classic(order, ticks)) == [Captured(1, time, 101, PACKET, len(PACKET))]


@pytest.mark.parametrize("order", "<>")
def test_the_packets_of_a_pcapng_in_either_byte_order(order: str) -> None:
    time = SECONDS * 1_000_000_000 + NANOSECONDS
    unknown = block(order, 0xBAD, b"skipped")
    simple = block(order, 3, struct.pack(f"{order}I", len(PACKET)) + PACKET)
    head = struct.pack(f"{order}HHIIII", 1, 0, time >> 32, time & 0xFFFFFFFF, len(PACKET), len(PACKET))
    obsolete = block(order, 2, head + PACKET)

    found = read(
        section(order) + interface(order) + interface(order, 1) + unknown + enhanced(order) + simple + obsolete
    )

    assert found == [
        Captured(1, time, 101, PACKET, len(PACKET)),
        Captured(2, None, 101, PACKET, len(PACKET)),
        Captured(3, time, 1, PACKET, len(PACKET)),
    ]


def test_a_second_section_may_have_another_byte_order_and_other_interfaces() -> None:
    found = read(section("<") + interface("<") + enhanced("<") + section(">") + interface(">", 1) + enhanced(">"))

    assert [(one.number, one.link_type) for one in found] == [(1, 101), (2, 1)]


def test_a_simple_packet_has_no_more_octets_than_its_interface_keeps() -> None:
    simple = block("<", 3, struct.pack("<I", len(PACKET)) + PACKET[:30])

    (found,) = read(section("<") + interface("<", longest=30) + simple)

    assert (found.octets, found.size) == (PACKET[:30], len(PACKET))


def test_a_resolution_may_be_a_power_of_two() -> None:
    head = struct.pack("<IIIII", 0, 3, 0x80000000, 0, 0)

    (found,) = read(section("<") + interface("<", resolution=0x80 | 32) + block("<", 6, head))

    assert found.time == 3_500_000_000


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_what_editcap_writes(kind: str, tmp_path: Path) -> None:
    (tmp_path / "in.pcap").write_bytes(classic(ticks=1, packets=[PACKET, PACKET[:33], b""]))

    subprocess.run(["editcap", "-F", kind, tmp_path / "in.pcap", tmp_path / "out"], check=True)

    found = read((tmp_path / "out").read_bytes())
    assert [one.octets for one in found] == [PACKET, PACKET[:33], b""]
    tick = 1000 if kind == "pcap" else 1
    assert {one.time for one in found} == {SECONDS * 1_000_000_000 + NANOSECONDS // tick * tick}


PCAPNG = section("<") + interface("<")


@pytest.mark.parametrize(
    "start, packet",
    [(classic(packets=[]), classic()[24:]), (PCAPNG, enhanced("<"))],
    ids=["pcap", "pcapng"],
)
def test_a_capture_cut_within_a_packet_gives_those_before_and_says_where_it_ends(start: bytes, packet: bytes) -> None:
    packets = read(start + packet * 3)

    for cut in range(1, len(packet)):
        found, fault = read_until_fault(start + packet * 2 + packet[:cut])
        assert found == packets[:2]
        assert fault.cut and len(start) + 2 * len(packet) <= fault.offset <= len(start) + 2 * len(packet) + cut


@pytest.mark.parametrize("start", [classic(packets=[]), section("<")])
def test_a_capture_cut_within_its_header_has_no_packets(start: bytes) -> None:
    for cut in range(len(start)):
        found, fault = read_until_fault(start[:cut])
        assert found == [] and fault.cut


def attempt(octets: bytes) -> list[Captured] | CaptureFault:
    try:
        return read(octets)
    except CaptureFault as fault:
        return fault


@pytest.mark.parametrize(
    "octets, reason",
    [
        (b"PK\x03\x04", "neither pcap nor pcapng: it begins with 50 4b 03 04, at offset 0"),
        (b"", "the file ends before the magic number, at offset 0"),
        (
            classic()[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 60),
            "packet 1 is said to have 1073741824 octets, at offset 24",
        ),
        (section("<") + struct.pack("<II", 6, 13) + bytes(5), "a block of 13 octets, at offset 28"),
        (section("<") + enhanced("<")[:-4] + bytes(4), "a block whose two lengths differ, at offset 28"),
        (section("<") + enhanced("<"), "block of type 6: an interface that is not described, at offset 28"),
        (section("<") + block("<", 6, b""), "block of type 6: too short, at offset 28"),
        (section("<")[:8] + bytes(20), "a section header of unknown byte order 00 00 00 00, at offset 0"),
    ],
)
def test_what_is_no_capture_is_told_with_offset_and_reason(octets: bytes, reason: str) -> None:
    _, fault = read_until_fault(octets)

    assert str(fault) == reason


@given(
    st.binary(max_size=200),
    st.sampled_from([classic()[:4], classic()[:24], section("<"), section(">") + interface(">")]),
)
def test_any_octets_give_packets_or_a_fault_and_nothing_else(octets: bytes, start: bytes) -> None:
    attempt(start + octets)


@pytest.mark.parametrize(
    "link_type, frame",
    [
        (1, ETHERNET + PACKET),
        (1, bytes(12) + b"\x81\x00\x00\x05\x08\x00" + PACKET),
        (1, bytes(12) + b"\x88\xa8\x00\x06\x81\x00\x00\x05\x08\x00" + PACKET),
        (101, PACKET),
        (12, PACKET),
        (228, PACKET),
        (113, bytes(14) + b"\x08\x00" + PACKET),
        (276, b"\x08\x00" + bytes(18) + PACKET),
    ],
)
def test_the_packet_is_found_behind_every_link_header(link_type: int, frame: bytes) -> None:
    assert ipv4_in(link_type, frame) == PACKET


@pytest.mark.parametrize(
    "link_type, frame",
    [(1, bytes(12) + b"\x08\x06" + PACKET), (1, b""), (101, b"\x60" + PACKET[1:]), (113, PACKET), (147, PACKET)],
)
def test_a_frame_without_ipv4_has_none(link_type: int, frame: bytes) -> None:
    assert ipv4_in(link_type, frame) is None
