"""The CSV files beside a report: one row for each handoff and session, and one for each sample."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from host_agents.store.whole_file import whole_file
from tools.trial.errors import TrialFailed
from tools.trial.figures import Figures
from tools.trial.handoffs import PARTS

_HANDOFF = [
    "utc", "at_ms", "network", "agent", "session", "home_address", "interruption_ms", "session_silence_ms",
    *(f"{part}_ms" for part in PARTS), "requests", "codes", "rssi", "latitude", "longitude", "cause",
]  # fmt: skip
_SAMPLE = ["utc", "at", "latitude", "longitude", "speed", "rssi", "rx_bytes", "tx_bytes", "battery", "heap_free"]
Row = Mapping[str, object]


def write(figures: Figures, report: Path) -> list[Path]:
    """Beside `report`: NAME.handoffs.csv and NAME.samples.csv. Raises TrialFailed."""
    files = {"handoffs": (_HANDOFF, list(handoff_rows(figures))), "samples": (_SAMPLE, list(_sample_rows(figures)))}
    written = []
    for name, (columns, rows) in files.items():
        path = report.with_suffix(f".{name}.csv")
        try:
            with whole_file(path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
        except OSError as error:
            raise TrialFailed(f"{path}: {error.strerror}")
        written.append(path)
    return written


def utc(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def handoff_rows(figures: Figures) -> Iterable[Row]:
    """One without a session, where none asked."""
    for handoff in figures.handoffs:
        parts = handoff.parts()
        place = figures.place(handoff.began) or ("", "")
        common: dict[str, object] = {
            "utc": utc(handoff.began),
            "at_ms": handoff.began,
            "network": handoff.network,
            "agent": handoff.agent,
            "interruption_ms": handoff.interruption,
            "rssi": handoff.rssi,
            "latitude": place[0],
            "longitude": place[1],
            "cause": handoff.cause(),
            **{f"{part}_ms": end - begin for part, (begin, end) in parts.items()},
        }
        for noticed in handoff.sessions.values():
            yield common | {
                "session": noticed.session,
                "home_address": noticed.home_address,
                "session_silence_ms": noticed.silence(handoff.began),
                "requests": len(noticed.asked),
                "codes": " ".join(str(code) for code in noticed.codes),
            }
        if not handoff.sessions:
            yield common


def _sample_rows(figures: Figures) -> Iterable[Row]:
    for event in figures.trial.events:
        if event["event"] == "sample":
            yield {**event, "utc": utc(event["at"])}
