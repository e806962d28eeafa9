"""The report: one page that needs nothing else, with every figure in it, and CSV beside it."""

import csv
import re
import subprocess
from html.parser import HTMLParser

import pytest

from tests.trial.builders import T0, a_handoff, event
from tools.trial import page, pdf, tables
from tools.trial.errors import TrialFailed
from tools.trial.figures import Figures, Spread, percentile
from tools.trial.trial_file import Trial


def a_trial(count: int = 12) -> Trial:
    events = [event(0, "start", nai="kleung@example.net"), event(500, "mark")]
    for number in range(count):
        at = 1000 + number * 10_000
        events += a_handoff(at, number, care_of=("203.0.113.2", "203.0.113.66")[number % 2])
        events.append(event(at, "sample", latitude=47.37 + number / 1e3, longitude=8.54, rssi=-60 - number))
    events.append(event(count * 10_000 + 1000, "link_down"))
    events.append(event(count * 10_000 + 9000, "sample", rx_bytes=5))
    return Trial("node", events, "kleung@example.net")


def test_a_percentile_is_a_value_that_was_measured():
    values = [5.0, 1.0, 9.0, 7.0, 3.0]

    assert [percentile(values, share) for share in (0.01, 0.5, 0.95, 1)] == [1, 5, 9, 9]
    assert Spread.of([]) is None


def test_the_figures_are_those_of_the_events():
    figures = Figures.of(a_trial())

    assert len(figures.handoffs) == 13 and len(figures.measured) == 12
    assert figures.interruption == Spread(12, 63, 63, 63)
    assert figures.silent == 12 * 63 + 8000  # the last one had no end
    assert figures.distance == pytest.approx(11 * 111.2, rel=0.01)
    assert figures.worst(1)[0].cause() == "no link"


class Links(HTMLParser):
    """Everything that a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.outside += [f"{tag} {key}" for key, _ in attributes if key in ("src", "href", "action") or key[:2] == "on"]
        self.outside += [tag] if tag in ("script", "link", "iframe", "img") else []


def test_the_page_stands_alone_and_says_everything():
    text = page.page(Figures.of(a_trial(), {"203.0.113.2": "town", "203.0.113.66": "harbour"}))

    links = Links()
    links.feed(text)
    assert links.outside == []
    assert not re.search(r"url\(|@import", text)
    for words in ("kleung@example.net", "town", "harbour", "63 ms", "no end", "no link", "mark 1", "Map", "pc1"):
        assert words in text


def test_what_a_peer_or_a_file_says_is_text_and_no_markup():
    trial = a_trial(2)
    trial.nai = "<script>alert(1)</script>"
    for one in trial.events:
        if "session" in one:
            one["session"] = '"><img src=x>'

    text = page.page(Figures.of(trial, {"203.0.113.2": "<b>town</b>"}))

    assert "<script" not in text and "<img" not in text and "<b>town" not in text


def test_what_an_agent_wrote_stands_beside_the_gap_it_was_about():
    trial = a_trial(2)
    trial.events.append(event(1040, "log", "ha", text="denied nai=<kleung> code=133"))
    trial.events.append(event(8000, "log", "ha", text="something else"))

    text = page.page(Figures.of(trial))

    assert "ha: denied nai=&lt;kleung&gt; code=133" in text and "something else" not in text


def test_a_trial_without_handoffs_or_track_has_a_report_too():
    text = page.page(Figures.of(Trial("node", [event(0, "start"), event(9, "stop")])))

    assert "No handoff took place" in text and "No track" in text


def test_each_handoff_and_session_is_a_row_of_csv(tmp_path):
    written = tables.write(Figures.of(a_trial()), tmp_path / "report.html")

    assert [path.name for path in written] == ["report.handoffs.csv", "report.samples.csv"]
    with open(written[0], newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13
    assert (rows[0]["interruption_ms"], rows[0]["link_ms"], rows[0]["cause"]) == ("63", "40", "link: 40 ms")
    assert rows[0]["at_ms"] == str(T0 + 1000)


@pytest.mark.skipif(pdf.browser() is None, reason="no Chromium here")
def test_chromium_prints_it(tmp_path):
    (tmp_path / "report.html").write_text(page.page(Figures.of(a_trial())))

    pdf.print_page(tmp_path / "report.html", tmp_path / "report.pdf")

    octets = (tmp_path / "report.pdf").read_bytes()
    assert octets.startswith(b"%PDF-") and b"/Type /Page" in octets


def test_without_chromium_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(TrialFailed, match="needs Chromium"):
        pdf.print_page(tmp_path / "report.html", tmp_path / "report.pdf")


def test_the_command_says_file_and_reason_and_ends_with_1(entourage, tmp_path):
    (tmp_path / "bad").write_text("no\n")

    done: subprocess.CompletedProcess[str] = entourage("trial", "report", tmp_path / "bad", tmp_path / "out.html")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"entourage trial report: {tmp_path / 'bad'}: line 1: not JSON\n"
