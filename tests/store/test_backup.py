"""Backups of a home agent's state: taken from under a running daemon, put back where none runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from host_agents.effects import StoreBinding, StoreIdentification, StoreVisitor
from host_agents.runtime.errors import StoreFailed
from host_agents.store.backup import back_up, restore
from host_agents.store.database import VERSION
from host_agents.store.sqlite import ForeignAgentStore
from tests.store.test_sqlite import LAPTOP, NAI, PC1, keep, loaded, note, survivor


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "ha.sqlite"


def refused(call, *paths: Path) -> str:
    with pytest.raises(StoreFailed) as caught:
        call(*paths)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_backup_of_a_busy_home_agent_has_all_that_was_acknowledged_before(state, tmp_path):
    with survivor(state) as child:
        for round_ in range(3):
            acknowledged: dict[int, tuple[int, str]] = {}
            for _ in range(200):
                note(acknowledged, child.stdout.readline())

            back_up(state, tmp_path / f"copy{round_}")

            kept = {one.home_address: one.identification for one in loaded(tmp_path / f"copy{round_}").bindings}
            assert all(kept[address] >= at_least for address, (at_least, _) in acknowledged.items())
        child.kill()


def test_a_backup_is_one_file_of_its_owner_only(state, tmp_path):
    keep(state, StoreBinding(PC1))
    copy = tmp_path / "copy"
    copy.touch(0o644)

    back_up(state, copy)

    assert copy.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["copy"]


def test_a_backup_replaces_no_device_no_folder_and_not_the_state_itself(state, tmp_path):
    keep(state, StoreBinding(PC1))
    was = state.stat().st_ino
    os.mkfifo(tmp_path / "device")
    (tmp_path / "link").symlink_to(state)

    assert refused(back_up, state, tmp_path / "device") == f"{tmp_path}/device: is no file, and would be replaced"
    assert refused(back_up, state, tmp_path) == f"{tmp_path}: is no file, and would be replaced"
    assert refused(back_up, state, state) == f"{state}: is the state file itself"
    assert refused(back_up, state, tmp_path / "link") == f"{tmp_path}/link: is the state file itself"
    assert (tmp_path / "device").is_fifo()
    assert state.stat().st_ino == was


def test_restored_it_is_what_it_was_and_the_former_state_is_kept(state, tmp_path):
    keep(state, StoreBinding(PC1))
    back_up(state, tmp_path / "copy")
    keep(state, StoreBinding(replace(PC1, sub_nai="later", home_address=7)))

    former = restore(tmp_path / "copy", state)

    assert loaded(state).bindings == [PC1]
    assert former is not None
    assert {one.sub_nai for one in loaded(former).bindings} == {"pc1", "later"}


def test_the_log_that_a_killed_daemon_left_is_not_taken_for_the_restored_files(state, tmp_path):
    first = replace(PC1, identification=1)
    keep(state, StoreBinding(first))
    back_up(state, tmp_path / "copy")
    with survivor(state) as child:
        child.stdout.readline()
        child.kill()
    assert state.with_name("ha.sqlite-wal").stat().st_size > 0

    restore(tmp_path / "copy", state)

    assert loaded(state).bindings == [first]


def test_it_is_restored_in_the_place_of_a_damaged_file(state, tmp_path):
    keep(state, StoreBinding(PC1))
    back_up(state, tmp_path / "copy")
    state.write_bytes(b"not a database" * 1000)

    restore(tmp_path / "copy", state)

    assert loaded(state).bindings == [PC1]


def test_nothing_is_restored_under_a_running_daemon(state, tmp_path):
    keep(state, StoreBinding(replace(PC1, identification=1)))
    back_up(state, tmp_path / "copy")

    with survivor(state) as child:
        line = refused(restore, tmp_path / "copy", state)
        child.kill()

    assert line == f"{state}: another daemon has it open"


def test_a_backup_that_is_damaged_newer_or_not_ours_is_refused_and_the_state_stays(state, tmp_path):
    keep(state, StoreBinding(PC1))
    keep(tmp_path / "fa", StoreVisitor(LAPTOP), kind=ForeignAgentStore)
    keep(tmp_path / "damaged", *(StoreIdentification(NAI, f"session {number}", number) for number in range(2000)))
    with contextlib.closing(sqlite3.connect(tmp_path / "damaged")) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'identification'").fetchone()
    octets = bytearray((tmp_path / "damaged").read_bytes())
    octets[(root - 1) * 4096 : (root - 1) * 4096 + 64] = bytes(64)
    (tmp_path / "damaged").write_bytes(octets)
    back_up(state, tmp_path / "newer")
    with contextlib.closing(sqlite3.connect(tmp_path / "newer")) as connection:
        connection.execute("PRAGMA user_version = 9")
    (tmp_path / "text").write_text("what is this?")

    lines = {name: refused(restore, tmp_path / name, state) for name in ("fa", "damaged", "newer", "text", "nowhere")}

    assert "is damaged" in lines.pop("damaged")
    assert {name: line.removeprefix(f"{tmp_path / name}: ").split(";")[0] for name, line in lines.items()} == {
        "fa": "is another program's or another agent's file",
        "newer": f"has version 9, this Entourage knows versions up to {VERSION}",
        "text": "is damaged (file is not a database)",
        "nowhere": "No such file or directory",
    }
    assert loaded(state).bindings == [PC1]


def test_a_backup_that_cannot_be_made_leaves_the_last_one(state, tmp_path):
    keep(state, StoreBinding(PC1))
    back_up(state, tmp_path / "copy")
    before = (tmp_path / "copy").read_bytes()
    state.write_bytes(b"not a database" * 1000)

    assert "is damaged" in refused(back_up, state, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == before
