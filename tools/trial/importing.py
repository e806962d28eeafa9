"""Events from elsewhere: a capture at an agent, an agent's own event lines, a GPS track."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

from host_agents.decoder.capture import read_packets
from host_agents.decoder.network import ipv4_in
from host_agents.decoder.source import CaptureFault
from mip4.address import show
from mip4.const import PORT, REGISTRATION_REPLY, REGISTRATION_REQUEST
from mip4.errors import MipError
from mip4.ip import Datagram, Packet
from mip4.messages import RegistrationReply, RegistrationRequest
from tools.trial.errors import TrialFailed
from tools.trial.trial_file import Event, Trial, fault, lines_of

_CAPTURES = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a")
_LARGEST = 1 << 28  # octets of a GPX file
_LONGEST = 1 << 16  # characters of an agent's event


def load(path: Path, source: str) -> Trial:
    """source: whose clock the times are by: "ha", "fa1", ...; a track is always "gpx". Raises TrialFailed."""
    try:
        with open(path, "rb") as file:
            head = file.read(256)
        if head[:4] in _CAPTURES:
            return Trial(source, list(_messages(path, source)))
        if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
            return Trial("gpx", list(_track(path)))
        return Trial(source, list(_lines(path, source)))
    except OSError as error:
        raise TrialFailed(f"{path}: {error.strerror}")


def _messages(path: Path, source: str) -> Iterator[Event]:
    """Registration messages in a capture, by the kernel's time; a capture that is cut ends where it is cut.

    Raises TrialFailed where that is before its first packet.
    """
    with open(path, "rb") as file:
        packets, is_first = read_packets(file), True
        while True:
            try:
                captured = next(packets)
            except StopIteration:
                return
            except CaptureFault as error:
                if is_first:
                    raise TrialFailed(f"{path}: {error}")
                return
            is_first = False
            octets = ipv4_in(captured.link_type, captured.octets)
            if octets is None or captured.time is None:
                continue
            try:
                datagram = Datagram.decode(Packet.decode(octets), False)
                event = _message(datagram)
            except MipError:
                continue
            if event is not None:
                at = round(captured.time / 1_000_000)
                yield {"at": at, "source": source, "peer": show(datagram.source), **event}


def _message(datagram: Datagram) -> Event | None:
    kind = datagram.payload[:1]
    if PORT not in (datagram.source_port, datagram.destination_port) or not kind:
        return None
    if kind[0] == REGISTRATION_REQUEST:
        request = RegistrationRequest.decode(datagram.payload)
        low, home = request.identification & 0xFFFFFFFF, show(request.home_address)
        return {"event": "request", "identification": low, "home_address": home}
    if kind[0] == REGISTRATION_REPLY:
        reply = RegistrationReply.decode(datagram.payload)
        low, home = reply.identification & 0xFFFFFFFF, show(reply.home_address)
        return {"event": "reply", "identification": low, "home_address": home, "code": reply.code}
    return None


def _lines(path: Path, source: str) -> Iterator[Event]:
    """An agent's events, a JSON object a line with "time" (ISO 8601, or seconds since 1970) and "kind"."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(lines_of(file, _LONGEST), 1):
            if not line.strip():
                continue
            try:
                document = json.loads(line)
                if document["kind"] == "missed":  # it was told too much at once, and of that not when
                    continue
                at = _time(document["time"])
                text = str(document.get("text", ""))
                event = {"at": at, "source": source, "event": "log", "kind": str(document["kind"]), "text": text[:512]}
                if wrong := fault(event):
                    raise ValueError(wrong)
                yield event
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                raise TrialFailed(f'{path}: line {number}: no event of an agent: it needs "time" and "kind"')


def _time(value: object) -> int:
    if isinstance(value, int | float):
        return round(value * 1000)
    return round(datetime.fromisoformat(str(value)).timestamp() * 1000)


def _track(path: Path) -> Iterator[Event]:
    """The points of a GPX file (1.0 or 1.1) that have a time."""
    if path.stat().st_size > _LARGEST:
        raise TrialFailed(f"{path}: larger than {_LARGEST >> 20} MiB")
    octets = path.read_bytes()
    if b"<!DOCTYPE" in octets or b"<!ENTITY" in octets:  # which GPX has no use for, and an attacker has
        raise TrialFailed(f"{path}: a GPX file has no document type")
    try:
        root = ElementTree.fromstring(octets)
        for point in root.iter():
            if point.tag.rpartition("}")[2] != "trkpt":
                continue
            parts = {one.tag.rpartition("}")[2]: one.text or "" for one in point}
            if "time" in parts:
                place = {"latitude": float(point.get("lat", "")), "longitude": float(point.get("lon", ""))}
                event = {"at": _time(parts["time"].strip()), "source": "gpx", "event": "sample", **place}
                if wrong := fault(event):
                    raise ValueError(wrong)
                yield event
    except (ElementTree.ParseError, ValueError, OverflowError) as error:
        raise TrialFailed(f"{path}: {error}")
