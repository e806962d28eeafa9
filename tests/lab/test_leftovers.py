"""A lab that is killed leaves things behind; the next `up` or `down` removes them, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.lab import directory
from tools.lab.anchor import PROJECT, environment
from tools.lab.crew import wait_until
from tools.lab.directory import RunDirectory
from tools.lab.errors import LabFailed
from tools.lab.processes import Process
from tools.lab.world import World

_UP = "import sys, pathlib, tools.lab.world as w; w.World(pathlib.Path(sys.argv[1]), stays=True).up(programs=False)"


@pytest.fixture
def path(_capable: None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="t-", dir=directory.make_base()))
    yield path
    World(path).down()
    for entry in sorted(path.rglob("*"), reverse=True):
        entry.rmdir() if entry.is_dir() else entry.unlink()
    path.rmdir()


def bring_up(path: Path) -> subprocess.Popen[str]:
    """`lab up` in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", _UP, str(path)], env=environment(), stderr=-1, text=True)


def recorded(path: Path) -> list[Process]:
    found = [Process.read(record) for record in (path / "pids").glob("*")]
    return [process for process in found if process is not None]


def test_a_folder_that_a_down_was_pointed_at_by_mistake_is_not_taken_for_a_labs(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "of mine").write_text("years of it")

    World(tmp_path).down()

    with pytest.raises(LabFailed, match="is not empty, and no lab was there before"):
        World(tmp_path).up(programs=False)
    assert [one.name for one in tmp_path.rglob("*")] == ["log", "of mine"]


def test_who_interrupts_the_making_of_a_lab_finds_nothing_of_it(
    _capable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(World, "_start_all", interrupted)
    world = World()

    with pytest.raises(KeyboardInterrupt), world:
        pass

    assert not world.directory.path.exists()


@pytest.mark.parametrize("milliseconds", [150, 220, 260, 300, 340, 400])
def test_an_up_that_is_killed_in_the_middle_is_swept_by_the_next_down(path: Path, milliseconds: int) -> None:
    killed = bring_up(path)
    try:
        killed.communicate(timeout=milliseconds / 1000)  # may have finished: then `down` has an easy task
    except subprocess.TimeoutExpired:
        killed.kill()
        killed.communicate()
    left = recorded(path)

    World(path).down()

    assert [process for process in left if process.alive()] == []
    assert RunDirectory(path).load() is None


def test_an_up_that_is_interrupted_leaves_nothing_and_says_nothing(path: Path) -> None:
    argv = [sys.executable, "-m", "host_agents.cli.main", "lab", "up", "--dir", str(path)]
    up = subprocess.Popen(argv, env=environment(), cwd=PROJECT, stdout=-1, stderr=-1, text=True)
    wait_until(lambda: len(recorded(path)) > 3, 30, "the first places are there")
    left = recorded(path)

    up.send_signal(signal.SIGINT)

    assert up.communicate(timeout=30) == ("", "")
    assert up.returncode == 130
    assert [process for process in left if process.alive()] == []
    assert RunDirectory(path).load() is None


def test_a_lab_whose_maker_was_killed_is_swept_by_another_lab(path: Path) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        World(path).up(programs=False)
        os.write(write, b"up")
        signal.pause()
    assert os.read(read, 2) == b"up"
    left = recorded(path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert any(process.alive() for process in left)

    assert directory.remove_crashed() == [path]

    assert [process for process in left if process.alive()] == []


def test_a_lab_that_lost_a_namespace_is_made_anew(path: Path) -> None:
    assert bring_up(path).wait() == 0
    anchor = RunDirectory(path).process("fa1", "anchor")
    assert anchor is not None
    left = recorded(path)

    anchor.signal(signal.SIGKILL)
    assert anchor.wait(5)
    with pytest.raises(LabFailed, match="has lost fa1"):
        World.attach(path)
    assert bring_up(path).wait() == 0

    assert World.attach(path).run("cn", ["ping", "-c", "1", "203.0.113.2"]).returncode == 0
    assert [process for process in left if process.alive()] == []


def test_a_lab_that_is_up_is_left_alone(path: Path) -> None:
    assert bring_up(path).wait() == 0

    second = bring_up(path)

    assert "is up" in second.communicate()[1]
    assert World.attach(path).run("cn", ["true"]).returncode == 0


def test_what_was_started_in_a_place_ends_with_the_lab(path: Path) -> None:
    world = World(path)
    world.up(programs=False)
    daemon = world.run("pc1", ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"])

    world.down()

    assert not Path(f"/proc/{int(daemon.stdout)}/ns/net").exists()


def test_a_directory_with_other_things_in_it_is_refused(path: Path) -> None:
    (path / "thesis.tex").touch()

    with pytest.raises(LabFailed, match="is not empty"):
        World(path).up(programs=False)


def test_a_process_with_a_recycled_pid_is_not_ours() -> None:
    ours = Process.current()

    assert ours.alive()
    assert not Process(ours.pid, ours.start - 1).alive()
    assert not Process(ours.pid, ours.start - 1).signal(signal.SIGKILL)
