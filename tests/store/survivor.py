"""A program for test_sqlite.py to kill: it moves eight addresses among sessions and prints what is acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys

from host_agents.effects import MobilityBinding, RemoveBinding, RenewBinding, StoreBinding
from host_agents.store.sqlite import HomeAgentStore


def binding(session: int, address: int, identification: int) -> MobilityBinding:
    return MobilityBinding("a@example.net", f"s{session}", address, 1, 60, None, 0, identification, False)


async def main(path: str) -> None:
    store = HomeAgentStore(path, asyncio.get_running_loop())
    loaded = store.load()
    holders = {one.home_address: one for one in loaded.bindings}
    first = max((one.identification for one in loaded.bindings), default=0) + 1
    print("open", flush=True)
    for identification in itertools.count(first, 8):
        done = []
        for address in range(8):
            session = address + 8 * random.randrange(4)
            new = binding(session, address, identification + address)
            old = holders.get(address)
            rows = [StoreBinding(new)]
            if old is not None:
                same = old.sub_nai == new.sub_nai
                rows = [RenewBinding(new)] if same else [RemoveBinding(old, identification), *rows]
            holders[address] = new
            acknowledged = asyncio.get_running_loop().create_future()
            store.submit(rows, acknowledged.set_result)
            done.append((new, acknowledged))
        for new, acknowledged in done:
            assert await acknowledged is None
            print(new.home_address, new.sub_nai, new.identification, flush=True)


asyncio.run(main(sys.argv[1]))
