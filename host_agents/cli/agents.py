"""`entourage ha …` and `entourage fa …`: run a daemon, check its configuration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from host_agents.cli import asking, backup, withdraw
from host_agents.datapath.choose import lacking
from host_agents.runtime.config import Common
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_agent_config import load_home_agent
from host_agents.runtime.interfaces import missing
from host_agents.runtime.sysctl import complaints


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ha` and `fa`."""
    for role, name in (("ha", "home agent"), ("fa", "foreign agent")):
        commands = subparsers.add_parser(role, help=name).add_subparsers(required=True, metavar="COMMAND")
        run = commands.add_parser("run", help=f"run the {name} in the foreground")
        check = commands.add_parser("check", help="check the configuration and this machine's settings")
        for command, handler in ((run, _run), (check, _check)):
            default = asking.default(role)
            command.add_argument("--config", type=Path, default=default, metavar="FILE", help=f"default {default}")
            command.set_defaults(handler=handler, role=role)
        asking.add_commands(commands, role, name)
        withdraw.add_command(commands, role, name)
        if role == "ha":
            backup.add_commands(commands)


def _run(args: argparse.Namespace) -> int:
    import uvloop  # all of this here: whoever only asks a daemon is to be answered at once

    from host_agents.runtime.daemon import Daemon
    from host_agents.runtime.foreign_agent_daemon import ForeignAgentDaemon
    from host_agents.runtime.home_agent_daemon import HomeAgentDaemon
    from host_agents.runtime.journal import start_logging

    make: Callable[[], Daemon]
    common: Common
    if args.role == "ha":
        home = load_home_agent(args.config)
        make, common = (lambda: HomeAgentDaemon(home)), home.common
    else:
        foreign = load_foreign_agent(args.config)
        make, common = (lambda: ForeignAgentDaemon(foreign)), foreign.common
    start_logging(common.log)

    async def serve() -> None:
        daemon = make()
        if common.http is not None:
            from host_agents.web.server import Server  # a daemon without a page does without all of this

            daemon.beside.append(Server(daemon))
        await daemon.run()

    uvloop.run(serve())
    return 0


def _check(args: argparse.Namespace) -> int:
    """Every complaint on a line of its own; 2 for the file's, 1 for the machine's."""
    if args.role == "ha":
        home = load_home_agent(args.config)
        common, address = home.common, home.policy.address
        links = home.policy.links()
    else:
        foreign = load_foreign_agent(args.config)
        common, address, links = foreign.common, foreign.policy.care_of_address, foreign.policy.links()
    found = [*common.warnings, *missing(address, links)]
    if common.datapath != "none":
        found += complaints(common.device, links) + lacking(common.datapath, common.device)
    for line in found:
        print(f"entourage: {line}", file=sys.stderr)
    return 1 if found else 0
