"""`entourage ha backup FILE` and `entourage ha restore FILE`."""

from __future__ import annotations

import argparse
from pathlib import Path

from host_agents.cli.asking import default
from host_agents.runtime.home_agent_config import load_home_agent
from host_agents.store.backup import back_up, restore


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to `ha`."""
    usual = default("ha")
    texts = {
        _backup: ("backup", "copy the state file, also of a running home agent", "the copy, in place of what is there"),
        _restore: (
            "restore",
            "put a copy in the place of the state file of a home agent that does not run",
            "the copy; what is replaced is kept as STATE.replaced",
        ),
    }
    for handler, (name, text, file) in texts.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("file", type=Path, metavar="FILE", help=file)
        command.add_argument("--config", type=Path, default=usual, metavar="FILE", help=f"default {usual}")
        command.set_defaults(handler=handler)


def _backup(args: argparse.Namespace) -> int:
    back_up(load_home_agent(args.config).common.state, args.file)
    return 0


def _restore(args: argparse.Namespace) -> int:
    state = load_home_agent(args.config).common.state
    former = restore(args.file, state)
    print(f"{state} is {args.file} now" + (f"; what it was is {former}" if former else ""))
    return 0
