"""`entourage ha …` and `entourage fa …`: run a daemon, check its configuration, show what it knows."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host_agents.cli.show import print_json, print_table
from host_agents.runtime.config import load_foreign_agent, load_home_agent
from host_agents.runtime.control import ask
from host_agents.runtime.daemon import Daemon
from host_agents.runtime.foreign_agent_daemon import ForeignAgentDaemon
from host_agents.runtime.home_agent_daemon import HomeAgentDaemon
from host_agents.runtime.journal import start_logging
from host_agents.runtime.sysctl import complaints

_COLUMNS = {
    "bindings": {
        "nai": "NAI",
        "sub_nai": "sub-NAI",
        "home_address": "IP address",
        "care_of_address": "care-of address",
        "tunnel": "tunnel",
        "expires_in": "lifetime left",
        "packets_in": "packets in",
        "packets_out": "packets out",
    },
    "visitors": {
        "nai": "NAI",
        "sub_nai": "sub-NAI",
        "home_address": "IP address",
        "home_agent": "home agent",
        "interface": "interface",
        "link_address": "link address",
        "expires_in": "lifetime left",
        "state": "state",
    },
}


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ha` and `fa`."""
    _add(subparsers, "ha", "home agent", "bindings")
    _add(subparsers, "fa", "foreign agent", "visitors")


def _add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser], role: str, name: str, table: str) -> None:
    commands = subparsers.add_parser(role, help=name).add_subparsers(required=True, metavar="COMMAND")
    default = Path(f"/etc/entourage/{role}.toml")
    run = commands.add_parser("run", help=f"run the {name} in the foreground")
    check = commands.add_parser("check", help="check the configuration and this machine's settings")
    show = commands.add_parser("show", help=f"what the running {name} knows")
    for command in (run, check, show):
        command.add_argument("--config", type=Path, default=default, metavar="FILE", help=f"default {default}")
    show.add_argument("what", choices=(table, "counters"))
    show.add_argument("--control", type=Path, metavar="SOCKET", help="the daemon's control socket, instead of --config")
    show.add_argument("--json", action="store_true", help="one JSON document on stdout")
    run.set_defaults(handler=_run, role=role)
    check.set_defaults(handler=_check, role=role)
    show.set_defaults(handler=_show, role=role)


def _run(args: argparse.Namespace) -> int:
    make: Callable[[], Daemon]
    if args.role == "ha":
        home = load_home_agent(args.config)
        make = lambda: HomeAgentDaemon(home)  # noqa: E731
    else:
        foreign = load_foreign_agent(args.config)
        make = lambda: ForeignAgentDaemon(foreign)  # noqa: E731
    start_logging()

    async def serve() -> None:
        await make().run()

    asyncio.run(serve())
    return 0


def _check(args: argparse.Namespace) -> int:
    """Every complaint on a line of its own; 2 for the file's, 1 for the machine's."""
    if args.role == "ha":
        common, links = load_home_agent(args.config).common, tuple[str, ...]()
    else:
        foreign = load_foreign_agent(args.config)
        common, links = foreign.common, foreign.interfaces
    found = [*common.warnings]
    if common.datapath != "none":
        found += complaints(common.device, links)
    for line in found:
        print(f"entourage: {line}", file=sys.stderr)
    return 1 if found else 0


def _show(args: argparse.Namespace) -> int:
    try:
        reply = ask(_control(args), {"show": args.what})
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"entourage: {_control(args)}: no answer from the daemon: {reason}", file=sys.stderr)
        return 1
    if "error" in reply:
        print(f"entourage: {reply['error']}", file=sys.stderr)
        return 1
    if args.json:
        print_json(reply)
    elif args.what == "counters":
        print_table({"kind": "event", "count": "count"}, _counters(reply["counters"]))
    else:
        print_table(_COLUMNS[args.what], reply[args.what])
    return 0


def _control(args: argparse.Namespace) -> Path:
    if args.control is not None:
        return Path(args.control)
    load: Callable[[Path], Any] = load_home_agent if args.role == "ha" else load_foreign_agent
    return Path(load(args.config).common.control)


def _counters(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [{"kind": kind, "count": count} for kind, count in sorted(counts.items())]
