"""Is all well? If not, why, in words an operator can act on."""

from __future__ import annotations

import logging
import time
from typing import Any

from host_agents.runtime.daemon import Daemon
from host_agents.web.ticker import Ticker

_LATELY = 300.0  # seconds for which a warning is a concern
_LATE = 0.25  # seconds that registrations may wait for their turn
_LEAST_FREE = 0.1  # of a pool
_DENIED = 0.2  # of the answers of a minute, if there are so many
_ANSWERS = 10


def concerns(daemon: Daemon, ticker: Ticker, status: dict[str, Any], pools: list[dict[str, Any]]) -> list[str]:
    """A sentence each; none where all is well."""
    found = [
        f"Pool of {pool['network']}: {pool['free']} of {pool['addresses']} addresses free"
        for pool in pools
        if pool["free"] < _LEAST_FREE * pool["addresses"]
    ]
    minute = list(ticker.series)[-60:]
    accepted, denied = sum(one[1] for one in minute), sum(one[2] for one in minute)
    if denied > _DENIED * (accepted + denied) and accepted + denied >= _ANSWERS:
        found.append(f"{denied} of {accepted + denied} registrations denied in the last minute")
    since = time.time() - _LATELY
    warnings = sum(one.level >= logging.WARNING and one.time > since for one in daemon.journal.recent)
    if warnings:
        found.append(f"{warnings} warning{'s' if warnings > 1 else ''} in the last 5 minutes")
    if ticker.late > _LATE:
        found.append(f"Busy: answers wait {ticker.late:.1f} s")
    if status.get("busy"):
        found.append("Full: no new visitor is taken")
    if status.get("draining"):
        found.append("Draining: no new visitor is taken")
    return found
