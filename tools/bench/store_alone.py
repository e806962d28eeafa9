"""The ceiling of durable registrations: host_agents/store with nothing around it.

`python -m tools.bench.store_alone FILE NAIS EACH SECONDS` renews bindings as a home agent would for which 64 requests
wait: each is submitted when one before it is on the disk. Prints how many a second were.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

from host_agents.effects import RenewBinding
from host_agents.runtime.clock import ntp_ms
from host_agents.runtime.errors import StoreFailed
from host_agents.store.sqlite import HomeAgentStore
from tools.bench.registrants import Population
from tools.bench.state import binding, fill, with_store

_WAITING = 64


async def renewals(store: HomeAgentStore, population: Population, seconds: float) -> float:
    """How many a second become durable, when _WAITING wait at any time. Raises StoreFailed."""
    now = ntp_ms()
    rows = itertools.cycle([(RenewBinding(binding(population, one, now)),) for one in range(population.sessions)])
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    count, end = 0, time.monotonic() + seconds

    def done(failed: StoreFailed | None) -> None:
        nonlocal count
        count += 1
        if failed is None and time.monotonic() < end:
            store.submit(next(rows), done)
        elif failed is not None and not over.done():
            over.set_exception(failed)
        elif not over.done():
            over.set_result(count)

    began = time.monotonic()
    for _ in range(_WAITING):
        store.submit(next(rows), done)
    return await over / (time.monotonic() - began)


async def _measure(store: HomeAgentStore, population: Population, seconds: float) -> None:
    await fill(store, population)
    print(await renewals(store, population, seconds))


if __name__ == "__main__":
    _population, _seconds = Population(int(sys.argv[2]), int(sys.argv[3])), float(sys.argv[4])
    with_store(sys.argv[1], lambda store: _measure(store, _population, _seconds))
