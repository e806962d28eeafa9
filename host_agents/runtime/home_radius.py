"""What RADIUS servers have to do with one home agent: they know subscribers, hear of sessions, and have some ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from host_agents.effects import AskSubscriber, MobilityBinding, RemoveBinding, StoreBinding
from host_agents.home_agent.policy import Subscriber
from host_agents.runtime.accounting import Accounting, Hearing
from host_agents.runtime.answers import Document
from host_agents.runtime.disconnects import Disconnects, Wanted
from host_agents.runtime.radius import RadiusClient
from host_agents.runtime.radius_config import Radius
from host_agents.runtime.radius_subscribers import RadiusSubscribers
from host_agents.runtime.remote_subscribers import RemoteSubscribers
from host_agents.store.accounts import AccountStore
from mip4.address import show

if TYPE_CHECKING:
    from host_agents.runtime.home_agent_daemon import HomeAgentDaemon


class HomeRadius:
    """Puts itself beside `daemon`, in its __init__(). home_agent: its address."""

    def __init__(self, daemon: HomeAgentDaemon, radius: Radius, home_agent: int) -> None:
        self._daemon = daemon
        self._radius = radius
        self._home_agent = home_agent
        self._remote: RemoteSubscribers | None = None
        self._accounting: Accounting | None = None
        if radius.server is not None:
            subscribers = RadiusSubscribers(self._client(radius.server), radius.sessions)
            said = daemon.journal.warn
            self._remote = RemoteSubscribers(
                subscribers, radius.cache, self._learned, self._forgotten, self._resumed, said
            )
            daemon.does[AskSubscriber] = self._remote.ask
            daemon.beside.append(self._remote)
        if radius.disconnect is not None:
            servers = frozenset(place[0] for place in (radius.server, radius.accounting) if place is not None)
            daemon.beside.append(
                Disconnects(
                    radius.disconnect,
                    servers,
                    radius.secret,
                    home_agent,
                    self._disconnect,
                    lambda dropped: daemon.journal.dropped(dropped, daemon.now()),
                )
            )

    def _client(self, server: tuple[str, int]) -> RadiusClient:
        return RadiusClient(server, self._radius.secret, self._radius.timeout, self._radius.tries)

    def open(self) -> None:
        """The daemon has its state file; accounting takes hold of its own. Raises StoreFailed."""
        daemon, radius = self._daemon, self._radius
        if radius.accounting is None:
            return
        hearing = Hearing(
            daemon.clock,
            lambda home_address: daemon.datapath.counters(home_address),
            daemon.journal.warn,
            lambda error: daemon.journal.failed("accounting-store-failed", str(error), daemon.now()),
        )
        store = AccountStore(f"{daemon.common.state}.accounting", asyncio.get_running_loop())
        client = self._client(radius.accounting)
        self._accounting = Accounting(client, store, self._home_agent, radius.interim, hearing)
        daemon.does |= {StoreBinding: self._accounting.stored, RemoveBinding: self._accounting.removed}
        daemon.beside.append(self._accounting)

    def restore(self) -> None:
        """The engine has its bindings, and the data path their tunnels. Raises StoreFailed."""
        if self._accounting is not None:
            self._accounting.restore(self._daemon.engine.bindings)

    def close(self) -> None:
        """No session begins or ends any more, and the data path can still be asked what it carried."""
        if self._accounting is not None:
            self._accounting.keep()

    def status(self) -> Document:
        said = {} if self._accounting is None else self._accounting.document()
        return {f"accounting_{key}": value for key, value in said.items()}

    # ---- subscribers

    def subscribers(self) -> dict[str, Subscriber]:
        """Those that the server has told us of, by NAI."""
        return {} if self._remote is None else self._remote.subscribers

    def _learned(self, subscriber: Subscriber) -> None:
        """An address that is not ours to give is left out; the session gets one of the pool."""
        daemon, policy = self._daemon, self._daemon.engine.policy
        for address in list(subscriber.addresses.values()):
            network, owner = policy.network_of(address), policy.reserved.get(address, (subscriber.nai, ""))
            if network is None or address == network.gateway or owner[0] != subscriber.nai:
                daemon.journal.warn(f"nai={subscriber.nai}: {show(address)} from the RADIUS server is not free here")
                subscriber = replace(subscriber, addresses={})
        daemon.engine.learn(subscriber)

    def _forgotten(self, nai: str) -> None:
        """The server knows it no longer."""
        daemon, policy = self._daemon, self._daemon.engine.policy
        left = {one: subscriber for one, subscriber in policy.subscribers.items() if one != nai}
        daemon.turns.take(daemon.engine.reload(left, dict(policy.foreign_agents), daemon.now()))

    def _resumed(self, effect: AskSubscriber) -> None:
        daemon = self._daemon
        daemon.turns.take(daemon.engine.receive(effect.datagram, effect.source, effect.port, daemon.now()))

    # ---- disconnects

    async def _disconnect(self, wanted: Wanted) -> int:
        """As `ha release`; the server is asked anew who its subscribers are. How many sessions that ended."""
        sessions = [(one.nai, one.sub_nai) for one in self._named(wanted)]
        count = len([one async for one in self._daemon.turns.release_each(sessions, inform=True)])
        if self._remote is not None:
            for nai in {nai for nai, _ in sessions}:
                self._remote.doubt(nai)
        return count

    def _named(self, wanted: Wanted) -> list[MobilityBinding]:
        bindings, home_address = self._daemon.engine.bindings, wanted.home_address
        if wanted.account_id is not None:
            account = None if self._accounting is None else self._accounting.find(wanted.account_id)
            if account is None or home_address not in (None, account.home_address):
                return []
            home_address = account.home_address
        if home_address is None:
            found = bindings.of(wanted.nai or "")
        else:
            binding = bindings.find_home_address(home_address)
            found = [] if binding is None else [binding]
        return [one for one in found if wanted.nai in (None, one.nai) and wanted.sub_nai in (None, one.sub_nai)]
