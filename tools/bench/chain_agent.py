"""One agent's data path for a chain, in a process of its own as in life: `python -m tools.bench.chain_agent ha tun`.

Says "ready" and why this adapter; answers each line with the numbers of packets that it has carried; ends, and removes
what it made, when its input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from host_agents.datapath.choose import open_datapath
from host_agents.datapath.protocol import HOME, VISITED
from host_agents.effects import InstallDelivery, InstallTunnel, TunnelEnd
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.sockets import AgentSocket
from host_agents.runtime.visited_router import VisitedRouter
from mip4.address import parse
from mip4.const import PORT
from tools.bench import chain

_DEVICE = "mip0"
_HOME_ADDRESSES = (parse(chain.ONE_WAY), parse(chain.BOTH_WAYS))


async def serve(place: str, adapter: str) -> None:
    """Raises KernelRefused."""
    loop = asyncio.get_running_loop()
    home = place == "ha"
    local, remote = parse(chain.HOME_AGENT), parse(chain.FOREIGN_AGENT)
    if not home:
        local, remote = remote, local
    network, length = chain.HOME_PREFIX.split("/")
    prefixes = [(parse(network), int(length))] if home else []
    with contextlib.ExitStack() as undone:
        datapath, reason = open_datapath(adapter, _DEVICE, local, HOME if home else VISITED, loop, prefixes)
        undone.callback(datapath.close)
        if datapath.name != adapter:
            raise KernelRefused(adapter, reason)
        port = AgentSocket(loop, lambda *_: None)
        undone.callback(port.close)
        port.open(local, PORT)
        datapath.use(port, lambda *_: None)
        router = HomeRouter(_DEVICE, prefixes) if home else VisitedRouter(_DEVICE, ["vis0"])
        router.open()
        undone.callback(router.close)
        undone.callback(router.withdraw)
        for home_address in _HOME_ADDRESSES:
            datapath.install(InstallTunnel(home_address, local, (TunnelEnd(remote, "ipip"),)))
            if isinstance(router, VisitedRouter):
                reverse = home_address == parse(chain.BOTH_WAYS)
                link_address = bytes.fromhex(chain.NODE_LINK_ADDRESS.replace(":", ""))
                delivery = InstallDelivery(home_address, "vis0", link_address, reverse)
                router.install(delivery)
                datapath.guard(delivery)
        print("ready", reason, flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            one, both = (datapath.counters(home_address) for home_address in _HOME_ADDRESSES)
            print(one.packets_in, both.packets_in, both.packets_out, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(serve(sys.argv[1], sys.argv[2]))
    except KernelRefused as error:
        sys.exit(str(error))
