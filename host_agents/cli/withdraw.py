"""`entourage ha withdraw` and `entourage fa withdraw`: the kernel forgets an agent that has gone for good.

Device, routes, rules and programs stay when an agent ends, so that sessions go on: this is for one that stays away.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from host_agents.cli.asking import default
from host_agents.cli.names import interface
from host_agents.datapath.bpf import hooks as bpf
from host_agents.datapath.device import is_held
from host_agents.datapath.ipip import kernel as ipip
from host_agents.datapath.ipip.kernel import aside_of
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.remains import Remains, read_remains
from host_agents.runtime.visited_router import VisitedRouter
from host_agents.store.database import Lock


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], role: str, name: str) -> None:
    """Add it to `ha` or `fa`."""
    usual = default(role)
    command = commands.add_parser("withdraw", help=f"take out of the kernel what a {name} left that does not run")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--config", type=Path, default=usual, metavar="FILE", help=f"default {usual}")
    device = "its tunnel device, where there is no such file any more"
    where.add_argument("--device", type=interface, metavar="NAME", help=device)
    command.set_defaults(handler=_withdraw, role=role)


def _withdraw(args: argparse.Namespace) -> int:
    """2, after it is done, where the file does not say all that matters, so that something may have been missed."""
    home = args.role == "ha"
    remains = read_remains(args.config, home) if args.device is None else Remains(args.device)
    if remains.wrong:
        print(f"entourage: {args.config}: {remains.wrong}; {remains.device} is withdrawn all the same", file=sys.stderr)
    try:
        _take_away(remains, home)
    except OSError as error:
        raise KernelRefused(f"withdraw {remains.device}", error) from error
    return 2 if remains.wrong else 0


def _take_away(remains: Remains, home: bool) -> None:
    """What is not there is no error.

    Raises StoreFailed where a daemon has the state open, KernelRefused where another agent's has the device: both have
    the same if their files name none. OSError.
    """
    with ExitStack() as held:
        if remains.state is not None and os.access(remains.state.parent, os.W_OK):  # elsewhere its device tells
            held.callback(Lock(str(remains.state)).release)
        if is_held(remains.device) or is_held(aside_of(remains.device)):
            raise KernelRefused(f"withdraw {remains.device}", "another agent has it")
        device, links = remains.device, remains.interfaces
        router = held.enter_context(closing(HomeRouter(device, []) if home else VisitedRouter(device, links)))
        bpf.withdraw(device)
        ipip.withdraw(device, remains.address, home)
        router.withdraw()
