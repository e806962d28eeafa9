"""`entourage ha …` and `entourage fa …`: run a daemon, check its configuration, show what it knows."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host_agents.cli.show import print_json, print_table
from host_agents.datapath.choose import lacking
from host_agents.runtime.config import load_foreign_agent, load_home_agent
from host_agents.runtime.control import ask
from host_agents.runtime.daemon import Daemon
from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.foreign_agent_daemon import ForeignAgentDaemon
from host_agents.runtime.home_agent_daemon import HomeAgentDaemon
from host_agents.runtime.journal import start_logging
from host_agents.runtime.sysctl import complaints

_CONTROL = "the daemon's control socket, instead of --config"
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
    home = _add(subparsers, "ha", "home agent", "bindings")
    release = home.add_parser("release", help="end a session here and at its foreign agent")
    release.add_argument("nai", nargs="?", metavar="NAI", help="the node's own session, unless a SUB_NAI follows")
    release.add_argument("sub_nai", nargs="?", default="", metavar="SUB_NAI")
    release.add_argument("--all", action="store_true", help="every session of every node")
    release.add_argument("--quietly", action="store_true", help="do not have the node told, which would register anew")
    release.set_defaults(handler=_release)
    foreign = _add(subparsers, "fa", "foreign agent", "visitors")
    drain = foreign.add_parser("drain", help="revoke every visitor, and take no new one until the next start")
    drain.set_defaults(handler=_drain)
    for command, role in ((release, "ha"), (drain, "fa")):
        command.add_argument("--config", type=Path, default=_default(role), metavar="FILE")
        command.add_argument("--control", type=Path, metavar="SOCKET", help=_CONTROL)
        command.set_defaults(role=role)


def _default(role: str) -> Path:
    return Path(f"/etc/entourage/{role}.toml")


def _add(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], role: str, name: str, table: str
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    commands = subparsers.add_parser(role, help=name).add_subparsers(required=True, metavar="COMMAND")
    default = _default(role)
    run = commands.add_parser("run", help=f"run the {name} in the foreground")
    check = commands.add_parser("check", help="check the configuration and this machine's settings")
    show = commands.add_parser("show", help=f"what the running {name} knows")
    for command in (run, check, show):
        command.add_argument("--config", type=Path, default=default, metavar="FILE", help=f"default {default}")
    show.add_argument("what", choices=(table, "counters"))
    show.add_argument("--control", type=Path, metavar="SOCKET", help=_CONTROL)
    show.add_argument("--json", action="store_true", help="one JSON document on stdout")
    run.set_defaults(handler=_run, role=role)
    check.set_defaults(handler=_check, role=role)
    show.set_defaults(handler=_show, role=role)
    return commands


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
        home = load_home_agent(args.config)
        common, links = home.common, tuple(one.interface for one in home.policy.networks if one.interface)
    else:
        foreign = load_foreign_agent(args.config)
        common, links = foreign.common, foreign.interfaces
    found = [*common.warnings]
    if common.datapath != "none":
        found += complaints(common.device, links) + lacking(common.datapath, common.device)
    for line in found:
        print(f"entourage: {line}", file=sys.stderr)
    return 1 if found else 0


def _release(args: argparse.Namespace) -> int:
    if bool(args.nai) == args.all:
        raise ConfigurationError("release: either NAI [SUB_NAI] or --all")
    wanted = {"all": args.all, "nai": args.nai, "sub_nai": args.sub_nai, "inform": not args.quietly}
    reply = _ask(args, {"release": wanted})
    if reply is None:
        return 1
    print(f"{len(reply['released'])} released")
    return 0


def _drain(args: argparse.Namespace) -> int:
    reply = _ask(args, {"drain": True})
    if reply is None:
        return 1
    print(f"{reply['drained']} drained")
    return 0


def _ask(args: argparse.Namespace, request: dict[str, Any]) -> dict[str, Any] | None:
    """The daemon's answer; None where there is none or it says no, which is told on stderr."""
    try:
        reply = ask(_control(args), request)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"entourage: {_control(args)}: no answer from the daemon: {reason}", file=sys.stderr)
        return None
    if "error" in reply:
        print(f"entourage: {reply['error']}", file=sys.stderr)
        return None
    return reply


def _show(args: argparse.Namespace) -> int:
    reply = _ask(args, {"show": args.what})
    if reply is None:
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
