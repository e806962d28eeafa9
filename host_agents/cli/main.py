"""The `entourage` command. Exit: 0 done, 1 the thing asked for failed, 2 usage or configuration error."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from host_agents.cli.names import Parser
from host_agents.runtime.errors import ConfigurationError, KernelRefused, StoreFailed

# Imported when it is wanted: with all of it a daemon starts in 0.45 s of CPU instead of 0.28, and takes 10 MB more
_COMMANDS = {
    "ha": "host_agents.cli.agents",
    "fa": "host_agents.cli.agents",
    "node": "host_agents.cli.node",
    "decode": "host_agents.cli.decode",
    "attach": "tools.attach.commands",
    "lab": "tools.lab.commands",
    "bench": "tools.bench.commands",
    "board": "tools.board.commands",
    "trial": "tools.trial.commands",
}


_INTERRUPTED = 130  # by Ctrl-C, as a shell has it
EXITS = "0: done. 1: what was asked for failed, or no daemon answers. 2: usage or configuration error."


def make_parser(command: str = "") -> argparse.ArgumentParser:
    """Of one command; of all of them where there is no such command."""
    parser = Parser(prog="entourage", description="Mobile IPv4: agents, node, lab, boards, benches.")
    parser.epilog = f"Exit code {EXITS}"
    parser.add_argument("--version", action=_Version, nargs=0, help="show this program's version and exit")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    wanted = _COMMANDS.get(command)
    for module in dict.fromkeys(_COMMANDS.values()) if wanted is None else (wanted,):
        importlib.import_module(module).add_commands(subparsers)
    _describe(subparsers)
    return parser


def _describe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Each is described by what its parent says of it, unless it has more to say."""
    for one in commands._choices_actions:
        command = commands.choices[one.dest]
        command.description = command.description or one.help
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                _describe(action)


class _Version(argparse.Action):
    """Looked up when it is asked for, since that takes 50 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print("entourage", version("entourage"))
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; each thing that is wrong is one line on stderr."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _take_any_streams()
        args = make_parser(words[0] if words else "").parse_args(words)
        code = int(args.handler(args))
        sys.stdout.flush()  # while somebody can still be told that it could not be written
        return code
    except ConfigurationError as error:
        return _fail(2, str(error))
    except (KernelRefused, StoreFailed) as error:
        return _fail(1, str(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:  # of stdout, or of a folder into which we may not even look
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is not tried again at the very end
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return 1 if isinstance(error, BrokenPipeError) else _fail(1, reason)


def _take_any_streams() -> None:
    """A terminal that has no word for a character shows a question mark; what was closed swallows what it is told."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # or a state file would get that number, and what is written there
    os.close(handle)
    sys.stdout, sys.stderr = sys.stdout or os.fdopen(1, "w"), sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _fail(code: int, reason: str) -> int:
    for line in reason.splitlines():
        print(f"entourage: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
