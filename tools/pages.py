"""Completions and manual pages, made from the command line itself.

`python -m tools.pages FOLDER` writes what a package installs below share/: bash-completion, zsh and fish completions,
and a manual page for `entourage` and each of its commands; of the agents in section 8, of the others in section 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

from host_agents.cli.main import EXITS, make_parser

COMPLETIONS = {
    "bash": "bash-completion/completions/entourage",
    "zsh": "zsh/site-functions/_entourage",
    "fish": "fish/vendor_completions.d/entourage.fish",
}
_DAEMONS = ("ha", "fa")


def write(folder: Path) -> list[Path]:
    """What was written, below `folder`. Raises OSError."""
    texts = {**_completions(), **_manual()}
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [folder / name for name in texts]


def _completions() -> dict[str, str]:
    parser = make_parser()
    for action in _actions(parser):
        if action.metavar in ("FILE", "SOCKET") or action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return {name: shtab.complete(parser, shell) for shell, name in COMPLETIONS.items()}


def _manual() -> dict[str, str]:
    parser = make_parser()
    parser.epilog = None  # which has a section of its own
    pages = {"entourage": (parser, 1)}
    for name, command in _commands(parser).items():
        _say_once(command)
        pages[f"entourage-{name}"] = command, 8 if name in _DAEMONS else 1
    texts = {}
    for name, (command, section) in pages.items():
        about = {"project_name": "entourage", "version": version("entourage"), "manual_section": section}
        about |= {
            "manual_title": "Entourage",
            "description": (command.description or name).partition("\n")[0].partition(". ")[0].rstrip(":."),
        }
        page = Manpage(command, about, format="single-commands-section")
        page.prog = name
        text = str(page).replace(f".SH NAME\n{command.prog} ", f".SH NAME\n{name} ")
        texts[f"man/man{section}/{name}.{section}"] = f"{text.rstrip()}\n.SH EXIT STATUS\n{EXITS}\n"
    return texts


def _say_once(parser: argparse.ArgumentParser) -> None:
    """A page says what the parent says of a command, and then what the command says itself."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action._choices_actions:
                command = action.choices[one.dest]
                command.description = None if command.description == one.help else command.description


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Of one level."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    yield from parser._actions
    for command in _commands(parser).values():
        yield from _actions(command)


if __name__ == "__main__":
    for written in write(Path(sys.argv[1])):
        print(written)
