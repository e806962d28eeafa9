"""Records of the ring as events of a trial: long names, and dates wherever the node had one."""

import json

from runtime.flight_ring import encode
from tools.trial import flight

UTC = 1_795_884_000_000


def ring(*records: dict) -> bytes:
    """One record a page, so that any of them may be taken away."""
    bodies = [json.dumps(one).encode() for one in records]
    return b"".join(encode(number, body).ljust(256, b"\0") for number, body in enumerate(bodies))


def start(utc: int, t: int = 28) -> dict:
    return {"t": t, "e": "start", "nai": "kleung@example.net", "utc": utc}


def test_times_are_dates_and_names_are_long():
    packet = {"t": 520, "e": "packet", "h": "10.10.0.11", "at": 510, "last": 400, "u": 3}
    sample = {"t": 600, "e": "sample", "lat": 473769000, "lon": -85417000, "v": 1666, "gps": UTC + 550, "rx": 7}

    found = flight.events([ring(start(UTC + 28), packet, sample)])

    assert found.nai == "kleung@example.net"
    assert found.events[1:] == [
        {"at": UTC + 510, "source": "node", "event": "packet", "home_address": "10.10.0.11", "last": UTC + 400,
         "uncertainty": 3},
        {"at": UTC + 600, "source": "node", "event": "sample", "latitude": 47.3769, "longitude": -8.5417,
         "speed": 16.66, "gps_time": UTC + 550, "rx_bytes": 7},
    ]  # fmt: skip


def test_files_in_any_order_make_the_same_events():
    whole = ring(start(UTC + 28), {"t": 100, "e": "link_down"}, {"t": 140, "e": "link_up"})

    assert flight.events([whole[512:], whole[:512]]) == flight.events([whole])


def test_a_restart_counts_from_its_own_beginning():
    marks = [{"t": 900, "e": "mark"}, start(UTC + 60_028), {"t": 100, "e": "mark"}]

    found = flight.events([ring(start(UTC + 28), *marks)])

    assert [one["at"] - UTC for one in found.events if one["event"] == "mark"] == [900, 60_100]


def test_a_clock_that_is_set_on_the_way_counts_from_then_and_small_corrections_do_not():
    samples = [{"t": 1000, "e": "sample", "utc": UTC + 1003}, {"t": 2000, "e": "sample", "utc": UTC + 86_402_000}]

    found = flight.events([ring(start(UTC + 28), *samples)])

    assert [one["at"] - UTC for one in found.events] == [28, 1000, 86_402_000]


def test_starts_of_a_board_without_a_date_follow_each_other():
    found = flight.events([ring(start(0), {"t": 900, "e": "mark"}, start(0, t=5), {"t": 50, "e": "mark"})])

    assert [one["at"] for one in found.events] == [28, 900, 905, 950]


def test_what_is_no_record_is_left_out():
    bodies = [
        b"{",
        b"[1]",
        b'{"t":1}',
        b'{"t":"now","e":"mark"}',
        b'{"t":1,"e":"reply"}',
        b'{"t":1,"e":[]}',
        b'{"t":5,"e":"mark"}',
    ]

    found = flight.events([b"".join(encode(number, body) for number, body in enumerate(bodies))])

    assert [one["at"] for one in found.events] == [5]
