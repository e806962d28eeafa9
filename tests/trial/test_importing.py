"""What comes from elsewhere into a trial: captures, agents' events, tracks; and what is refused."""

import io
from pathlib import Path

import pytest

from host_agents.decoder.pcapng_writer import PcapngWriter
from mip4.address import parse
from mip4.ip import Datagram
from mip4.messages import RegistrationReply, RegistrationRequest
from tools.trial import importing, trial_file
from tools.trial.errors import TrialFailed

GPX = """<?xml version="1.0"?>
<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="47.3769" lon="8.5417"><ele>408.2</ele><time>2026-11-28T17:00:30Z</time></trkpt>
<trkpt lat="47.3770" lon="8.5420"><time>2026-11-28T17:00:31.500Z</time></trkpt>
<trkpt lat="47.3771" lon="8.5421"></trkpt>
</trkseg></trk></gpx>"""


def a_capture() -> bytes:
    home, agent, node = (parse(one) for one in ("10.10.0.11", "192.0.2.1", "203.0.113.2"))
    request = RegistrationRequest(0, 600, home, agent, node, 0x1111_0000_2222, []).encode()
    answer = RegistrationReply(0, 580, home, agent, 0x3333_0000_2222, []).encode()
    file = io.BytesIO()
    writer = PcapngWriter(file)
    for at, payload, ends in ((5, request, (node, agent)), (9, answer, (agent, node)), (10, b"\x01?", (node, agent))):
        octets = Datagram(ends[0], 434, ends[1], 434, payload).packet(64).encode()
        writer.write("net0", at * 1_000_000, octets, len(octets))
    return file.getvalue()


def test_a_capture_gives_its_registrations(tmp_path):
    (tmp_path / "ha.pcapng").write_bytes(a_capture())

    found = importing.load(tmp_path / "ha.pcapng", "ha")

    assert [(one["at"], one["event"], one["identification"], one["peer"]) for one in found.events] == [
        (5, "request", 0x2222, "203.0.113.2"),
        (9, "reply", 0x2222, "192.0.2.1"),
    ]


def test_a_capture_that_is_cut_gives_what_is_before_the_cut(tmp_path):
    (tmp_path / "cut.pcapng").write_bytes(a_capture()[:-20])

    assert [one["event"] for one in importing.load(tmp_path / "cut.pcapng", "fa1").events] == ["request", "reply"]


def test_a_track_gives_the_points_that_have_a_time(tmp_path):
    (tmp_path / "way.gpx").write_text(GPX)

    found = importing.load(tmp_path / "way.gpx", "ha")

    assert (found.source, len(found.events)) == ("gpx", 2)
    assert found.events[1]["at"] - found.events[0]["at"] == 1500
    assert (found.events[0]["latitude"], found.events[0]["longitude"]) == (47.3769, 8.5417)


def test_an_agents_events_keep_their_words(tmp_path):
    (tmp_path / "ha.jsonl").write_text(
        '{"time": "2026-11-28T17:00:30.123Z", "kind": "bound", "text": "bound home=…"}\n'
    )

    (found,) = importing.load(tmp_path / "ha.jsonl", "ha").events

    assert (found["at"] % 100_000, found["kind"], found["text"]) == (30_123, "bound", "bound home=…")


def test_a_capture_of_which_no_packet_is_left_is_not_taken_for_a_quiet_one(tmp_path):
    (tmp_path / "cut.pcap").write_bytes(b"\xd4\xc3\xb2\xa1\2\0\4\0")

    with pytest.raises(TrialFailed, match=r"cut\.pcap: the file ends 4 octets into the file header"):
        importing.load(tmp_path / "cut.pcap", "ha")


def test_a_line_without_end_is_not_read_to_its_end():
    for read in (lambda path: importing.load(path, "ha"), trial_file.read):
        with pytest.raises(TrialFailed, match="/dev/zero: line 1: "):
            read(Path("/dev/zero"))


@pytest.mark.parametrize(
    "content, reason",
    [
        ("nonsense\n", "line 1: no event of an agent"),
        ('{"time": "soon", "kind": "bound"}\n', "line 1: no event of an agent"),
        ('{"time": 1e400, "kind": "bound"}\n', "line 1: no event of an agent"),
        ('{"time": 1e300, "kind": "bound"}\n', "line 1: no event of an agent"),
        ("<gpx><trkpt", "way: "),
        ('<gpx><trkpt lat="97" lon="8"><time>2026-11-28T17:00:30Z</time></trkpt></gpx>', "way: latitude: "),
        ('<gpx><trkpt lat="nan" lon="8"><time>2026-11-28T17:00:30Z</time></trkpt></gpx>', "way: latitude: "),
        ('<gpx><trkpt lat="north" lon="8"><time>2026-11-28T17:00:30Z</time></trkpt></gpx>', "way: "),
        ('<!DOCTYPE gpx [<!ENTITY a "b">]><gpx></gpx>', "no document type"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(tmp_path, content, reason):
    (tmp_path / "way").write_text(content)

    with pytest.raises(TrialFailed, match=reason):
        importing.load(tmp_path / "way", "ha")
