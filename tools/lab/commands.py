"""`entourage lab up|down|demo|roam|exec|status`: the lab on the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from host_agents.cli.numbers import real, whole
from host_agents.runtime.errors import KernelRefused
from mip4.const import INFINITE
from tools.lab import anchor, demo
from tools.lab.errors import LabFailed
from tools.lab.plan import ATTACHMENTS, MOST_NODES, WorldPlan, usual_nodes
from tools.lab.world import World

Handler = Callable[[argparse.Namespace], int]

_MANY = 10  # nodes, which take some seconds
_PLACES = """The world in namespaces of this machine. Its places:

  cn          a correspondent node, 198.51.100.2
  inet        what lies between; it drops packets whose source is routed elsewhere
  ha          the home agent, 192.0.2.1, router of 10.10.0.0/24
  fa1, fa2    visited networks with a foreign agent, 10.99.1.0/24 and 10.99.2.0/24
  nat         a visited network without one, 192.168.7.0/24 behind a NAT
  home1       a plain host on the home link, 10.10.0.200, where that is a real one
  wire        between ha and inet where that takes its time (--delay)
  mn, mn2     mobile nodes; pc1, pc2 are devices behind mn, pc3 behind mn2

Every visited link has a DHCP server. On the home link there is none: a node has its home address there."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `lab`. Each sub-command sets `handler`: parsed arguments -> exit code."""
    lab = subparsers.add_parser("lab", help="the world in namespaces of this machine", description=_PLACES)
    lab.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = lab.add_subparsers(dest="lab_command", required=True, metavar="COMMAND")

    up = _add(commands, "up", _up, "make the lab; it stays until `down`")
    up.add_argument(
        "--nodes",
        type=whole(1, MOST_NODES),
        default=1,
        metavar="N",
        help=f"mobile nodes mn, mn2, ... (default 1, {MOST_NODES} at most)",
    )
    up.add_argument(
        "--lifetime", type=whole(1, INFINITE), default=600, metavar="SECONDS", help="of registrations (default 600)"
    )
    up.add_argument("--advertise-interval", type=real(0.1, 1800), default=1.0, metavar="SECONDS", help="default 1.0")
    up.add_argument("--dhcp", action="store_true", help="nodes ask for an uplink address on each visited link")
    up.add_argument("--home-link", action="store_true", help="a home network that is a real link, with the host home1")
    up.add_argument(
        "--delay", type=real(0, 10_000), default=0.0, metavar="MS", help="one way between inet and ha (default 0)"
    )
    up.add_argument("--bare", action="store_true", help="only namespaces, links, routes, NAT: no agents, nodes, DHCP")

    _add(commands, "demo", _demo, "tell and check the whole story, in a lab of its own (default DIRECTORY: demo)")

    _add(commands, "down", _down, "end it and remove every trace but log/ and *.pcap")

    roam = _add(commands, "roam", _roam, "move a node's uplink to another link")
    where = "nat: behind a NAT, no agent; home: in a lab that is `up --home-link`"
    roam.add_argument("to", choices=tuple(ATTACHMENTS), help=where)
    roam.add_argument("--node", default="mn")

    run = _add(commands, "exec", _exec, "run a command in a place: exec pc1 -- ping -c3 198.51.100.2")
    run.add_argument("name", help="cn, inet, ha, fa1, fa2, nat, home1, mn, pc1, ...")
    run.add_argument("argv", type=str, nargs=argparse.REMAINDER, metavar="-- COMMAND")

    status = _add(commands, "status", _status, "what is there")
    status.add_argument("--json", action="store_true", help="one JSON document")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, handler: Handler, text: str
) -> argparse.ArgumentParser:
    def reporting(arguments: argparse.Namespace) -> int:
        try:
            return handler(arguments)
        except (LabFailed, KernelRefused) as error:
            print(f"entourage lab {name}: {error}", file=sys.stderr)
            return 1

    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--dir", type=Path, metavar="DIRECTORY", help=f"run directory (default {World.default_path()})")
    parser.set_defaults(handler=reporting)
    return parser


def _path(arguments: argparse.Namespace) -> Path:
    path: Path | None = arguments.dir
    return path or World.default_path()


def _up(arguments: argparse.Namespace) -> int:
    plan = WorldPlan(
        nodes=usual_nodes(arguments.nodes, "dhcp" if arguments.dhcp else "none"),
        lifetime=arguments.lifetime,
        advertise_interval=arguments.advertise_interval,
        home_link=arguments.home_link,
        delay=arguments.delay,
    )
    world = World(_path(arguments), plan, stays=True)
    world.up(programs=not arguments.bare, say=_say if arguments.nodes >= _MANY else lambda _: None)
    try:
        for device in () if arguments.bare else plan.devices():
            print(f"{device} has {world.await_address(device)}")
    except KeyboardInterrupt:
        world.down()
        raise
    print(f"the lab is up in {world.directory.path}")
    return 0


def _say(what: str) -> None:
    print(f"making {what}", file=sys.stderr)


def _demo(arguments: argparse.Namespace) -> int:
    return demo.run(arguments.dir)


def _down(arguments: argparse.Namespace) -> int:
    World(_path(arguments)).down()
    return 0


def _roam(arguments: argparse.Namespace) -> int:
    flap = World.attach(_path(arguments)).roam(arguments.node, arguments.to)
    print(f"{arguments.node} is at {arguments.to}, {flap.seconds * 1000:.0f} ms without carrier")
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv or arguments.argv[0].startswith("--d"):
        reason = "--dir comes before the name of the place" if argv else "no command"
        print(f"entourage lab exec: {reason}", file=sys.stderr)
        return 2
    command = World.attach(_path(arguments)).argv(arguments.name, argv)
    os.execvpe(command[0], command, anchor.environment())


def _status(arguments: argparse.Namespace) -> int:
    status = World.attach(_path(arguments)).status()
    if arguments.json:
        print(json.dumps(status, indent=1))
        return 0
    print(status["directory"])
    for node in status["nodes"]:
        state = "runs" if node["running"] else "-"
        at = f"at {node['at']}" if node.get("at") else ""
        print(f"{node['name']:6} {node['pid']:>8} {state:5} {' '.join([*node['addresses'], at])}".rstrip())
    return 0
