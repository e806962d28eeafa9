"""The firmware as a package: mpremote's own `mip install`, from this tree and from an index that we made."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.board.payload import FIRMWARE, PROGRAMS, compiled, paths, sources
from tools.board.stand_in import StandIn

Typed = Callable[..., tuple[int, str, str]]


def mip(board: StandIn, *words: object) -> str:
    argv = [sys.executable, "-m", "mpremote", "connect", board.port, "mip", "install", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(board: StandIn) -> dict[str, bytes]:
    lib = board.root / "lib"
    return {path.relative_to(lib).as_posix(): path.read_bytes() for path in lib.rglob("*") if path.is_file()}


@pytest.fixture
def index(entourage_board: Typed, tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    code, out, _ = entourage_board("index", folder)
    assert (code, out) == (0, f"mpremote mip install --index {folder} entourage\n")
    return folder


def test_the_package_of_this_tree_is_installed_as_sources(board: StandIn, tmp_path: Path) -> None:
    """From a tree with two files, since a whole one takes its time: test_definitions sees that all are listed."""
    listed = json.loads((FIRMWARE / "package.json").read_text())
    chosen = [url for url in listed["urls"] if url[0] in ("mip4/__init__.py", "mip4/address.py")]
    (tmp_path / "mip4").mkdir()
    for name, source in chosen:
        (tmp_path / name).write_bytes((FIRMWARE / source).read_bytes())
    (tmp_path / "package.json").write_text(json.dumps({**listed, "urls": chosen}))

    mip(board, tmp_path / "package.json")

    assert len(chosen) == 2
    assert installed(board) == {name: (FIRMWARE / name).read_bytes() for name, _ in chosen}


def test_micropythons_own_mip_fetches_it_over_http(micropython: Path, tmp_path: Path) -> None:
    """All of ours; what it depends on is on other machines, which a test does not ask."""
    tree, target = tmp_path / "tree", tmp_path / "target"
    shutil.copytree(FIRMWARE, tree)
    listed = json.loads((FIRMWARE / "package.json").read_text())
    ours = [url for url in listed["urls"] if (FIRMWARE / url[1]).exists()]
    (tree / "package.json").write_text(json.dumps({**listed, "urls": ours, "deps": []}))
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tree))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        package = f"http://127.0.0.1:{server.server_port}/package.json"
        install = f"import mip; mip.install({package!r}, target={str(target)!r})"
        done = subprocess.run([micropython, "-c", install], capture_output=True, text=True, timeout=120)
        server.shutdown()

    assert done.returncode == 0, done.stdout + done.stderr
    came = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*.py")}
    assert came == {name: (FIRMWARE / name).read_bytes() for name in sources() if name not in PROGRAMS}


def test_what_an_index_brings_is_compiled_and_comes_once(board: StandIn, index: Path) -> None:
    modules = {name: octets for name, octets in compiled("").items() if name not in PROGRAMS}

    mip(board, "--index", index, "entourage")
    again = mip(board, "--index", index, "entourage")

    assert installed(board) == modules
    assert again.count("Exists:") == len(modules) and "Installing: " not in again


def test_an_index_has_the_sources_too(index: Path) -> None:
    package = json.loads((index / "package" / "py" / "entourage" / "latest.json").read_text())

    files = {name: (index / "file" / short[:2] / short).read_bytes() for name, short in package["hashes"]}

    assert files == {name: path.read_bytes() for name, path in paths().items() if name not in PROGRAMS}


def test_without_native_code_a_file_is_the_same_for_every_chip() -> None:
    """As long as that holds one index is for all; a @viper function would need one for each architecture."""
    assert compiled("") == compiled("xtensawin") == compiled("rv32imc")


def test_a_folder_that_cannot_be_is_one_line(entourage_board: Typed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    code, out, err = entourage_board("index", tmp_path)

    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1 and str(tmp_path / "file") in err
