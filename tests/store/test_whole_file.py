"""Files that are there whole or not at all, and who relies on it: whatever a command leaves behind as its result."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host_agents.cli.capture import _opened
from host_agents.decoder.capture import read_packets
from host_agents.decoder.pcapng_writer import PcapngWriter
from host_agents.effects import StoreIdentification
from host_agents.runtime.errors import ConfigurationError, KernelRefused, StoreFailed
from host_agents.store.backup import back_up
from host_agents.store.whole_file import whole_file
from host_agents.web.server import make_token
from tests.bench.test_bench import RECORD
from tests.board.test_flash import an_image
from tests.store.test_sqlite import NAI, keep
from tests.trial.builders import a_handoff, event
from tools.bench.bench import BenchFailed
from tools.bench.commands import _keep
from tools.board import package, secret_files, web
from tools.board.errors import BoardFailed
from tools.board.image import read_image
from tools.trial import trial_file
from tools.trial.commands import write_report
from tools.trial.errors import TrialFailed
from tools.trial.figures import Figures
from tools.trial.trial_file import Trial

FULL = "File too large"  # what the kernel says here; of a disk that is full it says something else


@contextlib.contextmanager
def little_room(octets: int) -> Iterator[None]:
    """No file gets longer than that."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_where_there_is_no_room_the_former_file_stays_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("former")

    with pytest.raises(OSError, match=f"{FULL}: '{path}'"), little_room(100), whole_file(path) as beside:
        beside.write_bytes(bytes(200))

    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("report", "former")]


def test_what_is_interrupted_was_never_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "report") as beside:
        beside.write_text("half")
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_it_looks_like_the_file_that_it_replaces_and_a_link_to_it_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "kept" / "report", tmp_path / "link"
    path.parent.mkdir()
    path.write_text("former")
    path.chmod(0o640)
    os.chown(path, *((1234, 1234) if os.geteuid() == 0 else (-1, -1)))
    was = path.stat()
    link.symlink_to(path)

    with whole_file(link) as beside:
        beside.write_text("new")

    now = path.stat()
    assert (link.is_symlink(), path.read_text()) == (True, "new")
    assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)


def test_a_new_one_has_the_mode_that_it_is_given_or_that_the_umask_says(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        for name, mode in (("secret", 0o600), ("report", None)):
            with whole_file(tmp_path / name, mode) as beside:
                assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    finally:
        os.umask(former)

    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {"secret": 0o600, "report": 0o640}


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()

    with whole_file(pipe) as itself:
        itself.write_bytes(b"report")
    with whole_file(Path("/dev/null")) as itself:
        itself.write_bytes(b"report")

    reader.join(10)
    assert heard == [b"report"]
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def a_report(folder: Path) -> None:
    trial = Trial("node", [event(0, "start"), *(one for at in range(40) for one in a_handoff(1000 * at, at))])
    write_report(Figures.of(trial), folder / "result.html")


def a_trial_file(folder: Path) -> None:
    trial_file.write(Trial("node", [event(at, "mark") for at in range(2000)]), folder / "result")


def a_backup(folder: Path) -> None:
    state = folder.parent / "ha.sqlite"
    with little_room(resource.RLIM_INFINITY):
        keep(state, *(StoreIdentification(NAI, f"session {number}", number) for number in range(2000)))
    with little_room(36_000):  # for what SQLite has beside the state while it is read
        back_up(state, folder / "result")


def a_page(folder: Path) -> None:
    image = folder.parent / "image.bin"
    with little_room(resource.RLIM_INFINITY):
        image.write_bytes(an_image("esp32"))
    web.write_page(folder, [read_image(image)], "")


@pytest.mark.parametrize(
    ("make", "failure"),
    [
        (a_report, TrialFailed),
        (a_trial_file, TrialFailed),
        (lambda folder: _keep({"swimming": RECORD}, folder / "result", None), BenchFailed),
        (lambda folder: _keep({"swimming": RECORD}, None, folder / "result"), BenchFailed),
        (lambda folder: secret_files.put(folder / "result", "key" * 500), BoardFailed),
        (package.write_index, BoardFailed),
        (a_page, BoardFailed),
        (lambda folder: make_token(folder / "result"), ConfigurationError),
        (a_backup, StoreFailed),
    ],
    ids=["report", "trial", "bench", "plot", "key", "index", "page", "token", "backup"],
)
def test_where_there_is_no_room_for_a_result_one_line_names_it_and_nothing_is_there(
    tmp_path: Path, make: Callable[[Path], None], failure: type[Exception]
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()

    with pytest.raises(failure) as failed, little_room(16):
        make(folder)

    assert [one for one in folder.rglob("*") if one.is_file() and one.stat().st_size] == []
    line = str(failed.value)
    assert str(folder) in line and (FULL in line or "disk I/O error" in line) and "\n" not in line


def test_a_capture_ends_with_the_last_whole_packet_for_which_there_was_room(tmp_path: Path) -> None:
    path, packet = tmp_path / "ha.pcapng", bytes(1000)

    with pytest.raises(KernelRefused) as failed, little_room(5000), _opened(path) as file:
        writer = PcapngWriter(file)
        while True:
            writer.write("net0", 0, packet, len(packet))

    assert str(failed.value) == f"{path}: {FULL}; what was captured before is there, and whole"
    packets = list(read_packets(io.BytesIO(path.read_bytes())))
    assert [one.octets for one in packets] == [packet] * 4
