"""`entourage ha withdraw` and `entourage fa withdraw`: the kernel forgets an agent that has gone for good.

Device, routes, rules and programs stay when an agent ends, so that sessions go on: this is for one that stays away.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from host_agents.cli.asking import default
from host_agents.datapath.bpf import hooks as bpf
from host_agents.datapath.device import is_held
from host_agents.datapath.ipip import kernel as ipip
from host_agents.datapath.ipip.kernel import aside_of
from host_agents.runtime.config import Common
from host_agents.runtime.errors import KernelRefused
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_agent_config import load_home_agent
from host_agents.runtime.home_router import HomeRouter
from host_agents.runtime.visited_router import VisitedRouter
from host_agents.store.database import Lock


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], role: str, name: str) -> None:
    """Add it to `ha` or `fa`."""
    usual = default(role)
    command = commands.add_parser("withdraw", help=f"take out of the kernel what a {name} left that does not run")
    command.add_argument("--config", type=Path, default=usual, metavar="FILE", help=f"default {usual}")
    command.set_defaults(handler=_withdraw, role=role)


def _withdraw(args: argparse.Namespace) -> int:
    """What is not there is no error.

    Raises StoreFailed where a daemon has the state open, KernelRefused where another agent's has the device: both have
    the same if their files name none.
    """
    home = args.role == "ha"
    common, address, router = _home(args.config) if home else _foreign(args.config)
    lock = Lock(str(common.state))
    try:
        with closing(router):
            if is_held(common.device) or is_held(aside_of(common.device)):
                raise KernelRefused(f"withdraw {common.device}", "another agent has it")
            bpf.withdraw(common.device)
            ipip.withdraw(common.device, address, home)
            router.withdraw()
    except OSError as error:
        raise KernelRefused(f"withdraw {common.device}", error) from error
    finally:
        lock.release()
    return 0


def _home(path: Path) -> tuple[Common, int, HomeRouter]:
    config = load_home_agent(path)
    router = HomeRouter(config.common.device, [one.prefix for one in config.policy.networks])
    return config.common, config.policy.address, router


def _foreign(path: Path) -> tuple[Common, int, VisitedRouter]:
    config = load_foreign_agent(path)
    return config.common, config.policy.care_of_address, VisitedRouter(config.common.device, config.policy.links())
