"""`entourage ha withdraw` and `entourage fa withdraw`: the kernel forgets an agent that has gone for good.

Device, routes, rules and programs stay when an agent ends, so that sessions go on: this is for one that stays away.
"""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from pathlib import Path

from host_agents.cli.asking import default
from host_agents.datapath.bpf.hooks import withdraw
from host_agents.datapath.device import is_held
from host_agents.runtime.config import Common, load_home_agent
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.netlink import VisitedRouter
from host_agents.store.database import Lock


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], role: str, name: str) -> None:
    """Add it to `ha` or `fa`."""
    usual = default(role)
    command = commands.add_parser("withdraw", help=f"take out of the kernel what a {name} left that does not run")
    command.add_argument("--config", type=Path, default=usual, metavar="FILE", help=f"default {usual}")
    command.set_defaults(handler=_withdraw, role=role)


def _withdraw(args: argparse.Namespace) -> int:
    """What is not there is no error. Raises StoreFailed where a daemon has the state open, KernelRefused where another

    agent's has the device: both have the same if their files name none.
    """
    common, router = _foreign(args.config) if args.role == "fa" else _home(args.config)
    lock = Lock(str(common.state))
    try:
        with closing(router):
            if is_held(common.device):
                raise KernelRefused(f"withdraw {common.device}", "another agent has it")
            withdraw(common.device)
            router.withdraw()
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        raise KernelRefused(f"withdraw {common.device}", reason) from error
    finally:
        lock.release()
    return 0


def _home(path: Path) -> tuple[Common, HomeRouter]:
    config = load_home_agent(path)
    return config.common, HomeRouter(config.common.device, [one.prefix for one in config.policy.networks])


def _foreign(path: Path) -> tuple[Common, VisitedRouter]:
    config = load_foreign_agent(path)
    return config.common, VisitedRouter(config.common.device, config.interfaces)
