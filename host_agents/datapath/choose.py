"""Which datapath this router gets, and why: one line for the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from host_agents.datapath.bpf.datapath import BpfDatapath
from host_agents.datapath.bpf.hooks import withdraw
from host_agents.datapath.bpf.programs import why_not as bpf_lacks
from host_agents.datapath.ipip.datapath import IpipDatapath
from host_agents.datapath.ipip.kernel import InKernel
from host_agents.datapath.none import NoneDatapath
from host_agents.datapath.protocol import Datapath
from host_agents.datapath.tun import TunDatapath
from host_agents.runtime.errors import KernelRefused

_BEST_FIRST = ("bpf", "ipip", "tun")


def open_datapath(
    wanted: str,
    device: str,
    local: int,
    side: str,
    loop: asyncio.AbstractEventLoop,
    home_prefixes: Iterable[tuple[int, int]] = (),
    sessions: int = 0,
    clock: Callable[[], int] = lambda: 0,
) -> tuple[Datapath, str]:
    """wanted: the configuration's `datapath`. The others: as of BpfDatapath.

    Raises KernelRefused: what is wanted does not work here, or of "auto" nothing does.
    """
    if wanted == "none":
        return NoneDatapath(), "datapath none: registrations only, no packet is carried"
    prefixes = list(home_prefixes)
    make: dict[str, Callable[[], Datapath]] = {
        "bpf": lambda: BpfDatapath(device, local, side, loop, prefixes, sessions, clock),
        "ipip": lambda: IpipDatapath(device, local, side, loop, prefixes),
        "tun": lambda: TunDatapath(device, local, side, loop, prefixes),
    }
    refused: list[str] = []
    for name in _BEST_FIRST if wanted == "auto" else (wanted,):
        try:
            datapath = make[name]()
            datapath.open()
        except KernelRefused as error:
            if name == wanted or name == _BEST_FIRST[-1]:
                raise
            refused.append(str(error))
            continue
        if name != "bpf":
            with contextlib.suppress(OSError):  # then there was none, or the device is not its own any more
                withdraw(device)
        why = "as configured" if name == wanted else "; ".join(refused) or "the fastest"
        return datapath, f"datapath {name} on {device}: {why}"
    raise ValueError(f"no datapath is called {wanted}")


def lacking(wanted: str, device: str) -> list[str]:
    """A line for what hinders the datapath of that name, if something does: of "auto" nothing can.

    device: as of open_datapath.
    """
    if wanted == "bpf" and (reason := bpf_lacks()):
        return [f"datapath bpf: {reason}"]
    if wanted == "ipip":
        try:
            InKernel(device, "", 0, True).possible()
        except KernelRefused as error:
            return [f"datapath {error}"]
    return []
