"""Which datapath this router gets, and why: one line for the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from host_agents.datapath.none import NoneDatapath
from host_agents.datapath.protocol import Datapath
from host_agents.datapath.tun import TunDatapath


def open_datapath(
    wanted: str,
    device: str,
    local: int,
    side: str,
    loop: asyncio.AbstractEventLoop,
    home_prefixes: Iterable[tuple[int, int]] = (),
) -> tuple[Datapath, str]:
    """wanted: the configuration's `datapath`. side, home_prefixes: as of TunDatapath. Raises KernelRefused."""
    if wanted == "none":
        return NoneDatapath(), "datapath none: registrations only, no packet is carried"
    datapath = TunDatapath(device, local, side, loop, home_prefixes)
    datapath.open()
    reason = "as configured" if wanted == "tun" else "the one that always works"
    return datapath, f"datapath tun on {device}: {reason}"
