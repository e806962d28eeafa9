"""`entourage attach DEVICE`: this machine behind a node, on its serial line, without SLIP in the kernel."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import signal
import sys

from host_agents.cli.names import interface
from host_agents.cli.numbers import whole
from tools.attach.errors import AttachFailed

_ABOUT = """Be a device on a node's serial line: a board on USB, or the node on another machine.

  sudo entourage attach /dev/ttyACM0
  sudo entourage attach /dev/ttyUSB0 --baud 921600 --route 10.10.0.0/24

The node gives the address, MTU, routes and DNS servers, and they are gone when this ends (Ctrl-C). Without --route
everything goes by the node."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `attach`."""
    parser = subparsers.add_parser("attach", help="this machine on a node's serial line", description=_ABOUT)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("device", type=str, metavar="DEVICE", help="a serial port or a pseudo-terminal")
    parser.add_argument(
        "--baud", type=whole(50, 12_000_000), default=115200, metavar="RATE", help="default 115200; USB has none"
    )
    tun = "of the TUN device (default slip0, ...)"
    parser.add_argument("--interface", type=interface, default="slip%d", metavar="NAME", help=tun)
    parser.add_argument(
        "--route", action="append", type=_prefix, default=[], metavar="PREFIX", help="only this goes by the node"
    )
    parser.add_argument(
        "--metric", type=whole(0, 0xFFFFFFFF), default=50, metavar="N", help="of the routes (default 50)"
    )
    parser.add_argument("--no-dns", action="store_true", help="leave the machine's DNS servers as they are")
    parser.set_defaults(handler=_attach)


def _prefix(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _attach(args: argparse.Namespace) -> int:
    if importlib.util.find_spec("serial") is None:
        print("entourage attach: pyserial is missing: pip install 'entourage[board]'", file=sys.stderr)
        return 1
    from tools.attach.attachment import Attachment

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Attachment(args.device, args.baud, args.interface, args.route, args.metric, not args.no_dns) as attachment:
            attachment.run()
    except AttachFailed as error:
        print(f"entourage attach: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0
