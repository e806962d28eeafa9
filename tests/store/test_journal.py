"""What a home agent keeps goes into a journal first: nobody who opens the file later can tell."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from host_agents.effects import (
    ForgetIdentification,
    MobilityBinding,
    RemoveBinding,
    RenewBinding,
    StoreBinding,
    StoreIdentification,
)
from host_agents.store import journal
from host_agents.store.protocol import Owner, Snapshot
from host_agents.store.sqlite import HomeAgentStore

NAI = "kleung@example.net"
PC1 = MobilityBinding(NAI, "pc1", 0x0A0A000A, 0xCB007102, 600, 1_800_000_000_000, 2, 1 << 63, False)
LATER = replace(PC1, lifetime=590, expires=None, identification=(1 << 64) - 1, revocation=7)


def run(path: Path, groups: list[list[object]], crashed: Path | None = None) -> Snapshot:
    """Make each group of rows durable as one submission, each in a commit of its own; then what a next run loads.

    crashed: where to leave the files as they are before the store is closed.
    """

    async def put() -> None:
        loop = asyncio.get_running_loop()
        store = HomeAgentStore(str(path), loop)
        for rows in groups:
            done = loop.create_future()
            store.submit(rows, done.set_result)
            await done
        for suffix in ("", "-wal") if crashed is not None else ():
            shutil.copy(f"{path}{suffix}", f"{crashed}{suffix}")
        store.close()

    async def load() -> Snapshot:
        store = HomeAgentStore(str(path), asyncio.get_running_loop())
        try:
            return store.load()
        finally:
            store.close()

    asyncio.run(put())
    return asyncio.run(load())


def records_in(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])
    finally:
        connection.close()


def test_a_renewal_changes_what_a_renewal_changes_and_the_identification(tmp_path):
    snapshot = run(
        tmp_path / "s", [[StoreBinding(PC1)], [RenewBinding(replace(PC1, lifetime=1))], [RenewBinding(LATER)]]
    )

    assert snapshot.bindings == [LATER]
    assert snapshot.identifications == {}  # the binding has it
    assert records_in(tmp_path / "s") == 0  # folded when it was opened


def test_what_is_written_of_a_session_later_is_not_undone_by_an_earlier_renewal(tmp_path):
    moved = replace(PC1, care_of_address=9, identification=5)
    other = replace(PC1, sub_nai="pc2", identification=6)

    after_move = run(tmp_path / "1", [[StoreBinding(PC1)], [RenewBinding(LATER)], [StoreBinding(moved)]])
    after_denial = run(
        tmp_path / "2", [[StoreBinding(PC1)], [RenewBinding(LATER)], [StoreIdentification(NAI, "pc1", 3)]]
    )
    after_theft = run(
        tmp_path / "3", [[StoreBinding(PC1)], [RenewBinding(LATER)], [RemoveBinding(LATER, 1), StoreBinding(other)]]
    )

    assert after_move.bindings == [moved]
    assert after_denial.bindings == [LATER]
    assert after_denial.identifications == {(NAI, "pc1"): 3}
    assert after_theft.bindings == [other]


def test_a_long_journal_is_folded_in_shares_and_emptied_while_renewals_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "FOLD_FROM", 10)
    monkeypatch.setattr(journal, "FOLD_AT_ONCE", 3)
    bindings = [replace(PC1, sub_nai=str(number), home_address=number) for number in range(20)]

    async def put() -> list[int]:
        loop = asyncio.get_running_loop()
        store = HomeAgentStore(str(tmp_path / "s"), loop)
        lengths = []
        for number in range(200):
            row = bindings[number % 20]
            renewed = replace(row, identification=1000 + number)
            done = loop.create_future()
            store.submit([StoreBinding(row) if number < 20 else RenewBinding(renewed)], done.set_result)
            assert await done is None
            lengths.append(store._connection.execute("SELECT count(*) FROM journal").fetchone()[0])
        store.close()
        return lengths

    lengths = asyncio.run(put())

    assert max(lengths) <= 10 + 20 / 3  # then a round begins, and takes a share with each commit
    assert sum(after < before for before, after in pairwise(lengths)) > 8  # rounds that are over
    assert {one.identification for one in run(tmp_path / "s", []).bindings} == set(range(1180, 1200))


@pytest.mark.parametrize(("again", "together"), [(8, 1), (20, 20)])  # a larger commit could take a larger share
def test_a_share_that_was_not_committed_is_folded_with_the_next_commit(tmp_path, monkeypatch, again, together):
    monkeypatch.setattr(journal, "FOLD_FROM", 20)
    monkeypatch.setattr(journal, "FOLD_AT_ONCE", 3)
    bindings = [replace(PC1, sub_nai=str(number), home_address=number) for number in range(20)]
    renewed = [replace(one, identification=1000) for one in bindings]

    async def put() -> list[bool]:
        loop = asyncio.get_running_loop()
        store = HomeAgentStore(str(tmp_path / "s"), loop)
        refused = []

        async def durable(*rows: object) -> None:
            done = loop.create_future()
            store.submit(rows, done.set_result)
            refused.extend([await done is not None] * len(rows))

        for one in bindings:
            await durable(StoreBinding(one))
        store._connection.execute(
            "CREATE TEMP TRIGGER no BEFORE INSERT ON binding BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        for one in renewed[:3]:
            await durable(RenewBinding(one))
        store._connection.execute("DROP TRIGGER no")
        for at in range(0, again, together):
            await durable(*map(RenewBinding, renewed[at : at + together]))
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"s{suffix}", tmp_path / f"crashed{suffix}")
        store.close()
        return refused

    refused = asyncio.run(put())

    assert refused == [False] * 20 + [True] * 3 + [False] * again
    kept = {one.sub_nai: one for one in run(tmp_path / "crashed", []).bindings}
    assert kept == {one.sub_nai: one for one in [*renewed[:again], *bindings[again:]]}


def test_a_refused_row_takes_no_renewal_of_the_same_commit_with_it(tmp_path):
    thief = replace(PC1, sub_nai="thief")

    async def put() -> list[object]:
        loop = asyncio.get_running_loop()
        store = HomeAgentStore(str(tmp_path / "s"), loop)
        outcomes = []
        for rows in ([StoreBinding(PC1)], [RenewBinding(LATER)], [StoreBinding(thief)], [RenewBinding(LATER)]):
            outcomes.append(loop.create_future())
            store.submit(rows, outcomes[-1].set_result)
        told = await asyncio.gather(*outcomes)
        store.close()
        return [type(one) for one in told]

    outcomes = asyncio.run(put())

    assert [one.__name__ for one in outcomes] == ["NoneType", "NoneType", "StoreFailed", "NoneType"]
    assert run(tmp_path / "s", []).bindings == [LATER]


ADDRESSES = (1, 2, 3)
ACTIONS = st.tuples(st.sampled_from(["bind", "renew", "renew", "move", "leave", "deny", "forget"]), st.integers(0, 4))


class Model:
    """What the tables have to say in the end. Each action gives the rows that an engine would store for it."""

    def __init__(self) -> None:
        self.held: dict[str, MobilityBinding] = {}
        self.identifications: dict[tuple[str, str], int] = {}
        self.owners: dict[int, Owner] = {}

    def rows(self, action: str, sub_nai: str, identification: int) -> list[object]:
        session, binding = (NAI, sub_nai), self.held.get(sub_nai)
        free = [one for one in ADDRESSES if one not in {other.home_address for other in self.held.values()}]
        if free and (action, binding is None) in (("bind", True), ("move", False)):
            former = [] if binding is None else self.rows("leave", sub_nai, identification)
            new = replace(PC1, sub_nai=sub_nai, home_address=free[0], identification=identification)
            self.held[sub_nai], self.identifications[session] = new, identification
            self.owners.pop(free[0], None)
            return [*former, StoreBinding(new)]
        elif action == "renew" and binding is not None:
            self.held[sub_nai] = replace(binding, identification=identification, expires=identification)
            self.identifications[session] = identification
            return [RenewBinding(self.held[sub_nai])]
        elif action == "leave" and binding is not None:
            self.owners[binding.home_address] = Owner(NAI, sub_nai, identification)
            return [RemoveBinding(self.held.pop(sub_nai), identification)]
        elif action == "deny":
            self.identifications[session] = identification
            return [StoreIdentification(NAI, sub_nai, identification)]
        elif action == "forget" and binding is None:
            self.identifications.pop(session, None)
            return [ForgetIdentification(NAI, sub_nai)]
        return []

    def theft(self) -> list[object]:
        """What no engine would store: the store refuses it."""
        return [StoreBinding(replace(one, sub_nai="thief")) for one in list(self.held.values())[:1]]

    def snapshot(self) -> Snapshot:
        known = {(NAI, one.sub_nai): one.identification for one in self.held.values()}
        alone = {session: last for session, last in self.identifications.items() if known.get(session) != last}
        return Snapshot([self.held[name] for name in sorted(self.held)], alone, {}, self.owners)


@settings(max_examples=40, deadline=None)
@given(groups=st.lists(st.lists(ACTIONS, min_size=1, max_size=4), max_size=12), fold_from=st.integers(1, 8))
def test_whatever_is_folded_when_the_tables_say_in_the_end_what_was_stored(tmp_path_factory, groups, fold_from):
    model, folder = Model(), tmp_path_factory.mktemp("stores")
    rows: list[list[object]] = []
    for at, group in enumerate(groups):
        each = [model.rows(action, str(name), 100 * at + number + 1) for number, (action, name) in enumerate(group)]
        rows += [[row for some in each for row in some], model.theft()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "FOLD_FROM", fold_from)
        patch.setattr(journal, "FOLD_AT_ONCE", 1)
        closed = run(folder / "closed", rows, crashed=folder / "crashed")

    assert closed == model.snapshot()
    assert run(folder / "crashed", []) == model.snapshot()
