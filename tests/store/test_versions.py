"""A state file of an earlier program is brought to ours, and stays beside it; a newer one is refused."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from host_agents.effects import StoreBinding, StoreVisitor
from host_agents.store.database import VERSION
from host_agents.store.protocol import Owner
from host_agents.store.rows import BIND, columns
from host_agents.store.sqlite import ForeignAgentStore
from tests.store.test_sqlite import LAPTOP, NAI, PC1, keep, loaded, refusal

WRITTEN = Path(__file__).with_name("version_1")
PC2 = replace(PC1, sub_nai="pc2", home_address=0x0A0A000B, care_of_address=0xCB007142, expires=None, flags=0,
    identification=1 << 63, direct=True)  # fmt: skip


@pytest.fixture(params=["first", "last"])
def age(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def written(path: Path, name: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((WRITTEN / f"{name}.sql").read_text())


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_a_home_agents_file_of_version_1_has_all_it_had(path, age):
    written(path, f"{age}_ha")

    snapshot = loaded(path)

    lifetime = {"first": 600, "last": 300}[age]  # the journal had a renewal for it
    assert sorted(snapshot.bindings, key=lambda one: one.sub_nai) == [replace(PC1, lifetime=lifetime), PC2]
    assert snapshot.identifications == {(NAI, "pc3"): 7, (NAI, "pc4"): 9}
    assert snapshot.owners == {0x0A0A000C: Owner(NAI, "pc3", 1234)}
    assert version(path) == VERSION


def test_and_takes_what_only_ours_can_keep(path, age):
    written(path, f"{age}_ha")
    binding = replace(PC2, home_address=0x0A0A000D, sub_nai="pc9", udp_port=4711, others=(replace(PC2, sub_nai="pc9"),))

    assert keep(path, StoreBinding(binding, nonce=5)) == [None]

    snapshot = loaded(path)
    assert next(one for one in snapshot.bindings if one.sub_nai == "pc9").udp_port == 4711
    assert snapshot.nonces == {(NAI, "pc9"): 5}


def test_a_home_agents_journal_of_version_2_had_renewals_as_bindings(path):
    keep(path, StoreBinding(PC1), StoreBinding(PC2))
    later = replace(PC1, lifetime=90, identification=17, revocation=4)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        records = msgspec.msgpack.encode([(BIND, None, *columns(later))])
        connection.execute("INSERT INTO journal (records) VALUES (?)", (records,))
        connection.execute("PRAGMA user_version = 2")
        connection.commit()

    snapshot = loaded(path)

    assert sorted(snapshot.bindings, key=lambda one: one.sub_nai) == [later, PC2]
    assert snapshot.identifications == {}
    assert (version(path), version(path.with_name("s.version2"))) == (VERSION, 2)


def test_a_foreign_agents_file_of_version_1_has_its_visitors(path, age):
    written(path, f"{age}_fa")

    assert loaded(path, ForeignAgentStore) == [LAPTOP]
    keep(path, StoreVisitor(replace(LAPTOP, said=7)), kind=ForeignAgentStore)
    assert loaded(path, ForeignAgentStore) == [replace(LAPTOP, said=7)]


def test_what_it_was_stays_beside_it_for_who_goes_back(path, age):
    written(path, f"{age}_ha")

    loaded(path)

    former = path.with_name("s.version1")
    assert version(former) == 1
    assert former.stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(former)) as connection:
        assert connection.execute("SELECT count(*) FROM binding").fetchone() == (2,)


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(path):
    written(path, "first_ha")
    with contextlib.closing(sqlite3.connect(path)) as connection:  # in the way of the upgrade's own
        connection.execute("CREATE TABLE former (x)")

    refusal(path)

    assert version(path) == 1
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM binding").fetchone() == (2,)


def test_a_newer_file_is_refused_and_not_touched(path):
    keep(path, StoreBinding(PC1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9")
    before = path.read_bytes()

    assert refusal(path).endswith(f"has version 9, this Entourage knows versions up to {VERSION}")

    assert path.read_bytes() == before
