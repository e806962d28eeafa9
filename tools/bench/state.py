"""A home agent's state file with as many bindings as wanted, written by the store's own code.

`python -m tools.bench.state FILE NAIS EACH` fills one, faster than registering could.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence

from host_agents.effects import MobilityBinding, StoreBinding
from host_agents.runtime.clock import ntp_ms
from host_agents.runtime.errors import StoreFailed
from host_agents.store.sqlite import HomeAgentStore
from mip4.address import parse
from mip4.const import FLAG_T
from mip4.identification import from_ms
from tools.bench.registrants import FIRST_HOME, Population
from tools.bench.room import CARE_OF

_LIFETIME = 0xFFFE  # seconds: 18 hours, longer than a bench
_TOGETHER = 10_000  # rows of one submission


def binding(population: Population, number: int, now: int) -> MobilityBinding:
    """The binding of session `number`, as if it had just registered. now: ms since 1900."""
    nai, sub_nai = population.session(number)
    return MobilityBinding(
        nai=nai,
        sub_nai=sub_nai,
        home_address=parse(FIRST_HOME) + number,
        care_of_address=parse(CARE_OF),
        lifetime=_LIFETIME,
        expires=now + _LIFETIME * 1000,
        flags=FLAG_T,
        identification=from_ms(now),
        direct=False,
    )


async def fill(store: HomeAgentStore, population: Population) -> None:
    """Raises StoreFailed."""
    now = ntp_ms()
    for first in range(0, population.sessions, _TOGETHER):
        numbers = range(first, min(first + _TOGETHER, population.sessions))
        await _durable(store, [StoreBinding(binding(population, number, now)) for number in numbers])


async def _durable(store: HomeAgentStore, rows: Sequence[StoreBinding]) -> None:
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(failed: StoreFailed | None) -> None:
        if failed is None:
            durable.set_result(None)
        else:
            durable.set_exception(failed)

    store.submit(rows, done)
    await durable


def with_store(file: str, does: Callable[[HomeAgentStore], Coroutine[None, None, None]]) -> None:
    """Open it, do that, close it. Where the store fails this program ends with its one line."""

    async def main() -> None:
        store = HomeAgentStore(file, asyncio.get_running_loop())
        try:
            await does(store)
        finally:
            store.close()

    try:
        asyncio.run(main())
    except StoreFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _population = Population(int(sys.argv[2]), int(sys.argv[3]))
    with_store(sys.argv[1], lambda store: fill(store, _population))
