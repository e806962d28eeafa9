"""The parts of the page, without a daemon: what a node may call its session, bars, sparklines, concerns."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from host_agents.effects import Said
from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.handoffs import Handoffs
from host_agents.runtime.journal import Journal
from host_agents.runtime.listening import listen
from host_agents.web.health import concerns
from host_agents.web.page import draw
from host_agents.web.timeline import timeline
from host_agents.web.traffic import Traffic

MARKUP = "<img src=x onerror=alert(1)>\"'"
NOW = 1_795_880_000.0
WITHOUT_A_PAGE = """
import sys
from host_agents.cli.main import make_parser
make_parser("ha")
needless = {"starlette", "uvicorn", "jinja2", "prometheus_client", "host_agents.web"} & set(sys.modules)
assert not needless, needless
"""


def a_row(**changes: Any) -> dict[str, Any]:
    texts = ("nai", "sub_nai", "home_address", "care_of_address", "tunnel", "via", "left", "rate", "sparkline")
    return {**dict.fromkeys(texts, "x"), **changes}


def rows(**changes: Any) -> str:
    given: dict[str, Any] = {"role": "ha", "rows": [a_row()], "matched": 1, "offset": 0, "size": 50, "search": ""}
    return draw("rows.html", words={"table": "bindings"}, **{**given, **changes})


def test_whatever_a_node_calls_its_session_is_text() -> None:
    for text in (rows(rows=[a_row(sub_nai=MARKUP)]), rows(rows=[], search=MARKUP)):
        assert "<img" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;" in text
    said = draw("events.html", events=[{"time": "1", "level": 20, "text": MARKUP}])
    assert "<img" not in said


def test_only_a_home_agents_rows_can_be_released() -> None:
    visitor = a_row(interface="vis0", link_address="02:00:00:00:00:01")

    assert 'class="release"' in rows()
    assert 'class="release"' not in rows(role="fa", rows=[visitor])


def test_sessions_that_come_together_are_one_move_and_its_gap_the_longest() -> None:
    handoffs = Handoffs()
    for at, place, gap in ((-900, "fa1", None), (-60, "fa2", 40), (-59.9, "fa2", 70), (-59.8, "fa2", None)):
        handoffs.came("a@x", place, NOW + at, gap)

    (node,) = timeline(handoffs, NOW)

    assert [(bar["place"], bar["x"], bar["width"]) for bar in node["bars"]] == [
        ("fa1", "0.0", "90.0"),
        ("fa2", "90.0", "10.0"),
    ]
    last = node["moves"][0]
    assert (last["place"], last["sessions"], last["gap"]) == ("fa2", 3, 70)


def test_who_has_gone_is_nowhere_and_nodes_without_end_are_forgotten() -> None:
    handoffs = Handoffs()
    for number in range(1000):
        handoffs.came(f"{number}@x", "fa1", NOW)
    handoffs.came("999@x", "", NOW + 1)

    first = timeline(handoffs, NOW + 2)[0]

    assert len(handoffs.nodes) == 256
    assert (first["nai"], first["here"]) == ("999@x", "")


def test_a_sparkline_ends_at_the_right_with_the_rate_of_now() -> None:
    traffic = Traffic()
    for second, octets in enumerate((0, 1000, 1000, 251_000)):
        points, rate = traffic.note("session", octets, float(second))

    assert rate == "2.0 Mbit/s"
    assert points.split()[-1] == "78,1.0"
    assert traffic.note("session", 251_000, 3.1) == (points, rate)  # too soon for another
    for number in range(2000):
        traffic.note(str(number), 0, 0.0)
    assert traffic.note("session", 9, 10.0) == ("", "")  # forgotten


def test_concerns_are_told_in_words_and_none_where_all_is_well() -> None:
    journal, well = Journal(), {"free": 200, "addresses": 241, "network": "10.10.0.0/24"}
    daemon: Any = SimpleNamespace(journal=journal)
    ticker: Any = SimpleNamespace(series=deque([(1, 9, 0)]), late=0.0)
    assert concerns(daemon, ticker, {}, [well]) == []

    journal.said(Said("warning", "alternates", "two nodes"), 0)
    ticker.series.append((2, 0, 9))
    ticker.late = 0.5

    assert concerns(daemon, ticker, {"busy": True, "draining": True}, [{**well, "free": 3}]) == [
        "Pool of 10.10.0.0/24: 3 of 241 addresses free",
        "9 of 18 registrations denied in the last minute",
        "1 warning in the last 5 minutes",
        "Busy: answers wait 0.5 s",
        "Full: no new visitor is taken",
        "Draining: no new visitor is taken",
    ]


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"^http 127\.0\.0\.1:{port}: Address already in use$"):
            listen("127.0.0.1", port)


def test_a_daemon_without_a_page_loads_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_A_PAGE], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
