"""Completions and manual pages, as shells and man(1) take them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.pages import COMPLETIONS, write

SHELL = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
needs = {
    name: pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")
    for name in ("zsh", "fish", "man")
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("share")
    write(made)
    return made


def offered_by_bash(folder: Path, *words: str) -> set[str]:
    """What it offers for the last of the words."""
    story = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_entourage; echo "${COMPREPLY[@]}"'
    argv = ["bash", "-c", story, "bash", str(folder / COMPLETIONS["bash"]), *words]
    return set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())


def test_bash_offers_commands_and_what_they_take(folder: Path) -> None:
    assert {"ha", "fa", "node", "lab"} <= offered_by_bash(folder, "entourage", "")
    assert {"show", "watch", "reload", "release"} <= offered_by_bash(folder, "entourage", "ha", "")
    assert {"bindings", "pools", "status"} <= offered_by_bash(folder, "entourage", "ha", "show", "")
    assert offered_by_bash(folder, "entourage", "fa", "show", "vis") == {"visitors"}
    assert offered_by_bash(folder, "entourage", "ha", "show", "--js") == {"--json"}


@needs["zsh"]
def test_zsh_understands_its_file(folder: Path) -> None:
    subprocess.run(["zsh", "-n", folder / COMPLETIONS["zsh"]], check=True)


@needs["fish"]
def test_fish_offers_what_show_takes(folder: Path) -> None:
    story = f"source {folder / COMPLETIONS['fish']}; complete -C 'entourage ha show '"
    offered = subprocess.run(["fish", "--no-config", "-c", story], capture_output=True, text=True, check=True).stdout

    assert {"bindings", "pools", "status"} <= {line.split("\t")[0] for line in offered.splitlines()}


@needs["man"]
def test_every_page_is_one_that_man_can_show(folder: Path) -> None:
    pages = sorted((folder / "man").glob("man*/*"))
    assert {"entourage.1", "entourage-ha.8", "entourage-fa.8", "entourage-node.1"} <= {page.name for page in pages}

    for page in pages:
        done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, env=SHELL)
        wrong = [
            line for line in done.stderr.splitlines() if "cannot adjust line" not in line
        ]  # a long word, not wrong
        assert (done.returncode, wrong) == (0, []), page.name
        words = " ".join(done.stdout.split())
        assert f"{page.stem} - " in words, page.name
        assert ". " not in words.partition(" - ")[2].partition(" SYNOPSIS")[0], page.name  # whatis(1) has one line
        assert "EXIT STATUS" in words


@needs["man"]
def test_the_home_agents_page_names_every_command_and_option(folder: Path) -> None:
    page = subprocess.run(["man", "-l", folder / "man/man8/entourage-ha.8"], capture_output=True, text=True).stdout

    for word in ("show", "watch", "release", "reload", "debug", "--sub-nai", "--quietly", "/etc/entourage/ha.toml"):
        assert word in page
