"""`entourage node status`: what a mobile node on this machine says of itself."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from host_agents.cli.show import print_json, print_table
from host_agents.runtime.control_client import asked, understood
from host_agents.runtime.errors import ConfigurationError

_SESSIONS = {
    "sub_nai": "sub-NAI",
    "state": "state",
    "home_address": "IP address",
    "expires_in": "lifetime left",
    "downlink": "downlink",
    "link_address": "link address",
    "code": "last code",
}
_HANDOFFS = {
    "came to": "came to",
    "link": "link ms",
    "discovery": "discovery ms",
    "registration": "registration ms",
    "registered": "sessions",
}


class _Handoff(TypedDict):
    """Times: ms since the node started."""

    care_of_address: str | None
    link_down: int | None
    link_up: int | None
    requested: int | None
    last_reply: int | None
    sessions: int
    registered: int


_STATUS = {
    "nai": str,
    "home_agent": str,
    "mode": str | None,
    "care_of_address": str | None,
    "sessions": list[dict[str, Any]],
    "handoffs": list[_Handoff],
}


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `node`."""
    commands = subparsers.add_parser("node", help="mobile node").add_subparsers(required=True, metavar="COMMAND")
    status = commands.add_parser("status", help="sessions and handoffs of a running node")
    where = status.add_mutually_exclusive_group(required=True)
    where.add_argument("--config", type=Path, metavar="FILE", help="the node's JSON file")
    where.add_argument("--control", type=Path, metavar="SOCKET", help="its control socket")
    status.add_argument("--json", action="store_true", help="one JSON document on stdout")
    status.set_defaults(handler=_status)


def _status(args: argparse.Namespace) -> int:
    control = args.control or control_of(args.config)
    try:
        status = ask_node(control, "status", _STATUS)
        if "error" in status:
            raise ValueError(status["error"])
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else ""
        print(f"entourage: {control}: no answer from the node: {reason or error}", file=sys.stderr)
        return 1
    if args.json:
        print_json(status)
    else:
        where = status["care_of_address"] or status["mode"] or "no agent"  # at home there is no care-of address
        print(f"{status['nai']} at {where}, home agent {status['home_agent']}")
        if status.get("tunnel_refused"):
            print(f"no tunnel: {status['tunnel_refused']}")
        print_table(_SESSIONS, status["sessions"])
        if status["handoffs"]:
            print_table(_HANDOFFS, [_parts(one) for one in status["handoffs"]], title="the last handoffs")
    return 0


def _parts(handoff: _Handoff) -> dict[str, Any]:
    """How long each part took; None for one that has not ended, and for the link of a node that began on it."""

    def between(first: str, second: str) -> int | None:
        began, ended = handoff.get(first), handoff.get(second)
        return ended - began if isinstance(began, int) and isinstance(ended, int) else None

    return {
        "came to": handoff["care_of_address"] or "home",
        "link": between("link_down", "link_up"),
        "discovery": between("link_up", "requested"),
        "registration": between("requested", "last_reply"),
        "registered": f"{handoff['registered']} of {handoff['sessions']}",
    }


def ask_node(control: Path, question: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """What the node behind `control` answers. kinds: as of understood(). Raises OSError, ValueError."""
    with asked(control, question.encode()) as client:
        client.shutdown(socket.SHUT_WR)  # an agent, which answers line by line, is not to wait for another
        with client.makefile("rb") as answer:
            return understood(answer.read(), kinds)


def control_of(config: Path) -> Path:
    """The control socket that a node's configuration names. Raises ConfigurationError."""
    try:
        document = json.loads(config.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{config}: {error.strerror}") from error
    except ValueError:
        raise ConfigurationError(f"{config}: not a JSON document") from None
    control = document.get("control") if isinstance(document, dict) else None
    if not control:
        raise ConfigurationError(f'{config}: control: is missing: "control": "node.sock" lets the node be asked')
    return config.parent / str(control)
