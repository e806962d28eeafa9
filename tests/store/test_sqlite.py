"""Durable state: what was acknowledged is there, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from host_agents.effects import (
    ForgetIdentification,
    MobilityBinding,
    RemoveBinding,
    RemoveVisitor,
    StoreBinding,
    StoreIdentification,
    StoreVisitor,
    Visitor,
)
from host_agents.runtime.errors import StoreFailed
from host_agents.store import group_commit
from host_agents.store.journal import Journal
from host_agents.store.protocol import Owner, Snapshot
from host_agents.store.sqlite import ForeignAgentStore, HomeAgentStore

NAI = "kleung@example.net"
PC1 = MobilityBinding(NAI, "pc1", 0x0A0A000A, 0xCB007102, 600, 1_800_000_000_000, 2, (1 << 64) - 1, False)
PC2 = replace(PC1, sub_nai="pc2", home_address=0xFFFFFFFE, expires=None, identification=1 << 63, direct=True,
    udp_remote=0xC63364C8, udp_port=65535, supplied=True)  # fmt: skip
LAPTOP = Visitor(NAI, "pc1", 0x0A0A000A, 0xC0000201, 0xCB007102, "vis0", b"\2\0\0\0\0\1", 600, 1_800_000_000_000, 2)


class Held(int):
    """An Identification that the writer thread stops at, in the middle of its transaction, until it is let go."""

    def __init__(self, _number: int) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()

    def to_bytes(self, *size: object) -> bytes:
        self.reached.set()
        self.let_go.wait()
        return super().to_bytes(*size)


ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'firmware'}"}


def survivor(path: Path) -> subprocess.Popen[str]:
    """A second process with the store at `path` open."""
    program = [sys.executable, Path(__file__).with_name("survivor.py"), path]
    child = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert child.stdout.readline() == "open\n"
    return child


def keep(path: Path, *rows: object, kind: type = HomeAgentStore) -> list[StoreFailed | None]:
    """Open, submit each of `rows` on its own, close; what became of them."""

    async def told() -> list[StoreFailed | None]:
        store = kind(str(path), asyncio.get_running_loop())
        futures = [put(store, row) for row in rows]
        outcomes = await asyncio.gather(*futures)
        store.close()
        return outcomes

    return asyncio.run(told())


def put(store: HomeAgentStore, *rows: object) -> asyncio.Future[StoreFailed | None]:
    done: asyncio.Future[StoreFailed | None] = asyncio.get_running_loop().create_future()
    store.submit(rows, done.set_result)
    return done


def loaded(path: Path, kind: type = HomeAgentStore) -> Snapshot | list[Visitor]:
    async def told() -> Snapshot | list[Visitor]:
        store = kind(str(path), asyncio.get_running_loop())
        try:
            return store.load()
        finally:
            store.close()

    return asyncio.run(told())


def refusal(path: Path, kind: type = HomeAgentStore) -> str:
    with pytest.raises(StoreFailed) as caught:
        loaded(path, kind)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_bindings_and_all_64_bits_of_identifications_come_back(tmp_path):
    outcomes = keep(tmp_path / "s", StoreBinding(PC1), StoreBinding(PC2), StoreIdentification(NAI, "pc3", 7))

    snapshot = loaded(tmp_path / "s")
    assert outcomes == [None, None, None]
    assert snapshot.bindings == [PC1, PC2]
    assert snapshot.identifications == {(NAI, "pc3"): 7}  # bindings have their own
    assert snapshot.owners == {}


def test_nonces_come_back_of_those_sessions_that_have_one(tmp_path):
    keep(
        tmp_path / "s",
        StoreBinding(PC1, 0xFFFFFFFF),
        StoreBinding(PC2),
        StoreIdentification(NAI, "pc3", 7, 0),
        StoreIdentification(NAI, "pc4", 8, 9),
        StoreIdentification(NAI, "pc4", 8),  # it has gone over to timestamps
        StoreIdentification(NAI, "pc5", 8, 9),
        ForgetIdentification(NAI, "pc5"),
    )

    snapshot = loaded(tmp_path / "s")

    assert snapshot.nonces == {(NAI, "pc1"): 0xFFFFFFFF, (NAI, "pc3"): 0}
    assert set(snapshot.identifications) == {(NAI, "pc1"), (NAI, "pc3"), (NAI, "pc4")}


def test_simultaneous_bindings_come_back_with_their_session_and_go_with_it(tmp_path):
    beside = (
        replace(PC1, care_of_address=0xC6336401, expires=None, revocation=7, udp_remote=0xFFFFFFFE, udp_port=9),
        replace(PC1, care_of_address=0xC6336402, identification=5, direct=True),
    )
    keep(tmp_path / "s", StoreBinding(replace(PC1, others=beside)), StoreBinding(PC2))
    both = loaded(tmp_path / "s")
    keep(tmp_path / "s", StoreBinding(replace(PC1, others=beside[1:])))
    fewer = loaded(tmp_path / "s")
    keep(tmp_path / "s", RemoveBinding(PC1, released=5))

    assert both.bindings == [replace(PC1, others=beside), PC2]
    assert fewer.bindings == [replace(PC1, others=beside[1:]), PC2]
    assert loaded(tmp_path / "s").bindings == [PC2]


def test_a_released_address_remembers_its_last_owner_until_somebody_holds_it_again(tmp_path):
    keep(tmp_path / "s", StoreBinding(PC1), RemoveBinding(PC1, released=5))
    free = loaded(tmp_path / "s")
    keep(tmp_path / "s", StoreBinding(replace(PC2, home_address=PC1.home_address)), ForgetIdentification(NAI, "pc1"))
    taken = loaded(tmp_path / "s")

    assert (free.bindings, free.owners) == ([], {PC1.home_address: Owner(NAI, "pc1", 5)})
    assert free.identifications == {(NAI, "pc1"): PC1.identification}
    assert taken.owners == {}
    assert taken.identifications == {}


def test_visitors_come_back_until_they_are_removed(tmp_path):
    other = replace(LAPTOP, sub_nai="", home_address=9, expires=None)
    handing_in = replace(LAPTOP, sub_nai="pc2", home_address=8, hands_in=True, said=(1 << 32) - 1)
    keep(tmp_path / "s", *map(StoreVisitor, (handing_in, LAPTOP, other)), RemoveVisitor(other), kind=ForeignAgentStore)

    found = loaded(tmp_path / "s", ForeignAgentStore)
    assert found == [handing_in, LAPTOP]
    assert found[0].hands_in is True


def test_one_address_is_never_given_to_two_sessions_and_only_the_second_is_told(tmp_path):
    thief = replace(PC2, home_address=PC1.home_address)

    outcomes = keep(tmp_path / "s", StoreBinding(PC1), StoreBinding(thief), StoreBinding(PC2))

    assert [type(one) for one in outcomes] == [type(None), StoreFailed, type(None)]
    assert loaded(tmp_path / "s").bindings == [PC1, PC2]


def test_a_submission_is_kept_whole_or_not_at_all(tmp_path):
    async def told() -> StoreFailed | None:
        store = HomeAgentStore(str(tmp_path / "s"), asyncio.get_running_loop())
        outcome = await put(store, StoreBinding(PC1), StoreIdentification(NAI, "pc9", 1 << 64))
        store.close()
        return outcome

    assert isinstance(asyncio.run(told()), StoreFailed)
    assert loaded(tmp_path / "s") == Snapshot([], {}, {}, {})


def test_what_waits_during_a_commit_shares_the_next_one_and_is_told_in_order(tmp_path):
    async def told() -> None:
        store = HomeAgentStore(str(tmp_path / "s"), asyncio.get_running_loop())
        held, order = Held(1), []
        store.submit([StoreIdentification(NAI, "held", held)], lambda failed: order.append(("held", failed)))
        await asyncio.to_thread(held.reached.wait)
        for number in range(500):
            row = StoreIdentification(NAI, str(number), number)
            store.submit([row], lambda failed, number=number: order.append((number, failed)))

        held.let_go.set()
        await put(store, StoreIdentification(NAI, "last", 1))

        assert order == [("held", None), *((number, None) for number in range(500))]
        assert store.commits == 2
        store.close()

    asyncio.run(told())


def test_a_lone_request_waits_for_nobody(tmp_path):
    async def told() -> None:
        store = HomeAgentStore(str(tmp_path / "s"), asyncio.get_running_loop())
        for number in range(5):
            assert await put(store, StoreIdentification(NAI, "", number)) is None
            assert store.commits == number + 1
        store.close()
        assert isinstance(await put(store, StoreIdentification(NAI, "", 9)), StoreFailed)

    asyncio.run(told())


def test_a_disk_that_hangs_holds_nobody_up_who_wants_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(group_commit, "PATIENCE", 0.1)

    async def told() -> None:
        store = HomeAgentStore(str(tmp_path / "s"), asyncio.get_running_loop())
        held = Held(1)
        outcomes = [put(store, StoreIdentification(NAI, "held", held)), put(store, StoreBinding(PC1))]
        await asyncio.to_thread(held.reached.wait)
        with pytest.raises(StoreFailed, match="s: the disk hangs; what waits for it was not acknowledged"):
            store.close()

        monkeypatch.setattr(group_commit, "PATIENCE", 10.0)
        held.let_go.set()
        store.close()
        assert not any(one.done() for one in outcomes)

    asyncio.run(told())
    assert loaded(tmp_path / "s").bindings == [PC1]


def test_a_disk_that_is_slow_to_tidy_up_is_no_failure_and_the_next_start_does_it(tmp_path, monkeypatch):
    monkeypatch.setattr(group_commit, "PATIENCE", 0.1)
    tidied = threading.Event()
    monkeypatch.setattr(Journal, "close", lambda journal: tidied.wait())

    async def told() -> None:
        store = HomeAgentStore(str(tmp_path / "s"), asyncio.get_running_loop())
        assert await put(store, StoreBinding(PC1)) is None
        store.close()

        assert "commit" in " ".join(one.name for one in threading.enumerate())
        monkeypatch.setattr(group_commit, "PATIENCE", 10.0)
        tidied.set()
        store.close()

    asyncio.run(told())
    assert loaded(tmp_path / "s").bindings == [PC1]


def test_no_thread_runs_before_the_first_submission_so_that_privileges_can_be_given_up(tmp_path):
    async def told() -> None:
        before = threading.active_count()
        store = HomeAgentStore(str(tmp_path / "s"), asyncio.get_running_loop())
        store.load()
        assert threading.active_count() == before
        await put(store, StoreBinding(PC1))
        assert threading.active_count() == before + 1
        store.close()
        assert threading.active_count() == before

    asyncio.run(told())


def test_one_submitters_mistake_does_not_silence_the_others(tmp_path):
    async def told() -> None:
        loop, mistakes = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: mistakes.append(context["exception"]))
        store = HomeAgentStore(str(tmp_path / "s"), loop)
        store.submit([], lambda failed: 1 // 0)
        assert await put(store, StoreBinding(PC1)) is None
        store.close()
        assert [type(one) for one in mistakes] == [ZeroDivisionError]

    asyncio.run(told())


def test_kill_9_at_any_moment_loses_no_acknowledged_binding(tmp_path):
    path, acknowledged, total = tmp_path / "s", {}, 0
    for _ in range(12):
        child = survivor(path)
        for _ in range(random.randrange(1, 400)):
            total += note(acknowledged, child.stdout.readline())
        child.kill()
        for line in child.stdout:
            total += note(acknowledged, line)
        child.wait()

        rows = {one.home_address: (one.identification, one.sub_nai) for one in loaded(path).bindings}
        assert len(rows) == len(loaded(path).bindings)
        for address, at_least in acknowledged.items():
            assert rows[address] >= at_least
    assert total > 500


def note(acknowledged: dict[int, tuple[int, str]], line: str) -> bool:
    if not line.endswith("\n"):
        return False
    address, sub_nai, identification = line.split()
    acknowledged[int(address)] = (int(identification), sub_nai)
    return True


def test_a_full_disk_fails_the_transaction_and_the_store_goes_on(tmp_path):
    story = """
        import asyncio, resource, sys
        from host_agents.effects import StoreIdentification
        from host_agents.store.sqlite import HomeAgentStore

        async def put(store, number):
            done = asyncio.get_running_loop().create_future()
            store.submit([StoreIdentification("n" * 60000, str(number), number)], done.set_result)
            return await done

        async def main():
            store = HomeAgentStore(sys.argv[1], asyncio.get_running_loop())
            print(await put(store, 0))
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
            print(*{str(await put(store, number)) for number in range(1, 20)})
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            print(await put(store, 99))
            store.close()
            store = HomeAgentStore(sys.argv[1], asyncio.get_running_loop())
            print(sorted({int(sub_nai) for _, sub_nai in store.load().identifications})[-1])
            store.close()

        asyncio.run(main())
    """
    child = [sys.executable, "-c", textwrap.dedent(story), tmp_path / "s"]
    printed = subprocess.run(child, capture_output=True, text=True, timeout=30, env=ENVIRONMENT)

    before, during, after, last = printed.stdout.splitlines()
    assert (before, after, last) == ("None", "None", "99"), printed.stderr
    assert f"{tmp_path / 's'}: disk I/O error" in during
    assert len(loaded(tmp_path / "s").identifications) >= 2


def test_the_files_are_for_their_owner_only(tmp_path):
    path = tmp_path / "s"
    path.touch(0o644)

    async def told() -> list[int]:
        store = HomeAgentStore(str(path), asyncio.get_running_loop())
        await put(store, StoreBinding(PC1))
        modes = [os.stat(one).st_mode & 0o777 for one in tmp_path.iterdir()]
        store.close()
        return modes

    old = os.umask(0)
    try:
        modes = asyncio.run(told())
    finally:
        os.umask(old)
    assert len(modes) >= 2
    assert set(modes) == {0o600}


def test_a_second_daemon_on_the_same_file_is_refused(tmp_path):
    path = tmp_path / "s"
    with survivor(path) as child:
        line = refusal(path)

        child.kill()
    assert line.endswith("another daemon has it open")
    assert loaded(path) is not None  # and the killed one left no lock


def test_another_agents_file_is_refused(tmp_path):
    keep(tmp_path / "s", StoreBinding(PC1))

    assert "another agent's file" in refusal(tmp_path / "s", ForeignAgentStore)


@pytest.mark.parametrize("where", ["header", "table"])
def test_a_damaged_file_is_refused(tmp_path, where):
    path = tmp_path / "s"
    keep(path, *(StoreIdentification(NAI, f"session {number}", number) for number in range(2000)))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'identification'").fetchone()
    octets = bytearray(path.read_bytes())
    at = 0 if where == "header" else (root - 1) * 4096
    octets[at : at + 64] = random.randbytes(64)
    path.write_bytes(octets)

    assert "is damaged" in refusal(path)


def test_a_journal_that_makes_no_sense_is_refused(tmp_path):
    keep(tmp_path / "s", StoreBinding(PC1))
    with contextlib.closing(sqlite3.connect(tmp_path / "s")) as connection:
        connection.execute("INSERT INTO journal (records) VALUES (?)", (b"\x91\x91\x09",))
        connection.commit()

    assert "the journal is damaged" in refusal(tmp_path / "s")


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path):
    assert refusal(tmp_path / "nowhere" / "s").endswith("No such file or directory")
