"""What a node's flight recorder kept, as events of a trial: long names, and times that mean something elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from runtime.flight_ring import decode
from tools.trial.trial_file import Event, Trial, fault

_NAMES = {
    "s": "session", "h": "home_address", "c": "care_of_address", "l": "lifetime", "i": "identification", "a": "agent",
    "n": "count", "u": "uncertainty", "rx": "rx_bytes", "tx": "tx_bytes", "heap": "heap_free", "gps": "gps_time",
}  # fmt: skip
_DEGREES = {"lat": "latitude", "lon": "longitude"}
_TIMES = ("last",)


def events(files: Iterable[bytes]) -> Trial:
    """files: the ring's, in any order. A record that makes no sense is left out, like one that is torn."""
    records = sorted({record for octets in files for record in decode(octets)})
    found: list[Event] = []
    nai, began = "", 0
    for _, body in records:
        try:
            record = json.loads(body)
            began = _began(record, began, found[-1]["at"] if found else 0)
            nai = record.get("nai", nai)
            event = _event(record, began)
            found += [] if fault(event) else [event]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return Trial("node", sorted(found, key=lambda one: one["at"]), nai)


def _began(record: dict[str, Any], before: int, latest: int) -> int:
    """ms since 1970 when the node's own clock was 0: as each start says, and again as samples correct it.

    A board without a date begins where the last record ended, so that one start does not mix with the next.

    A machine's date may be set while it runs; its own clock is not, and it is what durations are measured by. So only
    a step of more than a second is taken over.
    """
    utc = record.get("utc", 0)
    if record["e"] != "start" and (not utc or abs(utc - record["t"] - before) < 1000):
        return before
    return int(utc - record["t"]) if utc else latest


def _event(record: dict[str, Any], began: int) -> Event:
    event: Event = {"at": began + record.get("at", record["t"]), "source": "node", "event": record["e"]}
    for key, value in record.items():
        if key in _DEGREES:
            event[_DEGREES[key]] = value / 1e7
        elif key == "v":
            event["speed"] = value / 100
        elif key in _TIMES:
            event[key] = None if value is None else began + value
        elif key not in ("t", "e", "at", "utc"):
            event[_NAMES.get(key, key)] = value
    return event
