"""What an operator asks of a running daemon: show, watch, release, drain, debug, reload."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from host_agents.cli import capture
from host_agents.cli.show import print_line, print_table
from host_agents.cli.tables import NOTHING, TABLES
from host_agents.runtime.control_client import ask, copy, watch
from host_agents.runtime.errors import ConfigurationError
from host_agents.runtime.foreign_agent_config import load_foreign_agent
from host_agents.runtime.home_agent_config import load_home_agent
from mip4.address import parse

_SHOWN = {
    "ha": ("bindings", "pools", "peers", "handoffs", "events", "counters", "status"),
    "fa": ("visitors", "peers", "handoffs", "events", "counters", "status"),
}
_LISTS = ("bindings", "visitors")
_FIELDS = ("counters", "status")  # one object each; of all others there are several

Kinds: TypeAlias = Mapping[str, Any]  # key of an answer -> what must be there

Ask: TypeAlias = Callable[[Path, dict[str, Any], Kinds], dict[str, Any]]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def default(role: str) -> Path:
    """The configuration file of a daemon that is told of no other."""
    return Path(f"/etc/entourage/{role}.toml")


def add_commands(commands: Commands, role: str, name: str) -> None:
    """Add them to `ha` or `fa`."""
    show = _add(commands, role, "show", _show, f"what the running {name} knows")
    show.add_argument("what", choices=_SHOWN[role])
    _add_filters(show)
    _add_filters(_add(commands, role, "watch", _watch, "what happens, as it happens"))
    _add(commands, role, "reload", _reload, "read subscribers and keys again")
    capture.add_arguments(
        _add(commands, role, "capture", _capture, "stream the packets of a node or session, as pcapng")
    )
    debug = _add(commands, role, "debug", _debug, "log every message of one subscriber")
    debug.add_argument("nai", metavar="NAI")
    debug.add_argument("--off", action="store_true", help="no longer")
    if role == "ha":
        release = _add(commands, role, "release", _release, "end a session here and at its foreign agent")
        release.add_argument("nai", nargs="?", metavar="NAI", help="the node's own session, unless a SUB_NAI follows")
        release.add_argument("sub_nai", nargs="?", default="", metavar="SUB_NAI", help="that session of the node")
        release.add_argument("--all", action="store_true", help="every session of every node")
        release.add_argument(
            "--quietly", action="store_true", help="do not have the node told, which would register anew"
        )
    else:
        _add(commands, role, "drain", _drain, "revoke every visitor, and take no new one until the next start")


def _add(commands: Commands, role: str, name: str, handler: Callable[..., int], text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    command.add_argument("--config", type=Path, default=default(role), metavar="FILE", help=f"default {default(role)}")
    command.add_argument("--control", type=Path, metavar="SOCKET", help="its control socket, instead of --config")
    command.set_defaults(handler=handler, role=role)
    if name in ("show", "watch"):
        text = "one JSON document on stdout" if name == "show" else "one JSON object a line"
        command.add_argument("--json", action="store_true", help=text)
    return command


def _add_filters(command: argparse.ArgumentParser) -> None:
    """Of bindings, visitors and events."""
    command.add_argument("--nai", metavar="NAI", help="only of this subscriber")
    command.add_argument("--sub-nai", metavar="SUB_NAI", help='only of this session; "": the node\'s own')
    command.add_argument("--address", metavar="ADDRESS", help="only with this address")


def _where(args: argparse.Namespace) -> dict[str, str]:
    found = {key: getattr(args, key) for key in ("nai", "sub_nai", "address")}
    return {key: value for key, value in found.items() if value is not None}


def _show(args: argparse.Namespace) -> int:
    where = _where(args)
    if where and args.what not in _LISTS:
        raise ConfigurationError(f"show {args.what}: only bindings and visitors are filtered")
    request = {"show": args.what, "where": where} if where else {"show": args.what}
    if args.json:
        sys.stdout.flush()
        copied = _ask(args, request, {}, lambda path, asked, _: copy(path, asked, sys.stdout.buffer))
        return 1 if copied is None else 0
    fields = args.what in _FIELDS
    reply = _ask(args, request, {args.what: dict[str, Any] if fields else list[dict[str, Any]]})
    if reply is None:
        return 1
    rows: Sequence[dict[str, Any]] = reply[args.what]
    if fields:
        rows = [{"what": key, "is": value} for key, value in reply[args.what].items()]
        rows = sorted(rows, key=lambda row: row["what"]) if args.what == "counters" else rows
    if rows:
        print_table(TABLES[args.what], rows)
    else:
        print("nothing matches that" if where else NOTHING[args.what])
    return 0


def _watch(args: argparse.Namespace) -> int:
    """Until the daemon ends, which is 1, or Ctrl-C, which is 0."""
    try:
        for event in watch(_control(args), {"watch": True, "where": _where(args)}):
            if "error" in event:
                print(f"entourage: {event['error']}", file=sys.stderr)
                return 1
            print_line(event, args.json)
    except BrokenPipeError:
        raise  # who reads us has gone, not the daemon
    except (OSError, ValueError) as error:
        return _no_answer(args, error)
    except KeyboardInterrupt:
        return 0
    print("entourage: the daemon has ended", file=sys.stderr)
    return 1


def _capture(args: argparse.Namespace) -> int:
    where = {"nai": args.nai} | ({} if args.sub_nai is None else {"sub_nai": args.sub_nai})
    table = _SHOWN[args.role][0]

    def addresses() -> list[int]:
        reply = ask(_control(args), {"show": table, "where": where}, {table: list[capture.Session]})
        if "error" in reply:
            raise ValueError(reply["error"])
        # A visitor whose registration is under way has none yet
        return [parse(one["home_address"]) for one in reply[table] if one["home_address"]]

    try:
        known = addresses()
    except (OSError, ValueError) as error:
        return _no_answer(args, error)
    return capture.run(args, known, addresses)


def _release(args: argparse.Namespace) -> int:
    if bool(args.nai) == args.all:
        raise ConfigurationError("release: either NAI [SUB_NAI] or --all")
    wanted = {"all": args.all, "nai": args.nai, "sub_nai": args.sub_nai, "inform": not args.quietly}
    return _told(args, {"release": wanted}, {"released": list[Any]}, lambda reply: f"{len(reply['released'])} released")


def _drain(args: argparse.Namespace) -> int:
    return _told(args, {"drain": True}, {"drained": int}, lambda reply: f"{reply['drained']} drained")


def _debug(args: argparse.Namespace) -> int:
    """A name that nobody has is looked at as well, since it may be new; a mistyped one is not to go unnoticed."""
    reply = _ask(args, {"debug": args.nai, "on": not args.off}, {"debugged": list[str]})
    if reply is None:
        return 1
    print(f"looked at: {', '.join(reply['debugged']) or 'nobody'}")
    if "hint" in reply:
        print(f"entourage: {reply['hint']}", file=sys.stderr)
    return 0


def _reload(args: argparse.Namespace) -> int:
    """2 where the file is wrong, as for any other command that reads it."""
    if args.control is None:
        _load(args)

    def line(reply: dict[str, Any]) -> str:
        return " ".join(f"{key}={value}" for key, value in reply.items())

    return _told(args, {"reload": True}, {"restart_needed": bool}, line)


def _told(
    args: argparse.Namespace, request: dict[str, Any], kinds: Kinds, line: Callable[[dict[str, Any]], str]
) -> int:
    reply = _ask(args, request, kinds)
    if reply is None:
        return 1
    print(line(reply))
    return 0


def _ask(args: argparse.Namespace, request: dict[str, Any], kinds: Kinds, how: Ask = ask) -> dict[str, Any] | None:
    """The daemon's answer, with all of `kinds`; None where there is none or it says no, which is told on stderr."""
    try:
        reply = how(_control(args), request, kinds)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        _no_answer(args, error)
        return None
    if "error" in reply:
        for line in str(reply["error"]).splitlines():
            print(f"entourage: {line}", file=sys.stderr)
        return None
    return reply


def _no_answer(args: argparse.Namespace, error: OSError | ValueError) -> int:
    reason = error.strerror if isinstance(error, OSError) else ""
    print(f"entourage: {_control(args)}: no answer from the daemon: {reason or error}", file=sys.stderr)
    return 1


def _control(args: argparse.Namespace) -> Path:
    return Path(args.control or _load(args).common.control)


def _load(args: argparse.Namespace) -> Any:
    load: Callable[[Path], Any] = load_home_agent if args.role == "ha" else load_foreign_agent
    return load(args.config)
