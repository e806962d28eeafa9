"""RADIUS accounting of a home agent's sessions (RFC 2866): what began, moved, goes on and has ended.

It only listens to what was done: whatever becomes of the server or of its own file, registrations do not hear of it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
from pyrad.packet import AcctPacket

from host_agents.datapath.protocol import Counters
from host_agents.effects import MobilityBinding, RemoveBinding, StoreBinding
from host_agents.runtime.account import INTERIM, NAS_REBOOT, START, STOP, Account, Report
from host_agents.runtime.errors import ConfigurationError, StoreFailed, in_words
from host_agents.runtime.radius import NoAnswer, RadiusClient
from host_agents.runtime.reports import MOST, Reports
from host_agents.store.accounts import AccountStore
from host_agents.store.protocol import RemoveAccount, StoreAccount

_ROOM = MOST // 2  # reports that may wait before interim updates do
_SOON = 0.1  # seconds


@dataclass(slots=True)
class Hearing:
    """What accounting asks the daemon. clock: of the home agent, ms since 1900. failed: its file cannot be written."""

    clock: Callable[[], int]
    counters: Callable[[int], Counters]
    said: Callable[[str], None]
    failed: Callable[[StoreFailed], None]


class Accounting:
    """Tells one server. home_agent: our address. interim: seconds between updates of a session; 0: none."""

    def __init__(
        self, client: RadiusClient, store: AccountStore, home_agent: int, interim: float, hearing: Hearing
    ) -> None:
        self._client = client
        self._store = store
        self._home_agent = home_agent
        self._interim = interim
        self._hearing = hearing
        self._accounts: OrderedDict[str, Account] = OrderedDict()  # that go on; whose update is due first, first
        self._due: dict[str, float] = {}
        self._at: dict[int, Account] = {}  # home address -> whose it is
        self._reports = Reports(self._send, self._settled, hearing.said)
        self._tasks: list[asyncio.Task[None]] = []

    def document(self) -> dict[str, int | bool]:
        """waiting: reports that the server has not got yet; lost: that it never will."""
        reports = self._reports
        return {"waiting": len(reports), "lost": reports.lost, "silent": reports.silent}

    def find(self, account_id: str) -> Account | None:
        """A session that goes on."""
        return self._accounts.get(account_id)

    def restore(self, bindings: Iterable[MobilityBinding]) -> None:
        """After a start: sessions keep their accounts, and what ended unheard is told. Raises StoreFailed."""
        bound = {binding.home_address: binding for binding in bindings}
        for record in self._store.load():
            try:
                account = Account.of_record(record)
            except msgspec.DecodeError as error:
                raise StoreFailed(f"accounting: a record that makes no sense: {error}") from error
            binding = bound.get(account.home_address)
            if account.ended:
                self._report(account, STOP, account.ended)
            elif binding is not None and account.is_of(binding) and account.home_address not in self._at:
                self._count(account)
                self._keep(account)
            else:
                self._end(account, NAS_REBOOT)
        for binding in bound.values():
            self.stored(StoreBinding(binding))
        if self._interim:  # not all at the same moment
            now = asyncio.get_running_loop().time()
            for number, account_id in enumerate(self._accounts, 1):
                self._due[account_id] = now + self._interim * number / len(self._accounts)

    async def open(self) -> None:
        """Raises ConfigurationError."""
        try:
            await self._client.open()
        except OSError as error:
            raise ConfigurationError(f"radius.accounting: {in_words(error)}") from error
        self._tasks = [asyncio.ensure_future(self._reports.run())]
        if self._interim:
            self._tasks.append(asyncio.ensure_future(self._update()))

    async def close(self) -> None:
        """Sessions go on without us, so nothing more is told."""
        for task in self._tasks:
            task.cancel()
        self._client.close()

    def keep(self) -> None:
        """What was carried, for who goes on with it. The last that is done here."""
        for account in self._accounts.values():
            self._count(account)
        self._put([StoreAccount(one.account_id, one.record()) for one in self._accounts.values()])
        try:
            self._store.close()
        except StoreFailed as error:
            self._hearing.failed(error)

    def stored(self, effect: StoreBinding) -> None:
        """A session begins, or is somewhere else."""
        binding = effect.binding
        account = self._at.get(binding.home_address)
        if account is None:
            self._begin(binding)
        elif account.care_of_address != binding.care_of_address:
            account.care_of_address, account.foreign = binding.care_of_address, not binding.direct
            self._interim_of(account)

    def removed(self, effect: RemoveBinding) -> None:
        """A session has ended; its tunnel, and what it counted, is still there."""
        account = self._at.get(effect.binding.home_address)
        if account is not None:
            self._count(account)
            self._end(account, reason=effect.reason)

    def _begin(self, binding: MobilityBinding) -> None:
        clock = self._hearing.clock()
        account = Account(
            account_id=f"{clock:012x}{secrets.token_hex(6)}",  # in the order in which they began
            nai=binding.nai,
            sub_nai=binding.sub_nai,
            home_address=binding.home_address,
            care_of_address=binding.care_of_address,
            foreign=not binding.direct,
            began=clock,
        )
        self._keep(account)
        self._put([StoreAccount(account.account_id, account.record())])
        self._report(account, START, clock)

    def _keep(self, account: Account) -> None:
        self._at[account.home_address] = self._accounts[account.account_id] = account
        self._due[account.account_id] = asyncio.get_running_loop().time() + self._interim

    def _end(self, account: Account, cause: int = 0, reason: str = "") -> None:
        account.end(self._hearing.clock(), reason)
        account.cause = cause or account.cause
        if self._accounts.pop(account.account_id, None) is not None:
            del self._at[account.home_address], self._due[account.account_id]
        self._put([StoreAccount(account.account_id, account.record())])
        self._report(account, STOP, account.ended)

    def _interim_of(self, account: Account) -> None:
        self._count(account)
        self._put([StoreAccount(account.account_id, account.record())])
        self._accounts.move_to_end(account.account_id)
        self._due[account.account_id] = asyncio.get_running_loop().time() + self._interim
        if not self._reports.silent:  # what it would say, a later one says too
            self._report(account, INTERIM, self._hearing.clock())

    async def _update(self) -> None:
        """Whose turn it is, unless much waits already."""
        loop = asyncio.get_running_loop()
        while True:
            first = next(iter(self._accounts.values()), None)
            wait = self._interim if first is None else self._due[first.account_id] - loop.time()
            if first is None or wait > 0:
                await asyncio.sleep(wait)
            elif len(self._reports) >= _ROOM:
                await asyncio.sleep(_SOON)
            else:
                self._interim_of(first)
                await asyncio.sleep(0)

    def _count(self, account: Account) -> None:
        account.count(self._hearing.counters(account.home_address))

    def _report(self, account: Account, status: int, at: int) -> None:
        self._reports.put(Report(account, status, at, account.care_of_address, account.carried))

    async def _send(self, report: Report) -> bool:
        attributes = report.attributes(self._home_agent, self._hearing.clock())
        try:
            await self._client.exchange(AcctPacket, attributes, f"nai={report.account.nai}")
        except NoAnswer:
            return False
        except ValueError as error:  # a name that is longer than an attribute; it would be so the next time too
            self._hearing.said(f"nai={report.account.nai} cannot be accounted for: {error}")
        return True

    def _settled(self, report: Report) -> None:
        """Once the server knows the end of a session, nobody has to."""
        if report.status == STOP:
            self._put([RemoveAccount(report.account.account_id)])

    def _put(self, rows: list[StoreAccount | RemoveAccount]) -> None:
        self._store.submit(rows, lambda error: None if error is None else self._hearing.failed(error))
