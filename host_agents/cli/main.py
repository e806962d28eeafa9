"""The `entourage` command. Exit: 0 done, 1 the thing asked for failed, 2 usage or configuration error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from host_agents.cli import agents, decode, node
from host_agents.runtime.errors import ConfigurationError, KernelRefused, StoreFailed
from tools.bench import commands as bench
from tools.board import commands as board
from tools.lab import commands as lab
from tools.trial import commands as trial


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; whatever goes wrong is one line on stderr."""
    parser = argparse.ArgumentParser(prog="entourage", description="Mobile IPv4: agents, node, lab, boards, benches.")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    agents.add_commands(subparsers)
    node.add_commands(subparsers)
    decode.add_commands(subparsers)
    lab.add_commands(subparsers)
    bench.add_commands(subparsers)
    board.add_commands(subparsers)
    trial.add_commands(subparsers)
    args = parser.parse_args(arguments)
    try:
        return int(args.handler(args))
    except ConfigurationError as error:
        print(f"entourage: {error}", file=sys.stderr)
        return 2
    except (KernelRefused, StoreFailed) as error:
        print(f"entourage: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1  # who read our output has gone


if __name__ == "__main__":
    sys.exit(main())
